"""What can be asked of refunds. Every new id is in the command."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from app.cases.domain import Step, Words
from app.money import Fen
from app.refunds.domain import RefundReason
from app.refunds.quoting import Rules
from app.writer.requests import RequestKey


@dataclass(frozen=True, slots=True)
class Echo:
    """The preview that the holder saw and agrees to."""

    amount: int
    residue_amount: int
    as_of: date


@dataclass(frozen=True, slots=True)
class NewClaim:
    """What a case starts from, where one opens."""

    case_id: UUID
    salt: bytes
    text: Words | None
    answer_due_on: date | None


@dataclass(frozen=True, slots=True)
class RequestRefund:
    """Refund a card, as its holder asks for it; open a case where nothing bears the reason out.

    `payee` is how answers show the account that would be paid, masked.
    """

    merchant_no: int
    request: RequestKey | None
    refund_id: UUID
    card_id: UUID
    consumer: UUID
    reason: RefundReason
    echo: Echo | None
    rules: Rules
    payee: Mapping[str, object] | None
    claim: NewClaim | None = None


@dataclass(frozen=True, slots=True)
class OfferRefund:
    """Offer the holder of a card an amount, as its merchant."""

    merchant_no: int
    request: RequestKey | None
    refund_id: UUID
    card_id: UUID
    amount: Fen


@dataclass(frozen=True, slots=True)
class AnswerOffer:
    """Take or leave a merchant's offer, as the card's holder."""

    merchant_no: int
    request: RequestKey | None
    refund_id: UUID
    card_id: UUID
    consumer: UUID
    accept: bool
    payee: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class WithdrawRefund:
    """Take a claim back whose case is open, as its holder."""

    merchant_no: int
    request: RequestKey | None
    refund_id: UUID
    card_id: UUID
    consumer: UUID


@dataclass(frozen=True, slots=True)
class TakeClaimStep:
    """Take a step of a claim's case: an answer, a decision, silence."""

    merchant_no: int
    request: RequestKey | None
    case_id: UUID
    card_id: UUID
    step: Step


@dataclass(frozen=True, slots=True)
class UpholdClaim:
    """Decide a card's open claim because its merchant closes."""

    merchant_no: int
    card_id: UUID
    request: RequestKey | None = None


@dataclass(frozen=True, slots=True)
class NamePayee:
    """Name another account of the holder after a payment came back; it counts when verified."""

    merchant_no: int
    request: RequestKey | None
    refund_id: UUID
    consumer: UUID
    name: bytes
    account_number: bytes
    bank_code: str | None


@dataclass(frozen=True, slots=True)
class VerifyPayee:
    """Let the account count that the holder named: the refund is paid to it in the next file."""

    merchant_no: int
    request: RequestKey | None
    refund_id: UUID
    account_number: bytes
    """As it was when it was put before a person, sealed: another one named since does not count."""


@dataclass(frozen=True, slots=True)
class SettleRefunds:
    """Finish the cards of refunds that were paid: the rest of the custody is the merchant's."""

    merchant_no: int
    request: RequestKey | None = None
