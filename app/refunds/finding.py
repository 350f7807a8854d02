"""Find in a locked book what decides a refund of a card. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.cards.tables import CARDS, CARDS_WITH
from app.cases.tables import CASES_WITH_CARD
from app.charges.domain import ChargeStatus, DisputeStatus
from app.charges.tables import CHARGES_BY_KIND, CHARGES_BY_STATE, PENDING_WITH_CARD
from app.dates import business_date
from app.holds.standing import by_the_clock, card_holds
from app.holds.tables import HOLDS_ON
from app.ledger.chart import AccountType, account_id
from app.refunds.domain import RefundStatus
from app.refunds.quoting import Facts
from app.refunds.tables import (
    CARDS_USED_EARLIER,
    DISPUTED_WITH_CARD,
    EARLIER_USES,
    REFUNDS_OF_CARD,
    REFUNDS_WITH_CARD,
    SALE_OF_CARD,
    SALES,
)
from app.writer.book import ACCOUNT_BY_ID

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.writer.book import Book
    from app.writer.tables import Need

MOVES_NOTHING: Final = frozenset(
    {
        RefundStatus.OFFERED,
        RefundStatus.DECLINED,
        RefundStatus.REJECTED,
        RefundStatus.WITHDRAWN,
    }
)
"""What leaves the card as it was, so that it can be refunded otherwise."""


def needs_of_card(merchant_no: int, card_id: UUID) -> tuple[Need, ...]:
    """Name the rows that deciding a refund of a card needs."""
    return (
        CARDS_WITH(card_id),
        PENDING_WITH_CARD(card_id),
        SALE_OF_CARD(card_id),
        EARLIER_USES(card_id),
        CARDS_USED_EARLIER(card_id),
        DISPUTED_WITH_CARD(card_id),
        REFUNDS_WITH_CARD(card_id),
        HOLDS_ON(card_id),
        CASES_WITH_CARD(card_id),
        ACCOUNT_BY_ID(card_id),
        ACCOUNT_BY_ID(account_id(merchant_no, AccountType.REFUND_PAYABLE)),
        ACCOUNT_BY_ID(account_id(merchant_no, AccountType.MERCHANT_PAYABLE)),
    )


def facts_in(book: Book, card: Card, at: datetime) -> Facts:
    """Read from the book what decides a refund of a card."""
    sale = book.find(SALES, card.card_id)
    assert sale is not None, "a card's sale is loaded with it"
    refunds = book.group(REFUNDS_OF_CARD, card.card_id)
    disputes = _disputes_of(book, card)
    standing = [other.refund_id for other in refunds if other.status not in MOVES_NOTHING]
    return Facts(
        card=by_the_clock(book, card, at),
        day=business_date(at),
        book_status=book.head.status,
        store_status=sale.store_status,
        used_before=_used_before(book, card, sale.buyer),
        disputed=DisputeStatus.OPEN in disputes,
        dispute_upheld=DisputeStatus.UPHELD in disputes,
        refund_id=min(standing, default=None),
        holds=card_holds(book, card.card_id, at),
    )


def _disputes_of(book: Book, card: Card) -> set[DisputeStatus]:
    """Say how the disputes of a card's uses stand.

    Also those of whoever held it then: a use stays its own consumer's after a transfer.
    """
    return {
        charge.dispute_status
        for status in (ChargeStatus.DISPUTED, ChargeStatus.REVERSED)
        for charge in book.group(CHARGES_BY_KIND, (card.kind, status))
        if charge.dispute_status is not None
        and any(draw.card_id == card.card_id for draw in charge.read_draws())
    }


def _used_before(book: Book, card: Card, buyer: UUID) -> bool:
    """Say whether a use of the same product stands from before this card was paid (art. 14).

    One of its holder's or of its buyer's: a transfer makes nobody new to what they know.
    """
    products = {
        other.product_id
        for consumer in {card.consumer, buyer}
        for status in (ChargeStatus.CONFIRMED, ChargeStatus.DISPUTED)
        for charge in book.group(CHARGES_BY_STATE, (consumer, status))
        if charge.confirmed_at is not None and charge.confirmed_at < card.paid_at
        for draw in charge.read_draws()
        if (other := book.find(CARDS, draw.card_id)) is not None
    }
    return card.product_id in products
