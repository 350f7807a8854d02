"""The answer to COMMIT is lost: the batch exists or it does not, and nobody was told."""

import asyncio
from collections.abc import Mapping
from random import Random
from time import monotonic

import pytest

from tests.faults.checker import ask_again, check, prove
from tests.faults.crowd import Crowd, a_crowd
from tests.faults.processes import Start
from tests.faults.proxy import POOL, Loss, Proxy, a_proxy
from tests.faults.rounds import Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults

_LOST_SECONDS_MAX = 60
_TOLD_SECONDS_MAX = 30
"""The network stays shut until somebody was told that the outcome is unknown, or so long."""


_COMMITTED = {Loss.ANSWER: True, Loss.REQUEST: False, Loss.LATE: True}


async def test_the_writer_finds_out_what_became_of_its_batch(world: World, start: Start) -> None:
    """Two lanes lose a COMMIT at once; callers get what is true, without asking again."""
    kinds = {loss: Rounds(f"COMMIT lost by two lanes: {loss.name}") for loss in Loss}
    async with a_proxy(world) as proxy:
        web = await start(database_url=proxy.url(world))
        async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=24) as crowd:
            for loss, rounds in kinds.items():
                for random in rounds:
                    known = len(web.logged("batch.resolved"))
                    await _round(proxy, crowd, random, [loss, loss])
                    resolved = [line["committed"] for line in web.logged("batch.resolved")[known:]]
                    assert set(resolved) <= {_COMMITTED[loss]}, resolved
                    rounds.land(landed=len(resolved) == 2)
                    await check(world, crowd.history)
                    await ask_again(crowd.client, random)
            await check(world, crowd.history)
            entries = await prove(world)

    assert not any(one.unknown for one in crowd.history.asked), "a caller was told of it"
    _close(kinds, entries, crowd)


async def test_a_retry_finds_what_the_writer_could_not_find_out(world: World, start: Start) -> None:
    """After the loss nobody reaches the database for a while: callers get 503 and ask again."""
    kinds = {
        loss: Rounds(f"COMMIT lost, then the network: {loss.name}")
        for loss in (Loss.ANSWER, Loss.REQUEST)
    }
    async with a_proxy(world) as proxy:
        web = await start(database_url=proxy.url(world))
        proxy.shut_after_loss = True
        async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=24) as crowd:
            for loss, rounds in kinds.items():
                for random in rounds:
                    before = len(crowd.history.asked)
                    await _round(proxy, crowd, random, [loss])
                    asked = crowd.history.asked[before:]
                    unknown = [one for one in asked if one.unknown]
                    found = [one for one in asked if one.done_before_it_was_told]
                    assert _COMMITTED[loss] or not found, "it was not committed, and was found"
                    rounds.land(landed=bool(found if _COMMITTED[loss] else unknown))
                    await check(world, crowd.history)
                    await ask_again(crowd.client, random)
            await check(world, crowd.history)
            entries = await prove(world)

    _close(kinds, entries, crowd)


async def test_a_transaction_of_its_own_that_loses_its_commit_is_done_once(
    world: World, start: Start
) -> None:
    """Cold calls own their transaction: here the key of a batch of charges."""
    kinds = {
        loss: Rounds(f"COMMIT lost by the pool: {loss.name}")
        for loss in (Loss.ANSWER, Loss.REQUEST)
    }
    async with a_proxy(world) as proxy:
        proxy.losing = POOL
        web = await start(database_url=proxy.url(world))
        async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=16) as crowd:
            for loss, rounds in kinds.items():
                for random in rounds:
                    before = len(proxy.lost)
                    await _round(proxy, crowd, random, [loss, loss, loss])
                    rounds.land(landed=len(proxy.lost) == before + 3)
                    await check(world, crowd.history)
                    await ask_again(crowd.client, random)
            await check(world, crowd.history)
            entries = await prove(world)

    _close(kinds, entries, crowd)


def _close(kinds: Mapping[Loss, Rounds], entries: int, crowd: Crowd) -> None:
    for rounds in kinds.values():
        rounds.close()
    print(f"{entries} entries. {crowd.history.summary()}")


async def _round(proxy: Proxy, crowd: Crowd, random: Random, losses: list[Loss]) -> None:
    async with crowd.acting():
        await asyncio.sleep(random.uniform(0.1, 0.4))
        before, unknown = len(proxy.lost), _unknown(crowd)
        async with asyncio.timeout(_LOST_SECONDS_MAX):
            await proxy.lose(losses)
            while len(proxy.lost) < before + len(losses):
                await asyncio.sleep(0.01)
        if proxy.refusing:
            until = monotonic() + _TOLD_SECONDS_MAX
            while _unknown(crowd) == unknown and monotonic() < until:
                await asyncio.sleep(0.01)
            proxy.refusing = False
        await asyncio.sleep(random.uniform(0.2, 0.4))


def _unknown(crowd: Crowd) -> int:
    """Count how often somebody was told that the outcome is unknown."""
    return sum(one.unknown for one in crowd.history.asked)
