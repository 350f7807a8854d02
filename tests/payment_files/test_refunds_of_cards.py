"""Refunds of cards in the refund files: paid, returned, paid again to a verified account."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from app.access import approvals
from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.errors import InvalidRequest
from app.ledger.chart import AccountType
from app.main import serving
from app.money import Fen
from app.payment_files import due
from app.payment_files.domain import FileKind, Reason
from app.refunds import payees, service
from app.refunds.domain import RefundReason
from app.refunds.payees import NamedAccount
from app.refunds.rows import CardRefund
from tests.builder import APPROVER, SEALER, Trader, a_consumer, a_key, writing
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World, said
from tests.refunds.conftest import Refunder

Trade = tuple[World, Trader, Refunder]
CHOICE = RefundReason.CONSUMER_CHOICE


@pytest_asyncio.fixture
async def trade(fresh_database: DatabaseUrls, world: World) -> AsyncIterator[Trade]:
    async with writing(fresh_database.database_url) as writer:
        given = Trader(world.db, writer=writer)
        parts = replace(world.parts, serve_reversals=serving(writer))
        yield replace(world, parts=parts), given, Refunder(given)


async def status_of(world: World, refund: CardRefund) -> str:
    return (await service.read_own(world.db, refund.consumer, refund.refund_id)).status


async def test_the_rest_is_the_merchants_only_when_the_holder_was_paid(trade: Trade) -> None:
    world, given, refunder = trade
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.COUNT)
    await given.used(shop, consumer, card_id, Use(sessions=5))
    refund = await refunder.refunded(consumer, card_id, CHOICE)
    file = await world.one_file(FileKind.REFUND)
    order = await world.only_order(file)
    assert (order.amount, order.refund_id) == (450_00, refund.refund_id)
    assert "李娜,6217000010001234567,,45000,CNY" in (await world.content(file)).decode()
    assert await given.balance(shop, card_id) == 250_00

    await world.report(file, said(order.order_id, "paid"))

    assert await status_of(world, refund) == "paid"
    card = await given.read(card_id)
    assert (card.status, card.adjusted_amount, card.custody_amount) == ("refunded", 250_00, 0)
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 750_00
    # Said again, it moves nothing more.
    await world.report(file, said(order.order_id, "paid"))
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 750_00


async def test_a_crash_after_the_payment_leaves_the_rest_to_the_worker(trade: Trade) -> None:
    world, given, refunder = trade
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    await refunder.refunded(consumer, card_id, CHOICE)
    file = await world.one_file(FileKind.REFUND)

    async def unserved(_: int) -> None:
        await asyncio.sleep(0)

    dead = replace(world, parts=replace(world.parts, serve_reversals=unserved))
    await dead.report(file, said((await world.only_order(file)).order_id, "paid"))
    assert (await given.read(card_id)).status == "refunding"

    await due.resume(world.parts)

    card = await given.read(card_id)
    assert (card.status, card.refunded_amount, card.adjusted_amount) == (
        "refunded",
        3640_00,
        10_00,
    )


async def test_a_refund_that_came_back_is_paid_to_a_verified_account_of_the_same_name(
    trade: Trade,
) -> None:
    world, given, refunder = trade
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    refund = await refunder.refunded(consumer, card_id, CHOICE)
    file = await world.one_file(FileKind.REFUND)
    order = await world.only_order(file)
    await world.report(file, said(order.order_id, "paid"))
    await world.report(file, said(order.order_id, "returned", Reason.TECHNICAL))
    assert await status_of(world, refund) == "account_needed"
    assert await world.cut(FileKind.REFUND) == []

    with pytest.raises(InvalidRequest):
        await service.name_payee(
            refunder.counter,
            consumer.consumer,
            refund.refund_id,
            NamedAccount("王芳", "6222020200112233445", None),
            a_key(),
        )
    key, account = a_key(), NamedAccount("李 娜", "6222020200112233445", "102331000012")
    for _ in range(2):
        named = await service.name_payee(
            refunder.counter, consumer.consumer, refund.refund_id, account, key
        )
        assert named.value.status == "account_needed"
    (proposal,) = [
        one
        for one in await approvals.list_approvals(world.db, limit=50, after=None, status=None)
        if one.action == payees.VERIFY_PAYEE
    ]
    assert proposal.request["account_number"] == "****3445"
    executors = payees.executors(given.writer, SEALER)
    await approvals.approve(
        world.db, executors, proposal.approval_id, person_id=APPROVER, request=None
    )

    again = await world.one_file(FileKind.REFUND)
    content = (await world.content(again)).decode()
    assert "李 娜,6222020200112233445,102331000012,50000,CNY" in content
    await world.report(again, said((await world.only_order(again)).order_id, "paid"))
    assert await status_of(world, refund) == "paid"
    assert await world.balances(shop) == {}


async def test_refunds_of_two_cards_are_two_orders_of_one_file(trade: Trade) -> None:
    world, given, refunder = trade
    shop, consumer = await given.shop(), a_consumer()
    cards = [await given.card(shop, consumer) for _ in range(2)]
    refunds = [await refunder.refunded(consumer, card_id, CHOICE) for card_id in cards]
    assert [Fen(refund.amount) for refund in refunds] == [500_00, 500_00]

    file = await world.one_file(FileKind.REFUND)

    assert (file.order_count, file.total_amount) == (2, 1000_00)
