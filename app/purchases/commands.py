"""What can be asked of a sale. Every new id and every random byte is in the command."""

from dataclasses import dataclass
from uuid import UUID

from app.cards.ceilings import Ceilings
from app.purchases.domain import CoolingOff, Receipt
from app.writer.requests import RequestKey


@dataclass(frozen=True, slots=True)
class Holder:
    """The consumer who buys: the key of the books, and the wallet's own name for them."""

    consumer: UUID
    consumer_id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class OpenPurchase:
    """Start a sale: by the POS, for a holder or for whoever accepts first, or by the consumer.

    `accepted_sha256` is the contract that the consumer accepts by buying, None where the POS sells.
    """

    merchant_no: int
    request: RequestKey | None
    purchase_id: UUID
    product_id: UUID
    store_id: UUID
    holder: Holder | None
    accepted_sha256: bytes | None
    lifetime_seconds: int
    ceilings: Ceilings | None = None
    """What one consumer may have prepaid here; None where no ceiling binds."""


@dataclass(frozen=True, slots=True)
class AcceptPurchase:
    """Accept the contract of a purchase and become its holder."""

    merchant_no: int
    request: RequestKey | None
    purchase_id: UUID
    holder: Holder
    contract_sha256: bytes
    ceilings: Ceilings | None = None


@dataclass(frozen=True, slots=True)
class CancelPurchase:
    """Give up a sale that was not paid; `store_ids` narrows whose sales."""

    merchant_no: int
    request: RequestKey | None
    purchase_id: UUID
    store_ids: frozenset[UUID] | None


@dataclass(frozen=True, slots=True)
class RecordReceipt:
    """Book money that the bank received; it funds its purchase, or lies in suspense.

    `receipt` comes as reported: status, reason and card are decided here.
    """

    merchant_no: int
    request: RequestKey | None
    receipt: Receipt
    purchase_id: UUID | None
    card_id: UUID
    holder_salt: bytes
    cooling_off: CoolingOff


@dataclass(frozen=True, slots=True)
class MatchReceipt:
    """Let money in suspense fund a purchase after all, as two persons decided."""

    merchant_no: int
    request: RequestKey | None
    receipt_id: UUID
    purchase_id: UUID
    card_id: UUID
    holder_salt: bytes
    cooling_off: CoolingOff


@dataclass(frozen=True, slots=True)
class ReturnReceipt:
    """Give money in suspense back to its payer: as two persons decided, or when its time is up."""

    merchant_no: int
    request: RequestKey | None
    receipt_id: UUID
    refund_id: UUID
