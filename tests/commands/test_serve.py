"""`anxin serve` with several web processes: one port, each kept running, all gone at the end."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.commands.serve import web_process
from app.commands.supervising import pause_before_restart
from app.settings import Settings, StartRefused, read_environment
from tests.cluster import DatabaseUrls
from tests.faults.processes import Process, free_ports

_STOP_SECONDS_MAX = 60
_CALLS = 64


@pytest_asyncio.fixture
async def web(fresh_database: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Process]:
    """Give two web processes that all serve, under one supervisor."""
    process = _two(fresh_database.database_url, tmp_path)
    process.start()
    await process.all_serve()
    await process.ready()
    yield process
    process.stop()


def _two(database_url: str, folder: Path, **environment: str) -> Process:
    ours = {"WEB_PROCESSES": "2", "METRICS_PORT": str(free_ports(2)), "LOG_LEVEL": "INFO"}
    return Process.of("serve", folder / "data", database_url, **{**ours, **environment})


async def _refused(process: Process) -> str:
    """Start it where it cannot; give the one sentence that it says."""
    process.start()
    assert await asyncio.to_thread(process.wait, _STOP_SECONDS_MAX) == 1
    (said,) = process.log.read_text().splitlines()
    return said


async def _calls_served(port: int) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        told = (await http.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
    return sum(
        float(line.split()[-1])
        for line in told
        if line.startswith("anxin_request_seconds_count") and "/healthz" in line
    )


async def _call_anew(web: Process, calls: int) -> None:
    """Call so often, each time over a connection of its own."""
    for _ in range(calls):
        async with httpx.AsyncClient(base_url=web.base_url, trust_env=False) as http:
            assert (await http.get("/healthz")).is_success


async def test_connections_are_spread_a_killed_process_comes_back_and_a_signal_stops_all(
    web: Process,
) -> None:
    killed, other = web.children()
    first = int(web.environment["METRICS_PORT"])

    await _call_anew(web, _CALLS)
    served = [await _calls_served(port) for port in (first, first + 1)]
    assert sum(served) == _CALLS
    assert min(served) > _CALLS / 8, "a fair coin falls so but once in a million tries"

    killed.kill()
    await killed.gone()
    await _call_anew(web, 8)  # by the other alone, with no call lost
    await web.all_serve()
    children = web.children()
    assert other in children
    assert len(children) == 2

    web.stop()
    assert web.wait(_STOP_SECONDS_MAX) == 0
    assert not any(child.is_running for child in children)
    (ended,) = web.logged("web_process.ended")
    assert ended["status"] == -signal.SIGKILL
    assert len(web.logged("service.stopped")) == 2
    assert not web.errors()


async def test_a_busy_port_is_said_and_nothing_goes_on_without_the_supervisor(
    web: Process, fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    taken, metrics = web.environment["PORT"], int(web.environment["METRICS_PORT"])
    url = fresh_database.database_url
    said = await asyncio.gather(
        _refused(_two(url, tmp_path, PORT=taken)),
        # The second of its two is the first of the other's.
        _refused(_two(url, tmp_path, METRICS_PORT=str(metrics - 1))),
    )
    assert f"Port {taken} " in said[0]
    assert f"Port {metrics} " in said[1]
    assert "METRICS_PORT" in said[1]

    children = web.children()
    web.kill()
    for child in children:
        await child.gone()
    assert len(web.logged("service.stopped")) == len(children) == 2


async def test_what_cannot_start_is_not_tried_again(
    fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    no_key = tmp_path / "no-key"
    no_key.write_text("not a key")
    web = _two(fresh_database.database_url, tmp_path, SIGNING_KEY_FILE=str(no_key))

    web.start()

    assert await asyncio.to_thread(web.wait, _STOP_SECONDS_MAX) == 1
    assert len(web.logged("web_process.started")) == 2
    assert "before it served" in web.tail()


def test_a_web_process_is_not_started_by_hand() -> None:
    with pytest.raises(StartRefused, match="by `anxin serve` alone"):
        web_process(1)


def test_restarts_come_at_once_after_a_steady_life_and_ever_later_after_none() -> None:
    assert pause_before_restart(10.0, failures=0) == 0
    assert pause_before_restart(9.9, failures=0) == 1
    pauses = [pause_before_restart(60.0, failures=failures) for failures in range(1, 10)]
    assert pauses == [2, 4, 8, 16, 30, 30, 30, 30, 30]


@pytest.mark.parametrize(
    ("port", "metrics_port", "processes", "first"),
    [(8000, 0, 16, 9000), (64_530, 0, 1, 65_530), (64_530, 0, 7, 63_530), (8000, 7000, 2, 7000)],
)
def test_each_process_has_a_metrics_port(
    port: int, metrics_port: int, processes: int, first: int
) -> None:
    settings = Settings(port=port, metrics_port=metrics_port, web_processes=processes)

    assert settings.metrics_ports == range(first, first + processes)


@pytest.mark.parametrize("metrics_port", ["7999", "65535"])
def test_metrics_ports_that_do_not_fit_are_refused(
    metrics_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_PORT", metrics_port)
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.setenv("WEB_PROCESSES", "2")

    with pytest.raises(StartRefused, match="METRICS_PORT"):
        read_environment()
