"""The answers about refunds, cases, holds, transfers and closures, as the contract says them."""

from datetime import date, datetime

from pydantic import Field, JsonValue

from app.demo.shapes import Shape


class Inputs(Shape):
    """What decided a refund's figures."""

    paid_amount: int
    released_amount: int
    left_amount: int
    list_used_amount: int


class Payee(Shape):
    holder_name: str
    account_number: str


class Refund(Shape):
    """A refund, or a preview of one: then without an id."""

    id: str | None
    card_id: str
    reason: str
    refund_class: str = Field(alias="class")
    status: str | None
    amount: int
    residue_amount: int
    interest_claim_amount: int
    formula: str
    formula_version: int
    inputs: Inputs
    as_of: date
    policy_version: int
    case_id: str | None
    payee: Payee | None


class Answer(Shape):
    agree: bool
    text: str | None


class Decision(Shape):
    decision: str
    reason: str | None
    by: str


class Case(Shape):
    id: str
    kind: str
    status: str
    merchant_id: str
    card_id: str | None
    charge_id: str | None
    refund_id: str | None
    reason: str
    text: str | None
    answer_due_on: date | None
    answer: Answer | None
    decision: Decision | None
    used_amount: int | None


class Transfer(Shape):
    id: str
    card_id: str
    status: str


class Hold(Shape):
    id: str
    target: str
    target_id: str
    amount: int | None
    document_number: str
    reason: str
    status: str
    expires_at: datetime | None


class Closure(Shape):
    id: str
    merchant_id: str
    kind: str
    reason: str
    status: str
    card_count: int
    refund_amount: int
    refunded_count: int
    refunded_amount: int
    rate_per_second: float | None
    started_at: datetime | None
    finished_at: datetime | None
    certificate_url: str | None


class KindTotal(Shape):
    kind: str
    card_count: int
    refund_amount: int


class ClosurePreview(Shape):
    card_count: int
    refund_amount: int
    kinds: list[KindTotal]


class CertificateSignature(Shape):
    algorithm: str
    key_id: str
    signature: str
    sha256: str


class Certificate(Shape):
    """A certificate: its document is what is hashed, so that it is kept as it came."""

    certificate: dict[str, JsonValue]
    signature: CertificateSignature


class CertifiedStatus(Shape):
    status: str


class CertifiedRefunds(Shape):
    card_count: int
    amount: int
    paid_count: int
    paid_amount: int


class Left(Shape):
    account: str
    amount: int
    why: str


class CertifiedEnd(Shape):
    """What a certificate's document says."""

    number: int
    closure: CertifiedStatus
    refunded: CertifiedRefunds
    custody_amount: int
    left: list[Left]
