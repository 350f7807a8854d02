"""A disputed use's life: every state against every event, on the pure decisions."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.cards.tables import CARDS
from app.cases.domain import (
    BY_CLOSURE,
    WITHDRAWAL,
    Answer,
    Opening,
    Ruling,
    Silence,
    open_case,
    words,
)
from app.cases.errors import CaseState
from app.cases.rows import CaseDecision, CaseFile, CaseKind, CaseStatus, DecidedBy
from app.cases.tables import CASES
from app.charges.domain import Charge, ChargeStatus, DisputeStatus, ReversalStatus
from app.charges.errors import ChargeDisputed, ChargeNotConfirmed, DeadlinePassed
from app.charges.tables import CHARGES
from app.disputes.commands import OpenDispute, StepDispute
from app.disputes.deciding import decide_step
from app.disputes.errors import ChargeBeingReversed, DisputeDecided
from app.disputes.opening import decide_open
from app.disputes.rows import Dispute
from app.disputes.tables import DISPUTES
from app.errors import DeadlinePassed as AnyDeadlinePassed
from app.errors import DomainError, NotFound
from app.ledger.chart import AccountType, account_id
from app.ledger.rows import Account, BookHead
from app.money import Fen
from app.refunds.errors import ClosureInProgress
from app.writer.book import ACCOUNTS, Book
from app.writer.commands import Decision
from tests.charges.test_states import CARD, CHARGE, CONSUMER, NOW, SCHEMA, a_card, a_charge

DISPUTE, CASE = UUID(int=21), UUID(int=22)
UNCHANGED = "unchanged"
OPEN, UPHELD, DISMISSED = DisputeStatus.OPEN, DisputeStatus.UPHELD, DisputeStatus.DISMISSED


def disputed(status: DisputeStatus, charge: ChargeStatus, **fields: Any) -> Charge:
    return a_charge(
        charge,
        dispute_id=DISPUTE,
        dispute_case_id=CASE,
        dispute_status=status,
        **fields,
    )


_PENDING = {"reversal_status": ReversalStatus.PENDING, "reversal_amount": Fen(40)}
STATES: dict[str, Charge] = {
    "pending": a_charge(ChargeStatus.PENDING_CONFIRMATION),
    "past": a_charge(ChargeStatus.PENDING_CONFIRMATION, expires_at=NOW),
    "confirmed": a_charge(ChargeStatus.CONFIRMED),
    "reversing": a_charge(ChargeStatus.CONFIRMED, **_PENDING),
    "declined": a_charge(ChargeStatus.DECLINED),
    "expired": a_charge(ChargeStatus.EXPIRED),
    "cancelled": a_charge(ChargeStatus.CANCELLED),
    "reversed": a_charge(ChargeStatus.REVERSED, reversal_status=ReversalStatus.DONE),
    "open": disputed(OPEN, ChargeStatus.DISPUTED),
    "objected": disputed(OPEN, ChargeStatus.DISPUTED),
    "silent": disputed(OPEN, ChargeStatus.DISPUTED),
    "upheld": disputed(UPHELD, ChargeStatus.REVERSED, reversal_status=ReversalStatus.DONE),
    "upheld, waiting": disputed(UPHELD, ChargeStatus.DISPUTED, **_PENDING),
    "dismissed": disputed(DISMISSED, ChargeStatus.CONFIRMED),
    "dismissed, reversing": disputed(DISMISSED, ChargeStatus.CONFIRMED, **_PENDING),
    "dismissed, reversed": disputed(
        DISMISSED, ChargeStatus.REVERSED, reversal_status=ReversalStatus.DONE
    ),
}
AGREES, OBJECTS = (Answer(agree=agree, text=None, by="chen.wei") for agree in (True, False))


def two_persons(decision: CaseDecision) -> Ruling:
    return Ruling(decision, DecidedBy.TWO_PERSONS, approval_id=UUID(int=30))


def _opening() -> Opening:
    return Opening(
        merchant_no=1,
        case_id=CASE,
        kind=CaseKind.DISPUTE,
        consumer=CONSUMER,
        stated_reason=words(b"sealed", "not_provided", b"salt"),
        salt=b"salt",
        answer_due_on=date(2026, 3, 9),
        card_id=CARD,
        charge_id=CHARGE,
    )


def _dispute(book: Book, consumer: UUID = CONSUMER, days: int = 90) -> Decision[Any]:
    command = OpenDispute(1, None, DISPUTE, CHARGE, consumer, _opening(), days)
    return decide_open(command, book, NOW)


def _step(step: Any) -> Callable[[Book], Decision[Any]]:
    return lambda book: decide_step(StepDispute(1, None, CASE, CHARGE, step), book, NOW)


EVENTS: dict[str, Callable[[Book], Decision[Any]]] = {
    "dispute": _dispute,
    "dispute late": lambda book: _dispute(book, days=29),
    "dispute another's": lambda book: _dispute(book, UUID(int=1)),
    "agree": _step(AGREES),
    "object": _step(OBJECTS),
    "silence": _step(Silence()),
    "uphold": _step(two_persons(CaseDecision.UPHELD)),
    "reject": _step(two_persons(CaseDecision.REJECTED)),
    "withdraw": _step(WITHDRAWAL),
    "closure": _step(BY_CLOSURE),
}
_STEPS = ("agree", "object", "silence", "uphold", "reject", "withdraw", "closure")
_NO_CASE = ("pending", "past", "confirmed", "reversing", "declined", "expired", "cancelled")
_NEVER_DISPUTED = (*_NO_CASE, "reversed")
_DECIDED = ("upheld", "upheld, waiting", "dismissed", "dismissed, reversing", "dismissed, reversed")

OUTCOMES: dict[tuple[str, str], object] = {
    **dict.fromkeys(
        ((state, event) for state in STATES for event in ("dispute", "dispute late")),
        ChargeNotConfirmed,
    ),
    **dict.fromkeys(
        (
            (state, event)
            for state in ("open", "objected", "silent", "upheld, waiting")
            for event in ("dispute", "dispute late")
        ),
        UNCHANGED,
    ),
    ("confirmed", "dispute"): (ChargeStatus.DISPUTED, OPEN),
    ("confirmed", "dispute late"): DeadlinePassed,
    ("reversing", "dispute"): ChargeBeingReversed,
    ("reversing", "dispute late"): ChargeBeingReversed,
    **dict.fromkeys(
        (
            (state, event)
            for state in ("dismissed", "dismissed, reversing")
            for event in ("dispute", "dispute late")
        ),
        DisputeDecided,
    ),
    **dict.fromkeys(((state, "dispute another's") for state in STATES), NotFound),
    **dict.fromkeys(((state, event) for state in _NEVER_DISPUTED for event in _STEPS), NotFound),
    **dict.fromkeys(((state, event) for state in _DECIDED for event in _STEPS), CaseState),
    **dict.fromkeys(
        ((state, event) for state in _DECIDED for event in ("silence", "closure")), UNCHANGED
    ),
    **dict.fromkeys(
        ((state, event) for state in ("upheld", "upheld, waiting") for event in ("agree",)),
        UNCHANGED,
    ),
    **dict.fromkeys(
        (
            (state, event)
            for state in ("dismissed", "dismissed, reversing", "dismissed, reversed")
            for event in ("object",)
        ),
        UNCHANGED,
    ),
    **dict.fromkeys(
        (
            (state, event)
            for state in ("open", "objected")
            for event in ("agree", "uphold", "closure")
        ),
        (ChargeStatus.REVERSED, UPHELD),
    ),
    **dict.fromkeys(
        ((state, event) for state in ("open", "objected") for event in ("reject", "withdraw")),
        (ChargeStatus.CONFIRMED, DISMISSED),
    ),
    ("open", "object"): (ChargeStatus.DISPUTED, OPEN),
    ("open", "silence"): UNCHANGED,
    ("objected", "object"): UNCHANGED,
    ("objected", "silence"): UNCHANGED,
    ("objected", "agree"): CaseState,
    ("silent", "agree"): AnyDeadlinePassed,
    ("silent", "object"): AnyDeadlinePassed,
    **dict.fromkeys((("silent", event) for event in ("uphold", "reject", "withdraw")), CaseState),
    ("silent", "silence"): (ChargeStatus.REVERSED, UPHELD),
    ("silent", "closure"): (ChargeStatus.REVERSED, UPHELD),
}


def a_case(state: str) -> CaseFile:
    case = open_case(_opening(), NOW - timedelta(days=9))
    if state == "silent":
        return case._replace(answer_due_on=date(2026, 3, 1))
    if state == "open":
        return case
    if state.startswith("upheld"):
        return case._replace(
            status=CaseStatus.DECIDED,
            answer_agree=True,
            decision=CaseDecision.UPHELD,
            decided_by=DecidedBy.MERCHANT,
        )
    case = case._replace(status=CaseStatus.ANSWERED, answer_agree=False)
    if state == "objected":
        return case
    return case._replace(
        status=CaseStatus.DECIDED,
        decision=CaseDecision.REJECTED,
        decided_by=DecidedBy.TWO_PERSONS,
    )


def a_book(state: str, *, payable: int = 40, set_aside: int = 0, waiting: int = 0) -> Book:
    charge = STATES[state]
    used = charge.status in (ChargeStatus.CONFIRMED, ChargeStatus.DISPUTED)
    book = Book(BookHead(1, "open", 5, bytes(32), NOW, Fen(waiting)), SCHEMA)
    book.load(CHARGES, charge)
    book.load(CARDS, a_card(held=0, used=40 if used else 0))
    book.load(ACCOUNTS, Account(1, CARD, AccountType.CARD, Fen(60 if used else 100)))
    for kind, balance in (
        (AccountType.MERCHANT_PAYABLE, payable),
        (AccountType.RELEASE_DISPUTED, set_aside),
    ):
        book.load(ACCOUNTS, Account(1, account_id(1, kind), kind, Fen(balance)))
    if charge.dispute_status is not None:
        book.load(CASES, a_case(state))
        book.load(
            DISPUTES,
            Dispute(1, DISPUTE, CHARGE, CASE, charge.dispute_status, Fen(set_aside), NOW, None),
        )
    return book


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_every_event_in_every_state(state: str, event: str) -> None:
    outcome, book = OUTCOMES[state, event], a_book(state)

    if isinstance(outcome, type) and issubclass(outcome, DomainError):
        with pytest.raises(outcome):
            EVENTS[event](book)
        return

    decision = EVENTS[event](book)
    if outcome == UNCHANGED:
        assert not decision.rows
        assert not decision.entries
        return
    book.apply(decision, NOW)
    charge, dispute = book.find(CHARGES, CHARGE), book.find(DISPUTES, DISPUTE)
    assert charge is not None
    assert dispute is not None
    assert (charge.status, charge.dispute_status) == outcome
    assert dispute.status == charge.dispute_status
    assert (dispute.decided_at is None) == (dispute.status == OPEN)
    case = book.find(CASES, CASE)
    assert case is not None
    assert (case.decision is None) == (dispute.status == OPEN)


def test_the_table_covers_the_full_product() -> None:
    assert set(OUTCOMES) == {(state, event) for state in STATES for event in EVENTS}


@pytest.mark.parametrize(
    ("payable", "waiting", "set_aside"),
    [(39, 0, 0), (40, 0, 40), (40, 1, 0), (41, 1, 40), (0, 0, 0), (100, 100, 0)],
)
def test_all_or_nothing_is_set_aside_of_what_waiting_reversals_leave(
    payable: int, waiting: int, set_aside: int
) -> None:
    book = a_book("confirmed", payable=payable, waiting=waiting)

    book.apply(_dispute(book), NOW)

    dispute = book.find(DISPUTES, DISPUTE)
    assert dispute is not None
    assert dispute.set_aside_amount == set_aside
    assert book.balance(book.own(AccountType.RELEASE_DISPUTED)) == set_aside
    assert book.balance(book.own(AccountType.MERCHANT_PAYABLE)) == payable - set_aside


@pytest.mark.parametrize(
    ("payable", "set_aside", "waiting", "left"),
    [
        (0, 40, 0, 0),
        (40, 0, 0, 0),
        (40, 0, 40, 0),  # what others wait for is taken
        (7, 40, 7, 7),
        (39, 0, 0, None),
        (0, 0, 0, None),
        (39, 0, 39, None),
    ],
)
def test_an_upheld_use_is_reversed_where_payable_covers_it_whole_else_it_waits(
    payable: int, set_aside: int, waiting: int, left: int | None
) -> None:
    book = a_book("open", payable=payable, set_aside=set_aside, waiting=waiting)

    book.apply(EVENTS["agree"](book), NOW)

    charge = book.find(CHARGES, CHARGE)
    assert charge is not None
    waits = left is None
    assert charge.status == (ChargeStatus.DISPUTED if waits else ChargeStatus.REVERSED)
    assert book.head.waiting_reversal_amount == waiting + (40 if waits else 0)
    assert book.balance(book.own(AccountType.RELEASE_DISPUTED)) == 0
    expected = payable + set_aside if left is None else left
    assert book.balance(book.own(AccountType.MERCHANT_PAYABLE)) == expected


@pytest.mark.parametrize("status", ["closed", "closed_with_shortfall"])
def test_nothing_is_disputed_where_the_books_are_closed(status: str) -> None:
    book = a_book("confirmed")
    book.head = book.head._replace(status=status)
    with pytest.raises(ClosureInProgress):
        _dispute(book)


@pytest.mark.parametrize("status", ["frozen", "notice", "closing", "refunding"])
def test_uses_are_disputed_while_a_merchant_is_frozen_or_closing(status: str) -> None:
    book = a_book("confirmed")
    book.head = book.head._replace(status=status)
    assert _dispute(book).result.status == ChargeStatus.DISPUTED


def test_what_refuses_is_what_the_contract_names() -> None:
    assert issubclass(ChargeBeingReversed, ChargeNotConfirmed)
    assert issubclass(DisputeDecided, ChargeDisputed)
