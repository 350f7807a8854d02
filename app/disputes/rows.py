"""A dispute as it lies in the database, and what of it enters the hash chain."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.charges.domain import DisputeStatus
from app.ledger import chain
from app.money import Fen


class Dispute(NamedTuple):
    """A use that its consumer contests; what they wrote is in its case."""

    merchant_no: int
    dispute_id: UUID
    charge_id: UUID
    case_id: UUID
    status: DisputeStatus
    set_aside_amount: Fen
    """What of payable lies in `release_disputed` while it is open: all that the use moved, or
    nothing."""
    opened_at: datetime
    decided_at: datetime | None

    @property
    def as_opened(self) -> "Dispute":
        """Give it as it was before it was decided."""
        return self._replace(status=DisputeStatus.OPEN, decided_at=None)

    def content_hash(self) -> bytes:
        """Hash the dispute as it stands: opening and decision carry this into the chain.

        What people wrote enters with its case, as salted commitments.
        """
        return chain.content_hash(
            (
                self.dispute_id,
                self.charge_id,
                self.case_id,
                str(self.status),
                self.set_aside_amount,
                self.opened_at,
                self.decided_at,
            )
        )
