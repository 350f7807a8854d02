"""A database that is slow, breaks off, or says nothing: callers are told within seconds."""

import asyncio
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from tests.faults.aim import catch_in_flight
from tests.faults.checker import ask_again, check, prove
from tests.faults.client import ATTEMPT_SECONDS_MAX, Client, new_key
from tests.faults.crowd import Crowd, a_crowd
from tests.faults.history import Body
from tests.faults.http import Http, Reply
from tests.faults.postgres import connections, open_batches
from tests.faults.processes import Process, Start
from tests.faults.proxy import Proxy, a_proxy
from tests.faults.rounds import Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults

_CONNECTIONS_MAX = 13
"""Ten of the pool, two lanes and one that waits for busy books, as the README's budget says."""

_FILES_MORE = 16
"""Sockets of clients that come and go; a leak would be one a call."""

_TURN_SECONDS_MAX = 60
_AIM_SECONDS_MAX = 30

_Call = tuple[str, str, str, Body | None]
"""Method, path, credential and body."""


async def test_a_slow_database_slows_callers_and_does_no_more(world: World, start: Start) -> None:
    rounds = Rounds("database slow by 50 to 2000 ms")
    async with a_proxy(world) as proxy:
        web = await start(database_url=proxy.url(world))
        async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=16) as crowd:
            for random in rounds:
                rounds.land(landed=await _slow(world, proxy, crowd, random))
                await _is_normal_again(world, web, crowd, random)
            entries = await prove(world)

    assert crowd.client.timeouts == 0, "an answer took longer than a client waits"
    rounds.close(f"{entries} entries. {crowd.history.summary()}")


async def _slow(world: World, proxy: Proxy, crowd: Crowd, random: Random) -> bool:
    async with crowd.acting():
        await asyncio.sleep(random.uniform(0.2, 0.5))
        # A thousandth either way is what the number is for; half of the rounds hurt.
        landed = await _slow_a_batch(world, proxy, random.choice([0.05, 0.2, 0.5, 1.0, 2.0]))
        await asyncio.sleep(random.uniform(1, 3))
        proxy.delay_seconds = 0
    return landed


async def _slow_a_batch(world: World, proxy: Proxy, seconds: float) -> bool:
    """Become slow while a batch is open: a call that is slow from its start may never get to one.

    Say whether one was.
    """
    until = monotonic() + _AIM_SECONDS_MAX
    while monotonic() < until:
        proxy.delay_seconds = seconds
        if await _has_open_batch(world):
            return True
        proxy.delay_seconds = 0
        await asyncio.sleep(0.01)
    proxy.delay_seconds = seconds
    return False


async def test_broken_connections_are_made_anew(world: World, start: Start) -> None:
    rounds = Rounds("connections reset")
    async with a_proxy(world) as proxy:
        web = await start(database_url=proxy.url(world))
        async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=16) as crowd:
            for random in rounds:
                rounds.land(landed=await _reset(world, web, proxy, crowd, random))
                await _is_normal_again(world, web, crowd, random)
            entries = await prove(world)

    assert crowd.client.timeouts == 0, "an answer took longer than a client waits"
    rounds.close(f"{entries} entries. {crowd.history.summary()}")


async def _reset(world: World, web: Process, proxy: Proxy, crowd: Crowd, random: Random) -> bool:
    landed = False
    async with crowd.acting():
        for _ in range(random.randint(1, 4)):
            await asyncio.sleep(random.uniform(0.1, 0.4))
            landed |= bool(await catch_in_flight(world, web, random, aimed=True))
            assert proxy.reset()
            web.resume()
    return landed


