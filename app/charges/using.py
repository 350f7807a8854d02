"""Count uses on cards and enter them in the book; free what ended charges hold. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from app.cards.domain import CardKind, CardStatus
from app.cards.draws import check_list_value
from app.cards.statement import CardEntryKind, Line, enter
from app.cards.tables import CARDS
from app.charges.commands import ServeReversals
from app.charges.domain import Balance, Charge, ChargeStatus, balance_of
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from app.cards.domain import Card, Draw
    from app.cards.statement import CardEntry
    from app.writer.book import Book

CHARGING: Final = frozenset({"open", "notice"})
"""The statuses of a book in which uses go on."""


class Used(NamedTuple):
    """Cards after a use, each with its draw and what that releases."""

    cards: Sequence[Card]
    draws: Sequence[Draw]


class Entered(NamedTuple):
    """Cards after a use was entered, with their statement lines and chain entries."""

    cards: Sequence[Card]
    lines: Sequence[CardEntry]
    entries: Sequence[Entry]


def count_uses(
    cards: Iterable[Card], draws: Iterable[Draw], *, code_day: date | None = None
) -> Used:
    """Count draws on their cards, and say what each releases.

    `code_day`: on which day's limit it counts, where a code confirms it.

    Raises:
        InvalidRequest: The list prices of a card's uses add up to more than can be kept.
    """
    by_id = {card.card_id: card for card in cards}
    after: list[Card] = []
    released: list[Draw] = []
    for draw in draws:
        before = by_id[draw.card_id]
        check_list_value(before, draw)
        card = before.use(draw, code_day=code_day)
        release = Fen(card.released_amount - before.released_amount)
        after.append(card)
        released.append(draw._replace(release_amount=release))
    return Used(after, released)


def enter_uses(charge: Charge, used: Used, book: Book) -> Entered:
    """Write a confirmed use into its cards' statements, one chain entry a draw.

    A draw that moves 0 fen is an entry without a transfer.
    """
    assert charge.confirmation_hash is not None, "only confirmed uses are entered"
    assert charge.confirmed_at is not None, "only confirmed uses are entered"
    payable = book.own(AccountType.MERCHANT_PAYABLE)
    cards: list[Card] = []
    lines: list[CardEntry] = []
    entries: list[Entry] = []
    for card, draw in zip(used.cards, used.draws, strict=True):
        release = draw.release_amount or Fen(0)
        told = Line(
            CardEntryKind.USED,
            charge.charge_id,
            charge.store_id,
            charge.confirmation_hash,
            draw,
            release,
        )
        after, line = enter(card, told, seq=book.next_seq + len(entries), at=charge.confirmed_at)
        movement = Movement(card.card_id, payable, release) if release > 0 else None
        entries.append(Entry("use_confirmed", charge.charge_id, movement, line.content_hash()))
        cards.append(after)
        lines.append(line)
    return Entered(cards, lines, entries)


def balance_after(kind: CardKind, cards: Sequence[Card], changed: Mapping[UUID, Card]) -> Balance:
    """Add up what is left over the cards that a charge of this kind might have drawn on."""
    after = (changed.get(card.card_id, card) for card in cards)
    return balance_of(kind, [card for card in after if card.status == CardStatus.ACTIVE])


def serve_waiting(book: Book) -> ServeReversals | None:
    """After a credit to payable, let waiting reversals follow at once, ahead of all others."""
    waits = book.head.waiting_reversal_amount > 0
    return ServeReversals(book.merchant_no) if waits else None


def expire_due(
    pending: Iterable[Charge], book: Book, at: datetime
) -> tuple[list[Charge], dict[UUID, Card]]:
    """End charges whose time is over and free what they hold; give them and their cards."""
    ended: list[Charge] = []
    freed: dict[UUID, Card] = {}
    for charge in pending:
        # One that was ended before has freed its cards: another process may have been first.
        waits = charge.status == ChargeStatus.PENDING_CONFIRMATION
        if waits and charge.status_at(at) == ChargeStatus.EXPIRED:
            ended.append(charge._replace(status=ChargeStatus.EXPIRED, ended_at=charge.expires_at))
            for draw in charge.read_draws():
                card = freed.get(draw.card_id) or book.find(CARDS, draw.card_id)
                assert card is not None, "a pending charge's cards are loaded with it"
                freed[draw.card_id] = card.unhold(draw)
    return ended, freed
