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
is booked as `decisions.decide` says and raises an alert.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.money import Fen

STEP_MAX: Final = 500
"""Orders in one transaction, so that a book is locked for under 50 ms."""


_NOTHING: Final = Fen(0)


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
    held_custody_amount: Fen = _NOTHING
    """Of custody itself; `held_amount` is of what is payable."""

    @property
    def coverable_amount(self) -> int:
        """What custody has beyond what is held and all that banks were already told to pay."""
        return self.custody_amount - self.in_transit_amount - self.held_custody_amount

    @property
    def release_amount(self) -> Fen:
        """What one release order may pay; 0 or less means no order (DOMAIN §6)."""
        deducted = self.waiting_reversal_amount + self.held_amount + self.bank_claim_amount
        return Fen(min(self.payable_amount - deducted, self.coverable_amount))

    def deductions(self) -> dict[str, int]:
        """Say it as it is stored."""
        return asdict(self)


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
