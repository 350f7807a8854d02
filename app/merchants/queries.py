"""Rows of merchants, their books, stores and custody accounts."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app import ids
from app.db.engine import Transaction
from app.errors import NotFound
from app.ledger.chain import genesis
from app.ledger.chart import MERCHANT_ACCOUNT_TYPES, account_id
from app.merchants.domain import (
    BookStatus,
    CustodyAccount,
    Industry,
    Merchant,
    NewCustodyAccount,
    Payee,
    Store,
    StoreStatus,
)

_MERCHANTS = """
SELECT merchant_no, merchant_id, name, licence_number, industry, district,
       book.status, merchant.created_at
FROM merchant JOIN book USING (merchant_no)
"""
_STORES = "SELECT merchant_no, store_id, name, address, status, created_at FROM store "
_CUSTODY = """
SELECT merchant_no, bank, account_number, holder_name, created_at FROM custody_account
"""


class MerchantRow(NamedTuple):
    """A merchant without its payee account."""

    merchant_no: int
    merchant_id: UUID
    name: str
    licence_number: str
    industry: str
    district: str
    status: str
    created_at: datetime

    def with_payee(self, payee: Payee | None) -> Merchant:
        """Give the merchant with the payee account to show."""
        return Merchant(
            merchant_no=self.merchant_no,
            merchant_id=self.merchant_id,
            name=self.name,
            licence_number=self.licence_number,
            industry=Industry(self.industry),
            district=self.district,
            status=BookStatus(self.status),
            payee=payee,
            created_at=self.created_at,
        )


class StoreRow(NamedTuple):
    """A store as it lies in the table."""

    merchant_no: int
    store_id: UUID
    name: str
    address: str | None
    status: str
    created_at: datetime

    def store(self) -> Store:
        """Give it in the domain's types."""
        return Store(
            merchant_no=self.merchant_no,
            store_id=self.store_id,
            name=self.name,
            address=self.address,
            status=StoreStatus(self.status),
            created_at=self.created_at,
        )


async def next_merchant_no(tx: Transaction) -> int:
    """Take the next merchant number; one that is not used in the end is never used."""
    number = await tx.value("SELECT nextval(pg_get_serial_sequence('merchant', 'merchant_no'))")
    assert isinstance(number, int)
    return number


async def insert_merchant(tx: Transaction, merchant: MerchantRow) -> bool:
    """Store a merchant with its book and its own accounts; False if its licence is known."""
    inserted = await tx.execute(
        """
        INSERT INTO merchant
            (merchant_no, merchant_id, name, licence_number, industry, district, created_at)
        VALUES (:no, :id, :name, :licence_number, :industry, :district, :at)
        ON CONFLICT ON CONSTRAINT merchant_licence_is_unique DO NOTHING
        """,
        no=merchant.merchant_no,
        id=merchant.merchant_id,
        name=merchant.name,
        licence_number=merchant.licence_number,
        industry=str(merchant.industry),
        district=merchant.district,
        at=merchant.created_at,
    )
    if inserted:
        await _open_book(tx, merchant)
    return inserted == 1


async def _open_book(tx: Transaction, merchant: MerchantRow) -> None:
    await tx.execute(
        "INSERT INTO book (merchant_no, chain_hash, last_at) VALUES (:no, :chain_hash, :at)",
        no=merchant.merchant_no,
        chain_hash=genesis(merchant.merchant_no),
        at=merchant.created_at,
    )
    await tx.execute(
        """
        INSERT INTO account (merchant_no, account_id, type)
        SELECT :no, account_id, type
        FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[])) AS own (account_id, type)
        """,
        no=merchant.merchant_no,
        ids=[account_id(merchant.merchant_no, kind) for kind in MERCHANT_ACCOUNT_TYPES],
        types=[str(kind) for kind in MERCHANT_ACCOUNT_TYPES],
    )


