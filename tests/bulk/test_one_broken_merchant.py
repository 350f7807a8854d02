"""A bug at one merchant stops only that one, is told, and what was left is done later."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from app import ids
from app.access import approvals
from app.access.principals import OperatorPrincipal
from app.bulk import STEP_FAILED, BulkWork
from app.charges import upkeep
from app.charges.commands import ServeReversals, UseLimits
from app.charges.domain import Use
from app.closures import executing
from app.closures import service as closing
from app.closures import upkeep as closures
from app.closures.domain import ClosureKind
from app.closures.preparing import Tools
from app.db.engine import Database
from app.errors import DatabaseUnavailable
from app.ledger.chart import AccountType
from app.money import Fen
from app.observability import Metrics
from app.payment_files import due
from app.payment_files.domain import FileKind, PaymentFile, Reason
from app.purchases import suspense
from tests.breaking import broken_at
from tests.builder import APPROVER, PROPOSER, Shop, Trader, a_consumer, a_key, writing
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World, said, world

__all__ = ["world"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A world whose first merchant will be broken."""

    world: World
    given: Trader
    urls: DatabaseUrls
    broken: Shop
    sound: Shop

    async def told(self) -> list[tuple[int, str]]:
        return [(alert.merchant_no, alert.kind) for alert in await self.world.alerts()]


@pytest_asyncio.fixture
async def scene(fresh_database: DatabaseUrls, world: World) -> AsyncIterator[Scene]:
    async with writing(fresh_database.database_url) as writer:

        async def serve(merchant_no: int) -> None:
            await writer.submit(ServeReversals(merchant_no))

        served = replace(world, parts=replace(world.parts, serve_reversals=serve))
        given = Trader(world.db, writer=writer)
        yield Scene(served, given, fresh_database, await given.shop(), await given.shop())


async def test_a_cut_goes_on_past_it_and_the_next_takes_what_was_left(scene: Scene) -> None:
    await scene.world.earned(scene.broken, 10_00)
    await scene.world.earned(scene.sound, 20_00)

    async with broken_at(scene.urls.owner_url, "payment_order", scene.broken.merchant_no):
        with capture_logs() as lines:
            file = await scene.world.one_file()

    assert file.total_amount == 20_00
    assert await scene.told() == [(scene.broken.merchant_no, STEP_FAILED)]
    assert [line["log_level"] for line in lines if line["event"] == "step.failed"] == ["error"]
    assert (await scene.world.one_file()).total_amount == 10_00


async def test_so_does_a_cut_of_refunds(scene: Scene) -> None:
    await scene.world.refund(scene.broken, 1_00)
    await scene.world.refund(scene.sound, 2_00)

    async with broken_at(scene.urls.owner_url, "payment_order", scene.broken.merchant_no):
        file = await scene.world.one_file(FileKind.REFUND)

    assert file.total_amount == 2_00
    assert (await scene.world.one_file(FileKind.REFUND)).total_amount == 1_00


async def test_a_payee_that_cannot_be_opened_keeps_nobody_elses_file_from_its_seal(
    scene: Scene,
) -> None:
    await scene.world.earned(scene.broken, 10_00)
    await scene.world.earned(scene.sound, 20_00)
    owner = await asyncpg.connect(scene.urls.owner_url)
    await owner.execute(
        "UPDATE payee_account SET account_number = '\\x01' || account_number"
        " WHERE merchant_no = $1",
        scene.broken.merchant_no,
    )
    await owner.close()

    file = await scene.world.one_file()

    assert file.total_amount == 20_00
    assert await scene.told() == [(scene.broken.merchant_no, STEP_FAILED)]


async def test_results_reach_the_others_and_the_report_is_finished_later(scene: Scene) -> None:
    await scene.world.earned(scene.broken, 10_00)
    await scene.world.earned(scene.sound, 20_00)
    file = await scene.world.one_file()
    lines = [said(order.order_id, "paid") for order in await scene.world.orders(file)]

    async with broken_at(scene.urls.owner_url, "result_outcome", scene.broken.merchant_no):
        with pytest.raises(Exception, match="broken by a test"):
            await scene.world.report(file, *lines)
        await due.resume(scene.world.parts)
        statuses = {order.merchant_no: order.status for order in await scene.world.orders(file)}

    assert statuses == {scene.broken.merchant_no: "pending", scene.sound.merchant_no: "paid"}
    assert (scene.broken.merchant_no, STEP_FAILED) in await scene.told()
    await due.resume(scene.world.parts)
    assert await scene.world.file_status(file) == "completed"


async def test_a_cancelled_file_gives_the_others_their_money_back(scene: Scene) -> None:
    await scene.world.earned(scene.broken, 10_00)
    await scene.world.earned(scene.sound, 20_00)
    file = await scene.world.one_file()

    async with broken_at(scene.urls.owner_url, "payment_order", scene.broken.merchant_no):
        with pytest.raises(Exception, match="broken by a test"):
            await scene.world.cancelled(file)
        given_back = await scene.world.balance(scene.sound, AccountType.MERCHANT_PAYABLE)

    assert given_back == 20_00
    await due.resume(scene.world.parts)
    assert await scene.world.balance(scene.broken, AccountType.MERCHANT_PAYABLE) == 10_00
    assert await scene.world.file_status(file) == "cancelled"


