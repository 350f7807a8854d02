"""The service over the worker's database."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.main import create_app
from tests.api.serving import Served, sandbox_settings, served


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    data: Path = tmp_path_factory.mktemp("data")
    async with served(create_app(sandbox_settings(database_url, data))) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Served) -> httpx.AsyncClient:
    return service.client
