"""What can be asked of holds. Every new id is in the command."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.holds.domain import HoldTarget
from app.money import Fen
from app.writer.requests import RequestKey


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Hold a card, a payable or a custody account; `amount` None holds all."""

    merchant_no: int
    request: RequestKey | None
    hold_id: UUID
    target: HoldTarget
    target_id: UUID
    amount: Fen | None
    document_number: str
    reason: str
    text_salt: bytes
    placed_by: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class LiftHold:
    """End a hold before its time, as two persons decided."""

    merchant_no: int
    request: RequestKey | None
    hold_id: UUID
    target_id: UUID


@dataclass(frozen=True, slots=True)
class ExpireHolds:
    """End in the book what the clock has ended; both tuples are of one length."""

    merchant_no: int
    hold_ids: tuple[UUID, ...]
    target_ids: tuple[UUID, ...]
    request: RequestKey | None = None
