"""The decisions about orders and files, over the whole product of their states and events."""

from datetime import date
from itertools import product

import pytest

from app.calendar.domain import Calendar, days_of
from app.calendar.errors import CalendarNotCovered
from app.calendar.official import official_years
from app.ledger.chart import ASSETS, AccountType
from app.money import Fen
from app.payment_files.cutting import date_of_cut
from app.payment_files.decisions import (
    Position,
    RefundStanding,
    book,
    decide,
    file_status_after,
    refund_status_after,
)
from app.payment_files.domain import (
    Booking,
    FileKind,
    FileStatus,
    OrderStatus,
    Outcome,
    Reason,
    RefundStatus,
    ReportedStatus,
    Standing,
)

PENDING, PAID, REJECTED, RETURNED, CANCELLED = (
    OrderStatus.PENDING,
    OrderStatus.PAID,
    OrderStatus.REJECTED,
    OrderStatus.RETURNED,
    OrderStatus.CANCELLED,
)
APPLIED, UNCHANGED, CONFLICT = Outcome.APPLIED, Outcome.UNCHANGED, Outcome.CONFLICT

# API.md, results: (state, reported) -> (outcome, state after, booked).
CONTRACT: dict[tuple[OrderStatus, str], tuple[Outcome, OrderStatus, list[Booking]]] = {
    (PENDING, "paid"): (APPLIED, PAID, [Booking.PAID]),
    (PENDING, "rejected"): (APPLIED, REJECTED, [Booking.REJECTED]),
    (PENDING, "returned"): (APPLIED, RETURNED, [Booking.PAID, Booking.RETURNED]),
    (PAID, "paid"): (UNCHANGED, PAID, []),
    (PAID, "returned"): (APPLIED, RETURNED, [Booking.RETURNED]),
    (PAID, "rejected"): (CONFLICT, PAID, []),
    (REJECTED, "rejected"): (UNCHANGED, REJECTED, []),
    (REJECTED, "paid"): (CONFLICT, PAID, [Booking.PAID_LATE]),
    (REJECTED, "returned"): (CONFLICT, REJECTED, []),
    (CANCELLED, "rejected"): (UNCHANGED, CANCELLED, []),
    (CANCELLED, "paid"): (CONFLICT, PAID, [Booking.PAID_LATE]),
    (CANCELLED, "returned"): (CONFLICT, CANCELLED, []),
    (RETURNED, "paid"): (UNCHANGED, RETURNED, []),
    (RETURNED, "returned"): (UNCHANGED, RETURNED, []),
    (RETURNED, "rejected"): (CONFLICT, RETURNED, []),
}


@pytest.mark.parametrize(("status", "reported"), [*product(OrderStatus, ReportedStatus)])
def test_every_result_in_every_state_does_what_the_contract_says(
    status: OrderStatus, reported: ReportedStatus
) -> None:
    outcome, after, booked = CONTRACT[status, str(reported)]

    verdict = decide(status, reported, amount_agrees=True)

    assert verdict == (outcome, after, tuple(booked))


@pytest.mark.parametrize(("status", "reported"), [*product(OrderStatus, ReportedStatus)])
def test_another_amount_is_a_conflict_and_books_nothing(
    status: OrderStatus, reported: ReportedStatus
) -> None:
    assert decide(status, reported, amount_agrees=False) == (CONFLICT, status, ())


@pytest.mark.parametrize(("kind", "booking"), [*product(FileKind, Booking)])
def test_every_booking_moves_the_whole_amount_and_takes_no_more_than_is_there(
    kind: FileKind, booking: Booking
) -> None:
    for payable, claim, claimed in product([0, 1, 99, 100, 101], [0, 1, 60, 100], [0, 1, 60, 100]):
        _check_moves(kind, booking, Position(Fen(payable), Fen(claim), Fen(claimed)))


def _check_moves(kind: FileKind, booking: Booking, position: Position) -> None:
    booked = book(kind, booking, Fen(100), position)

    assert sum(move.amount for move in booked.moves) == 100
    assert all(move.amount > 0 for move in booked.moves)
    custody_change = sum(
        move.amount * ((move.debit is AccountType.CUSTODY) - (move.credit is AccountType.CUSTODY))
        for move in booked.moves
    )
    expected = {Booking.PAID: -100, Booking.PAID_LATE: -100, Booking.RETURNED: 100}
    assert custody_change == expected.get(booking, 0)
    assert 0 <= booked.claimed_amount <= 100
    taken = sum(
        move.amount
        for move in booked.moves
        if move.debit in {AccountType.MERCHANT_PAYABLE, AccountType.REFUND_PAYABLE}
    )
    assert taken <= position.payable_amount
    made_good = sum(m.amount for m in booked.moves if m.credit is AccountType.BANK_CLAIM)
    assert made_good <= min(position.bank_claim_amount, position.claimed_amount)
    assert AccountType.BANK_CLAIM in ASSETS


def test_a_release_paid_late_takes_what_payable_covers_and_claims_the_rest() -> None:
    booked = book(FileKind.RELEASE, Booking.PAID_LATE, Fen(100), Position(Fen(30), Fen(0), Fen(0)))

    assert booked.moves == (
        (AccountType.MERCHANT_PAYABLE, AccountType.CUSTODY, 30),
        (AccountType.BANK_CLAIM, AccountType.CUSTODY, 70),
    )
    assert booked.claimed_amount == 70


