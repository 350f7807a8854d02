"""Faults are injected into processes and a Postgres of their own: nothing else may feel them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest_asyncio

from tests.faults.history import Body
from tests.faults.postgres import Postgres, data_folder
from tests.faults.processes import Process, Start
from tests.faults.world import TEMPLATE, World, seed_template

_LINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Seeded:
    postgres: Postgres
    data: Path
    shops: Sequence[Body]


@pytest_asyncio.fixture(scope="session")
async def seeded() -> AsyncIterator[_Seeded]:
    """Give a Postgres with the template that each test clones; one for each xdist worker."""
    with data_folder() as data:
        postgres = Postgres(data)
        await asyncio.to_thread(postgres.start)
        try:
            await postgres.hurry()
            yield _Seeded(postgres, data, await seed_template(postgres, data))
        finally:
            postgres.close()


@pytest_asyncio.fixture
async def world(seeded: _Seeded) -> AsyncIterator[World]:
    """Give a database of the test's own, on a Postgres that the test may stop."""
    database = await seeded.postgres.clone(TEMPLATE)
    yield World(seeded.postgres, seeded.data, database, seeded.shops)
    await seeded.postgres.drop(database)


@dataclass(slots=True)
class _Starter:
    world: World
    started: list[Process] = field(default_factory=list[Process])

    async def __call__(
        self, name: str = "serve", *, database_url: str | None = None, **environment: str
    ) -> Process:
        url = database_url or self.world.database_url
        process = Process.of(name, self.world.data, url, **environment)
        self.started.append(process)
        return await process.started()


@pytest_asyncio.fixture
async def start(world: World) -> AsyncIterator[Start]:
    """Start processes of the service; stop them when the test ends."""
    starter = _Starter(world)
    yield starter
    for process in starter.started:
        process.stop()
        # Shown by pytest where the test fails.
        for line in process.errors()[-_LINES_SHOWN:]:
            print(f"{process.name}: {line}")
