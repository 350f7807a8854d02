"""What a bank's word means for an order, its file and its refund, and what is booked for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import (
    BLOCKING,
    Booking,
    FileKind,
    FileStatus,
    OrderStatus,
    Outcome,
    Reason,
    RefundStatus,
    ReportedStatus,
)


class Verdict(NamedTuple):
    """What a reported result means for an order in its state."""

    outcome: Outcome
    status: OrderStatus
    bookings: tuple[Booking, ...] = ()


# Every pair of an order's state and a reported state (API, results).
_VERDICTS: Final[Mapping[tuple[OrderStatus, ReportedStatus], Verdict]] = MappingProxyType(
    {
        (OrderStatus.PENDING, ReportedStatus.PAID): Verdict(
            Outcome.APPLIED, OrderStatus.PAID, (Booking.PAID,)
        ),
        (OrderStatus.PENDING, ReportedStatus.REJECTED): Verdict(
            Outcome.APPLIED, OrderStatus.REJECTED, (Booking.REJECTED,)
        ),
        # Returned without paid: it was paid, and nobody told us.
        (OrderStatus.PENDING, ReportedStatus.RETURNED): Verdict(
            Outcome.APPLIED, OrderStatus.RETURNED, (Booking.PAID, Booking.RETURNED)
        ),
        (OrderStatus.PAID, ReportedStatus.PAID): Verdict(Outcome.UNCHANGED, OrderStatus.PAID),
        (OrderStatus.PAID, ReportedStatus.REJECTED): Verdict(Outcome.CONFLICT, OrderStatus.PAID),
        (OrderStatus.PAID, ReportedStatus.RETURNED): Verdict(
            Outcome.APPLIED, OrderStatus.RETURNED, (Booking.RETURNED,)
        ),
        (OrderStatus.REJECTED, ReportedStatus.PAID): Verdict(
            Outcome.CONFLICT, OrderStatus.PAID, (Booking.PAID_LATE,)
        ),
        (OrderStatus.REJECTED, ReportedStatus.REJECTED): Verdict(
            Outcome.UNCHANGED, OrderStatus.REJECTED
        ),
        (OrderStatus.REJECTED, ReportedStatus.RETURNED): Verdict(
            Outcome.CONFLICT, OrderStatus.REJECTED
        ),
        (OrderStatus.CANCELLED, ReportedStatus.PAID): Verdict(
            Outcome.CONFLICT, OrderStatus.PAID, (Booking.PAID_LATE,)
        ),
        # The bank says that it did not pay what we took back: both agree.
        (OrderStatus.CANCELLED, ReportedStatus.REJECTED): Verdict(
            Outcome.UNCHANGED, OrderStatus.CANCELLED
        ),
        (OrderStatus.CANCELLED, ReportedStatus.RETURNED): Verdict(
            Outcome.CONFLICT, OrderStatus.CANCELLED
        ),
        (OrderStatus.RETURNED, ReportedStatus.PAID): Verdict(
            Outcome.UNCHANGED, OrderStatus.RETURNED
        ),
        (OrderStatus.RETURNED, ReportedStatus.REJECTED): Verdict(
            Outcome.CONFLICT, OrderStatus.RETURNED
        ),
        (OrderStatus.RETURNED, ReportedStatus.RETURNED): Verdict(
            Outcome.UNCHANGED, OrderStatus.RETURNED
        ),
    }
)


def decide(status: OrderStatus, reported: ReportedStatus, *, amount_agrees: bool) -> Verdict:
    """Say what a reported result means; another amount books nothing, whatever the states."""
    if not amount_agrees:
        return Verdict(Outcome.CONFLICT, status)
    return _VERDICTS[status, reported]


def file_status_after(
    status: FileStatus, *, orders: int, pending: int, rejected: int
) -> FileStatus:
    """Say where a file stands after results; a cancelled one stays cancelled."""
    if status is FileStatus.CANCELLED:
        return status
    if pending:
        return FileStatus.ACKNOWLEDGED
    return FileStatus.REJECTED if rejected == orders else FileStatus.COMPLETED


class Move(NamedTuple):
    """Debit one of the merchant's accounts, credit another."""

    debit: AccountType
    credit: AccountType
    amount: Fen


class Booked(NamedTuple):
    """The moves of a booking, and what of the order `bank_claim` carries after it."""

    moves: tuple[Move, ...]
    claimed_amount: Fen


