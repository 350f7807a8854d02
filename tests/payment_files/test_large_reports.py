"""A bank's report of very many lines: others are served meanwhile."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import perf_counter

import pytest
import pytest_asyncio

from app import ids
from app.access.principals import Role
from app.ids import Prefix
from app.main import create_app
from tests.api.serving import Served, given_key, sandbox_settings, served
from tests.builder import BANK
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World

LINES = int(os.environ.get("REPORT_LINES", "20000"))
LAG_SECONDS_MAX = 0.5
"""Far above what is seen on an idle machine; a report in one piece blocks for seconds."""


@pytest_asyncio.fixture
async def service(
    fresh_database: DatabaseUrls, world: World, tmp_path: Path
) -> AsyncIterator[Served]:
    del world  # its calendar and signing key are there before the service starts
    async with served(create_app(sandbox_settings(fresh_database.database_url, tmp_path))) as made:
        yield made


@pytest.fixture
def _collecting_as_the_service_does() -> Iterator[None]:
    """Look for garbage as `app.asgi` does: all that the tests hold would be walked besides."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def _longest_pause(stop: asyncio.Event) -> float:
    """Watch the loop: how long at most nobody else was served."""
    longest = 0.0
    while not stop.is_set():
        before = perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, perf_counter() - before)
    return longest


@pytest.mark.usefixtures("_collecting_as_the_service_does")
async def test_a_report_of_very_many_lines_keeps_nobody_waiting(
    world: World, service: Served
) -> None:
    for number in range(4):
        await world.earned(await world.shop(), number + 1)
    file = await world.one_file()
    bank = await given_key(service.services.db, Role.BANK, bank=BANK)
    names = [ids.to_text(Prefix.ORDER, order.order_id) for order in await world.orders(file)]
    body = {
        "results": [{"order_id": names[n % len(names)], "status": "paid"} for n in range(LINES)]
    }
    sent = json.dumps(body).encode()
    stop = asyncio.Event()
    watching = asyncio.create_task(_longest_pause(stop))
    started = perf_counter()

    answer = await service.client.post(
        f"/v1/bank/files/{ids.to_text(Prefix.FILE, file.file_id)}/results",
        content=sent,
        headers={**bank, "idempotency-key": "large", "content-type": "application/json"},
        timeout=600,
    )

    seconds = perf_counter() - started
    stop.set()
    pause = await watching
    print(  # noqa: T201  # the figure is what one runs this for
        f"{LINES} lines, {seconds:.2f} s, nobody else served for {pause * 1000:.0f} ms"
    )
    assert answer.status_code == 200, answer.text[:500]
    shown = answer.json()
    assert shown["file"]["status"] == "completed"
    outcomes = [line["outcome"] for line in shown["results"]]
    assert outcomes == ["applied"] * len(names) + ["unchanged"] * (LINES - len(names))
    assert [line["order_id"] for line in shown["results"][:8]] == (names * 2)[:8]
    assert pause < LAG_SECONDS_MAX
