"""What holds a card: whoever meets a held card is told by which document and why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from app.dates import SHANGHAI

if TYPE_CHECKING:
    from collections.abc import Mapping


class CardHold(NamedTuple):
    """One hold on a card, as those see it who meet the card."""

    card_id: UUID
    document_number: str
    reason: str
    expires_at: datetime | None

    def members(self) -> Mapping[str, object]:
        """Say it in an answer; None for a hold that stands until it is lifted."""
        ends = self.expires_at
        return {
            "document_number": self.document_number,
            "reason": self.reason,
            "expires_at": None if ends is None else ends.astimezone(SHANGHAI).isoformat(),
        }
