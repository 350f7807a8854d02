"""One real Postgres for the whole run, one migrated database per worker, nothing cleaned.

Fixtures: `owner_url`, `database_url`, `db` for the worker's own database, which all its tests
share; `given` to make what was before; `fresh_database` for a test that needs an empty world.
"""

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.db.engine import Database
from app.evidence.verification import verify
from tests.builder import Trader, writing
from tests.cluster import Cluster, DatabaseUrls, join

pytest_plugins = ["tests.hanging"]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Give the run's Postgres. fsync is on: the tests prove what production does."""
    worker: dict[str, str] | None = getattr(request.config, "workerinput", None)
    run, run_pid = str(os.getpid()), os.getpid()
    if worker is not None:  # one of xdist's: the run is the process that started it
        run, run_pid = worker["testrunuid"], os.getppid()
    return join(Path(tempfile.gettempdir()) / f"anxin-tests-{run}", run_pid)


@pytest_asyncio.fixture(scope="session")
async def database(cluster: Cluster) -> AsyncIterator[DatabaseUrls]:
    """Give the worker's database. When the run ends, its whole ledger must still be true."""
    made = await cluster.clone("worker")
    yield made
    await _verify(made)


@pytest.fixture(scope="session")
def owner_url(database: DatabaseUrls) -> str:
    return database.owner_url


@pytest.fixture(scope="session")
def database_url(database: DatabaseUrls) -> str:
    return database.database_url


@pytest_asyncio.fixture(scope="session")
async def db(database_url: str) -> AsyncIterator[Database]:
    """Give a pool on the worker's database, as the service's role."""
    pool = Database.connect(database_url)
    yield pool
    await pool.close()


@pytest_asyncio.fixture(scope="session")
async def given(db: Database, database_url: str) -> AsyncIterator[Trader]:
    """Give what makes a test's past: merchants, cards and uses in the worker's database."""
    async with writing(database_url) as writer:
        yield Trader(db, writer=writer)


@pytest_asyncio.fixture
async def fresh_database(cluster: Cluster) -> AsyncIterator[DatabaseUrls]:
    """Give an empty, migrated database of the test's own."""
    made = await cluster.clone("fresh")
    yield made
    await _verify(made)
    await cluster.drop(made.name)


async def _verify(made: DatabaseUrls) -> None:
    """Check every invariant over all that the tests did."""
    report = await verify(made.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
