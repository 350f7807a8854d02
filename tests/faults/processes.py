"""The service's own processes, started as an operator starts them, and killed as a kernel kills."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import httpx

ROOT = Path(__file__).parents[2]

_READY_SECONDS_MAX = 180
_STOP_SECONDS_MAX = 60
_TURN_SECONDS = 0.05
_LOG_TAIL = 3_000

POLICIES = {
    # The load draws on the same cards all the time.
    "code_lifetime_seconds": 3_600,
    "code_use_amount": 10_000_00,
    "code_day_amount": 10_000_000_00,
    "pending_per_card": 10_000,
}


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports(count: int) -> int:
    """Give the first of so many ports in a row that nobody listens on now."""
    while True:
        first = free_port()
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + count):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def parents() -> Iterator[tuple[int, int]]:
    """Give every process that runs, with its parent."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    yield int(entry.name), int(stat[1])


class Start(Protocol):
    """Starts `anxin NAME` and waits until it is ready."""

    async def __call__(
        self, name: str = "serve", *, database_url: str | None = None, **environment: str
    ) -> "Process": ...


@dataclass(frozen=True, slots=True)
class Child:
    """A process that one of ours started: one of several web processes."""

    pid: int

    @property
    def is_running(self) -> bool:
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def pause(self) -> None:
        """Stop its world: nothing that is under way goes on."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a kernel does that is out of memory."""
        os.kill(self.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until it runs no more."""
        async with asyncio.timeout(_STOP_SECONDS_MAX):
            while self.is_running:
                await asyncio.sleep(_TURN_SECONDS)

    async def reaped(self) -> None:
        """Wait until its parent knows: the last of its threads is gone, and with it its sockets."""
        async with asyncio.timeout(_STOP_SECONDS_MAX):
            while Path(f"/proc/{self.pid}").exists():
                await asyncio.sleep(_TURN_SECONDS)


@dataclass(slots=True)
class Process:
    """`anxin serve` or `anxin worker`."""

    name: str
    environment: Mapping[str, str]
    log: Path
    _process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of(cls, name: str, data: Path, database_url: str, **environment: str) -> Self:
        port = free_port()
        return cls(
            name,
            {
                **os.environ,
                "DATA": str(data),
                "DATABASE_URL": database_url,
                "PORT": str(port),
                "METRICS_PORT": str(free_port()),
                "POLICIES": json.dumps(POLICIES),
                "LOG_LEVEL": "WARNING",
                # Two of them behind one address give the same answers.
                "BASE_URL": "http://anxin.test",
                **environment,
            },
            data.parent / f"{name}-{port}.log",
        )

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", self.name, *arguments]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def started(self) -> Self:
        """Start it and wait until it serves; for a worker, until it works."""
        self.start()
        if self.name == "serve":
            await self.ready()
        return self

    async def ready(self) -> None:
        """Wait until it says that calls can be served."""
        async with asyncio.timeout(_READY_SECONDS_MAX):
            async with httpx.AsyncClient(base_url=self.base_url, trust_env=False) as http:
                while not await self._is_ready(http):
                    assert self.is_running, self.tail()
                    await asyncio.sleep(_TURN_SECONDS)

    def children(self) -> list[Child]:
        """Give the processes that it started and that run."""
        return [Child(pid) for pid, parent in parents() if parent == self.pid]

    async def all_serve(self) -> list[Child]:
        """Wait until each of several web processes serves: its metrics say so."""
        count, first = (int(self.environment[name]) for name in ("WEB_PROCESSES", "METRICS_PORT"))
        async with asyncio.timeout(_READY_SECONDS_MAX), httpx.AsyncClient(trust_env=False) as http:
            for port in range(first, first + count):
                while not await _answers(http, f"http://127.0.0.1:{port}/metrics"):
                    assert self.is_running, self.tail()
                    await asyncio.sleep(_TURN_SECONDS)
        return self.children()

    async def _is_ready(self, http: httpx.AsyncClient) -> bool:
        return await _answers(http, "/readyz")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def pause(self) -> None:
        """Stop its world: nothing that is under way goes on."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a kernel does that is out of memory."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_STOP_SECONDS_MAX)

    def wait(self, seconds: float) -> int:
        """Wait for its end; give its status."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self) -> None:
        """End it in good order."""
        if self._process is None or not self.is_running:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-_LOG_TAIL:]

    def errors(self) -> list[str]:
        """Give the lines of its log that tell of a bug, and those that are no log lines."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if not line.startswith("{") or '"level": "error"' in line]

    def logged(self, event: str) -> list[dict[str, object]]:
        """Give the lines of its log that tell this event."""
        if not self.log.exists():
            return []
        found: list[dict[str, object]] = []
        for line in self.log.read_text(errors="replace").splitlines():
            if event in line and line.startswith("{"):
                told: dict[str, object] = json.loads(line)
                if told.get("event") == event:
                    found.append(told)
        return found


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url, timeout=3)).is_success
    except httpx.TransportError:
        return False
