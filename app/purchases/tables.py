"""How decisions on sales find their rows."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.money import Fen
from app.purchases.domain import Product, Purchase, Receipt
from app.writer.tables import Index, Lookup, Table

PRODUCTS: Final = Table("card_product", Product, ("product_id",))
PURCHASES: Final = Table(
    "purchase",
    Purchase,
    ("purchase_id",),
    ("status", "consumer", "consumer_id", "issuer", "accepted_at", "card_id"),
)
PURCHASES_OF_CONSUMER: Final = Index(PURCHASES, ("consumer",))
RECEIPTS: Final = Table(
    "receipt",
    Receipt,
    ("receipt_id",),
    ("status", "suspense_reason", "purchase_id", "card_id", "refund_id"),
)
RECEIPTS_BY_REFERENCE: Final = Index(RECEIPTS, ("custody_account", "bank_reference"))


class SuspenseRefund(NamedTuple):
    """Money from suspense on its way back to its payer, in the next refund file."""

    merchant_no: int
    refund_id: UUID
    receipt_id: UUID | None
    card_id: UUID | None
    status: str
    amount: Fen
    payee_name: bytes
    payee_account_number: bytes
    payee_bank_code: str | None
    attempt: int
    decided_at: datetime


REFUNDS: Final = Table("refund", SuspenseRefund, ("refund_id",))

PRODUCT_BY_ID: Final = Lookup(
    "product_by_id",
    PRODUCTS,
    ("uuid",),
    "JOIN card_product ON card_product.merchant_no = need.merchant_no"
    " AND card_product.product_id = need.v1",
)
PURCHASE_BY_ID: Final = Lookup(
    "purchase_by_id",
    PURCHASES,
    ("uuid",),
    "JOIN purchase ON purchase.merchant_no = need.merchant_no AND purchase.purchase_id = need.v1",
)
PRODUCT_OF_PURCHASE: Final = Lookup(
    "product_of_purchase",
    PRODUCTS,
    ("uuid",),
    "JOIN purchase ON purchase.merchant_no = need.merchant_no AND purchase.purchase_id = need.v1"
    " JOIN card_product ON card_product.merchant_no = purchase.merchant_no"
    " AND card_product.product_id = purchase.product_id",
)
PRODUCT_WITH_CARD: Final = Lookup(
    "product_with_card",
    PRODUCTS,
    ("uuid",),
    "JOIN card ON card.merchant_no = need.merchant_no AND card.card_id = need.v1"
    " JOIN card_product ON card_product.merchant_no = need.merchant_no"
    " AND card_product.product_id = card.product_id",
)
_HELD_BY: Final = (
    "JOIN card ON card.merchant_no = need.merchant_no AND card.consumer = need.v1"
    " AND card.status NOT IN ('used_up', 'refunding', 'refunded', 'recalled', 'replaced')"
    " JOIN card_product ON card_product.merchant_no = need.merchant_no"
    " AND card_product.product_id = card.product_id"
)
# Read before the book's time is taken, which decides: what expires in between is loaded too.
_ACCEPTED_BY: Final = (
    "JOIN purchase ON purchase.merchant_no = need.merchant_no AND purchase.consumer = need.v1"
    " AND purchase.status = 'awaiting_payment' AND purchase.accepted_at IS NOT NULL"
    " AND purchase.expires_at > anxin_now()"
)
PRODUCTS_HELD_BY: Final = Lookup("products_held_by", PRODUCTS, ("uuid",), _HELD_BY)
"""The products of a consumer's cards."""
PURCHASES_ACCEPTED_BY: Final = Lookup("purchases_accepted_by", PURCHASES, ("uuid",), _ACCEPTED_BY)
"""The purchases that a consumer accepted and has not paid."""
PRODUCTS_BOUGHT_BY: Final = Lookup(
    "products_bought_by",
    PRODUCTS,
    ("uuid",),
    f"{_ACCEPTED_BY} JOIN card_product ON card_product.merchant_no = need.merchant_no"
    " AND card_product.product_id = purchase.product_id",
)
RECEIPT_BY_ID: Final = Lookup(
    "receipt_by_id",
    RECEIPTS,
    ("uuid",),
    "JOIN receipt ON receipt.merchant_no = need.merchant_no AND receipt.receipt_id = need.v1",
)
RECEIPT_BY_REFERENCE: Final = Lookup(
    "receipt_by_reference",
    RECEIPTS,
    ("text", "text"),
    "JOIN receipt ON receipt.merchant_no = need.merchant_no"
    " AND receipt.custody_account = need.v1 AND receipt.bank_reference = need.v2",
)

TABLES: Final[tuple[Table[Any], ...]] = (PRODUCTS, PURCHASES, RECEIPTS, REFUNDS)
INDEXES: Final[tuple[Index[Any], ...]] = (PURCHASES_OF_CONSUMER, RECEIPTS_BY_REFERENCE)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (
    PRODUCT_BY_ID,
    PURCHASE_BY_ID,
    PRODUCT_OF_PURCHASE,
    PRODUCT_WITH_CARD,
    PRODUCTS_HELD_BY,
    PURCHASES_ACCEPTED_BY,
    PRODUCTS_BOUGHT_BY,
    RECEIPT_BY_ID,
    RECEIPT_BY_REFERENCE,
)
