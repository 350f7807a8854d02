"""`anxin serve` with several web processes: one port, each kept running, all gone at the end."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.commands.serve import serve, web_process
from app.commands.supervising import pause_before_restart
from app.settings import Settings, StartRefused, read_environment
from tests.cluster import DatabaseUrls
from tests.faults.processes import Process, free_ports

_STOP_SECONDS_MAX = 60
_CALLS = 64
_CALL_SECONDS = 30


class _Impatient(Process):
    """A supervisor that takes three seconds of silence for long."""

    def command(self, *arguments: str) -> list[str]:
        changed = "from app.commands import pulses; pulses.SILENCE_SECONDS_MAX = 3"
        code = f"{changed}; from app.cli import app; app()"
        return [sys.executable, "-c", code, self.name, *arguments]


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
    return _Impatient.of("serve", folder / "data", database_url, **{**ours, **environment})


async def _calls_served(*metrics_ports: int) -> list[float]:
    """Count the calls of `/healthz` that each process has served."""
    counts: list[float] = []
    async with httpx.AsyncClient(trust_env=False) as http:
        for port in metrics_ports:
            told = (await http.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
            figures = (line for line in told if line.startswith("anxin_request_seconds_count"))
            counts.append(sum(float(line.split()[-1]) for line in figures if "/healthz" in line))
    return counts


async def _call_anew(web: Process, calls: int) -> None:
    """Call so often, each time over a connection of its own."""
    for _ in range(calls):
        async with httpx.AsyncClient(base_url=web.base_url, trust_env=False) as http:
            assert (await http.get("/healthz")).is_success


async def test_connections_are_spread_and_a_killed_process_comes_back(web: Process) -> None:
    killed, other = web.children()
    first = int(web.environment["METRICS_PORT"])

    async with asyncio.timeout(_STOP_SECONDS_MAX):
        while not all(before := await _calls_served(first, first + 1)):
            await _call_anew(web, 1)  # metrics are served a moment before calls are
    await _call_anew(web, _CALLS)
    after = await _calls_served(first, first + 1)
    assert sum(after) - sum(before) == _CALLS
    fewest = min(now - then for now, then in zip(after, before, strict=True))
    assert fewest > _CALLS / 8, "a fair coin falls so but once in a million tries"

    killed.kill()
    await killed.reaped()
    await _call_anew(web, 8)  # by the other alone, with no call lost
    await web.all_serve()
    children = web.children()
    assert other in children
    assert len(children) == 2
    (ended,) = web.logged("web_process.ended")
    assert ended["status"] == -signal.SIGKILL

    # Nothing goes on without the supervisor, and what was under way is brought to its end.
    web.kill()
    for child in children:
        await child.gone()
    assert len(web.logged("service.stopped")) == 2
    assert not web.errors()


async def test_a_process_that_hangs_is_replaced_while_the_other_serves(web: Process) -> None:
    hung, other = web.children()
    hung.pause()

    # Those at the hung one wait till it is killed: the kernel chose where each went.
    calls = [asyncio.create_task(_is_served(web)) for _ in range(_CALLS)]
    done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert all([await call for call in done])
    assert hung.is_running
    assert waiting
    await hung.reaped()
    await _call_anew(web, 8)
    assert sum([await call for call in calls]) < _CALLS
    await web.all_serve()

    children = web.children()
    assert other in children
    assert len(children) == 2
    assert [line["pid"] for line in web.logged("web_process.hung")] == [hung.pid]
    (ended,) = web.logged("web_process.ended")
    assert ended["status"] == -signal.SIGKILL
    web.stop()
    assert not web.errors()


async def _is_served(web: Process) -> bool:
    async with httpx.AsyncClient(base_url=web.base_url, trust_env=False) as http:
        try:
            return (await http.get("/healthz", timeout=_CALL_SECONDS)).is_success
        except httpx.TransportError:
            return False


@pytest.mark.parametrize("busy", ["PORT", "METRICS_PORT"])
async def test_a_busy_port_is_said_before_any_process_starts(
    busy: str, fresh_database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = free_ports(2)
    environment = _two(fresh_database.database_url, tmp_path, METRICS_PORT=str(metrics)).environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # Of the ports of metrics the second, which no other setting names.
    port = int(environment["PORT"]) if busy == "PORT" else metrics + 1

    said = rf"Port {port} on .* choose another with {busy}="

    with socket.create_server(("127.0.0.1", port)), pytest.raises(StartRefused, match=said):
        await asyncio.to_thread(serve)


async def test_more_processes_than_the_database_has_connections_for_are_refused(
    fresh_database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"WEB_PROCESSES": "16", "WRITER__LANES": "16", "METRICS_PORT": str(free_ports(16))}
    web = _two(fresh_database.database_url, tmp_path, **ours)
    for name, value in web.environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StartRefused, match="may need 459 connections"):
        await asyncio.to_thread(serve)


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
