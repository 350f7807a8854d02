"""What crosses the HTTP border for transfers; a card is shown as everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from app.api.schemas import (
    AmountOrZero,
    BusinessDate,
    CardId,
    ConsumerId,
    Count,
    Model,
    ProductId,
    Time,
    TransferId,
)
from app.card_life.rows import CardTransfer, TransferStatus
from app.cards.domain import CardKind, CardStatus
from app.cards.schemas import MerchantShown
from app.ids import Prefix, to_text

if TYPE_CHECKING:
    from uuid import UUID

    from app.card_life.service import Dated
    from app.cards.directory import MerchantRef

_SHOWN_LENGTH = 4


class TransferCreate(Model):
    """Offer a card to somebody else."""

    consumer_id: ConsumerId = Field(
        description="The receiver's subject at the issuer of the caller's own token."
    )


class OfferedCardRead(Model):
    """What is left on the card, now: what its receiver gets."""

    kind: CardKind
    status: CardStatus
    product_id: ProductId
    merchant: MerchantShown
    face_available_amount: AmountOrZero | None
    sessions_left: Count | None
    valid_until: BusinessDate | None
    custody_amount: AmountOrZero = Field(description="What of the payment is still in custody.")


class TransferRead(Model):
    """A card on its way from one holder to another."""

    id: TransferId
    card_id: CardId
    status: TransferStatus
    role: Literal["giver", "receiver"] = Field(description="Which of the two the caller is.")
    counterparty: str = Field(description="The other one's id, masked.", examples=["****r-17"])
    card: OfferedCardRead | None = Field(
        description="While it is offered; after that it is its holder's alone to see."
    )
    created_at: Time
    ended_at: Time | None

    @classmethod
    def from_domain(
        cls, transfer: CardTransfer, consumer: UUID, card: Dated, merchant: MerchantRef
    ) -> Self:
        """Show a transfer to one of its two."""
        gives = transfer.giver == consumer
        # A repeated answer may be older than the card's new holder.
        waits = transfer.status == TransferStatus.OFFERED and card.card.consumer == transfer.giver
        return cls(
            id=to_text(Prefix.TRANSFER, transfer.transfer_id),
            card_id=to_text(Prefix.CARD, transfer.card_id),
            status=TransferStatus(transfer.status),
            role="giver" if gives else "receiver",
            counterparty=_masked(transfer.receiver_id if gives else transfer.giver_id),
            card=_offered(card, merchant) if waits else None,
            created_at=transfer.created_at,
            ended_at=transfer.ended_at,
        )


def _offered(dated: Dated, merchant: MerchantRef) -> OfferedCardRead:
    card = dated.card
    is_value, is_count = card.kind == CardKind.STORED_VALUE, card.kind == CardKind.COUNT
    return OfferedCardRead(
        kind=CardKind(card.kind),
        status=card.status_on(dated.day),
        product_id=to_text(Prefix.PRODUCT, card.product_id),
        merchant=MerchantShown(
            id=to_text(Prefix.MERCHANT, merchant.merchant_id), name=merchant.name
        ),
        face_available_amount=card.face_available_amount if is_value else None,
        sessions_left=card.sessions_available if is_count else None,
        valid_until=card.valid_until_on(dated.day),
        custody_amount=card.custody_amount,
    )


def _masked(consumer_id: str) -> str:
    shown = consumer_id[-_SHOWN_LENGTH:] if len(consumer_id) > _SHOWN_LENGTH else ""
    return f"****{shown}"
