"""Sales: who becomes the holder, what is accepted, when a sale is over."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from app import ids
from app.card_products.domain import CardKind
from app.errors import NotFound
from app.merchants.domain import StoreStatus
from app.money import Fen
from app.purchases import service
from app.purchases.commands import AcceptPurchase, CancelPurchase, OpenPurchase
from app.purchases.domain import Purchase
from app.writer.requests import RequestKey
from tests.builder import Shop, Trader, a_consumer, a_key, holder_of
from tests.refusals import refused


def opening(
    shop: Shop,
    product_id: UUID,
    *,
    sha256: bytes | None = None,
    request: RequestKey | None = None,
    store_id: UUID | None = None,
) -> OpenPurchase:
    return OpenPurchase(
        shop.merchant_no,
        request,
        ids.new_id(shop.merchant_no),
        product_id,
        store_id or shop.store.store_id,
        holder_of(a_consumer()) if sha256 else None,
        sha256,
        1800,
    )


async def test_whoever_accepts_first_is_the_holder_and_others_do_not_see_it(given: Trader) -> None:
    shop = await given.shop()
    product = await given.product(shop.merchant)
    purchase = await given.purchase(shop, product, None, accepted=False)
    people = [a_consumer() for _ in range(10)]

    outcomes = await asyncio.gather(
        *(given.accepted(purchase, person) for person in people), return_exceptions=True
    )

    (accepted,) = [one for one in outcomes if isinstance(one, Purchase)]
    assert sum(isinstance(one, NotFound) for one in outcomes) == 9
    card_id = (await given.paid(shop, accepted)).receipt.card_id
    assert card_id is not None
    assert (await given.read(card_id)).consumer == accepted.consumer
    (winner,) = [person for person in people if person.consumer == accepted.consumer]
    assert (await given.accepted(purchase, winner)).accepted_at == accepted.accepted_at


async def test_a_purchase_for_somebody_is_nobody_elses(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    purchase = await given.purchase(shop, product, li, accepted=False)

    async with refused(given, shop, "not_found"):
        await given.accepted(purchase, a_consumer())
    assert (await given.accepted(purchase, li)).accepted_at is not None


async def test_another_contract_is_not_what_was_accepted(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    purchase = await given.purchase(shop, product, li, accepted=False)

    async with refused(given, shop, "contract_changed"):
        await given.accepted(purchase._replace(contract_sha256=bytes(32)), li)
    async with refused(given, shop, "contract_changed"):
        await service.change_purchase(
            given.till, opening(shop, product.product_id, sha256=bytes(32))
        )


async def test_what_is_not_sold_is_not_bought(given: Trader) -> None:
    shop, other = await given.shop(), await given.shop()
    product = await given.product(shop.merchant)

    for command in (
        opening(shop, UUID(int=1)),
        opening(shop, product.product_id, store_id=other.store.store_id),
        replace(opening(other, product.product_id)),
    ):
        at = other if command.merchant_no == other.merchant_no else shop
        async with refused(given, at, "not_found"):
            await service.change_purchase(given.till, command)
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE card_product SET on_sale = false WHERE product_id = :id", id=product.product_id
        )
    async with refused(given, shop, "product_not_on_sale"):
        await service.change_purchase(given.till, opening(shop, product.product_id))


@pytest.mark.parametrize("status", [StoreStatus.MOVED, StoreStatus.CLOSED])
async def test_a_store_that_is_gone_sells_nothing(given: Trader, status: StoreStatus) -> None:
    shop = await given.shop()
    product = await given.product(shop.merchant)
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE store SET status = :status WHERE store_id = :id",
            status=str(status),
            id=shop.store.store_id,
        )
    async with refused(given, shop, "product_not_on_sale"):
        await service.change_purchase(given.till, opening(shop, product.product_id))


async def test_a_sale_ends_by_its_cancellation_or_by_the_clock(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    cancelled = await given.purchase(shop, product, li, accepted=False)
    expired = await given.purchase(shop, product, li, accepted=False, lifetime_seconds=0)

    for _ in range(2):
        assert (await given.cancelled(cancelled)).status == "cancelled"
    for purchase in (cancelled, expired):
        async with refused(given, shop, "purchase_not_awaiting_payment"):
            await given.accepted(purchase, li)
    async with refused(given, shop, "purchase_not_awaiting_payment"):
        await given.cancelled(expired)
    assert (await service.read_purchase(given.db, expired.purchase_id)).status == "expired"


async def test_a_paid_sale_is_not_cancelled(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    purchase = await given.purchase(shop, await given.product(shop.merchant), li)
    await given.paid(shop, purchase)
    async with refused(given, shop, "purchase_not_awaiting_payment"):
        await given.cancelled(purchase)


async def test_a_key_of_other_stores_does_not_cancel(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    purchase = await given.purchase(shop, await given.product(shop.merchant), li)
    stores = frozenset({(await given.store(shop.merchant)).store_id})
    async with refused(given, shop, "not_found"):
        await service.change_purchase(
            given.till, CancelPurchase(shop.merchant_no, None, purchase.purchase_id, stores)
        )


async def test_a_cancellation_and_a_payment_at_once_never_both_count(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(10_00))
    for _ in range(5):
        purchase = await given.purchase(shop, product, li)
        _, recorded = await asyncio.gather(
            given.cancelled(purchase), given.paid(shop, purchase), return_exceptions=True
        )
        assert not isinstance(recorded, BaseException), "a bank's fact is never refused"
        now = await service.read_purchase(given.db, purchase.purchase_id)
        funded = recorded.receipt.card_id is not None
        assert now.status == ("funded" if funded else "cancelled")
        assert recorded.receipt.suspense_reason == (None if funded else "purchase_cancelled")


async def test_a_retry_gives_the_purchase_of_then(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    command = replace(opening(shop, product.product_id, request=a_key()), holder=holder_of(li))
    first = (await service.change_purchase(given.till, command)).value
    accept = AcceptPurchase(
        shop.merchant_no, a_key(), first.purchase_id, holder_of(li), product.contract.sha256
    )
    accepted = (await service.change_purchase(given.till, accept)).value
    await given.paid(shop, accepted)

    for again, then in ((command, first), (accept, accepted)):
        repeated = await service.change_purchase(given.till, again)
        assert repeated.replayed
        assert repeated.value == then


async def test_ten_equal_openings_are_one_purchase(given: Trader) -> None:
    shop = await given.shop()
    product = await given.product(shop.merchant)
    key = a_key()
    made = await asyncio.gather(
        *(
            service.change_purchase(given.till, opening(shop, product.product_id, request=key))
            for _ in range(10)
        )
    )
    assert len({one.value.purchase_id for one in made}) == 1
    assert sum(one.replayed for one in made) == 9


@pytest.mark.parametrize(
    ("kind", "sessions", "days"),
    [(CardKind.STORED_VALUE, None, None), (CardKind.COUNT, 12, None), (CardKind.PERIOD, None, 365)],
)
async def test_the_terms_of_a_card_are_those_of_the_sale(
    given: Trader, kind: CardKind, sessions: int | None, days: int | None
) -> None:
    shop, li = await given.shop(), a_consumer()
    card = await given.read(await given.card(shop, li, kind))
    assert (card.kind, card.sessions_total, card.term_days) == (kind, sessions, days)
    assert (card.consumer, card.consumer_id, card.status) == (li.consumer, li.consumer_id, "active")
    assert await given.balance(shop, card.card_id) == card.paid_amount == card.custody_amount
    last = None if days is None else card.activated_on + timedelta(days=days - 1)
    assert card.valid_until == last
