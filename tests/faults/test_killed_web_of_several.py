"""`kill -9` of one of two web processes on one port, and of both, in the middle of their work."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import httpx
import pytest

from tests.faults.aim import catch_in_flight
from tests.faults.checker import ask_again, check, prove
from tests.faults.crowd import Crowd, a_crowd
from tests.faults.processes import Child, Process, Start, free_ports
from tests.faults.rounds import ROUNDS, Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults

_CALLS = 4
_STOP_SECONDS_MAX = 60
_FAILED_SECONDS_MAX = 120
_SEEN_SECONDS = 1
_TURN_SECONDS = 0.1
_ENDS = 3


@dataclass(frozen=True, slots=True)
class _Struck:
    """The web processes that a fault meets, as one."""

    children: Sequence[Child]

    def pause(self) -> None:
        for child in self.children:
            child.pause()

    def resume(self) -> None:
        for child in self.children:
            child.resume()

    async def killed(self) -> None:
        for child in self.children:
            child.kill()
        for child in self.children:
            await child.reaped()


async def test_killed_web_processes_lose_no_use_and_come_back_by_themselves(
    world: World, start: Start
) -> None:
    web = await start(WEB_PROCESSES="2", METRICS_PORT=str(free_ports(2)))
    one, both = Rounds("kill -9 one of two web processes"), Rounds("kill -9 both web processes")

    async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=24) as crowd:
        for random_one, random_both in zip(one, both, strict=True):
            one.land(landed=await _round(world, web, crowd, random_one, one, count=1))
            both.land(landed=await _round(world, web, crowd, random_both, both, count=2))
            await ask_again(crowd.client, random_one)
        await check(world, crowd.history)
        entries = await prove(world)

    children = web.children()
    web.stop()
    assert web.wait(_STOP_SECONDS_MAX) == 0
    assert not any(child.is_running for child in children)
    assert not web.errors()
    one.close()
    both.close(f"{entries} entries. {crowd.history.summary()}")


@pytest.mark.skipif(ROUNDS == 1, reason="many starts: `make faults` has the time")
async def test_one_that_is_killed_while_postgres_is_gone_comes_back_with_it(
    world: World, start: Start
) -> None:
    web = await start(WEB_PROCESSES="2", METRICS_PORT=str(free_ports(2)))
    killed, other = await web.all_serve()
    # One that dies before the supervisor has seen it serve would not be started again.
    await asyncio.sleep(_SEEN_SECONDS)

    await world.postgres.stop(signal.SIGKILL)
    killed.kill()
    await killed.reaped()
    async with asyncio.timeout(_FAILED_SECONDS_MAX):
        while len(ended := web.logged("web_process.ended")) < _ENDS:
            await asyncio.sleep(_TURN_SECONDS)
    await _answered_by_the_other(web)
    await asyncio.to_thread(world.postgres.start)

    assert other in await web.all_serve()
    await web.ready()
    pauses = [one["restart_after_seconds"] for one in ended]
    assert pauses[1:] == [2.0, 4.0], "after a life that served, two that did not"


async def _round(
    world: World, web: Process, crowd: Crowd, random: Random, rounds: Rounds, *, count: int
) -> bool:
    before = len(crowd.history.asked)
    children = await web.all_serve()
    assert len(children) == 2
    struck = _Struck(random.sample(children, count))
    async with crowd.acting():
        await asyncio.sleep(random.uniform(0.3, 0.8))
        caught = await catch_in_flight(
            world, struck, random, aimed=rounds.aims(random), alone=count == len(children)
        )
        await struck.killed()
        if count < len(children):
            await _answered_by_the_other(web)
        await web.all_serve()
        await asyncio.sleep(random.uniform(0.1, 0.4))
    await check(world, crowd.history)
    unanswered = any(one.done_before_it_was_told for one in crowd.history.asked[before:])
    return bool(caught) or unanswered


async def _answered_by_the_other(web: Process) -> None:
    """Call over new connections: none of them may wait for the one that is gone."""
    for _ in range(_CALLS):
        async with httpx.AsyncClient(base_url=web.base_url, trust_env=False) as http:
            assert (await http.get("/healthz", timeout=25)).is_success
