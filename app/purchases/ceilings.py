"""Find in a locked book what a consumer has prepaid, and refuse what exceeds a ceiling. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.cards.ceilings import Ceilings, Prepaid, check_ceilings, live_of
from app.cards.domain import CardKind
from app.cards.tables import CARDS_OF, CARDS_OF_CONSUMER
from app.policies.domain import NO_CEILING_AMOUNT
from app.purchases.domain import PurchaseStatus
from app.purchases.tables import (
    PRODUCT_WITH_CARD,
    PRODUCTS,
    PRODUCTS_BOUGHT_BY,
    PRODUCTS_HELD_BY,
    PURCHASES_ACCEPTED_BY,
    PURCHASES_OF_CONSUMER,
)

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.policies.domain import Policies
    from app.purchases.domain import Product
    from app.writer.book import Book
    from app.writer.tables import Need

_TRAINING: Final = "training"


def ceilings_of(policies: Policies, industry: str) -> Ceilings | None:
    """Give the ceilings of a merchant's district and industry; None where there are none."""
    amount = policies.ceiling_amount if policies.ceiling_amount < NO_CEILING_AMOUNT else None
    trains = industry == _TRAINING
    if amount is None and not trains:
        return None
    return Ceilings(
        amount,
        policies.ceiling_training_sessions if trains else None,
        policies.ceiling_training_days if trains else None,
    )


def needs_of_ceilings(consumer: UUID) -> tuple[Need, ...]:
    """Name the rows that say what a consumer has prepaid."""
    return (
        CARDS_OF(consumer),
        PRODUCTS_HELD_BY(consumer),
        PURCHASES_ACCEPTED_BY(consumer),
        PRODUCTS_BOUGHT_BY(consumer),
    )


def needs_of_taking_over(
    ceilings: Ceilings | None, consumer: UUID, card_id: UUID
) -> tuple[Need, ...]:
    """Name the rows that `check_taking_over` needs; none where no ceiling binds."""
    if ceilings is None:
        return ()
    return PRODUCT_WITH_CARD(card_id), *needs_of_ceilings(consumer)


def prepaid_by(book: Book, consumer: UUID, at: datetime) -> Prepaid:
    """Add up what a consumer has prepaid: cards, and accepted purchases that wait for payment.

    The command must have asked for `needs_of_ceilings`.
    """
    prepaid = Prepaid()
    for card in book.group(CARDS_OF_CONSUMER, consumer):
        if not is_exempt(book, card.product_id):
            prepaid = prepaid.plus(live_of(card))
    for purchase in book.group(PURCHASES_OF_CONSUMER, consumer):
        waits = purchase.status_at(at) == PurchaseStatus.AWAITING_PAYMENT
        if waits and purchase.accepted_at is not None:
            product = book.find(PRODUCTS, purchase.product_id)
            if product is None or not product.is_exempt:
                prepaid = prepaid.plus(Prepaid(purchase.amount, sessions_of(product)))
    return prepaid


def check_sale(
    ceilings: Ceilings | None, product: Product, book: Book, consumer: UUID, at: datetime
) -> None:
    """Refuse to sell a consumer more than may be prepaid here.

    Raises:
        CeilingExceeded: It would exceed a ceiling, together with what is live and accepted.
    """
    if ceilings is None or product.is_exempt:
        return
    check_ceilings(
        ceilings,
        prepaid_by(book, consumer, at),
        Prepaid(product.price_amount, sessions_of(product)),
        term_days=product.term_days if product.kind == CardKind.PERIOD else None,
    )


def check_taking_over(
    ceilings: Ceilings | None, card: Card, book: Book, consumer: UUID, at: datetime
) -> None:
    """Refuse to let a consumer take a card over where that is more than may be prepaid here.

    How long the card still lasts is not asked: nobody prepays it anew.

    Raises:
        CeilingExceeded: It would exceed a ceiling, together with what is live and accepted.
    """
    if ceilings is None or is_exempt(book, card.product_id):
        return
    check_ceilings(ceilings, prepaid_by(book, consumer, at), live_of(card), term_days=None)


def is_exempt(book: Book, product_id: UUID) -> bool:
    """Say whether the ceilings do not bind a product, as two persons decided."""
    product = book.find(PRODUCTS, product_id)
    return product is not None and product.is_exempt


def sessions_of(product: Product | None) -> int:
    """Say how many sessions a card of a product has, gifts among them."""
    return 0 if product is None else (product.sessions or 0) + (product.gift_sessions or 0)
