"""What stands against a card in a locked book, by the clock. Pure; for all who decide on cards.

`card.on_hold` says that there may be something: it is set with the first hold, in the card's own
row, so that a card without holds costs nothing. Only where it is set are holds loaded, and then
their own times decide, whether the worker has been there or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cards.errors import CardOnHold
from app.cards.tables import CARDS_OF_CONSUMER
from app.dates import business_date
from app.holds.domain import HoldStatus
from app.holds.tables import HOLDS_BY_TARGET, HOLDS_ON

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.cards.holding import CardHold
    from app.writer.book import Book
    from app.writer.tables import Need


def needs_of_held(book: Book, consumer: UUID) -> Sequence[Need]:
    """Ask for what holds a consumer's loaded cards; nothing where none is held."""
    cards = book.group(CARDS_OF_CONSUMER, consumer)
    return [HOLDS_ON(card.card_id) for card in cards if card.on_hold]


def card_holds(book: Book, card_id: UUID, at: datetime) -> tuple[CardHold, ...]:
    """Give what holds a card at this time, oldest first."""
    holds = sorted(book.group(HOLDS_BY_TARGET, card_id), key=lambda hold: hold.seq)
    return tuple(hold.as_card_hold() for hold in holds if hold.is_active(at))


def by_the_clock(book: Book, card: Card, at: datetime) -> Card:
    """Give a card as the clock has its holds; one whose holds were not loaded stays held."""
    if not card.on_hold:
        return card
    standing = [
        hold
        for hold in book.group(HOLDS_BY_TARGET, card.card_id)
        if hold.status == HoldStatus.ACTIVE
    ]
    is_over = bool(standing) and not any(hold.is_active(at) for hold in standing)
    return card._replace(on_hold=False) if is_over else card


def all_by_the_clock(book: Book, cards: Sequence[Card], at: datetime) -> Sequence[Card]:
    """Give cards as the clock has their holds; the same ones where none is held."""
    if not any(card.on_hold for card in cards):
        return cards
    return [by_the_clock(book, card, at) for card in cards]


def check_usable(book: Book, card: Card, at: datetime) -> None:
    """Refuse a card that was named and may not be used, with what holds it.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardNotActive: It is frozen, lost, expired, recalled or replaced.
        CardOnHold: A court or an authority holds it.
    """
    known = by_the_clock(book, card, at)
    if known.on_hold:
        raise CardOnHold(card.card_id, card_holds(book, card.card_id, at))
    known.check_usable(business_date(at))
