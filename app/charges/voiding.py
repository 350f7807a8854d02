"""Void what waits on cards that cannot be used any more: refunded, transferred, closed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.cards.domain import CardStatus
from app.cards.tables import CARDS, CARDS_OF_CONSUMER
from app.charges.domain import Charge, ChargeStatus, balance_of
from app.charges.tables import CHARGES_BY_STATE
from app.writer.commands import Event

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.writer.book import Book


@dataclass(frozen=True, slots=True)
class Voided:
    """Charges that wait no more, and every card that they held something of, freed."""

    charges: Sequence[Charge]
    cards: Mapping[UUID, Card]

    @property
    def events(self) -> list[Event]:
        """Tell it to those who follow."""
        return [Event(f"charge.{charge.status}", charge.charge_id) for charge in self.charges]


def void_pending(book: Book, card_ids: Collection[UUID], at: datetime) -> Voided:
    """Cancel the waiting charges that draw on any of these cards, and free all that they hold.

    A charge over several cards is voided whole, so cards may come back that were not named.
    What the clock has ended is expired, not cancelled. The command must have asked for the
    cards (`CARDS_WITH`) and for what waits with them (`PENDING_WITH_CARD`).
    """
    named = frozenset(card_ids)
    voided: list[Charge] = []
    freed: dict[UUID, Card] = {}
    holders = {card.consumer for card in map(book.find, [CARDS] * len(named), named) if card}
    for holder in sorted(holders):
        for charge in book.group(CHARGES_BY_STATE, (holder, ChargeStatus.PENDING_CONFIRMATION)):
            draws = charge.read_draws()
            if named.isdisjoint(draw.card_id for draw in draws):
                continue
            for draw in draws:
                card = freed.get(draw.card_id) or book.find(CARDS, draw.card_id)
                assert card is not None, "a waiting charge's cards matter and are loaded"
                freed[draw.card_id] = card.unhold(draw)
            voided.append(_ended(charge, at))
    return Voided([_with_rest(charge, book, freed, named) for charge in voided], freed)


def _ended(charge: Charge, at: datetime) -> Charge:
    if charge.status_at(at) == ChargeStatus.EXPIRED:
        return charge._replace(status=ChargeStatus.EXPIRED, ended_at=charge.expires_at)
    return charge._replace(status=ChargeStatus.CANCELLED, ended_at=at)


def _with_rest(
    charge: Charge, book: Book, freed: Mapping[UUID, Card], gone: Collection[UUID]
) -> Charge:
    """Show what is left on the cards that the holder can still use."""
    left = [
        freed.get(card.card_id, card)
        for card in book.group(CARDS_OF_CONSUMER, charge.consumer)
        if card.card_id not in gone
        and card.kind == charge.kind
        and not card.on_hold
        and card.status == CardStatus.ACTIVE
        and charge.product_id in {None, card.product_id}
    ]
    return charge.with_balance(balance_of(charge.kind, left))
