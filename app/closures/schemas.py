"""What crosses the HTTP border for closures."""

from typing import Annotated, Self

from pydantic import Field

from app.api.schemas import (
    AmountOrZero,
    ClosureId,
    Count,
    Currency,
    MerchantId,
    Model,
    Reason,
    Time,
)
from app.cards.domain import CardKind
from app.closures.answer import closure_answer, preview_facts
from app.closures.domain import ClosureKind, ClosureStatus, Preview, View

_RATE = Field(ge=0, description="Cards refunded in a second of work; null before any was.")
_LEFT = Field(ge=0, description="At this rate; null where nobody knows.")


class ClosureCreate(Model):
    """Order that a merchant closes."""

    kind: ClosureKind = Field(
        description="`notice`: 30 days without new sales; `immediate`: at once; `absconded`: at "
        "once, ordered by a regulator."
    )
    reason: Annotated[Reason, Field(examples=["租约到期"])]


class ClosureRead(Model):
    """The closing of a merchant, and how far it is."""

    id: ClosureId
    merchant_id: MerchantId
    kind: ClosureKind
    reason: str = Field(examples=["租约到期"])
    status: ClosureStatus
    card_count: Count = Field(
        description="Cards to refund: as things stand now, and from the execution on as they did."
    )
    refund_amount: AmountOrZero
    refunded_count: Count
    refunded_amount: AmountOrZero
    shortfall_amount: AmountOrZero = Field(
        description="What claims go short of, as it was shared out; 0 where custody covers all."
    )
    currency: Currency
    rate_per_second: Annotated[float, _RATE] | None
    seconds_left: Annotated[float, _LEFT] | None
    created_at: Time
    notice_ends_at: Time | None
    closing_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    certificate_url: str | None = Field(
        examples=["http://127.0.0.1:8000/v1/closures/clo_01h455vb4pex5vsknk084sn02q/certificate"]
    )

    @classmethod
    def from_domain(cls, view: View, base_url: str) -> Self:
        """Show a closure."""
        return cls.model_validate(closure_answer(view, base_url))


class KindTotalRead(Model):
    """What there is to refund on cards of one kind."""

    kind: CardKind
    card_count: Count
    refund_amount: AmountOrZero


class ClosurePreviewRead(Model):
    """What executing a closure would do as things stand now."""

    closure_id: ClosureId
    as_of: Time
    card_count: Count
    refund_amount: AmountOrZero
    currency: Currency
    kinds: list[KindTotalRead]
    disputed_count: Count = Field(description="Cards that wait for a dispute.")
    held_count: Count = Field(description="Cards under a hold, which keeps their refund back.")
    custody_amount: int = Field(description="At the bank.", examples=[120000])
    in_transit_amount: AmountOrZero
    refund_payable_amount: AmountOrZero = Field(description="Refunds decided before, in no file.")
    suspense_amount: AmountOrZero
    disputed_amount: AmountOrZero = Field(description="Set aside until disputes end.")
    payable_amount: AmountOrZero = Field(description="The merchant's own, held meanwhile.")
    waiting_reversal_amount: AmountOrZero
    bank_claim_amount: AmountOrZero
    shortfall_amount: AmountOrZero = Field(
        description="What claims would go short of; they are then paid pro rata."
    )

    @classmethod
    def from_domain(cls, preview: Preview) -> Self:
        """Show a preview."""
        return cls.model_validate(preview_facts(preview))
