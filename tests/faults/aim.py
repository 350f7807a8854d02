"""Strike while something is under way, and know that it was."""

import asyncio
from random import Random

from tests.faults.postgres import OpenBatch, open_batches
from tests.faults.processes import Process
from tests.faults.world import World

_TRIES_MAX = 200


async def catch_in_flight(
    world: World, web: Process, random: Random, *, aimed: bool
) -> list[OpenBatch]:
    """Stop a web process's world, and give the batches that it has open: locked, not committed.

    With `aimed` it is let go and stopped again until it has one; else wherever it is.
    """
    async with world.witness() as connection:
        for _ in range(_TRIES_MAX if aimed else 1):
            web.pause()
            # What Postgres was doing for it meanwhile comes to its end.
            await asyncio.sleep(0.01)
            caught = await open_batches(connection, world.database)
            if caught or not aimed:
                return caught
            web.resume()
            await asyncio.sleep(random.uniform(0.001, 0.01))
    web.pause()
    return []
