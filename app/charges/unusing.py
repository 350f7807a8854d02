"""Take a use back from its cards: what they release without it, and the lines that say so. Pure.

On a card that was refunded its refund is computed again, in the same movement (DOMAIN §6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.cards.domain import Card, CardKind, Draw
from app.cards.statement import CardEntryKind, Line, enter
from app.cards.tables import CARDS, CARDS_OF_CONSUMER
from app.charges.domain import Charge, ChargeStatus, ReversalStatus, balance_of
from app.charges.tables import CHARGES_BY_KIND
from app.dates import business_date
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.refunds.supplementing import recompute, supplement
from app.writer.commands import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.statement import CardEntry
    from app.refunds.rows import CardRefund
    from app.refunds.supplementing import Recomputed
    from app.writer.book import Book


@dataclass(frozen=True, slots=True)
class Unused:
    """Cards after a use was taken back, with their statement lines and chain entries."""

    cards: Mapping[UUID, Card]
    lines: Sequence[CardEntry]
    entries: Sequence[Entry]
    amount: Fen
    """What of payable this takes, over all cards."""
    refunds: Sequence[CardRefund] = ()
    """What refunds of these cards grew by."""

    @property
    def events(self) -> list[Event]:
        """Tell of the refunds to those who follow."""
        return [Event("refund.decided", refund.refund_id) for refund in self.refunds]


@dataclass(frozen=True, slots=True)
class Before:
    """What the same decision took back before this use, and the next entry's number."""

    seq: int
    cards: Mapping[UUID, Card]
    charges: Sequence[Charge]


def unuse(charge: Charge, before: Before, book: Book, at: datetime) -> Unused:
    """Take a use back from its cards."""
    cards: dict[UUID, Card] = {}
    lines: list[CardEntry] = []
    entries: list[Entry] = []
    refunds: list[CardRefund] = []
    total = 0
    for draw in charge.read_draws():
        used = before.cards.get(draw.card_id) or book.find(CARDS, draw.card_id)
        assert used is not None, "a charge's cards are loaded with it"
        last_visit = _last_visit(charge, used, book, before.charges)
        card = used.unuse(draw, last_visit_day=last_visit)
        grown = recompute(book, used, card)
        seq = before.seq + len(entries)
        card, line, amount = _give_back(charge, draw, (used, card), grown, seq=seq, at=at)
        payable = book.own(AccountType.MERCHANT_PAYABLE)
        movement = Movement(payable, card.card_id, amount) if amount > 0 else None
        entries.append(Entry("use_reversed", charge.charge_id, movement, line.content_hash()))
        lines.append(line)
        made = grown and supplement(grown, card, charge.charge_id, seq=seq + 1, at=at)
        if made:
            refund, entered = made
            card = entered.card
            refunds.append(refund)
            lines.append(entered.line)
            entries.append(entered.entry)
        cards[card.card_id] = card
        total += amount
    return Unused(cards, lines, entries, Fen(total), refunds)


def _give_back(  # noqa: PLR0913  # a line is its parts
    charge: Charge,
    draw: Draw,
    cards: tuple[Card, Card],
    grown: Recomputed | None,
    *,
    seq: int,
    at: datetime,
) -> tuple[Card, CardEntry, Fen]:
    """Write the line of a use taken back; give the card after it, and what of payable it takes."""
    used, card = cards
    back = used.released_amount - card.released_amount
    assert back >= 0, "fewer uses never release more"
    adjusted = Fen(0) if grown is None else grown.adjusted_amount
    amount = Fen(back - adjusted)
    assert amount >= 0, "the rest grows by no more than what comes back"
    told = Line(
        CardEntryKind.REVERSED,
        charge.charge_id,
        charge.store_id,
        charge.confirmation_hash or b"",
        draw,
        -back,
    )
    card = card._replace(adjusted_amount=Fen(card.adjusted_amount + adjusted))
    card, line = enter(card, told, seq=seq, at=at)
    return card, line._replace(adjusted_amount=adjusted or None), amount


def _last_visit(charge: Charge, card: Card, book: Book, gone: Sequence[Charge]) -> int:
    """Give t* of the visits that stay on a period card when this one is taken back."""
    if card.kind != CardKind.PERIOD:
        return 0
    taken = {charge.charge_id, *(other.charge_id for other in gone)}
    stay = [
        draw.visit_day or 0
        for status in (ChargeStatus.CONFIRMED, ChargeStatus.DISPUTED)
        for other in book.group(CHARGES_BY_KIND, (CardKind.PERIOD, status))
        if other.charge_id not in taken
        for draw in other.read_draws()
        if draw.card_id == card.card_id
    ]
    return max(stay, default=0)


def reversed_charge(
    charge: Charge, amount: Fen, changed: Mapping[UUID, Card], book: Book, at: datetime
) -> Charge:
    """Give the charge as it is when its use is taken back, with what is left on the cards."""
    reversed_ = charge._replace(
        status=ChargeStatus.REVERSED,
        reversal_status=ReversalStatus.DONE,
        reversal_done_at=at,
        reversal_amount=amount,
        ended_at=at,
    )
    today = business_date(at)
    of_consumer = book.group(CARDS_OF_CONSUMER, charge.consumer)
    now = (changed.get(card.card_id, card) for card in of_consumer)
    left = [card for card in now if card.fits(charge.kind, charge.product_id, today)]
    return reversed_.with_balance(balance_of(charge.kind, left))
