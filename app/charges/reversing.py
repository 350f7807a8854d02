"""Decide a reversal: at once where payable covers it, else it waits its turn. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.cards.domain import CardKind
from app.cards.tables import CARDS
from app.charges.commands import ReverseCharge, ServeReversals
from app.charges.confirming import of_stores
from app.charges.domain import (
    Charge,
    ChargeStatus,
    ReversalStatus,
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
    CHARGES_BY_REVERSAL,
    VISITS_OF_CARD,
    WAITING_CHARGES,
)
from app.charges.unusing import Before, reversed_charge, unuse
from app.ledger.chart import AccountType, account_id
from app.money import Fen
from app.refunds.supplementing import IN_REFUND, is_at_hand, needs_of_charge, needs_of_waiting
from app.writer.book import ACCOUNT_BY_ID, ACCOUNTS
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.cards.statement import CardEntry
    from app.ledger.posting import Entry
    from app.refunds.rows import CardRefund
    from app.writer.book import Book
    from app.writer.tables import Need


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
    payable = book.balance(book.own(AccountType.MERCHANT_PAYABLE))
    # Those that wait come first, so a new reversal takes only what they leave.
    left = payable - book.head.waiting_reversal_amount
    return take_back(charge, book, at, reason=command.reason, covered_amount=left)


def take_back(  # noqa: PLR0913  # what a reversal is told by who decided it
    charge: Charge,
    book: Book,
    at: datetime,
    *,
    reason: str | None,
    covered_amount: int,
    entries_before: int = 0,
) -> Decision[Charge]:
    """Take a use back where it is covered, else let it wait; whoever decided that it goes back.

    Args:
        charge: The use; the command asked for its cards and accounts (`needs_of_reversal`).
        book: Its book.
        at: The time of the decision.
        reason: Why; shown with the reversal.
        covered_amount: What of payable this reversal may take.
        entries_before: How many entries the decision that this is part of appends before it.
    """
    asked = charge._replace(reversal_requested_at=at, reversal_reason=reason)
    unused = unuse(asked, Before(book.next_seq + entries_before, {}, ()), book, at)
    if 0 < unused.amount > covered_amount:
        return _waiting(asked, unused.amount, book)
    done = reversed_charge(asked, unused.amount, unused.cards, book, at)
    return Decision(
        done,
        rows=(*unused.cards.values(), *unused.lines, *unused.refunds, done),
        entries=unused.entries,
        events=(Event("charge.reversed", charge.charge_id), *unused.events),
        subject_id=charge.charge_id,
        facts=facts_of(done),
    )


def turn_of(charge: Charge) -> tuple[bool, datetime | None, UUID]:
    """Say when a waiting reversal's turn comes: upheld disputes first, then the oldest."""
    upheld = charge.status == ChargeStatus.DISPUTED
    return not upheld, charge.reversal_requested_at, charge.charge_id


def decide_serve(command: ServeReversals, book: Book, at: datetime) -> Decision[int]:
    """Carry out waiting reversals in their turn, each whole, until payable does not cover one."""
    del command
    payable = book.balance(book.own(AccountType.MERCHANT_PAYABLE))
    waiting = sorted(book.group(CHARGES_BY_REVERSAL, ReversalStatus.PENDING), key=turn_of)
    cards: dict[UUID, Card] = {}
    rows: list[CardEntry | CardRefund] = []
    events: list[Event] = []
    entries: list[Entry] = []
    served: list[Charge] = []
    for charge in waiting:
        if not _is_at_hand(charge, book):
            # Another command named it; it is behind those that were loaded, and its turn comes.
            break
        before = Before(book.next_seq + len(entries), cards, served)
        unused = unuse(charge, before, book, at)
        if unused.amount > payable:
            break
        payable = Fen(payable - unused.amount)
        cards.update(unused.cards)
        entries += unused.entries
        served.append(reversed_charge(charge, unused.amount, cards, book, at))
        rows += (*unused.lines, *unused.refunds)
        events += (Event("charge.reversed", charge.charge_id), *unused.events)
    rest = waiting[len(served) :]
    resized = _resized(rest, Before(0, cards, served), book, at)
    if not served and not resized:
        return Decision(0)
    ended = {charge.charge_id for charge in (*served, *resized)}
    known = sum(one.reversal_amount or 0 for one in waiting if one.charge_id in ended)
    needed = sum(one.reversal_amount or 0 for one in resized)
    still = Fen(book.head.waiting_reversal_amount - known + needed)
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
        events=events,
    )


def _resized(rest: Sequence[Charge], before: Before, book: Book, at: datetime) -> list[Charge]:
    """Give those that go on waiting and need another amount by now; a cut must leave it behind.

    Other reversals may have changed what the next one needs, and a refund that was settled what
    each on its card does.
    """
    resized: list[Charge] = []
    cards, gone = dict(before.cards), list(before.charges)
    for charge in rest:
        if not _is_at_hand(charge, book):
            break
        if charge is rest[0] or _draws_on_refunded(charge, book):
            unused = unuse(charge, Before(0, cards, gone), book, at)
            cards.update(unused.cards)
            gone.append(charge)
            if unused.amount != charge.reversal_amount:
                resized.append(charge._replace(reversal_amount=unused.amount))
    return resized


def _draws_on_refunded(charge: Charge, book: Book) -> bool:
    cards = (book.find(CARDS, draw.card_id) for draw in charge.read_draws())
    return any(card is not None and card.status in IN_REFUND for card in cards)


def _is_at_hand(charge: Charge, book: Book) -> bool:
    """Say whether the cards of a waiting reversal were loaded with it, and their refunds."""
    ids = [draw.card_id for draw in charge.read_draws()]
    cards = [card for id_ in ids if (card := book.find(CARDS, id_)) is not None]
    accounts = all(book.find(ACCOUNTS, id_) for id_ in ids)
    return len(cards) == len(ids) and accounts and all(is_at_hand(book, card) for card in cards)


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


def needs_of_reversal(merchant_no: int, charge_id: UUID) -> tuple[Need, ...]:
    """Name the rows that taking a use back needs, beside what `visits_of` names."""
    return (
        CHARGE_BY_ID(charge_id),
        CARDS_OF_CHARGE(charge_id),
        ACCOUNTS_OF_CHARGE(charge_id),
        ACCOUNT_BY_ID(account_id(merchant_no, AccountType.MERCHANT_PAYABLE)),
        *needs_of_charge(merchant_no, charge_id),
    )


def visits_of(charge_id: UUID, book: Book) -> Sequence[Need]:
    """Ask for the other visits on the card of a visit, which may be a charge of this batch."""
    charge = book.find(CHARGES, charge_id)
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


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        ReverseCharge,
        lambda command: needs_of_reversal(command.merchant_no, command.charge_id),
        decide_reverse,
        lambda command, book: visits_of(command.charge_id, book),
    ),
    Plan(
        ServeReversals,
        lambda command: (
            WAITING_CHARGES(),
            CARDS_WAITING(),
            ACCOUNTS_WAITING(),
            ACCOUNT_BY_ID(account_id(command.merchant_no, AccountType.MERCHANT_PAYABLE)),
            *needs_of_waiting(command.merchant_no),
        ),
        decide_serve,
        _visits_waiting,
    ),
)
