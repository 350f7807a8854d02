"""More waiting reversals than one step serves, when payable gets their money."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NamedTuple

import pytest_asyncio

from app.charges.commands import ServeReversals
from app.charges.domain import Charge, Use
from app.charges.tables import SERVED_MAX
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import Reason
from app.seams import serving
from tests.builder import Shop, Trader, a_consumer, writing
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World, said

MANY = 250


class Scene(NamedTuple):
    world: World
    given: Trader
    shop: Shop
    charges: list[Charge]


@pytest_asyncio.fixture
async def scene(fresh_database: DatabaseUrls, world: World) -> AsyncIterator[Scene]:
    """Uses that were paid out and are to be taken back: all of them wait."""
    async with writing(fresh_database.database_url) as writer:
        parts = replace(world.parts, serve_reversals=serving(writer))
        given = Trader(world.db, writer=writer)
        shop, li = await given.shop(), a_consumer()
        card_id = await given.card(shop, li)
        charges = [await given.used(shop, li, card_id, Use(amount=Fen(1_00))) for _ in range(MANY)]
        yield Scene(replace(world, parts=parts), given, shop, charges)


async def _left(scene: Scene) -> tuple[int, int, int]:
    """Give how many wait, what the book says they need, and what is payable."""
    async with scene.world.db.snapshot() as tx:
        waiting = await tx.value("SELECT count(*) FROM charge WHERE reversal_status = 'pending'")
        needed = await tx.value(
            "SELECT waiting_reversal_amount FROM book WHERE merchant_no = :no",
            no=scene.shop.merchant_no,
        )
    assert isinstance(waiting, int)
    assert isinstance(needed, int)
    return waiting, needed, await scene.world.balance(scene.shop, AccountType.MERCHANT_PAYABLE)


async def test_a_credit_serves_all_that_it_covers_in_one_pass(scene: Scene) -> None:
    file = await scene.world.one_file()
    order = await scene.world.only_order(file)
    for charge in scene.charges:
        await scene.given.reversed(charge)
    assert (await _left(scene))[0] == MANY

    await scene.world.report(file, said(order.order_id, "rejected", Reason.TECHNICAL))

    assert await _left(scene) == (0, 0, 0)
    assert await scene.world.cut() == []


async def test_a_cut_between_two_steps_leaves_behind_what_the_rest_needs(scene: Scene) -> None:
    file = await scene.world.one_file()
    order = await scene.world.only_order(file)
    for charge in scene.charges[:-1]:
        await scene.given.reversed(charge)

    async def one_step(merchant_no: int) -> None:
        await scene.given.writer.submit(ServeReversals(merchant_no))

    halted = replace(scene.world, parts=replace(scene.world.parts, serve_reversals=one_step))
    await halted.report(file, said(order.order_id, "rejected", Reason.TECHNICAL))
    waiting, needed, payable = await _left(scene)
    assert waiting == MANY - 1 - SERVED_MAX

    between = await scene.world.one_file()

    assert between.total_amount == payable - needed
    sent = await scene.world.only_order(between)
    await scene.world.report(between, said(sent.order_id, "rejected", Reason.TECHNICAL))
    waiting, needed, payable = await _left(scene)
    # The one use that nobody takes back is all that is the merchant's.
    assert (waiting, needed) == (0, 0)
    assert payable in {83, 84}
