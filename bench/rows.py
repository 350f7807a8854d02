"""The rows of a seeded ledger, by table."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.cards.domain import Card
from app.cards.statement import CardEntry
from app.charges.domain import Charge
from app.db.rows import Json, Row
from app.ledger.rows import Account, BookHead, Fact, Transfer
from app.purchases.domain import (
    Purchase,
    Receipt,
)


class MerchantRow(NamedTuple):
    """What a seeded ledger sets of its table."""

    merchant_no: int
    merchant_id: UUID
    name: str
    licence_number: str
    industry: str
    district: str
    created_at: datetime


class StoreRow(NamedTuple):
    """What a seeded ledger sets of its table."""

    merchant_no: int
    store_id: UUID
    name: str
    status: str
    created_at: datetime


class CustodyRow(NamedTuple):
    """What a seeded ledger sets of its table."""

    merchant_no: int
    bank: str
    account_number: str
    holder_name: str
    created_at: datetime


class KeyRow(NamedTuple):
    """What a seeded ledger sets of its table."""

    key_id: UUID
    secret_hash: bytes
    role: str
    person_id: str
    merchant_no: int
    created_at: datetime


class ProductRow(NamedTuple):
    """What a seeded ledger sets of its table."""

    merchant_no: int
    product_id: UUID
    name: str
    kind: str
    price_amount: int
    bonus_amount: int
    terms: Json
    contract_version: int
    contract_text: str
    contract_sha256: bytes
    created_at: datetime


class ConsumerMerchantRow(NamedTuple):
    """What a seeded ledger sets of its table."""

    consumer: UUID
    merchant_no: int


TABLES: Final[dict[str, type[Row]]] = {
    "merchant": MerchantRow,
    "book": BookHead,
    "store": StoreRow,
    "custody_account": CustodyRow,
    "api_key": KeyRow,
    "account": Account,
    "card_product": ProductRow,
    "purchase": Purchase,
    "receipt": Receipt,
    "card": Card,
    "consumer_merchant": ConsumerMerchantRow,
    "card_entry": CardEntry,
    "charge": Charge,
    "transfer": Transfer,
    "fact": Fact,
}
"""In the order of their foreign keys."""


class Rows:
    """Rows of some books, by table."""

    def __init__(self) -> None:
        """Start with none."""
        self.by_table: dict[str, list[Any]] = {name: [] for name in TABLES}
        self._table_of = {shape: name for name, shape in TABLES.items()}

    def add(self, *rows: Row) -> None:
        """Put each row to those of its table."""
        for row in rows:
            self.by_table[self._table_of[type(row)]].append(row)
