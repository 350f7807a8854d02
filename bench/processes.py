"""The processes under measurement: the real service, and an empty one beside it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError

from app.settings import StartRefused

_READY_SECONDS_MAX: Final = 60
_STOP_SECONDS_MAX: Final = 20
_POLL_SECONDS: Final = 0.1

POLICIES: Final[Mapping[str, int]] = {
    "code_lifetime_seconds": 30 * 86_400,
    "code_use_amount": 2**53 - 1,
    "code_day_amount": 2**53 - 1,
    "pending_per_card": 1_000_000_000,
}
"""Raised so that no limit of one consumer ends the measurement; the report says so."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    pid: int
    """What it started is a part of it."""
    port: int
    metrics_ports: Sequence[int]
    """One for each web process."""
    log: Path

    def forget_log(self) -> None:
        """Empty the log: a line for each call adds up to gigabytes."""
        os.truncate(self.log, 0)


@contextlib.contextmanager
def service(
    data: Path,
    database_url: str,
    *,
    log_level: str,
    batch_max: int | None = None,
    web_processes: int = 1,
) -> Generator[Server, None, None]:
    """Run `anxin serve` as it runs in production, but for the raised policies."""
    port, metrics_ports = _free_port(), _free_ports(web_processes)
    environment = {
        **os.environ,
        "MODE": "sandbox",
        "DATA": str(data),
        "DATABASE_URL": database_url,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "METRICS_PORT": str(metrics_ports[0]),
        "WEB_PROCESSES": str(web_processes),
        "LOG_LEVEL": log_level,
        "POLICIES": json.dumps(POLICIES),
    }
    if web_processes > 1:
        # As the README advises: each other's batches are what keeps the database busy.
        environment["WRITER__LANES"] = "1"
    if batch_max is not None:
        environment["WRITER__BATCH_MAX"] = str(batch_max)
    command = [sys.executable, "-m", "app.cli", "serve"]
    log = data / f"serve-{port}.log"
    with _running(command, environment, log) as process:
        for metrics_port in metrics_ports:
            _wait_until_ready(process, metrics_port, "/metrics", log)
        _wait_until_ready(process, port, "/readyz", log)
        yield Server(process.pid, port, metrics_ports, log)


@contextlib.contextmanager
def worker(data: Path, database_url: str, *, log_level: str) -> Generator[int, None, None]:
    """Run `anxin worker` as it runs in production; give its process id."""
    environment = {
        **os.environ,
        "MODE": "sandbox",
        "DATA": str(data),
        "DATABASE_URL": database_url,
        "LOG_LEVEL": log_level,
        "POLICIES": json.dumps(POLICIES),
    }
    command = [sys.executable, "-m", "app.cli", "worker"]
    log = data / "worker.log"
    with _running(command, environment, log) as process:
        deadline = time.monotonic() + _READY_SECONDS_MAX
        while "worker.started" not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartRefused(f"The worker did not start: {log.read_text()[-500:]}")
            time.sleep(_POLL_SECONDS)
        yield process.pid


@contextlib.contextmanager
def empty_service(data: Path) -> Generator[Server, None, None]:
    """Run the empty route."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.empty", str(port)]
    log = data / "empty.log"
    with _running(command, dict(os.environ), log) as process:
        _wait_until_ready(process, port, "/openapi.json", log)
        yield Server(process.pid, port, (), log)


@contextlib.contextmanager
def _running(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Generator[subprocess.Popen[bytes], None, None]:
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  # our own program
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2):
                return
        except (URLError, OSError):
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise StartRefused(f"The server did not start:\n{tail}")
        time.sleep(_POLL_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _free_ports(count: int) -> Sequence[int]:
    """Give ports in a row, as the web processes of one service count theirs."""
    while True:
        first = _free_port()
        ports = range(first, first + count)
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError, OverflowError):
            for port in ports:
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return ports
