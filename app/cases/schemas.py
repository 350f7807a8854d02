"""What crosses the HTTP border for cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from app.api.schemas import (
    AmountOrZero,
    ApprovalId,
    BusinessDate,
    CardId,
    CaseId,
    ChargeId,
    MerchantId,
    Model,
    Reason,
    RefundId,
    Time,
    words,
)
from app.cases.answer import case_answer
from app.cases.rows import CaseDecision, CaseFile, CaseKind, CaseStatus, DecidedBy
from app.cases.rulings import Proposal
from app.money import Fen

if TYPE_CHECKING:
    from uuid import UUID

    from app.db.sealing import Sealer

Words = Annotated[str, words(2000), Field(examples=["门店仍在营业。"])]


class CaseAnswerCreate(Model):
    """Answer a case for its merchant; agreement decides it."""

    agree: bool = Field(strict=True)
    text: Words | None = None


class CaseDecisionCreate(Model):
    """Propose how a case is decided."""

    decision: Literal["upheld", "rejected"]
    reason: Reason
    used_amount: AmountOrZero | None = Field(
        default=None,
        description="What was used; for a minor's claim that is upheld, and only then.",
    )

    def to_domain(self, by: str) -> Proposal:
        """Say it in the service's own terms."""
        used = None if self.used_amount is None else Fen(self.used_amount)
        return Proposal(CaseDecision(self.decision), self.reason, used, by)


class CaseAnswerRead(Model):
    """What the merchant answered."""

    agree: bool
    text: str | None
    at: Time
    by: str | None = Field(description="The person, for those who work with cases.")


class CaseDecisionRead(Model):
    """What came of a case, and who decided it."""

    decision: CaseDecision
    reason: str | None
    at: Time
    by: DecidedBy
    approval_id: ApprovalId | None = Field(description="Where two persons decided.")


class CaseRead(Model):
    """Something that people must judge."""

    id: CaseId
    kind: CaseKind
    status: CaseStatus
    merchant_id: MerchantId
    card_id: CardId | None
    charge_id: ChargeId | None
    refund_id: RefundId | None
    reason: str | None = Field(
        description="Of a claim its `reason`; of a dispute what the consumer wrote, until erased."
    )
    text: str | None
    answer_due_on: BusinessDate | None = Field(
        description="The last day for the merchant's answer; silence counts as agreement."
        " Null until the calendar reaches that far."
    )
    answer: CaseAnswerRead | None
    decision: CaseDecisionRead | None
    used_amount: AmountOrZero | None
    created_at: Time

    @classmethod
    def from_domain(
        cls, case: CaseFile, merchant_id: UUID, sealer: Sealer, *, named: bool = True
    ) -> Self:
        """Show a case; the person who answered only to those who work with cases."""
        return cls.model_validate(case_answer(case, merchant_id, sealer, named=named))
