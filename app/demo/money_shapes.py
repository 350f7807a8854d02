"""The answers about balances and bank files that the demo reads, as the contract says them."""

from datetime import date, datetime

from app.demo.shapes import Shape


class Balance(Shape):
    """A merchant's money."""

    custody_amount: int
    card_amount: int
    payable_amount: int
    disputed_amount: int
    release_in_transit_amount: int
    refund_payable_amount: int
    refund_in_transit_amount: int
    suspense_amount: int
    custody_yield_amount: int
    bank_claim_amount: int
    pending_reversal_amount: int
    currency: str
    as_of: datetime


class PaymentFile(Shape):
    id: str
    kind: str
    bank: str
    business_date: date
    sequence: int
    status: str
    order_count: int
    total_amount: int
    sha256: str
    created_at: datetime


class Files(Shape):
    data: list[PaymentFile]


class Order(Shape):
    id: str
    file_id: str
    merchant_id: str
    custody_account: str
    payee_name: str
    payee_account_number: str
    payee_bank_code: str | None
    amount: int
    currency: str
    remittance: str
    status: str
    reason: str | None


class Signature(Shape):
    algorithm: str
    key_id: str
    signature: str


class PublicKey(Shape):
    kid: str
    kty: str
    crv: str
    x: str


class KeySet(Shape):
    keys: list[PublicKey]


class Outcome(Shape):
    order_id: str
    status: str
    outcome: str


class Outcomes(Shape):
    file: PaymentFile
    results: list[Outcome]


class TrialLine(Shape):
    type: str
    debit_amount: int
    credit_amount: int


class TrialBalance(Shape):
    as_of: datetime
    accounts: list[TrialLine]
    balanced: bool
