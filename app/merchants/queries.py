"""Rows of merchants, stores, custody and payee accounts."""

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
    PayeeBlock,
    PayeeStatus,
    Store,
    StoreStatus,
)

_MERCHANTS = """
SELECT merchant_no, merchant_id, name, licence_number, industry, district,
       book.status, merchant.created_at
FROM merchant JOIN book USING (merchant_no)
"""
# What two persons turned down stays in the log as such, without a second write.
_PAYEES = """
SELECT merchant_no, payee_account_id, holder_name, account_number_mask, bank_code,
       CASE WHEN approval.status = 'rejected' THEN 'rejected' ELSE payee_account.status END
           AS status,
       approval_id, proposed_at, effective_from, blocked_at, blocked_reason
FROM payee_account LEFT JOIN approval USING (approval_id)
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


class PayeeRow(NamedTuple):
    """A payee account as it lies in the table, without its number."""

    merchant_no: int
    payee_account_id: UUID
    holder_name: str
    account_number_mask: str
    bank_code: str
    status: str
    approval_id: UUID | None
    proposed_at: datetime
    effective_from: datetime | None
    blocked_at: datetime | None
    blocked_reason: str | None

    def payee(self) -> Payee:
        """Give it in the domain's types."""
        return Payee(
            merchant_no=self.merchant_no,
            payee_account_id=self.payee_account_id,
            holder_name=self.holder_name,
            account_number_mask=self.account_number_mask,
            bank_code=self.bank_code,
            status=PayeeStatus(self.status),
            approval_id=self.approval_id,
            proposed_at=self.proposed_at,
            effective_from=self.effective_from,
            blocked_at=self.blocked_at,
            blocked_reason=None if self.blocked_reason is None else PayeeBlock(self.blocked_reason),
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


async def insert_payee(tx: Transaction, payee: Payee, sealed_account_number: bytes) -> None:
    """Propose a payee account."""
    await tx.execute(
        """
        INSERT INTO payee_account
            (merchant_no, payee_account_id, holder_name, account_number, account_number_mask,
             bank_code, status, approval_id, proposed_at)
        VALUES (:no, :id, :holder_name, :sealed, :mask, :bank_code, 'proposed', :approval_id, :at)
        """,
        no=payee.merchant_no,
        id=payee.payee_account_id,
        holder_name=payee.holder_name,
        sealed=sealed_account_number,
        mask=payee.account_number_mask,
        bank_code=payee.bank_code,
        approval_id=payee.approval_id,
        at=payee.proposed_at,
    )


async def approve_payee(
    tx: Transaction, merchant_no: int, payee_account_id: UUID, effective_from: datetime
) -> None:
    """Let a proposed payee account count from a moment on."""
    await tx.execute(
        """
        UPDATE payee_account SET status = 'approved', effective_from = :effective_from
        WHERE merchant_no = :no AND payee_account_id = :id AND status = 'proposed'
        """,
        no=merchant_no,
        id=payee_account_id,
        effective_from=effective_from,
    )


async def payee(tx: Transaction, merchant_no: int, payee_account_id: UUID) -> Payee:
    """Give a payee account that is known to be there."""
    row = await tx.fetch_one(
        PayeeRow,
        f"{_PAYEES} WHERE merchant_no = :no AND payee_account_id = :id",
        no=merchant_no,
        id=payee_account_id,
    )
    assert row is not None
    return row.payee()


async def payees_of(tx: Transaction, merchant_no: int) -> list[Payee]:
    """Give every payee account that was ever proposed, newest first: the log."""
    rows = await tx.fetch(
        PayeeRow,
        f"{_PAYEES} WHERE merchant_no = :no ORDER BY proposed_at DESC, payee_account_id DESC",
        no=merchant_no,
    )
    return [row.payee() for row in rows]


async def payees_to_show(tx: Transaction, merchant_nos: list[int]) -> dict[int, Payee]:
    """Give, per merchant, the payee account that counts now, else the one proposed first."""
    rows = await tx.fetch(
        PayeeRow,
        f"""
        SELECT DISTINCT ON (merchant_no) * FROM ({_PAYEES}) AS payee
        WHERE merchant_no = ANY(CAST(:nos AS integer[]))
        ORDER BY merchant_no, effective_from <= anxin_now() DESC NULLS LAST,
                 CASE WHEN effective_from <= anxin_now() THEN effective_from END DESC,
                 status = 'rejected', proposed_at
        """,  # noqa: S608  # put together from our own texts
        nos=merchant_nos,
    )
    return {row.merchant_no: row.payee() for row in rows}


async def block_payee(
    tx: Transaction, merchant_no: int, payee_account_id: UUID, reason: PayeeBlock
) -> None:
    """Send nothing more to this account; the merchant names another one."""
    await tx.execute(
        """
        UPDATE payee_account
        SET blocked_at = coalesce(blocked_at, anxin_now()),
            blocked_reason = coalesce(blocked_reason, :reason)
        WHERE merchant_no = :no AND payee_account_id = :id
        """,
        no=merchant_no,
        id=payee_account_id,
        reason=str(reason),
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
