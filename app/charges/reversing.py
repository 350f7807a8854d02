"""Decide a reversal: at once where payable covers it, else it waits its turn. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from app.cards.domain import Card, CardKind
from app.cards.statement import CardEntryKind, Line, enter
from app.cards.tables import CARDS, CARDS_OF_CONSUMER
from app.charges.commands import ReverseCharge, ServeReversals
from app.charges.confirming import of_stores
from app.charges.domain import (
    Charge,
    ChargeStatus,
    ReversalStatus,
    balance_of,
    facts_of,
    reversal_deadline,
)
from app.charges.errors import ChargeDisputed, ChargeNotConfirmed, DeadlinePassed
from app.charges.tables import (
    ACCOUNTS_OF_CHARGE,
    ACCOUNTS_WAITING,
    CARDS_OF_CHARGE,
    CARDS_WAITING,
    CHARGE_BY_ID,
    CHARGES,
    CHARGES_BY_KIND,
    CHARGES_BY_REVERSAL,
    VISITS_OF_CARD,
    WAITING_CHARGES,
)
from app.dates import business_date
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.writer.book import ACCOUNT_BY_ID, ACCOUNTS
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.statement import CardEntry
    from app.writer.book import Book
    from app.writer.tables import Need


@dataclass(frozen=True, slots=True)
class Unused:
    """Cards after a use was taken back, with their statement lines and chain entries."""

    cards: Mapping[UUID, Card]
    lines: Sequence[CardEntry]
    entries: Sequence[Entry]
    amount: Fen


@dataclass(frozen=True, slots=True)
class _Before:
    """What the same decision took back before this use, and the next entry's number."""

    seq: int
    cards: Mapping[UUID, Card]
    charges: Sequence[Charge]


def decide_reverse(command: ReverseCharge, book: Book, at: datetime) -> Decision[Charge]:
    """Take a use back: released money returns to its cards; again gives the same.

    Money that left payable already is not taken from the card's holder or anyone else: the
    reversal waits until payable covers it (DOMAIN §5).

    Raises:
        ChargeDisputed: A dispute decides it.
        ChargeNotConfirmed: It was never confirmed.
        DeadlinePassed: The use is too long ago.
        NotFound: No such charge, or not of these stores.
    """
    charge = of_stores(book, command.charge_id, command.store_ids)
    if charge.reversal_status is not None:
        return Decision(charge, subject_id=charge.charge_id, facts=facts_of(charge))
    if charge.status == ChargeStatus.DISPUTED:
        raise ChargeDisputed
    if charge.status != ChargeStatus.CONFIRMED or charge.confirmed_at is None:
        raise ChargeNotConfirmed(charge.status_at(at))
    deadline = reversal_deadline(charge.confirmed_at, command.reversal_days)
    if at > deadline:
        raise DeadlinePassed(deadline)
    asked = charge._replace(reversal_requested_at=at, reversal_reason=command.reason)
    unused = _unuse(asked, _Before(book.next_seq, {}, ()), book, at)
    payable = book.balance(book.own(AccountType.MERCHANT_PAYABLE))
    # Those that wait come first, so a new reversal takes only what they leave.
    if 0 < unused.amount > payable - book.head.waiting_reversal_amount:
        return _waiting(asked, unused.amount, book)
    done = _done(asked, unused.amount, unused.cards, book, at)
    return Decision(
        done,
        rows=(*unused.cards.values(), *unused.lines, done),
        entries=unused.entries,
        events=(Event("charge.reversed", charge.charge_id),),
        subject_id=charge.charge_id,
        facts=facts_of(done),
    )


def decide_serve(command: ServeReversals, book: Book, at: datetime) -> Decision[int]:
    """Carry out waiting reversals, oldest first, each whole, until payable does not cover one."""
    del command
    payable = book.balance(book.own(AccountType.MERCHANT_PAYABLE))
    waiting = sorted(
        book.group(CHARGES_BY_REVERSAL, ReversalStatus.PENDING),
        key=lambda charge: (charge.reversal_requested_at, charge.charge_id),
    )
    cards: dict[UUID, Card] = {}
    rows: list[Charge | CardEntry] = []
    entries: list[Entry] = []
    served: list[Charge] = []
    needs: Fen | None = None
    for charge in waiting:
        if not _is_at_hand(charge, book):
            # Another command named it; it is behind the oldest, and its turn comes.
            break
        before = _Before(book.next_seq + len(entries), cards, served)
        unused = _unuse(charge, before, book, at)
        if unused.amount > payable:
            needs = unused.amount
            break
        payable = Fen(payable - unused.amount)
        cards.update(unused.cards)
        entries += unused.entries
        served.append(_done(charge, unused.amount, cards, book, at))
        rows += unused.lines
    done = sum(charge.reversal_amount or 0 for charge in waiting[: len(served)])
    # Other reversals may have changed what the next one needs; a cut must leave that behind.
    resized: list[Charge] = []
    if needs is not None and needs != (known := waiting[len(served)]).reversal_amount:
        resized.append(known._replace(reversal_amount=needs))
        done -= needs - (known.reversal_amount or 0)
    if not served and not resized:
        return Decision(0)
    still = Fen(book.head.waiting_reversal_amount - done)
    return Decision(
        len(served),
        rows=(
            *cards.values(),
            *rows,
            *served,
            *resized,
            book.head._replace(waiting_reversal_amount=still),
        ),
        entries=entries,
        events=[Event("charge.reversed", charge.charge_id) for charge in served],
    )