async def merchant(tx: Transaction, merchant_no: int, *, lock: bool = False) -> MerchantRow | None:
    """Give a merchant; with `lock`, changes of its master data wait for this transaction.

    Only the row in `merchant` is locked: uses go on, they lock the book.
    """
    locking = "FOR NO KEY UPDATE OF merchant" if lock else ""
    return await tx.fetch_one(
        MerchantRow, f"{_MERCHANTS} WHERE merchant_no = :no {locking}", no=merchant_no
    )


async def require_merchant(
    tx: Transaction, merchant_id: UUID, *, lock: bool = False
) -> MerchantRow:
    """Give a merchant as this transaction sees it.

    Raises:
        NotFound: There is no such merchant; another id of its book is not its id.
    """
    row = await merchant(tx, ids.merchant_no_of(merchant_id), lock=lock)
    if row is None or row.merchant_id != merchant_id:
        raise NotFound
    return row


async def merchants_before(
    tx: Transaction, merchant_no: int | None, limit: int
) -> list[MerchantRow]:
    """Give merchants, newest first, below a merchant number."""
    return await tx.fetch(
        MerchantRow,
        f"""{_MERCHANTS}
        WHERE merchant_no < coalesce(CAST(:before AS bigint), 2147483648)
        ORDER BY merchant_no DESC LIMIT :limit
        """,
        before=merchant_no,
        limit=limit,
    )


async def update_merchant(tx: Transaction, row: MerchantRow) -> None:
    """Store a merchant's changed master data."""
    await tx.execute(
        """
        UPDATE merchant SET name = :name, industry = :industry, district = :district
        WHERE merchant_no = :no
        """,
        no=row.merchant_no,
        name=row.name,
        industry=row.industry,
        district=row.district,
    )


async def insert_store(tx: Transaction, store: Store) -> None:
    """Store a store."""
    await tx.execute(
        """
        INSERT INTO store (merchant_no, store_id, name, address, status, created_at)
        VALUES (:no, :id, :name, CAST(:address AS text), :status, :at)
        """,
        no=store.merchant_no,
        id=store.store_id,
        name=store.name,
        address=store.address,
        status=str(store.status),
        at=store.created_at,
    )


async def store(tx: Transaction, merchant_no: int, store_id: UUID) -> Store | None:
    """Give a store."""
    row = await tx.fetch_one(
        StoreRow,
        f"{_STORES} WHERE merchant_no = :no AND store_id = :id",
        no=merchant_no,
        id=store_id,
    )
    return None if row is None else row.store()


async def stores_before(
    tx: Transaction, merchant_no: int, store_id: UUID | None, limit: int
) -> list[Store]:
    """Give a merchant's stores, newest first, below a store's id."""
    rows = await tx.fetch(
        StoreRow,
        f"""{_STORES}
        WHERE merchant_no = :no
          AND (CAST(:before AS uuid) IS NULL OR store_id < CAST(:before AS uuid))
        ORDER BY store_id DESC LIMIT :limit
        """,
        no=merchant_no,
        before=store_id,
        limit=limit,
    )
    return [row.store() for row in rows]


async def update_store_status(
    tx: Transaction, merchant_no: int, store_id: UUID, status: StoreStatus
) -> None:
    """Record that a store opened again, moved or closed."""
    await tx.execute(
        "UPDATE store SET status = :status WHERE merchant_no = :no AND store_id = :id",
        no=merchant_no,
        id=store_id,
        status=str(status),
    )


async def insert_custody_account(
    tx: Transaction, merchant_no: int, account: NewCustodyAccount, at: datetime
) -> bool:
    """Store a custody account; False if the merchant has one or the number is taken."""
    return (
        await tx.execute(
            """
        INSERT INTO custody_account (merchant_no, bank, account_number, holder_name, created_at)
        VALUES (:no, :bank, :account_number, :holder_name, :at)
        ON CONFLICT DO NOTHING
        """,
            no=merchant_no,
            bank=account.bank,
            account_number=account.account_number,
            holder_name=account.holder_name,
            at=at,
        )
        == 1
    )


async def custody_account(tx: Transaction, merchant_no: int) -> CustodyAccount | None:
    """Give a merchant's custody account."""
    return await tx.fetch_one(CustodyAccount, f"{_CUSTODY} WHERE merchant_no = :no", no=merchant_no)
