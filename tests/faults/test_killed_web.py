"""`kill -9` of the web process in the middle of its work, and its restart."""

import asyncio
from random import Random

import pytest

from tests.faults.aim import catch_in_flight
from tests.faults.checker import ask_again, check, prove
from tests.faults.crowd import Crowd, a_crowd
from tests.faults.processes import Process, Start
from tests.faults.rounds import Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults


async def test_a_killed_web_process_loses_no_use_and_repeats_none(
    world: World, start: Start
) -> None:
    web = await start()
    rounds = Rounds("kill -9 web")

    async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=24) as crowd:
        for random in rounds:
            aimed = rounds.aims(random)
            rounds.land(landed=await _round(world, web, crowd, random, aimed=aimed))
            await check(world, crowd.history)
            await ask_again(crowd.client, random)
        await check(world, crowd.history)
        entries = await prove(world)

    rounds.close(f"{entries} entries. {crowd.history.summary()}")


async def _round(world: World, web: Process, crowd: Crowd, random: Random, *, aimed: bool) -> bool:
    before = len(crowd.history.asked)
    async with crowd.acting():
        await asyncio.sleep(random.uniform(0.3, 0.8))
        caught = await catch_in_flight(world, web, random, aimed=aimed)
        web.kill()
        await web.started()
        await asyncio.sleep(random.uniform(0.1, 0.4))
    unanswered = any(one.done_before_it_was_told for one in crowd.history.asked[before:])
    return bool(caught) or unanswered
