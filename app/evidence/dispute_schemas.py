"""A dispute of a use, in a card's evidence. What people wrote is in the case, and not here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from app.api.schemas import CaseId, DisputeId, Model
from app.charges.domain import DisputeStatus
from app.ids import Prefix, to_text

if TYPE_CHECKING:
    from app.charges.domain import Charge


class EvidenceDisputeRead(Model):
    """What became of a use that its consumer contests; upheld, its reversal follows."""

    id: DisputeId
    case_id: CaseId
    status: DisputeStatus

    @classmethod
    def from_domain(cls, charge: Charge) -> Self | None:
        """Show a dispute; None where the use was not contested."""
        if (
            charge.dispute_id is None
            or charge.dispute_case_id is None
            or charge.dispute_status is None
        ):
            return None
        return cls(
            id=to_text(Prefix.DISPUTE, charge.dispute_id),
            case_id=to_text(Prefix.CASE, charge.dispute_case_id),
            status=DisputeStatus(charge.dispute_status),
        )
