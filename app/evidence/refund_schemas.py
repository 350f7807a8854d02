"""What stands behind a line of a refund: by which rule it was computed, and from what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, StrictBool, StrictInt

from app.api.schemas import BusinessDate, Model, RefundId
from app.cards.domain import CardKind
from app.ids import Prefix, to_text
from app.refunds.domain import Formula, Inputs, RefundClass, RefundReason

if TYPE_CHECKING:
    from app.refunds.rows import CardRefund

# No bounds: evidence shows what is there, and the check says whether it can be so.
Fen = Annotated[StrictInt, Field(description="Fen: 8000 is 80.00 yuan.", examples=[8000])]
Figure = Annotated[StrictInt, Field(examples=[10])]


class EvidenceInputsRead(Model):
    """All that decided a refund, under the names of the refund's `inputs`."""

    kind: CardKind
    paid_amount: Fen
    released_amount: Fen
    left_amount: Fen
    list_used_amount: Fen
    list_price_missing: StrictBool
    term_days: Figure | None
    term_day: Figure | None
    last_visit_day: Figure | None
    frozen_days: Figure
    agreed_amount: Fen | None
    used_amount: Fen | None
    interest_rate: Figure
    interest_days: Figure
    earlier_amount: Fen
    earlier_residue_amount: Fen

    def to_domain(self) -> Inputs:
        """Say it in the service's own terms."""
        return Inputs.from_json(self.model_dump_json())


class EvidenceRefundRead(Model):
    """A refund as it was decided; what adds to it, or what a shortfall leaves, is another line.

    The line's `evidence_hash` is the SHA-256 of these, joined by `|`: refund, card, reason,
    refund_class, formula, formula_version, policy_version, inputs as JSON with sorted keys and
    no blanks, as_of, amount, residue_amount, interest_claim_amount, supplements.
    """

    id: RefundId
    reason: RefundReason
    refund_class: RefundClass
    formula: Formula
    formula_version: Figure
    policy_version: Figure
    inputs: EvidenceInputsRead
    as_of: BusinessDate
    amount: Fen = Field(description="What it came to, paid or not.")
    residue_amount: Fen
    interest_claim_amount: Fen
    supplements: RefundId | None

    @classmethod
    def from_domain(cls, refund: CardRefund | None) -> Self | None:
        """Show what a refund was decided by; None where the line is of something else."""
        if refund is None:
            return None
        figures, supplements = refund.figures, refund.supplements
        return cls(
            id=to_text(Prefix.REFUND, refund.refund_id),
            reason=RefundReason(refund.reason),
            refund_class=RefundClass(refund.refund_class),
            formula=Formula(refund.formula),
            formula_version=refund.formula_version,
            policy_version=refund.policy_version,
            inputs=EvidenceInputsRead.model_validate(json.loads(refund.read_inputs().to_json())),
            as_of=refund.as_of,
            amount=figures.amount,
            residue_amount=figures.residue_amount,
            interest_claim_amount=figures.interest_claim_amount,
            supplements=None if supplements is None else to_text(Prefix.REFUND, supplements),
        )
