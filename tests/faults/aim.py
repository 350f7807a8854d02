"""Strike while something is under way, and know that it was."""

import asyncio
from random import Random
from time import monotonic
from typing import Protocol

import asyncpg

from tests.faults.postgres import OpenBatch, open_batches
from tests.faults.world import World

_AIM_SECONDS_MAX = 30
_LOOKS = 3
_LOOK_SECONDS = 0.1
_SLICE_SECONDS_MAX = 0.1
"""How long a process is let go at most before it is stopped again; longer with each try, since
on a busy machine a few milliseconds may be none for it."""


class Paused(Protocol):
    """What can be stopped where it is: a process, or several as one."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


async def catch_in_flight(
    world: World, web: Paused, random: Random, *, aimed: bool, alone: bool = True
) -> list[OpenBatch]:
    """Stop a web process's world, and give the batches that it has open: locked, not committed.

    With `aimed` it is let go and stopped again until it has one; else wherever it is. Where it
    is not `alone`, the batches of others go on and are not counted.
    """
    async with world.witness() as connection:
        slice_seconds, until = 0.01, monotonic() + _AIM_SECONDS_MAX
        while monotonic() < until:
            web.pause()
            # What Postgres was doing for it meanwhile comes to its end.
            await asyncio.sleep(0.01)
            caught = await open_batches(connection, world.database)
            if caught and not alone:
                caught = await _standing(connection, world)
            if caught or not aimed:
                return caught
            web.resume()
            await asyncio.sleep(random.uniform(0.001, slice_seconds))
            slice_seconds = min(slice_seconds * 1.05, _SLICE_SECONDS_MAX)
    web.pause()
    return []


async def _standing(connection: asyncpg.Connection, world: World) -> list[OpenBatch]:
    """Give the batches that wait for a client who says nothing.

    Of a batch that goes on, the next statement comes within milliseconds.
    """
    looks: list[list[OpenBatch]] = []
    for _ in range(_LOOKS):
        await asyncio.sleep(_LOOK_SECONDS)
        found = await open_batches(connection, world.database)
        looks.append([one for one in found if one.state == "idle in transaction"])
    return [one for one in looks[0] if all(one in look for look in looks)]
