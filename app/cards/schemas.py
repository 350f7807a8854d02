"""What crosses the HTTP border for cards."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Self

from pydantic import Field

from app.api.schemas import (
    Amount,
    AmountOrZero,
    BusinessDate,
    CardId,
    ChargeId,
    Count,
    Currency,
    MerchantId,
    Model,
    ProductId,
    StoreId,
    Time,
)
from app.cards.domain import Card, CardKind, CardStatus
from app.cards.statement import CardEntryKind
from app.ids import Prefix, to_text
from app.money import CURRENCY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.cards.directory import MerchantRef
    from app.cards.holding import CardHold
    from app.cards.queries import StatementRow

_OF_CHARGES = frozenset({CardEntryKind.USED, CardEntryKind.REVERSED})
_SHOWN_LENGTH = 4


class MerchantShown(Model):
    """A merchant, by its name."""

    id: MerchantId
    name: str


class CardHoldRead(Model):
    """What holds a card, and why."""

    document_number: str = Field(examples=["(2026)浙0106执1234号"])
    reason: str = Field(examples=["法院财产保全"])
    expires_at: Time | None = Field(description="Null stands until it is lifted.")


class CardRead(Model):
    """A card: what was paid, what was used, what is left and where it is."""

    id: CardId
    kind: CardKind
    status: CardStatus
    on_hold: bool
    holds: list[CardHoldRead] = Field(description="What holds the card, oldest first.")
    merchant: MerchantShown
    product_id: ProductId
    paid_amount: Amount
    bonus_amount: AmountOrZero
    face_amount: Amount | None
    face_used_amount: AmountOrZero | None
    face_held_amount: AmountOrZero | None
    face_available_amount: AmountOrZero | None
    sessions_total: Count | None
    sessions_used: Count | None
    sessions_held: Count | None
    term_days: Count | None
    valid_until: BusinessDate | None = Field(
        description="The last day of the term; of a frozen card, as if it were unfrozen today."
    )
    frozen_on: BusinessDate | None = Field(
        description="The first frozen day, while the term of a period card stands still."
    )
    frozen_days: Count | None = Field(description="Days of the term's time that do not count.")
    refundable_from: BusinessDate | None = Field(
        description="After a transfer: the first day on which the new holder may ask for a refund."
    )
    released_amount: AmountOrZero
    refunded_amount: AmountOrZero
    adjusted_amount: AmountOrZero
    recalled_amount: AmountOrZero
    custody_amount: AmountOrZero = Field(description="What of the payment is still in custody.")
    cooling_off_ends_on: BusinessDate | None
    cooling_off_days: Count
    paid_at: Time
    currency: Currency

    @classmethod
    def from_domain(
        cls, card: Card, merchant: MerchantRef, today: date, holds: Sequence[CardHold] = ()
    ) -> Self:
        """Show a card as it stands today, with what holds it."""
        return cls.model_validate(_fields(card, merchant, today, holds))


class MerchantCardRead(CardRead):
    """A card as its merchant sees it: whose it is, masked."""

    consumer: str = Field(description="The consumer's id, masked.", examples=["****r-17"])

    @classmethod
    def from_domain(
        cls, card: Card, merchant: MerchantRef, today: date, holds: Sequence[CardHold] = ()
    ) -> Self:
        """Show a card of the merchant as it stands today, with what holds it."""
        shown = card.consumer_id[-_SHOWN_LENGTH:] if len(card.consumer_id) > _SHOWN_LENGTH else ""
        fields = _fields(card, merchant, today, holds)
        return cls.model_validate({**fields, "consumer": f"****{shown}"})


class StatementRead(Model):
    """One line of a card's statement, with the balances after it."""

    id: str
    at: Time
    kind: CardEntryKind
    charge_id: ChargeId | None
    store_id: StoreId | None
    amount: int | None = Field(
        description="Of a use its face; of a refund or adjustment what left, negative if back."
    )
    sessions: Count | None
    release_amount: int = Field(description="To the merchant; negative where it came back.")
    adjusted_amount: int | None = Field(
        description=(
            "Of a use taken back after a refund: what else went to the merchant with it,"
            " negative where it came back."
        )
    )
    balance_face_amount: AmountOrZero | None
    balance_sessions: Count | None
    custody_amount: AmountOrZero
    description: str | None

    @classmethod
    def from_domain(cls, row: StatementRow) -> Self:
        """Show a line."""
        of_charge = row.kind in _OF_CHARGES
        return cls(
            id=f"{to_text(Prefix.CARD, row.card_id)}.{row.entry_no}",
            at=row.at,
            kind=CardEntryKind(row.kind),
            charge_id=to_text(Prefix.CHARGE, row.subject_id) if of_charge else None,
            store_id=None if row.store_id is None else to_text(Prefix.STORE, row.store_id),
            amount=row.amount,
            sessions=row.sessions,
            release_amount=row.release_amount,
            adjusted_amount=row.adjusted_amount,
            balance_face_amount=row.balance_face_amount,
            balance_sessions=row.balance_sessions,
            custody_amount=row.custody_amount,
            description=row.description,
        )


def _fields(
    card: Card, merchant: MerchantRef, today: date, holds: Sequence[CardHold]
) -> dict[str, object]:
    is_value, is_count = card.kind == CardKind.STORED_VALUE, card.kind == CardKind.COUNT
    return {
        "id": to_text(Prefix.CARD, card.card_id),
        "kind": CardKind(card.kind),
        "status": card.status_on(today),
        "on_hold": card.on_hold,
        "holds": [hold.members() for hold in holds],
        "merchant": MerchantShown(
            id=to_text(Prefix.MERCHANT, merchant.merchant_id), name=merchant.name
        ),
        "product_id": to_text(Prefix.PRODUCT, card.product_id),
        "paid_amount": card.paid_amount,
        "bonus_amount": card.bonus_amount,
        "face_amount": card.face_amount if is_value else None,
        "face_used_amount": card.face_used_amount if is_value else None,
        "face_held_amount": card.face_held_amount if is_value else None,
        "face_available_amount": card.face_available_amount if is_value else None,
        "sessions_total": card.sessions_total,
        "sessions_used": card.sessions_used if is_count else None,
        "sessions_held": card.sessions_held if is_count else None,
        "term_days": card.term_days,
        "valid_until": card.valid_until_on(today),
        "frozen_on": card.frozen_on,
        "frozen_days": card.frozen_days_on(today) if card.kind == CardKind.PERIOD else None,
        "refundable_from": card.refundable_from,
        "released_amount": card.released_amount,
        "refunded_amount": card.refunded_amount,
        "adjusted_amount": card.adjusted_amount,
        "recalled_amount": card.recalled_amount,
        "custody_amount": card.custody_amount,
        "cooling_off_ends_on": card.cooling_off_ends_on,
        "cooling_off_days": card.cooling_off_days,
        "paid_at": card.paid_at,
        "currency": CURRENCY,
    }
