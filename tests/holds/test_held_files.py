"""What holds keep out of files: on payable at the cut, on custody of both kinds, on a card."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest_asyncio

from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.ledger.chart import AccountType
from app.main import serving
from app.money import Fen
from app.payment_files.domain import FileKind
from app.refunds.domain import RefundReason
from app.refunds.rows import CardRefund
from tests.builder import Shop, Trader, a_consumer, writing
from tests.cluster import DatabaseUrls
from tests.holds.conftest import Bailiff
from tests.payment_files.conftest import World, said
from tests.refunds.conftest import Refunder

RELEASE, REFUND = FileKind.RELEASE, FileKind.REFUND


class Court(NamedTuple):
    """A world of files with sales, refunds and holds."""

    world: World
    given: Trader
    bailiff: Bailiff
    refunder: Refunder

    async def cut(self, kind: FileKind = RELEASE) -> dict[int, list[int]]:
        """Cut; give the amounts of the orders by merchant."""
        found: dict[int, list[int]] = {}
        for file in await self.world.cut(kind):
            for order in await self.world.orders(file):
                found.setdefault(order.merchant_no, []).append(order.amount)
        return found

    async def refunded(self, shop: Shop, price_amount: int) -> CardRefund:
        """Sell a card and refund it whole."""
        consumer = a_consumer()
        card_id = await self.given.card(
            shop, consumer, price_amount=Fen(price_amount), bonus_amount=Fen(0)
        )
        return await self.refunder.refunded(consumer, card_id, RefundReason.COOLING_OFF)

    async def used(self, shop: Shop, amount: int) -> None:
        """Sell a card of twice the amount and use half of it."""
        consumer = a_consumer()
        card_id = await self.given.card(
            shop, consumer, price_amount=Fen(2 * amount), bonus_amount=Fen(0)
        )
        await self.given.used(shop, consumer, card_id, Use(amount=Fen(amount)))


@pytest_asyncio.fixture
async def court(fresh_database: DatabaseUrls, world: World) -> AsyncIterator[Court]:
    async with writing(fresh_database.database_url) as writer:
        given = Trader(world.db, writer=writer)
        served = replace(world, parts=replace(world.parts, serve_reversals=serving(writer)))
        yield Court(served, given, Bailiff(given), Refunder(given))


async def test_a_cut_leaves_behind_what_is_held_of_payable(court: Court) -> None:
    shop, other = await court.given.shop(), await court.given.shop()
    await court.used(shop, 100_00)
    await court.used(other, 70_00)
    await court.bailiff.held_payable(shop, amount=Fen(30_00))
    await court.bailiff.held_payable(shop, amount=Fen(9_99))
    lifted = await court.bailiff.held_payable(shop)
    await court.bailiff.lifted(lifted)

    assert await court.cut() == {shop.merchant_no: [60_01], other.merchant_no: [70_00]}

    assert await court.given.balance(shop, AccountType.MERCHANT_PAYABLE) == 39_99
    assert await court.cut() == {}, "what is held stays held"


async def test_a_hold_on_all_of_payable_stops_releases_and_no_refund(court: Court) -> None:
    shop = await court.given.shop()
    await court.used(shop, 100_00)
    await court.refunded(shop, 50_00)
    await court.bailiff.held_payable(shop)

    assert await court.cut() == {}
    assert await court.cut(REFUND) == {shop.merchant_no: [50_00]}


async def test_a_hold_on_custody_stops_both_kinds_until_it_ends_by_the_clock(
    court: Court,
) -> None:
    shop, other = await court.given.shop(), await court.given.shop()
    await court.used(shop, 100_00)
    await court.refunded(shop, 50_00)
    await court.refunded(other, 20_00)
    ends = await court.bailiff.ends_in(3600)
    hold = await court.bailiff.held_custody(shop, expires_at=ends)

    assert await court.cut() == {}
    assert await court.cut(REFUND) == {other.merchant_no: [20_00]}
    await court.world.advance(timedelta(seconds=3601))

    assert await court.bailiff.row_status(hold) == "active"
    assert await court.cut() == {shop.merchant_no: [100_00]}
    assert await court.cut(REFUND) == {shop.merchant_no: [50_00]}


async def test_a_hold_of_an_amount_on_custody_lowers_what_both_kinds_may_take(
    court: Court,
) -> None:
    shop = await court.given.shop()
    await court.used(shop, 100_00)  # custody 200.00
    await court.refunded(shop, 50_00)  # 250.00
    await court.refunded(shop, 30_00)  # 280.00
    await court.bailiff.held_custody(shop, amount=Fen(160_00))

    assert await court.cut(REFUND) == {shop.merchant_no: [50_00, 30_00]}
    assert await court.cut() == {shop.merchant_no: [40_00]}
    await court.refunded(shop, 10_00)

    # 290.00 in custody, 120.00 in files, 160.00 held.
    assert await court.cut(REFUND) == {shop.merchant_no: [10_00]}
    assert await court.cut() == {}


async def test_the_refund_of_a_held_card_waits_and_keeps_its_money(court: Court) -> None:
    shop = await court.given.shop()
    first = await court.refunded(shop, 50_00)
    second = await court.refunded(shop, 30_00)
    third = await court.refunded(shop, 20_00)
    hold = await court.bailiff.held_card(first.card_id)
    # 100.00 in custody, of which the bank took 15.00: the third is not covered any more.
    await court.world.posted(shop, AccountType.BANK_CLAIM, AccountType.CUSTODY, 15_00)

    assert await court.cut(REFUND) == {shop.merchant_no: [30_00]}

    refunds = (first, second, third)
    states = [await court.world.refund_status(refund.refund_id) for refund in refunds]
    assert states == ["decided", "in_transit", "decided"]
    await court.bailiff.lifted(hold)
    assert await court.cut(REFUND) == {shop.merchant_no: [50_00]}


async def test_a_refund_that_came_back_waits_too_while_its_card_is_held(court: Court) -> None:
    shop = await court.given.shop()
    refund = await court.refunded(shop, 50_00)
    file = await court.world.one_file(REFUND)
    await court.bailiff.held_card(refund.card_id)
    order = await court.world.only_order(file)
    await court.world.report(file, said(order.order_id, "rejected"))

    assert await court.cut(REFUND) == {}
    assert await court.world.refund_status(refund.refund_id) == "decided"


async def test_an_order_in_a_file_stands_and_a_file_taken_back_is_cut_without_it(
    court: Court,
) -> None:
    shop, other = await court.given.shop(), await court.given.shop()
    await court.used(shop, 100_00)
    await court.used(other, 70_00)
    file = await court.world.one_file()

    await court.bailiff.held_custody(shop)

    assert sum([order.amount for order in await court.world.orders(file)]) == 170_00
    await court.world.cancelled(file)
    assert await court.cut() == {other.merchant_no: [70_00]}


async def test_a_hold_and_a_cut_at_once_come_in_one_order(court: Court) -> None:
    shops = [await court.given.shop() for _ in range(6)]
    for shop in shops:
        await court.used(shop, 10_00)

    cut, _ = await asyncio.gather(
        court.cut(), asyncio.gather(*(court.bailiff.held_payable(shop) for shop in shops))
    )

    # `anxin verify` at the end of the test compares each order with what stood before it.
    for shop in shops:
        left = await court.given.balance(shop, AccountType.MERCHANT_PAYABLE)
        assert (cut.get(shop.merchant_no, []), left) in [([10_00], 0), ([], 10_00)]


async def test_the_rest_of_a_refund_that_was_paid_is_the_merchants_hold_or_not(
    court: Court,
) -> None:
    shop, consumer = await court.given.shop(), a_consumer()
    card_id = await court.given.card(shop, consumer, CardKind.COUNT)
    await court.given.used(shop, consumer, card_id, Use(sessions=5))
    await court.refunder.refunded(consumer, card_id, RefundReason.CONSUMER_CHOICE)
    file = await court.world.one_file(REFUND)
    order = await court.world.only_order(file)
    await court.bailiff.held_card(card_id)

    await court.world.report(file, said(order.order_id, "paid"))

    card = await court.given.read(card_id)
    assert (card.status, card.on_hold, card.custody_amount) == ("refunded", True, 0)
