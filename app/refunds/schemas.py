"""What crosses the HTTP border for refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from app.api.schemas import (
    Amount,
    AmountOrZero,
    BusinessDate,
    CardId,
    CaseId,
    Count,
    Currency,
    Model,
    Name,
    RefundId,
    text,
    words,
)
from app.cards.domain import CardKind
from app.ids import Prefix, to_text
from app.money import Fen
from app.refunds.answer import preview_answer, refund_answer
from app.refunds.commands import Echo
from app.refunds.domain import Formula, RefundClass, RefundReason, RefundStatus
from app.refunds.payees import NamedAccount, payee_of

if TYPE_CHECKING:
    from app.db.sealing import Sealer
    from app.refunds.rows import CardRefund
    from app.refunds.service import Preview

Claim = Literal[
    "cooling_off",
    "consumer_choice",
    "store_moved",
    "obligations_transferred",
    "service_unavailable",
    "health",
    "minor",
]
AccountNumber = Annotated[str, text(64, min_length=5), Field(examples=["6217000010001234567"])]
ClaimText = Annotated[str, words(2000), Field(examples=["门店从十月起没有教练。"])]
BankCode = Annotated[str, text(32), Field(examples=["102331000012"])]


class RefundPreview(Model):
    """Ask what a refund would come to."""

    reason: Claim

    def to_domain(self) -> RefundReason:
        """Say it in the service's own terms."""
        return RefundReason(self.reason)


class RefundCreate(Model):
    """Ask for a refund as a preview showed it."""

    reason: Claim
    amount: AmountOrZero | None = None
    residue_amount: AmountOrZero | None = None
    as_of: BusinessDate | None = None
    text: ClaimText | None = Field(
        default=None, description="What happened; kept with the case where one opens."
    )

    @model_validator(mode="after")
    def _whole_echo(self) -> Self:
        given = (self.amount, self.residue_amount, self.as_of)
        if any(value is None for value in given) and any(value is not None for value in given):
            raise ValueError("Echo amount, residue_amount and as_of of the preview together")
        return self

    def to_echo(self) -> Echo | None:
        """Give what the holder saw; nothing where a case decides."""
        if self.amount is None or self.residue_amount is None or self.as_of is None:
            return None
        return Echo(self.amount, self.residue_amount, self.as_of)


class RefundOffer(Model):
    """Offer the holder of a card an amount back."""

    amount: Amount

    def to_domain(self) -> Fen:
        """Say it in the service's own terms."""
        return Fen(self.amount)


class PayeeAccount(Model):
    """Another account of the one who was to be paid."""

    holder_name: Name
    account_number: AccountNumber
    bank_code: BankCode | None = None

    def to_domain(self) -> NamedAccount:
        """Say it in the service's own terms."""
        return NamedAccount(self.holder_name, self.account_number, self.bank_code)


class PayeeShown(Model):
    """Whom a refund pays, masked."""

    holder_name: str = Field(examples=["李**"])
    account_number: str = Field(examples=["****4567"])
    bank_code: str | None


class InputsRead(Model):
    """All that decided the figures, so that anyone can compute them again."""

    kind: CardKind
    paid_amount: AmountOrZero = Field(description="P.")
    released_amount: AmountOrZero
    left_amount: AmountOrZero = Field(description="What no use released and nobody recalled.")
    list_used_amount: AmountOrZero = Field(description="Sum of the list prices of the uses.")
    list_price_missing: bool
    term_days: Count | None = Field(description="T.")
    term_day: Count | None = Field(description="t; frozen days do not count.")
    last_visit_day: Count | None = Field(description="t*.")
    frozen_days: Count
    agreed_amount: AmountOrZero | None
    used_amount: AmountOrZero | None
    interest_rate: Count = Field(description="Yearly, in hundredths of a percent.")
    interest_days: Count
    earlier_amount: AmountOrZero = Field(
        description="What the card's refunds came to before; a supplement adds to it."
    )
    earlier_residue_amount: AmountOrZero


class RefundRead(Model):
    """A refund, or what it would come to (then `id` and `status` are null)."""

    id: RefundId | None
    card_id: CardId
    reason: RefundReason
    refund_class: RefundClass = Field(alias="class")
    status: RefundStatus | None
    amount: AmountOrZero = Field(description="To the holder.")
    unpaid_amount: int = Field(
        description="What of it a closure's shortfall leaves unpaid, a claim that stays on the "
        "card; below 0 in a supplement that pays such a claim.",
        examples=[0],
    )
    residue_amount: int = Field(
        description="To the merchant once the refund is paid; what a supplement changes in it."
    )
    interest_claim_amount: AmountOrZero = Field(
        description="The merchant's own debt to the holder; not paid from custody."
    )
    currency: Currency
    formula: Formula
    formula_version: Count
    inputs: InputsRead
    as_of: BusinessDate
    policy_version: Count
    case_id: CaseId | None
    needs_case: bool = Field(
        description="Whether people judge the reason; the figures are those of a claim upheld."
    )
    alternative: Literal["consumer_choice"] | None = Field(
        description="The reason that is open after a claim was rejected."
    )
    supplements: RefundId | None = Field(description="The refund that this one adds to.")
    payee: PayeeShown | None

    @classmethod
    def of_preview(cls, preview: Preview) -> Self:
        """Show what a refund would come to."""
        card_id = to_text(Prefix.CARD, preview.card_id)
        return cls.model_validate(preview_answer(preview.quote, card_id, preview.payee))

    @classmethod
    def from_domain(cls, refund: CardRefund, sealer: Sealer) -> Self:
        """Show a refund to its holder."""
        return cls.model_validate(refund_answer(refund, payee_of(sealer, refund)))

    @classmethod
    def for_merchant(cls, refund: CardRefund) -> Self:
        """Show a refund to its merchant, who does not see the holder's account."""
        return cls.model_validate(refund_answer(refund, None))
