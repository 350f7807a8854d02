"""Web processes that are kept running: what dies or hangs is started again; at the end all stop.

One that ends before it ever served would end again: then nothing starts. Later ends are mended,
at once and then at ever longer intervals, because what stands in the way (a database that is
gone, too little memory) passes while the others serve.
"""

import signal
import socket
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Final

import structlog

from app.commands.children import Child, start_child, stop_children
from app.commands.pulses import Heart
from app.settings import StartRefused

_LOOPBACK: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.1
_CONNECT_SECONDS: Final = 0.5
_STOP_SECONDS_MAX: Final = 15
"""More than a web process gives its last calls, less than `anxin run` gives this process."""
_STEADY_SECONDS: Final = 10.0
_PAUSE_SECONDS_MAX: Final = 30.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = structlog.stdlib.get_logger()


def pause_before_restart(lived_seconds: float, *, failures: int) -> float:
    """Give the seconds to wait: none after a life of some length, else ever more.

    `failures` counts the lives in a row, this one included, in which it never served.
    """
    is_steady = not failures and lived_seconds >= _STEADY_SECONDS
    return 0.0 if is_steady else min(2.0**failures, _PAUSE_SECONDS_MAX)


@dataclass(slots=True)
class Supervised:
    """One web process, through all of its lives."""

    number: int
    arguments: Sequence[str]
    environment: Mapping[str, str]
    metrics_port: int
    _child: Child | None = None
    _started_at: float = 0.0
    _due_at: float = 0.0
    _serves: bool = False
    """Since it was started this time."""
    _has_served: bool = False
    _failures: int = 0

    def start(self) -> Child:
        """Start it."""
        self._child = start_child(*self.arguments, environment=self.environment)
        self._started_at, self._serves = time.monotonic(), False
        _log.info("web_process.started", number=self.number, pid=self._child.pid)
        return self._child

    def look(self) -> None:
        """Start it again where it ended; end it where it hangs.

        Raises:
            StartRefused: It ended and had never served.
        """
        if self._child is None:
            if time.monotonic() >= self._due_at:
                self.start()
            return
        status = self._child.poll()
        if status is not None:
            self._child = None
            self._ended(status)
        elif self._child.pulse.is_lost():
            _log.warning("web_process.hung", number=self.number, pid=self._child.pid)
            self._child.end_hung()
        elif not self._serves and _is_open(self.metrics_port):
            # This port opens when all of it is there, and was free before.
            self._serves = self._has_served = True

    def _ended(self, status: int) -> None:
        if not self._has_served:
            raise StartRefused(
                f"Web process {self.number} ended with status {status} before it served, for the"
                " reason that stands above; everything is stopped."
            )
        now = time.monotonic()
        self._failures = 0 if self._serves else self._failures + 1
        pause = pause_before_restart(now - self._started_at, failures=self._failures)
        self._due_at = now + pause
        _log.warning(
            "web_process.ended", number=self.number, status=status, restart_after_seconds=pause
        )

    @property
    def child(self) -> Child | None:
        """The running process, unless it waits to be started again."""
        return self._child


@dataclass(slots=True)
class _Asked:
    """Whether somebody asked us to stop. Set by a signal, so nothing here may wait or raise."""

    to_stop: bool = False

    def note(self, _number: int, _frame: FrameType | None) -> None:
        self.to_stop = True


def supervise(processes: Sequence[Supervised]) -> None:
    """Run web processes until a signal to stop; then stop them all.

    Raises:
        StartRefused: One of them could not start; the others are stopped.
    """
    heart = Heart.of_this_process()
    with _asked() as asked, _all_stopped(processes):
        for process in processes:
            process.start()
        while not asked.to_stop:
            for process in processes:
                process.look()
            heart.beat()
            time.sleep(_POLL_SECONDS)


@contextmanager
def _asked() -> Generator[_Asked, None, None]:
    asked = _Asked()
    for number in _SIGNALS:
        # `nohup` asks for a signal to be ignored, and it stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, asked.note)
    yield asked


@contextmanager
def _all_stopped(processes: Sequence[Supervised]) -> Generator[None, None, None]:
    try:
        yield
    finally:
        running = [process.child for process in processes if process.child is not None]
        for late in stop_children(running, seconds_max=_STOP_SECONDS_MAX):
            _log.warning("web_process.killed", pid=late.pid)


def _is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection((_LOOPBACK, port), _CONNECT_SECONDS):
        return True
    return False