def test_a_refund_paid_late_is_claimed_whole_unless_it_lies_there_uncut() -> None:
    elsewhere = Position(Fen(0), Fen(0), Fen(0))
    uncut = Position(Fen(100), Fen(0), Fen(0))

    assert book(FileKind.REFUND, Booking.PAID_LATE, Fen(100), elsewhere).moves == (
        (AccountType.BANK_CLAIM, AccountType.CUSTODY, 100),
    )
    assert book(FileKind.REFUND, Booking.PAID_LATE, Fen(100), uncut).moves == (
        (AccountType.REFUND_PAYABLE, AccountType.CUSTODY, 100),
    )


@pytest.mark.parametrize(("status", "booking"), [*product(RefundStatus, Booking)])
def test_a_refund_follows_its_orders(status: RefundStatus, booking: Booking) -> None:
    for reason, of_card, claimed in product([None, *Reason], [False, True], [0, 100]):
        _check_refund(RefundStanding(status, of_card), booking, reason, claimed)


def _check_refund(
    standing: RefundStanding, booking: Booking, reason: Reason | None, claimed: int
) -> None:
    after = refund_status_after(standing, booking, reason, claimed_amount=Fen(claimed))

    blocked = reason in {"account_closed", "account_unknown", "name_mismatch"}
    if claimed and booking in {Booking.PAID_LATE, Booking.RETURNED}:
        assert after is standing.status
    elif booking in {Booking.PAID, Booking.PAID_LATE}:
        assert after is RefundStatus.PAID
    elif booking is Booking.CANCELLED:
        assert after is RefundStatus.DECIDED
    elif blocked or (standing.of_card and booking is Booking.RETURNED):
        assert after is RefundStatus.ACCOUNT_NEEDED
    else:
        assert after is RefundStatus.DECIDED


@pytest.mark.parametrize(
    ("status", "pending", "rejected", "after"),
    [
        (FileStatus.READY, 3, 0, FileStatus.ACKNOWLEDGED),
        (FileStatus.ACKNOWLEDGED, 1, 2, FileStatus.ACKNOWLEDGED),
        (FileStatus.ACKNOWLEDGED, 0, 2, FileStatus.COMPLETED),
        (FileStatus.ACKNOWLEDGED, 0, 3, FileStatus.REJECTED),
        (FileStatus.REJECTED, 0, 2, FileStatus.COMPLETED),
        (FileStatus.COMPLETED, 0, 0, FileStatus.COMPLETED),
        (FileStatus.CANCELLED, 3, 0, FileStatus.CANCELLED),
        (FileStatus.CANCELLED, 0, 0, FileStatus.CANCELLED),
    ],
)
def test_a_file_is_completed_when_nothing_is_pending_and_rejected_when_all_is(
    status: FileStatus, pending: int, rejected: int, after: FileStatus
) -> None:
    assert file_status_after(status, orders=3, pending=pending, rejected=rejected) is after


@pytest.mark.parametrize(
    ("standing", "amount"),
    [
        ((100, 0, 0, 0, 1000, 0), 100),
        ((100, 30, 0, 0, 1000, 0), 70),
        ((100, 30, 20, 10, 1000, 0), 40),
        ((100, 100, 0, 0, 1000, 0), 0),
        ((100, 0, 0, 150, 1000, 0), -50),
        ((100, 0, 0, 0, 90, 0), 90),
        ((100, 0, 0, 0, 150, 80), 70),
        ((100, 0, 0, 0, 50, 80), -30),
        ((100, 30, 0, 0, 60, 0), 60),
    ],
)
def test_a_release_order_is_the_smaller_of_what_is_owed_and_what_custody_covers(
    standing: tuple[int, ...], amount: int
) -> None:
    assert Standing(*map(Fen, standing)).release_amount == amount


CALENDAR = Calendar(
    {
        day.day: day.banking
        for plan in official_years()
        if not plan.provisional
        for day in days_of(plan)
    }
)


@pytest.mark.parametrize(
    ("today", "asked", "expected"),
    [
        (date(2026, 2, 13), None, date(2026, 2, 14)),  # a make-up Saturday
        (date(2026, 2, 14), None, date(2026, 2, 24)),  # before the Spring Festival
        (date(2026, 2, 13), date(2026, 2, 13), date(2026, 2, 14)),
        (date(2026, 2, 13), date(2025, 1, 2), date(2026, 2, 14)),
        (date(2026, 2, 13), date(2026, 2, 15), date(2026, 2, 24)),
        (date(2026, 2, 13), date(2026, 3, 2), date(2026, 3, 2)),
    ],
)
def test_a_file_is_executed_on_a_banking_day_after_today(
    today: date, asked: date | None, expected: date
) -> None:
    assert date_of_cut(today, asked, CALENDAR) == expected


def test_a_date_that_is_not_covered_is_refused() -> None:
    with pytest.raises(CalendarNotCovered):
        date_of_cut(date(2026, 12, 31), None, CALENDAR)
    with pytest.raises(CalendarNotCovered):
        date_of_cut(date(2026, 2, 13), date(2030, 1, 1), CALENDAR)
