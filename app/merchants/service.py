"""Onboarding: merchants, their stores and their custody accounts."""

from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from app import ids
from app.db.engine import Database, Transaction
from app.db.sealing import Sealer
from app.errors import NotFound
from app.merchants import payee_queries, payees, queries
from app.merchants.domain import (
    BookStatus,
    CustodyAccount,
    Merchant,
    MerchantChange,
    NewCustodyAccount,
    NewMerchant,
    NewStore,
    Store,
    StoreStatus,
)
from app.merchants.errors import AlreadyExists
from app.writer.answers import Answered, as_facts, from_facts
from app.writer.requests import RequestKey, claim, keep

log = structlog.stdlib.get_logger()


async def create_merchant(
    db: Database, sealer: Sealer, new: NewMerchant, *, by: str, request: RequestKey | None
) -> Answered[Merchant]:
    """Take a merchant in, with an open book; its payee account waits for a second person.

    A retry under the same key gives the same merchant.

    Raises:
        AlreadyExists: The licence number is known.
        IdempotencyKeyReused: The key was used for another request.
    """
    async with db.transaction() as tx:
        stored = await claim(tx, ids.PLATFORM_NO, request)
        if stored is not None:
            return Answered(from_facts(Merchant, stored), replayed=True)
        row = await _insert_merchant(tx, new)
        payee, _ = await payees.propose(tx, sealer, row, MerchantChange(payee=new.payee), by=by)
        merchant = row.with_payee(payee)
        await keep(
            tx,
            ids.PLATFORM_NO,
            request,
            command="create_merchant",
            subject_id=merchant.merchant_id,
            answer=as_facts(merchant),
        )
    log.info("merchant.created", merchant_no=merchant.merchant_no)
    return Answered(merchant)


async def _insert_merchant(tx: Transaction, new: NewMerchant) -> queries.MerchantRow:
    merchant_no = await queries.next_merchant_no(tx)
    row = queries.MerchantRow(
        merchant_no=merchant_no,
        merchant_id=ids.new_id(merchant_no),
        name=new.name,
        licence_number=new.licence_number,
        industry=new.industry,
        district=new.district,
        status=BookStatus.OPEN,
        created_at=await tx.now(),
    )
    if not await queries.insert_merchant(tx, row):
        raise AlreadyExists("licence_number")
    return row


async def read_merchant(db: Database, merchant_id: UUID) -> Merchant:
    """Give a merchant.

    Raises:
        NotFound: There is no such merchant.
    """
    async with db.snapshot() as tx:
        row = await queries.require_merchant(tx, merchant_id)
        shown = await payee_queries.payees_to_show(tx, [row.merchant_no])
    return row.with_payee(shown.get(row.merchant_no))


async def find_merchant(tx: Transaction, merchant_no: int) -> queries.MerchantRow | None:
    """Give a merchant as this transaction sees it, without its payee account."""
    return await queries.merchant(tx, merchant_no)


async def list_merchants(db: Database, *, before_no: int | None, limit: int) -> list[Merchant]:
    """Give merchants, newest first, below a merchant number."""
    async with db.snapshot() as tx:
        rows = await queries.merchants_before(tx, before_no, limit)
        shown = await payee_queries.payees_to_show(tx, [row.merchant_no for row in rows])
    return [row.with_payee(shown.get(row.merchant_no)) for row in rows]


async def create_store(
    db: Database, merchant_id: UUID, new: NewStore, *, request: RequestKey | None
) -> Answered[Store]:
    """Open a store of a merchant. A retry under the same key gives the same store.

    Raises:
        IdempotencyKeyReused: The key was used for another request.
        NotFound: There is no such merchant.
    """
    async with db.transaction() as tx:
        stored = await claim(tx, ids.merchant_no_of(merchant_id), request)
        if stored is not None:
            return Answered(from_facts(Store, stored), replayed=True)
        merchant_no = (await queries.require_merchant(tx, merchant_id)).merchant_no
        store = Store(
            merchant_no=merchant_no,
            store_id=ids.new_id(merchant_no),
            name=new.name,
            address=new.address,
            status=StoreStatus.OPEN,
            created_at=await tx.now(),
        )
        await queries.insert_store(tx, store)
        await keep(
            tx,
            merchant_no,
            request,
            command="create_store",
            subject_id=store.store_id,
            answer=as_facts(store),
        )
    log.info("store.created", store_id=str(store.store_id))
    return Answered(store)


async def list_stores(
    db: Database, merchant_id: UUID, *, before: UUID | None, limit: int
) -> list[Store]:
    """Give a merchant's stores, newest first.

    Raises:
        NotFound: There is no such merchant.
    """
    async with db.snapshot() as tx:
        merchant_no = (await queries.require_merchant(tx, merchant_id)).merchant_no
        return await queries.stores_before(tx, merchant_no, before, limit)


@dataclass(frozen=True, slots=True)
class ChangedStore:
    """A store and whose it is."""

    store: Store
    merchant_id: UUID


async def set_store_status(db: Database, store_id: UUID, status: StoreStatus) -> ChangedStore:
    """Record that a store opened again, moved or closed; repeating it changes nothing.

    Raises:
        NotFound: There is no such store.
    """
    merchant_no = ids.merchant_no_of(store_id)
    async with db.transaction() as tx:
        store = await queries.store(tx, merchant_no, store_id)
        merchant = await queries.merchant(tx, merchant_no)
        if store is None or merchant is None:
            raise NotFound
        await queries.update_store_status(tx, merchant_no, store_id, status)
    log.info("store.changed", store_id=str(store_id), status=str(status))
    return ChangedStore(replace(store, status=status), merchant.merchant_id)


async def create_custody_account(
    db: Database, merchant_id: UUID, new: NewCustodyAccount, *, request: RequestKey | None
) -> Answered[CustodyAccount]:
    """Record the one custody account of a merchant. A retry gives the same account.

    Raises:
        AlreadyExists: The merchant has one, or the number is another merchant's.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: There is no such merchant.
    """
    async with db.transaction() as tx:
        stored = await claim(tx, ids.merchant_no_of(merchant_id), request)
        if stored is not None:
            return Answered(from_facts(CustodyAccount, stored), replayed=True)
        merchant_no = (await queries.require_merchant(tx, merchant_id)).merchant_no
        if not await queries.insert_custody_account(tx, merchant_no, new, await tx.now()):
            raise AlreadyExists("account_number")
        account = await queries.custody_account(tx, merchant_no)
        assert account is not None
        await keep(
            tx,
            merchant_no,
            request,
            command="create_custody_account",
            subject_id=None,
            answer=as_facts(account),
        )
    log.info("custody_account.created", merchant_no=merchant_no)
    return Answered(account)


async def list_custody_accounts(db: Database, merchant_id: UUID) -> list[CustodyAccount]:
    """Give a merchant's custody account, if it has one.

    Raises:
        NotFound: There is no such merchant.
    """
    async with db.snapshot() as tx:
        merchant_no = (await queries.require_merchant(tx, merchant_id)).merchant_no
        account = await queries.custody_account(tx, merchant_no)
    return [] if account is None else [account]
