"""A service that really runs: `anxin run` on a free port, with a data folder of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster import DatabaseUrls

_ROOT: Final = Path(__file__).parents[2]
_START_SECONDS_MAX: Final = 45
_STOP_SECONDS_MAX: Final = 20


@contextmanager
def running(urls: DatabaseUrls, data: Path) -> Generator[dict[str, Any], None, None]:
    """Run web and worker around the block, and give what `sandbox.json` says.

    Raises:
        RuntimeError: It did not become ready; the message is its log.
    """
    log = data / "run.log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "run"],
            cwd=_ROOT,
            env=_environment(urls, data),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield _when_ready(service, data, log)
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(_STOP_SECONDS_MAX)


def _environment(urls: DatabaseUrls, data: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATA": str(data),
        "PORT": str(_free_port()),
        "METRICS_PORT": str(_free_port()),
        "DATABASE_URL": urls.database_url,
        "MIGRATION_DATABASE_URL": urls.owner_url,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _when_ready(service: subprocess.Popen[bytes], data: Path, log: Path) -> dict[str, Any]:
    """Wait for `sandbox.json`: it is written when the service can be called."""
    deadline = time.monotonic() + _START_SECONDS_MAX
    while not (data / "sandbox.json").exists():
        if service.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The service is not ready: {log.read_text()}")
        time.sleep(0.05)
    return json.loads((data / "sandbox.json").read_text())
