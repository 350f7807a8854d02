"""What a payment file and its orders are, and their lives.

    payment_file    (cut) -> cutting --seal--> ready --acknowledge--> acknowledged
                                 |               |                         |
                             (nothing          cancel             the last order answered
                              to pay:            v                         v
                              no file)       cancelled          completed | rejected

    payment_order   pending --paid-----> paid --returned--> returned
                       |----rejected---> rejected --paid--> paid
                       |----cancel-----> cancelled --paid-> paid
                       '----returned---> returned

`completed` means that no order is pending, `rejected` that every order is rejected. What the
bank reports is a fact and is never refused because of a state: where it contradicts the book it
is booked as `decide` says and raises an alert.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from app.ledger.chart import AccountType
from app.money import Fen

STEP_MAX: Final = 500
"""Orders in one transaction, so that a book is locked for under 50 ms."""


class FileKind(StrEnum):
    """What a file pays: confirmed uses to merchants, or refunds to payers."""

    RELEASE = "release"
    REFUND = "refund"


class FileStatus(StrEnum):
    """See the drawing above; banks see every file but a `cutting` one."""

    CUTTING = "cutting"
    READY = "ready"
    ACKNOWLEDGED = "acknowledged"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class OrderStatus(StrEnum):
    """See the drawing above."""

    PENDING = "pending"
    PAID = "paid"
    REJECTED = "rejected"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class ReportedStatus(StrEnum):
    """What a bank may say of an order."""

    PAID = "paid"
    REJECTED = "rejected"
    RETURNED = "returned"


class Reason(StrEnum):
    """Why a bank did not pay, or got the money back."""

    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_UNKNOWN = "account_unknown"
    NAME_MISMATCH = "name_mismatch"
    TECHNICAL = "technical"
    OTHER = "other"


BLOCKING: Final = frozenset({Reason.ACCOUNT_CLOSED, Reason.ACCOUNT_UNKNOWN, Reason.NAME_MISMATCH})
"""After these nothing is sent to that account again."""


class Outcome(StrEnum):
    """What a reported result did."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"


class RefundStatus(StrEnum):
    """Where a refund's money is: to be paid, in a file, with the payee, or without an account."""

    DECIDED = "decided"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    ACCOUNT_NEEDED = "account_needed"


class Booking(StrEnum):
    """What is booked for an order; the name enters the transfer's kind."""

    PAID = "paid"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    PAID_LATE = "paid_late"


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


@dataclass(frozen=True, slots=True)
class Standing:
    """What bounds a release order, as the book stands when it is cut; stored with the order."""

    payable_amount: Fen
    waiting_reversal_amount: Fen
    held_amount: Fen
    bank_claim_amount: Fen
    custody_amount: Fen
    in_transit_amount: Fen
    """Of both kinds of file."""

    @property
    def coverable_amount(self) -> int:
        """What custody has beyond all that banks were already told to pay."""
        return self.custody_amount - self.in_transit_amount

    @property
    def release_amount(self) -> Fen:
        """What one release order may pay; 0 or less means no order (DOMAIN §6)."""
        deducted = self.waiting_reversal_amount + self.held_amount + self.bank_claim_amount
        return Fen(min(self.payable_amount - deducted, self.coverable_amount))

    def deductions(self) -> dict[str, int]:
        """Say it as it is stored."""
        return asdict(self)


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


_PAYING_STATUSES: Final = frozenset({"open", "notice", "closed", "closed_with_shortfall"})


def pays_merchant(book_status: str) -> bool:
    """Say whether a merchant in this state is paid; a frozen or closing one's payable is held."""
    return book_status in _PAYING_STATUSES


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """A sealed file, as a bank sees it."""

    file_id: UUID
    kind: FileKind
    bank: str
    business_date: date
    sequence: int
    status: FileStatus
    order_count: int
    total_amount: Fen
    sha256: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """An order with its payee in clear text: only ever on its way to the bank."""

    merchant_no: int
    merchant_id: UUID
    order_id: UUID
    file_id: UUID
    kind: FileKind
    custody_account: str
    payee_name: str
    payee_account_number: str
    payee_bank_code: str | None
    amount: Fen
    remittance: str
    status: OrderStatus
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which of a bank's files to list; None takes all."""

    kind: FileKind | None = None
    status: FileStatus | None = None


@dataclass(frozen=True, slots=True)
class Below:
    """Which part of a list, newest first: at most `limit` rows older than `before`."""

    before: UUID | None
    limit: int


@dataclass(frozen=True, slots=True)
class ReportedResult:
    """One line of a bank's report."""

    order_id: UUID
    status: ReportedStatus
    reason: Reason | None
    amount: Fen | None


@dataclass(frozen=True, slots=True)
class ResultOutcome:
    """What one line of a report did."""

    order_id: UUID
    status: ReportedStatus
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AppliedReport:
    """A report after all of it was applied, and its file."""

    file: PaymentFile
    results: tuple[ResultOutcome, ...]