@dataclass(frozen=True, slots=True)
class Position:
    """What a booking depends on beside its order."""

    payable_amount: Fen
    """What the kind's payable account can give: for a refund its own amount or nothing."""
    bank_claim_amount: Fen
    claimed_amount: Fen
    """Of this order, since it was paid late."""


_PAYABLE: Final = {
    FileKind.RELEASE: AccountType.MERCHANT_PAYABLE,
    FileKind.REFUND: AccountType.REFUND_PAYABLE,
}
_IN_TRANSIT: Final = {
    FileKind.RELEASE: AccountType.RELEASE_IN_TRANSIT,
    FileKind.REFUND: AccountType.REFUND_IN_TRANSIT,
}


def cut_move(kind: FileKind, amount: Fen) -> Move:
    """Say what putting an order into a file moves."""
    return Move(_PAYABLE[kind], _IN_TRANSIT[kind], amount)


def book(kind: FileKind, booking: Booking, amount: Fen, position: Position) -> Booked:
    """Say what a booking moves (DOMAIN §5)."""
    match booking:
        case Booking.PAID:
            return Booked((Move(_IN_TRANSIT[kind], AccountType.CUSTODY, amount),), Fen(0))
        case Booking.REJECTED | Booking.CANCELLED:
            return Booked((Move(_IN_TRANSIT[kind], _PAYABLE[kind], amount),), Fen(0))
        case Booking.PAID_LATE:
            return _book_late(kind, amount, position)
        case Booking.RETURNED:
            return _book_return(kind, amount, position)


def _book_late(kind: FileKind, amount: Fen, position: Position) -> Booked:
    """Take what was paid after all from payable; what it does not cover is owed by the bank."""
    covered = Fen(min(position.payable_amount, amount))
    if kind is FileKind.REFUND and covered < amount:
        covered = Fen(0)
    claimed = Fen(amount - covered)
    return Booked(
        _present(
            Move(_PAYABLE[kind], AccountType.CUSTODY, covered),
            Move(AccountType.BANK_CLAIM, AccountType.CUSTODY, claimed),
        ),
        claimed,
    )


def _book_return(kind: FileKind, amount: Fen, position: Position) -> Booked:
    """Undo the payment: what `bank_claim` carried of it is made good first.

    A claim that was made good otherwise is no claim any more. Then that part of a release is
    the merchant's; that part of a refund is nobody's yet, since the refund was paid otherwise.
    """
    made_good = Fen(min(position.claimed_amount, position.bank_claim_amount))
    unclaimed = Fen(amount - position.claimed_amount)
    left = Fen(position.claimed_amount - made_good)
    nobodys = AccountType.SUSPENSE if kind is FileKind.REFUND else AccountType.MERCHANT_PAYABLE
    return Booked(
        _present(
            Move(AccountType.CUSTODY, AccountType.BANK_CLAIM, made_good),
            Move(AccountType.CUSTODY, nobodys, left),
            Move(AccountType.CUSTODY, _PAYABLE[kind], unclaimed),
        ),
        Fen(0),
    )


def _present(*moves: Move) -> tuple[Move, ...]:
    return tuple(move for move in moves if move.amount)


@dataclass(frozen=True, slots=True)
class RefundStanding:
    """A refund as an order of it is answered."""

    status: RefundStatus
    of_card: bool

    @property
    def is_uncut(self) -> bool:
        """Say whether its money lies in `refund_payable`."""
        return self.status in {RefundStatus.DECIDED, RefundStatus.ACCOUNT_NEEDED}


def refund_status_after(
    standing: RefundStanding, booking: Booking, reason: Reason | None, *, claimed_amount: Fen
) -> RefundStatus:
    """Say where a refund stands after a booking of one of its orders.

    `claimed_amount` is what `bank_claim` carries of the order, before a return or after a late
    payment: more than 0 says that the refund's own money lies elsewhere, and it stands as it is.
    """
    match booking:
        case Booking.PAID:
            return RefundStatus.PAID
        case Booking.PAID_LATE:
            return standing.status if claimed_amount else RefundStatus.PAID
        case Booking.RETURNED if claimed_amount:
            return standing.status
        case Booking.REJECTED | Booking.RETURNED if reason in BLOCKING:
            return RefundStatus.ACCOUNT_NEEDED
        case Booking.RETURNED if standing.of_card:
            # A card's holder names a new account (DOMAIN §6, Refund); a payer has no other.
            return RefundStatus.ACCOUNT_NEEDED
        case _:
            return RefundStatus.DECIDED
