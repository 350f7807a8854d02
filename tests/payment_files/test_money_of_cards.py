"""Files over money that was really sold and used, with the service's own writer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest_asyncio

from app.charges.commands import ServeReversals
from app.charges.domain import Use
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files import due
from app.payment_files.domain import FileKind, Reason
from app.purchases import suspense
from tests.builder import Trader, a_consumer, writing
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World, said


@pytest_asyncio.fixture
async def trade(fresh_database: DatabaseUrls, world: World) -> AsyncIterator[tuple[World, Trader]]:
    """The world with a writer, which serves reversals as the service does."""
    async with writing(fresh_database.database_url) as writer:

        async def serve(merchant_no: int) -> None:
            await writer.submit(ServeReversals(merchant_no))

        parts = replace(world.parts, serve_reversals=serve)
        yield replace(world, parts=parts), Trader(world.db, writer=writer)


async def test_money_that_comes_back_serves_the_reversal_that_waits_and_is_not_paid_again(
    trade: tuple[World, Trader],
) -> None:
    world, given = trade
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    charge = await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)))
    assert charge.release_amount == 50_00
    file = await world.one_file()
    order = await world.only_order(file)
    await world.report(file, said(order.order_id, "paid"))
    waiting = await given.reversed(charge)
    assert waiting.reversal_status == "pending"

    await world.report(file, said(order.order_id, "returned", Reason.TECHNICAL))

    assert await world.balance(shop, AccountType.MERCHANT_PAYABLE) == 0
    assert await given.balance(shop, card_id) == 500_00
    assert (await given.read(card_id)).face_used_amount == 0
    assert await world.cut() == []


async def test_a_reversal_left_waiting_by_a_crash_is_served_by_the_worker(
    trade: tuple[World, Trader],
) -> None:
    world, given = trade
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    charge = await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)))
    file = await world.one_file()
    await given.reversed(charge)

    async def unserved(_: int) -> None:
        await asyncio.sleep(0)

    dead = replace(world, parts=replace(world.parts, serve_reversals=unserved))
    await dead.cancelled(file)
    assert await world.cut() == []

    await due.resume(world.parts)

    assert await given.balance(shop, card_id) == 500_00


async def test_uses_while_files_are_cut_and_answered_lose_and_double_nothing(
    trade: tuple[World, Trader],
) -> None:
    world, given = trade
    shops = [await given.shop() for _ in range(2)]
    consumer = a_consumer()
    cards = [(shop, await given.card(shop, consumer)) for shop in shops]

    async def use_up() -> None:
        for _ in range(10):
            for shop, card_id in cards:
                await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)))

    async def settle() -> int:
        turns = ["paid", "rejected"] * 6
        return sum([await _answered(world, status) for status in turns])

    _, paid = await asyncio.gather(use_up(), settle())

    paid += await _answered(world, "paid")
    assert paid == 2 * 500_00
    for shop in shops:
        assert await world.balances(shop) == {}


async def _answered(world: World, status: str) -> int:
    """Cut, let the bank answer every order so, and say what it paid."""
    files = await world.cut()
    for file in files:
        orders = await world.orders(file)
        await world.report(file, *(said(order.order_id, status) for order in orders))
    return sum(file.total_amount for file in files) if status == "paid" else 0


async def test_suspense_money_goes_back_to_its_payer_by_file(trade: tuple[World, Trader]) -> None:
    world, given = trade
    shop = await given.shop()
    receipt = await given.received(
        given.report(shop, 123_45, "nonsense", paid_at=await given.now())
    )
    assert receipt.value.receipt.status == "suspense"
    await world.advance(timedelta(days=4))
    assert await suspense.return_due(given.till, count=10) == 1

    file = await world.one_file(FileKind.REFUND)

    content = (await world.content(file)).decode()
    assert "李娜,6217000010001234567,,12345,CNY" in content
    await world.report(file, said((await world.only_order(file)).order_id, "paid"))
    assert await world.balances(shop) == {}
