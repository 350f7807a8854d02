"""A merchant closes while its worker, or Postgres, is killed: every card is refunded once."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.access import approvals
from app.access.principals import OperatorPrincipal
from app.closures import executing, service
from app.closures.domain import ClosureKind
from app.db.engine import Database
from app.writer.requests import RequestKey
from bench.closure import add_large_merchant
from tests.faults.checker import prove
from tests.faults.processes import Process, Start
from tests.faults.rounds import Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults

_CARDS = 5_000
_AIMED_MAX = 3_000
"""Past so many cards the last step may be over before the fault strikes."""
_SECONDS_MAX = 120
_KILLS_MAX = 3

_HALT = "SELECT FROM book WHERE merchant_no = $1 FOR UPDATE"
_OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'anxin'
    AND xact_start IS NOT NULL AND state IN ('active', 'idle in transaction')
"""
_CARD_REFUNDS = """
SELECT count(*), count(DISTINCT card_id), sum(amount)::bigint,
       (SELECT refunded_count FROM closure WHERE merchant_no = $1),
       (SELECT refunded_amount FROM closure WHERE merchant_no = $1),
       (SELECT count(*) FROM card WHERE merchant_no = $1 AND status = 'refunding'),
       (SELECT count(*) FROM card_entry WHERE merchant_no = $1 AND kind = 'refunded')
FROM refund WHERE merchant_no = $1
"""


@dataclass(frozen=True, slots=True)
class Closing:
    """A merchant whose cards two persons have decided to refund."""

    merchant_no: int
    amount: int


async def test_a_worker_that_is_killed_again_and_again_skips_and_repeats_no_card(
    world: World, start: Start
) -> None:
    rounds = Rounds("kill -9 worker in a closure")
    worker = await start("worker")
    for random in rounds:
        closing = await _closing(world)
        landed = False
        for _ in range(random.randint(1, _KILLS_MAX)):
            landed |= await _killed(world, closing, worker, random)
        rounds.land(landed=landed)
        await _is_refunded_once(world, closing)
    entries = await prove(world)
    rounds.close(f"{entries} entries")


async def test_a_database_that_dies_in_a_closure_skips_and_repeats_no_card(
    world: World, start: Start
) -> None:
    rounds = Rounds("postgres: killed in a closure")
    await start("worker")
    for random in rounds:
        closing = await _closing(world)
        way = random.choice((signal.SIGKILL, signal.SIGQUIT, signal.SIGINT))
        async with _halted(world, closing, random.randint(1, _AIMED_MAX)) as done:
            await asyncio.sleep(random.uniform(0, 0.1))
            await world.postgres.stop(way)
        await asyncio.sleep(random.uniform(0, 0.5))
        await asyncio.to_thread(world.postgres.start)
        rounds.land(landed=0 < done < _CARDS)
        await _is_refunded_once(world, closing)
    entries = await prove(world)
    rounds.close(f"{entries} entries")


async def _closing(world: World) -> Closing:
    """Make a merchant with many cards, and let two persons execute its closure."""
    no = await add_large_merchant(world.postgres.owner_url(world.database), _CARDS)
    async with world.witness() as connection:
        merchant_id, amount = await connection.fetchrow(
            "SELECT merchant_id, (SELECT sum(paid_amount)::bigint FROM card"
            " WHERE card.merchant_no = merchant.merchant_no) FROM merchant WHERE merchant_no = $1",
            no,
        )
    await _execute(world, merchant_id)
    return Closing(no, amount)


async def _execute(world: World, merchant_id: UUID) -> None:
    db = Database.connect(world.database_url)
    first = OperatorPrincipal(uuid4(), "faults-1")
    try:
        made = await service.order_closure(
            db, merchant_id, ClosureKind.IMMEDIATE, "停止营业", by=first, request=_key()
        )
        closure_id = made.value.closure.closure_id
        proposed = await executing.propose_execution(db, closure_id, by=first, request=_key())
        await approvals.approve(
            db,
            executing.EXECUTORS,
            proposed.value.approval_id,
            person_id="faults-2",
            request=None,
        )
    finally:
        await db.close()


async def _killed(world: World, closing: Closing, worker: Process, random: Random) -> bool:
    """Kill the worker somewhere in its steps, and start another; say whether it was in one."""
    async with world.witness() as connection:
        before = await _count(connection, closing)
        if before == _CARDS:
            # The worker before was faster than we looked.
            return False
        aim = random.randint(before, max(before, _AIMED_MAX))
        async with _halted(world, closing, aim) as done:
            await asyncio.sleep(random.uniform(0, 0.1))
            worker.pause()
            half_done = await connection.fetchval(_OPEN) > 0
            worker.kill()
        # The lease of a dead worker runs out by itself, after longer than a test should wait.
        await connection.execute("UPDATE job SET leased_until = clock_timestamp()")
    await worker.started()
    return 0 < done < _CARDS or (half_done and done < _CARDS)


@asynccontextmanager
async def _halted(world: World, closing: Closing, cards: int) -> AsyncGenerator[int, None]:
    """Keep the book when so many cards are refunded; give how many there are.

    A step that is under way has then begun, and waits. Two connections keep the book by turns, and
    the next queues before the last lets go: so a step gets between, and no more, however late
    this program looks.
    """
    async with world.witness() as first, world.witness() as second:
        one, other = first, second
        async with asyncio.timeout(_SECONDS_MAX):
            halt = one.transaction()
            await halt.start()
            await one.execute(_HALT, closing.merchant_no)
            while (done := await _count(one, closing)) < cards:
                following = other.transaction()
                await following.start()
                queued = asyncio.create_task(other.execute(_HALT, closing.merchant_no))
                await asyncio.sleep(0.005)
                await halt.rollback()
                await queued
                one, other, halt = other, one, following
        yield done
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await halt.rollback()  # where the server is still there


async def _until(world: World, closing: Closing, cards: int) -> int:
    """Wait until so many cards are refunded; give how many there are."""
    async with world.witness() as connection, asyncio.timeout(_SECONDS_MAX):
        while (done := await _count(connection, closing)) < cards:
            await asyncio.sleep(0.005)
    return done


async def _count(connection: asyncpg.Connection, closing: Closing) -> int:
    found: int = await connection.fetchval(
        "SELECT refunded_count FROM closure WHERE merchant_no = $1", closing.merchant_no
    )
    return found


async def _is_refunded_once(world: World, closing: Closing) -> None:
    """Wait for the last card; each must be refunded once, whole, and counted so."""
    await _until(world, closing, _CARDS)
    async with world.witness() as connection:
        found = await connection.fetchrow(_CARD_REFUNDS, closing.merchant_no)
    assert tuple(found) == (
        _CARDS, _CARDS, closing.amount, _CARDS, closing.amount, _CARDS, _CARDS,
    )  # fmt: skip


def _key() -> RequestKey:
    return RequestKey.of(tenant="faults", key=uuid4().hex, fingerprint=bytes(32))
