"""The answers that the demo reads, as the contract says them.

Every field is required: an answer object has all its fields, with null where one does not
apply. What the service says beyond them is left alone, as clients should do.
"""

from datetime import date, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Shape(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Page(Shape, Generic[Item]):
    """One page of a list."""

    data: list[Item]
    next_cursor: str | None


class Problem(Shape):
    """A refusal."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str


class Products(Shape):
    stored_value: str
    count: str
    period: str


class Sandbox(Shape):
    """`sandbox.json`, and what `POST /v1/sandbox/merchants` gives."""

    base_url: str
    operator_key: str
    operator2_key: str
    merchant_key: str
    bank_key: str
    regulator_key: str
    bank: str
    merchant_id: str
    store_id: str
    custody_account: str
    products: Products


class Token(Shape):
    token: str


class Clock(Shape):
    now: datetime


class Contract(Shape):
    version: int
    sha256: str
    text: str


class SoldProduct(Shape):
    id: str
    name: str
    kind: str
    price_amount: int
    contract: Contract


class Named(Shape):
    id: str
    name: str


class PublicStore(Shape):
    """What a consumer sees who scans the shop's code."""

    merchant: Named
    in_scheme: bool
    products: list[SoldProduct]


class ContractRef(Shape):
    version: int
    sha256: str


class Purchase(Shape):
    id: str
    status: str
    product_id: str
    store_id: str
    consumer_id: str | None
    amount: int
    currency: str
    payment_reference: str
    pay_url: str
    contract: ContractRef
    accepted_at: datetime | None
    expires_at: datetime
    card_id: str | None
    created_at: datetime


class Receipt(Shape):
    id: str
    status: str
    suspense_reason: str | None
    bank_reference: str
    custody_account: str
    amount: int
    currency: str
    payment_reference: str
    purchase_id: str | None
    card_id: str | None
    paid_at: datetime


class Card(Shape):
    id: str
    kind: str
    status: str
    on_hold: bool
    product_id: str
    paid_amount: int
    bonus_amount: int
    face_amount: int | None
    face_used_amount: int | None
    face_held_amount: int | None
    face_available_amount: int | None
    sessions_total: int | None
    sessions_used: int | None
    sessions_held: int | None
    term_days: int | None
    valid_until: date | None
    released_amount: int
    refunded_amount: int
    adjusted_amount: int
    recalled_amount: int
    custody_amount: int
    cooling_off_ends_on: date | None
    cooling_off_days: int
    paid_at: datetime
    currency: str


class StatementRow(Shape):
    id: str
    at: datetime
    kind: str
    charge_id: str | None
    store_id: str | None
    amount: int | None
    sessions: int | None
    release_amount: int
    balance_face_amount: int | None
    balance_sessions: int | None
    custody_amount: int
    description: str | None


class Code(Shape):
    code: str
    expires_at: datetime
    qr_svg: str


class Draw(Shape):
    card_id: str
    face_amount: int | None
    sessions: int | None
    release_amount: int | None


class Confirmation(Shape):
    id: str
    method: str
    at: datetime


class BalanceAfter(Shape):
    card_face_amount: int | None
    sessions_left: int | None
    valid_until: date | None


class Reversal(Shape):
    status: str
    requested_at: datetime
    done_at: datetime | None
    reason: str | None


class Dispute(Shape):
    id: str
    case_id: str
    status: str


class Charge(Shape):
    id: str
    status: str
    merchant_id: str
    store_id: str
    kind: str
    amount: int | None
    sessions: int | None
    visit: bool | None
    list_amount: int | None
    currency: str
    release_amount: int | None
    draws: list[Draw]
    confirmation: Confirmation | None
    expires_at: datetime | None
    balance: BalanceAfter
    reversal: Reversal | None
    dispute: Dispute | None
    description: str | None
    client_reference: str | None
    created_at: datetime
    confirmed_at: datetime | None


class Verdict(Shape):
    index: int
    client_reference: str
    status: int
    charge: Charge | None
    problem: Problem | None


class Verdicts(Shape):
    data: list[Verdict]


class Approval(Shape):
    id: str
    action: str
    subject_id: str
    status: str
    proposed_by: str
    decided_by: str | None
    result: dict[str, object] | None
    created_at: datetime
