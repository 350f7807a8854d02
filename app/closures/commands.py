"""What a closure asks of the writer."""

from dataclasses import dataclass
from uuid import UUID

from app.writer.requests import RequestKey


@dataclass(frozen=True, slots=True)
class VoidPending:
    """Cancel what waits on cards of a merchant that closes."""

    merchant_no: int
    card_ids: tuple[UUID, ...]
    request: RequestKey | None = None
