import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from app import ids
from app.db.engine import Database
from app.errors import IdempotencyKeyReused, InvalidRequest, NotFound
from app.ledger.chart import AccountType
from app.merchants import service
from app.merchants.domain import BookStatus, NewCustodyAccount, NewStore, StoreStatus
from app.merchants.errors import AlreadyExists
from app.merchants.storefront import read_storefront
from app.writer.requests import RequestKey
from tests.builder import PROPOSER, SEALER, Builder, a_merchant, unique


@pytest.fixture
def given(db: Database) -> Builder:
    return Builder(db)


def a_request() -> RequestKey:
    return RequestKey(uuid4(), bytes(32))


async def test_a_merchant_is_there_at_once_with_an_open_book_and_its_accounts(
    db: Database, given: Builder
) -> None:
    merchant = await given.merchant()

    assert merchant.status is BookStatus.OPEN
    assert ids.merchant_no_of(merchant.merchant_id) == merchant.merchant_no
    assert await service.read_merchant(db, merchant.merchant_id) == merchant
    async with db.snapshot() as tx:
        types = await tx.value(
            "SELECT array_agg(type ORDER BY type) FROM account WHERE merchant_no = :no",
            no=merchant.merchant_no,
        )
    assert types == sorted(kind for kind in AccountType if kind is not AccountType.CARD)


async def test_ten_attempts_at_one_merchant_make_one(db: Database) -> None:
    new, request = a_merchant(), a_request()

    answers = await asyncio.gather(
        *(service.create_merchant(db, SEALER, new, by=PROPOSER, request=request) for _ in range(10))
    )

    assert len({answer.value.merchant_id for answer in answers}) == 1
    assert all(answer.value == answers[0].value for answer in answers)
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 9


async def test_a_key_that_was_used_for_another_merchant_is_refused(db: Database) -> None:
    request = a_request()
    await service.create_merchant(db, SEALER, a_merchant(), by=PROPOSER, request=request)

    with pytest.raises(IdempotencyKeyReused):
        await service.create_merchant(
            db, SEALER, a_merchant(), by=PROPOSER, request=request._replace(fingerprint=b"\1" * 32)
        )


async def test_a_licence_number_is_taken_in_once(db: Database, given: Builder) -> None:
    merchant = await given.merchant()
    again = replace(a_merchant(), licence_number=merchant.licence_number)

    with pytest.raises(AlreadyExists):
        await service.create_merchant(db, SEALER, again, by=PROPOSER, request=None)


def test_a_payee_account_in_another_name_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        a_merchant("安心健身", holder_name="张三")

    assert [error.pointer for error in refusal.value.errors] == ["/payee/holder_name"]


async def test_another_id_of_the_same_book_is_not_the_merchant(
    db: Database, given: Builder
) -> None:
    merchant = await given.merchant()
    store = await given.store(merchant)

    with pytest.raises(NotFound):
        await service.read_merchant(db, store.store_id)
    with pytest.raises(NotFound):
        await service.create_store(
            db, ids.new_id(merchant.merchant_no), NewStore("西湖店", None), request=None
        )


async def test_a_merchant_has_one_custody_account_and_no_two_share_one(
    db: Database, given: Builder
) -> None:
    merchant, other = await given.merchant(), await given.merchant()
    account = await given.custody_account(merchant)

    with pytest.raises(AlreadyExists):
        await given.custody_account(merchant)
    with pytest.raises(AlreadyExists):
        await service.create_custody_account(
            db,
            other.merchant_id,
            NewCustodyAccount("HZCB", account.account_number, "托管户"),
            request=None,
        )
    assert await service.list_custody_accounts(db, merchant.merchant_id) == [account]
    assert await service.list_custody_accounts(db, other.merchant_id) == []


async def test_a_replayed_store_is_the_same_store(db: Database, given: Builder) -> None:
    merchant = await given.merchant()
    request = a_request()

    first = await service.create_store(
        db, merchant.merchant_id, NewStore("西湖店", None), request=request
    )
    again = await service.create_store(
        db, merchant.merchant_id, NewStore("西湖店", None), request=request
    )

    assert again.replayed
    assert again.value == first.value
    assert await service.list_stores(db, merchant.merchant_id, before=None, limit=9) == [
        first.value
    ]


async def test_a_store_is_in_the_scheme_while_book_bank_and_store_are(
    db: Database, given: Builder
) -> None:
    merchant = await given.merchant()
    store = await given.store(merchant)
    await given.product(merchant)

    assert not (await read_storefront(db, store.store_id)).in_scheme
    await given.custody_account(merchant)
    shown = await read_storefront(db, store.store_id)
    assert shown.in_scheme
    assert [product.name for product in shown.products] == ["会员卡"]
    await service.set_store_status(db, store.store_id, StoreStatus.MOVED)
    moved = await read_storefront(db, store.store_id)
    assert (moved.in_scheme, moved.products) == (False, [])
    assert moved.store.status is StoreStatus.MOVED
    await service.set_store_status(db, store.store_id, StoreStatus.OPEN)
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE book SET status = 'frozen' WHERE merchant_no = :no", no=merchant.merchant_no
        )
    assert not (await read_storefront(db, store.store_id)).in_scheme


async def test_merchants_are_listed_newest_first(db: Database, given: Builder) -> None:
    made = [await given.merchant(a_merchant(unique("健身"))) for _ in range(3)]

    listed = await service.list_merchants(db, before_no=made[2].merchant_no + 1, limit=2)

    assert [merchant.name for merchant in listed] == [made[2].name, made[1].name]
