"""`anxin run`: everything on one machine with one command, and all of it gone at Ctrl-C.

    embedded Postgres (or DATABASE_URL) -> migrate -> seed -> web + worker -> ready

What was started last is stopped first, so that no process loses its database.
"""

import contextlib
import os
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

import httpx
from rich.console import Console

from app.commands.children import Child, start_child, stop_children
from app.commands.migrate import owner_url
from app.commands.seed import seed_into
from app.commands.starting import (
    SUPERVISOR_VARIABLE,
    check_before_start,
    database_url,
    refuse_busy_ports,
    with_sandbox_keys,
)
from app.db.embedded import embedded_postgres, exclusive
from app.db.migrating import migrate
from app.sandbox import files
from app.sandbox.domain import Sandbox
from app.settings import Settings, StartRefused, read_environment, refuse_unsafe_production

_READY_SECONDS_MAX: Final = 60
_STOP_SECONDS_MAX: Final = 20
_POLL_SECONDS: Final = 0.1
_PROBE_SECONDS: Final = 2


class _Stopped(BaseException):
    """Somebody asked us to stop; not an error, so nothing but `run` may catch it."""


@dataclass(frozen=True, slots=True)
class _Child:
    """One of our processes."""

    name: str
    process: Child


def run() -> None:
    """Serve the sandbox (or production) on this machine until Ctrl-C."""
    console = Console(stderr=True, soft_wrap=True)
    settings = read_environment()
    refuse_unsafe_production(settings)
    refuse_busy_ports(settings)
    with contextlib.suppress(_Stopped), _stoppable(), _database(settings) as found:
        complete = with_sandbox_keys(found)
        migrate(owner_url(complete), database_url(complete))
        check_before_start(complete)
        sandbox = _seeded(complete)
        with _children(complete, ("serve", "worker")) as children:
            _wait_until_ready(complete, children)
            if sandbox is not None:
                files.publish(complete.data, sandbox)
            _say_ready(console, complete)
            _watch(children)
    console.print("Stopped.")


def _seeded(settings: Settings) -> Sandbox | None:
    """Seed a sandbox. Who finds `sandbox.json` may call the service, so it is written last."""
    if not settings.is_sandbox:
        return None
    files.withdraw(settings.data)
    return seed_into(settings, publish=False)


@contextlib.contextmanager
def _stoppable() -> Generator[None, None, None]:
    """Turn the first SIGINT or SIGTERM into `_Stopped`, and ignore those after it.

    Stopping Postgres in order takes a moment; a second Ctrl-C must not cut that short.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield


@contextlib.contextmanager
def _database(settings: Settings) -> Generator[Settings, None, None]:
    """Give settings with a database: the one that was named, or the embedded one, running."""
    if settings.database_url is not None:
        owner_url(settings)  # refuse before anything is made
        with exclusive(settings.data):
            yield settings
        return
    with embedded_postgres(settings.data):
        yield settings.embedded()


@contextlib.contextmanager
def _children(
    settings: Settings, names: Sequence[str]
) -> Generator[tuple[_Child, ...], None, None]:
    """Run `anxin NAME` for each name; stop them, last first, when the block ends."""
    with contextlib.ExitStack() as stack:
        yield tuple(stack.enter_context(_child(name, _environment(settings))) for name in names)


def _environment(settings: Settings) -> Mapping[str, str]:
    """Give the children what was decided here; the rest they read themselves."""
    return {
        **os.environ,
        "DATA": str(settings.data.absolute()),
        "DATABASE_URL": database_url(settings),
        "PORT": str(settings.port),
        SUPERVISOR_VARIABLE: str(os.getpid()),
    }


@contextlib.contextmanager
def _child(name: str, environment: Mapping[str, str]) -> Generator[_Child, None, None]:
    process = start_child(name, environment=environment)
    try:
        yield _Child(name, process)
    finally:
        stop_children([process], seconds_max=_STOP_SECONDS_MAX)


def _wait_until_ready(settings: Settings, children: Sequence[_Child]) -> None:
    url = f"http://{_reachable(settings.host)}:{settings.port}/readyz"
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while not _is_ready(url):
        _refuse_dead(children)
        if time.monotonic() > deadline:
            raise StartRefused(f"The service is not ready after {_READY_SECONDS_MAX} s: see {url}.")
        time.sleep(_POLL_SECONDS)
    _refuse_dead(children)


def _reachable(host: str) -> str:
    """Say how to call a server that listens on every address."""
    plain = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only compared
    return f"[{plain}]" if ":" in plain else plain


def _is_ready(url: str) -> bool:
    try:
        # A proxy that the environment names is for the world outside, not for ourselves.
        return httpx.get(url, timeout=_PROBE_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _say_ready(console: Console, settings: Settings) -> None:
    console.print(f"Anxin serves {settings.base_url}/v1, docs at {settings.base_url}/docs")
    if settings.is_sandbox:
        console.print(f"Sandbox keys: {settings.data / 'sandbox.json'}. Stop with Ctrl-C.")


def _watch(children: Sequence[_Child]) -> None:
    while True:
        _refuse_dead(children)
        time.sleep(_POLL_SECONDS)


def _refuse_dead(children: Sequence[_Child]) -> None:
    for child in children:
        status = child.process.poll()
        if status is not None:
            raise StartRefused(
                f"`anxin {child.name}` ended with status {status}; everything is stopped."
            )
        if child.process.pulse.is_lost():
            child.process.end_hung()
            raise StartRefused(f"`anxin {child.name}` hung and was killed; everything is stopped.")