def _is_at_hand(charge: Charge, book: Book) -> bool:
    """Say whether the cards of a waiting reversal were loaded with it."""
    ids = [draw.card_id for draw in charge.read_draws()]
    return all(book.find(CARDS, id_) and book.find(ACCOUNTS, id_) for id_ in ids)


def _unuse(charge: Charge, before: _Before, book: Book, at: datetime) -> Unused:
    """Take a use back from its cards."""
    cards: dict[UUID, Card] = {}
    lines: list[CardEntry] = []
    entries: list[Entry] = []
    total = 0
    for draw in charge.read_draws():
        used = before.cards.get(draw.card_id) or book.find(CARDS, draw.card_id)
        assert used is not None, "a charge's cards are loaded with it"
        last_visit = _last_visit(charge, used, book, before.charges)
        card = used.unuse(draw, last_visit_day=last_visit)
        back = used.released_amount - card.released_amount
        assert back >= 0, "fewer uses never release more"
        told = Line(
            CardEntryKind.REVERSED,
            charge.charge_id,
            charge.store_id,
            charge.confirmation_hash or b"",
            draw,
            -back,
        )
        card, line = enter(card, told, seq=before.seq + len(entries), at=at)
        payable = book.own(AccountType.MERCHANT_PAYABLE)
        movement = Movement(payable, card.card_id, Fen(back)) if back > 0 else None
        entries.append(Entry("use_reversed", charge.charge_id, movement, line.content_hash()))
        lines.append(line)
        cards[card.card_id] = card
        total += back
    return Unused(cards, lines, entries, Fen(total))


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


def _done(
    charge: Charge, amount: Fen, changed: Mapping[UUID, Card], book: Book, at: datetime
) -> Charge:
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


def _waiting(charge: Charge, amount: Fen, book: Book) -> Decision[Charge]:
    waits = charge._replace(reversal_status=ReversalStatus.PENDING, reversal_amount=amount)
    waiting = Fen(book.head.waiting_reversal_amount + amount)
    return Decision(
        waits,
        rows=(waits, book.head._replace(waiting_reversal_amount=waiting)),
        events=(Event("charge.reversal_requested", charge.charge_id),),
        subject_id=charge.charge_id,
        facts=facts_of(waits),
    )


def _visits(command: ReverseCharge, book: Book) -> Sequence[Need]:
    """Ask for the other visits on the card of a visit, which may be a charge of this batch."""
    charge = book.find(CHARGES, command.charge_id)
    if charge is None or charge.kind != CardKind.PERIOD:
        return ()
    return [VISITS_OF_CARD(draw.card_id) for draw in charge.read_draws()]


def _visits_waiting(_: ServeReversals, book: Book) -> Sequence[Need]:
    """Ask, once a card, for the other visits on cards of which a visit waits to be taken back."""
    visits = [
        charge
        for charge in book.group(CHARGES_BY_REVERSAL, ReversalStatus.PENDING)
        if charge.kind == CardKind.PERIOD
    ]
    cards = {draw.card_id for visit in visits for draw in visit.read_draws()}
    return [VISITS_OF_CARD(card_id) for card_id in sorted(cards)]


_PAYABLE: Final = AccountType.MERCHANT_PAYABLE

PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        ReverseCharge,
        lambda command: (
            CHARGE_BY_ID(command.charge_id),
            CARDS_OF_CHARGE(command.charge_id),
            ACCOUNTS_OF_CHARGE(command.charge_id),
            ACCOUNT_BY_ID(account_id(command.merchant_no, _PAYABLE)),
        ),
        decide_reverse,
        _visits,
    ),
    Plan(
        ServeReversals,
        lambda command: (
            WAITING_CHARGES(),
            CARDS_WAITING(),
            ACCOUNTS_WAITING(),
            ACCOUNT_BY_ID(account_id(command.merchant_no, _PAYABLE)),
        ),
        decide_serve,
        _visits_waiting,
    ),
)
