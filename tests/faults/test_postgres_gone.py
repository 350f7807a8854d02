"""Postgres goes away in the middle of a batch, in every way, and comes back."""

import asyncio
import os
import signal
from random import Random

import asyncpg
import httpx
import pytest

from tests.faults.aim import catch_in_flight
from tests.faults.checker import ask_again, check, prove
from tests.faults.crowd import Crowd, a_crowd
from tests.faults.postgres import OpenBatch
from tests.faults.processes import Process, Start
from tests.faults.rounds import Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults

_SEEN_SECONDS_MAX = 60


_WAYS = ("backend", signal.SIGKILL, signal.SIGQUIT, signal.SIGINT)
"""One of its processes is killed, it is killed, stopped at once, restarted."""

_ORDERLY = signal.SIGINT
"""Of these only a restart is no crash, and keeps the codes."""


async def test_a_database_that_goes_is_said_and_loses_nothing(world: World, start: Start) -> None:
    web = await start()
    kinds = {way: Rounds(f"postgres: {getattr(way, 'name', way)}") for way in _WAYS}
    async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=24) as crowd:
        for way, rounds in kinds.items():
            for random in rounds:
                aimed = rounds.aims(random)
                rounds.land(landed=await _round(world, web, crowd, way, random, aimed=aimed))
                await check(world, crowd.history)
                await ask_again(crowd.client, random)
        await check(world, crowd.history)
        entries = await prove(world)

    assert crowd.client.timeouts == 0, "an answer took longer than a client waits"
    for rounds in kinds.values():
        rounds.close()
    print(f"{entries} entries. {crowd.history.summary()}")


async def _round(
    world: World,
    web: Process,
    crowd: Crowd,
    way: str | signal.Signals,
    random: Random,
    *,
    aimed: bool,
) -> bool:
    before = len(crowd.history.asked)
    async with crowd.acting():
        await asyncio.sleep(random.uniform(0.2, 0.6))
        caught = await catch_in_flight(world, web, random, aimed=aimed)
        if way != _ORDERLY:
            crowd.client.lose_codes()
        if isinstance(way, signal.Signals):
            await world.postgres.stop(way)
            web.resume()
            await _is_said(web)
            await asyncio.sleep(random.uniform(0, 0.5))
            await asyncio.to_thread(world.postgres.start)
        else:
            await _kill_a_backend(world, caught)
            web.resume()
        await web.ready()
        await asyncio.sleep(random.uniform(0.1, 0.3))
    unanswered = any(one.done_before_it_was_told for one in crowd.history.asked[before:])
    return bool(caught) or unanswered


async def _kill_a_backend(world: World, caught: list[OpenBatch]) -> None:
    """Kill the process that has the batch, or any: the server then drops all and recovers."""
    async with world.witness() as connection:
        own: int = await connection.fetchval("SELECT pg_backend_pid()")
        pid = caught[0].pid if caught else own
        os.kill(pid, signal.SIGKILL)
        # Longer than the server needs to notice: it ends all other connections, ours too.
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.execute("SELECT pg_sleep(25)")


async def _is_said(web: Process) -> None:
    """While it is gone: alive, not ready, and a caller is told when to come again."""
    async with httpx.AsyncClient(base_url=web.base_url, trust_env=False, timeout=30) as http:
        async with asyncio.timeout(_SEEN_SECONDS_MAX):
            while (ready := await http.get("/readyz")).is_success:
                await asyncio.sleep(0.01)
        assert (ready.status_code, "retry-after" in ready.headers) == (503, True)
        assert (await http.get("/healthz")).status_code == 200
        answer = await http.get("/v1/charges", headers={"authorization": "Bearer ak_unknown"})
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "retry-after" in answer.headers
