"""What crosses the HTTP border for holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from app.api.schemas import (
    Amount,
    Currency,
    HoldId,
    MerchantId,
    Model,
    Reason,
    Time,
    text,
    words,
)
from app.holds.answer import hold_answer
from app.holds.domain import HoldStatus, HoldTarget
from app.holds.service import NewHold
from app.money import Fen

if TYPE_CHECKING:
    from app.holds.answer import ShownHold

TargetId = Annotated[
    str,
    text(64),
    Field(
        description="A card's id; a merchant's id for its payable; for a custody account its "
        "number, or the id of its merchant.",
        examples=["mch_01h455vb4pex5vsknk084sn02q"],
    ),
]
DocumentNumber = Annotated[str, words(100), Field(examples=["(2026)浙0106执1234号"])]
WhyHeld = Annotated[Reason, Field(examples=["法院财产保全"])]


class HoldCreate(Model):
    """What a court or an authority ordered."""

    target: HoldTarget
    target_id: TargetId
    amount: Amount | None = Field(
        default=None,
        description="Fen; null holds all. A held card is refused whole, whatever the amount.",
    )
    document_number: DocumentNumber
    reason: WhyHeld
    expires_at: Time | None = Field(
        default=None, description="When it ends by itself; null stands until it is lifted."
    )

    def to_domain(self) -> NewHold:
        """Say it in the service's own terms."""
        return NewHold(
            self.target,
            self.target_id,
            None if self.amount is None else Fen(self.amount),
            self.document_number,
            self.reason,
            self.expires_at,
        )


class HoldRead(Model):
    """A hold as it stands by the clock."""

    id: HoldId
    target: HoldTarget
    target_id: TargetId
    merchant_id: MerchantId
    amount: Amount | None
    currency: Currency
    document_number: DocumentNumber
    reason: WhyHeld
    status: HoldStatus
    placed_by: str = Field(description="The person.")
    placed_at: Time
    expires_at: Time | None
    ended_at: Time | None

    @classmethod
    def from_domain(cls, hold: ShownHold) -> Self:
        """Show a hold."""
        return cls.model_validate(hold_answer(hold))