async def test_a_silent_database_is_said_within_seconds(world: World, start: Start) -> None:
    rounds = Rounds("database silent")
    async with a_proxy(world) as proxy:
        web = await start(database_url=proxy.url(world))
        async with a_crowd(world, [web.base_url], seed=Rounds.seed, clients=16) as crowd:
            files = await _files(web, crowd)
            for random in rounds:
                rounds.land(landed=await _silence(world, web, proxy, crowd, random))
                await _is_normal_again(world, web, crowd, random)
            assert await _files(web, crowd) <= files + _FILES_MORE
            entries = await prove(world)

    assert crowd.client.timeouts == 0, "an answer took longer than a client waits"
    rounds.close(f"{entries} entries. {crowd.history.summary()}")


async def _silence(world: World, web: Process, proxy: Proxy, crowd: Crowd, random: Random) -> bool:
    async with crowd.acting():
        await asyncio.sleep(random.uniform(0.2, 0.5))
        try:
            landed = await _hold_a_batch(world, proxy)
            await asyncio.gather(_everyone_is_told(world, web, crowd.client), _health_is_told(web))
        finally:
            proxy.flow()
    return landed


async def _everyone_is_told(world: World, web: Process, client: Client) -> None:
    """Calls of every kind, each answered before a client would give up."""
    shop = world.shops[0]
    consumer, till = world.token("silence"), shop["merchant_key"]
    charge = {"store_id": shop["store_id"], "amount": 1, "consumer_code": "AAAA"}
    calls: list[_Call] = [
        ("GET", "/v1/charges", till, None),
        ("GET", "/v1/balance", till, None),
        ("GET", "/v1/me/cards", consumer, None),
        ("GET", "/v1/merchants", shop["operator_key"], None),
        ("POST", "/v1/charges", till, charge),
        ("POST", "/v1/me/codes", consumer, {"merchant_id": shop["merchant_id"]}),
        ("POST", "/v1/charges/batch", till, {"items": [{**charge, "client_reference": "s"}]}),
    ]
    http = Http()
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
            replies = await asyncio.gather(*(_call(http, web, call) for call in calls))
    finally:
        http.close()
    for call, reply in zip(calls, replies, strict=True):
        client._note(reply, f"{call[0]} {call[1]} in silence")
        assert reply.status == 503, (call, reply)


async def _call(http: Http, web: Process, call: _Call) -> Reply:
    method, path, credential, body = call
    headers = {"authorization": f"Bearer {credential}", "idempotency-key": new_key()}
    return await http.call(method, web.base_url, path, headers=headers, body=body)


async def _health_is_told(web: Process) -> None:
    """The process says that it lives, and that it is not ready."""
    http = Http()
    try:
        async with asyncio.timeout(_TURN_SECONDS_MAX):
            while (ready := await http.call("GET", web.base_url, "/readyz", headers={})).is_success:
                await asyncio.sleep(0.05)
            for _ in range(20):
                alive = await http.call("GET", web.base_url, "/healthz", headers={})
                assert alive.status == 200
        assert ready.status == 503
        assert "retry-after" in ready.headers
    finally:
        http.close()


async def _hold_a_batch(world: World, proxy: Proxy) -> bool:
    """Fall silent while a batch is open; say whether one was."""
    until = monotonic() + _AIM_SECONDS_MAX
    while monotonic() < until:
        proxy.hold()
        if await _has_open_batch(world):
            return True
        proxy.flow()
        await asyncio.sleep(0.01)
    proxy.hold()
    return False


async def _has_open_batch(world: World) -> bool:
    async with world.witness() as connection:
        return bool(await open_batches(connection, world.database))


async def _is_normal_again(world: World, web: Process, crowd: Crowd, random: Random) -> None:
    await web.ready()
    await check(world, crowd.history)
    await ask_again(crowd.client, random)
    await check(world, crowd.history)
    async with world.witness() as connection, asyncio.timeout(_TURN_SECONDS_MAX):
        while await connections(connection, world.database) > _CONNECTIONS_MAX:
            await asyncio.sleep(0.05)


async def _files(web: Process, crowd: Crowd) -> int:
    """Count the process's open files, once the load has made it open all that it needs."""
    async with crowd.acting():
        await asyncio.sleep(1.5)
    return len(list(Path(f"/proc/{web.pid}/fd").iterdir()))
