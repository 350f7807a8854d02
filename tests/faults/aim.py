"""Strike while something is under way, and know that it was."""

import asyncio
from random import Random
from time import monotonic

from tests.faults.postgres import OpenBatch, open_batches
from tests.faults.processes import Process
from tests.faults.world import World

_AIM_SECONDS_MAX = 30
_SLICE_SECONDS_MAX = 0.1
"""How long a process is let go at most before it is stopped again; longer with each try, since
on a busy machine a few milliseconds may be none for it."""


async def catch_in_flight(
    world: World, web: Process, random: Random, *, aimed: bool
) -> list[OpenBatch]:
    """Stop a web process's world, and give the batches that it has open: locked, not committed.

    With `aimed` it is let go and stopped again until it has one; else wherever it is.
    """
    async with world.witness() as connection:
        slice_seconds, until = 0.01, monotonic() + _AIM_SECONDS_MAX
        while monotonic() < until:
            web.pause()
            # What Postgres was doing for it meanwhile comes to its end.
            await asyncio.sleep(0.01)
            caught = await open_batches(connection, world.database)
            if caught or not aimed:
                return caught
            web.resume()
            await asyncio.sleep(random.uniform(0.001, slice_seconds))
            slice_seconds = min(slice_seconds * 1.05, _SLICE_SECONDS_MAX)
    web.pause()
    return []