async def test_serving_that_breaks_does_not_unmake_a_banks_results(scene: Scene) -> None:
    given, li = scene.given, a_consumer()
    files: list[PaymentFile] = []
    for shop in (scene.broken, scene.sound):
        charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(60_00)))
        files += await scene.world.cut()
        await given.reversed(charge)
    reports = [
        (file, [said(order.order_id, "returned", Reason.TECHNICAL)])
        for file in files
        for order in await scene.world.orders(file)
    ]

    async with broken_at(scene.urls.owner_url, "charge", scene.broken.merchant_no):
        for file, lines in reports:
            await scene.world.report(file, *lines)

    assert await scene.world.balance(scene.sound, AccountType.MERCHANT_PAYABLE) == 0
    assert await scene.world.balance(scene.broken, AccountType.MERCHANT_PAYABLE) == 50_00
    await due.resume(scene.world.parts)
    assert await scene.world.balance(scene.broken, AccountType.MERCHANT_PAYABLE) == 0


async def test_charges_of_the_others_expire_however_many_it_has(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_DUE_MAX", 2)
    given = scene.given
    policies = given.policies
    at_once = UseLimits(policies.code_use_amount, policies.code_day_amount, 0, 3)
    for shop, count in ((scene.broken, 3), (scene.sound, 1)):
        for _ in range(count):
            card_id = await given.card(shop, a_consumer())
            await given.waiting(shop, card_id, Use(amount=Fen(1_00)), limits=at_once)

    async with broken_at(scene.urls.owner_url, "charge", scene.broken.merchant_no):
        await upkeep.expire_charges(given.db, given.writer)

    assert await _pending(given.db, scene.sound) == 0
    assert await _pending(given.db, scene.broken) == 3
    assert await scene.told() == [(scene.broken.merchant_no, STEP_FAILED)]


async def test_receipts_of_the_others_go_back_however_many_it_has(scene: Scene) -> None:
    given = scene.given
    for shop, count in ((scene.broken, 3), (scene.sound, 1)):
        for _ in range(count):
            await given.received(given.report(shop, 1_00, "nonsense", paid_at=await given.now()))
    await scene.world.advance(timedelta(days=4))

    async with broken_at(scene.urls.owner_url, "receipt", scene.broken.merchant_no):
        await suspense.return_due(given.till, count=2)

    assert await given.balance(scene.sound, AccountType.REFUND_PAYABLE) == 1_00
    assert await given.balance(scene.broken, AccountType.REFUND_PAYABLE) == 0
    assert await scene.told() == [(scene.broken.merchant_no, STEP_FAILED)]


async def test_what_breaks_again_and_again_alerts_once_an_hour_and_is_counted(
    scene: Scene,
) -> None:
    async def break_down() -> None:
        await asyncio.sleep(0)
        raise ValueError

    for name in ("one", "one", "other"):
        work = BulkWork(scene.given.db, name)
        assert not await work.step(scene.broken.merchant_no, break_down)
    await scene.world.advance(timedelta(hours=2))
    await BulkWork(scene.given.db, "one").step(ids.PLATFORM_NO, break_down)
    await BulkWork(scene.given.db, "one").step(scene.broken.merchant_no, break_down)

    assert len(await scene.told()) == 4
    metrics = Metrics()
    await metrics.read_alerts(scene.given.db)
    counted = metrics.registry.get_sample_value("anxin_alerts_day", {"kind": STEP_FAILED})
    assert counted == 4


async def test_what_the_database_could_not_take_is_tried_once_more(scene: Scene) -> None:
    tries: list[int] = []

    async def wobble() -> None:
        await asyncio.sleep(0)
        tries.append(1)
        if len(tries) == 1:
            raise DatabaseUnavailable

    work = BulkWork(scene.given.db, "wobbling")

    assert await work.step(scene.broken.merchant_no, wobble)
    assert (len(tries), await scene.told()) == (2, [])


async def test_where_the_database_is_gone_the_work_stops() -> None:
    nowhere = Database.connect("postgresql://nobody@127.0.0.1:1/nothing")

    async def read() -> None:
        async with nowhere.snapshot() as tx:
            await tx.now()

    with pytest.raises(DatabaseUnavailable):
        await BulkWork(nowhere, "reading").step(1, read)
    await nowhere.close()


async def _pending(db: Database, shop: Shop) -> object:
    async with db.snapshot() as tx:
        return await tx.value(
            "SELECT count(*) FROM charge"
            " WHERE merchant_no = :no AND status = 'pending_confirmation'",
            no=shop.merchant_no,
        )


async def test_closures_of_the_others_go_on(scene: Scene) -> None:
    given, shops = scene.given, (scene.broken, scene.sound)
    for shop in shops:
        await given.card(shop, a_consumer())
        await _closing(scene, shop)
    tools = Tools(given.writer, scene.world.parts)

    async with broken_at(scene.urls.owner_url, "refund", scene.broken.merchant_no):
        await closures.carry_on(tools, every=True)
        refunded = [await given.balance(shop, AccountType.REFUND_PAYABLE) for shop in shops]

    assert refunded == [0, 500_00]
    assert await scene.told() == [(scene.broken.merchant_no, STEP_FAILED)]
    await closures.carry_on(tools, every=True)
    assert await given.balance(scene.broken, AccountType.REFUND_PAYABLE) == 500_00


async def _closing(scene: Scene, shop: Shop) -> None:
    """Let two persons execute the closure of a merchant."""
    by = OperatorPrincipal(uuid4(), PROPOSER)
    made = await closing.order_closure(
        scene.given.db,
        shop.merchant.merchant_id,
        ClosureKind.IMMEDIATE,
        "停止营业",
        by=by,
        request=a_key(),
    )
    proposed = await executing.propose_execution(
        scene.given.db, made.value.closure.closure_id, by=by, request=a_key()
    )
    await approvals.approve(
        scene.given.db,
        executing.EXECUTORS,
        proposed.value.approval_id,
        person_id=APPROVER,
        request=None,
    )
