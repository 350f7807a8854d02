"""One world per module of tests, in a database of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.evidence.verification import verify
from tests.cluster import Cluster
from tests.contract.world import World, open_world


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Give the world; when its tests are done, its whole ledger must still be true."""
    urls = await cluster.clone("contract")
    async with open_world(urls, tmp_path_factory.mktemp("data")) as opened:
        yield opened
    report = await verify(urls.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
    await cluster.drop(urls.name)
