"""Pulses: how a process shows whoever started it that its event loop goes on.

A process that hangs, or that was stopped, lives for the kernel: it keeps its share of the port's
new connections, and its sessions keep their locks, for ever. So each writes a byte a second into a
pipe, from its event loop, and whoever started it kills one that is silent.
"""

import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final, Self

PULSE_VARIABLE: Final = "ANXIN_PULSE"
"""Names the end of the pipe to a process that is watched."""

EVERY_SECONDS: Final = 1.0
SILENCE_SECONDS_MAX: Final = 30.0
"""Before a process counts as hung: far above what collecting garbage, reading the largest body or a
starved machine take, and about when callers give up."""
FIRST_SECONDS_MAX: Final = 120.0
"""Before its first byte: it loads its code and looks at the database before it has a loop."""
GAP_SECONDS_MAX: Final = 1.0
"""That a look counts at most. A watcher that was stopped, or starved, knows nothing of the time
between: its machine may have stood still with everything on it."""

_TELL: Final = signal.SIGUSR1
_BYTES_MAX: Final = 64 * 1024


class Pulse:
    """What the watcher of a process hears of it."""

    def __init__(self) -> None:
        """Make the pipe; the process gets `written`, and we close it."""
        self._heard, self.written = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self.written, False)
        self._is_open = True
        self._silent_seconds = 0.0
        self._allowed_seconds = FIRST_SECONDS_MAX
        self._looked_at = time.monotonic()

    def is_lost(self) -> bool:
        """Say, looked at more than once a second, whether it was silent for too long.

        Said once: then the time begins anew.
        """
        now = time.monotonic()
        self._silent_seconds += min(now - self._looked_at, GAP_SECONDS_MAX)
        self._looked_at = now
        if self._has_beaten():
            self._silent_seconds, self._allowed_seconds = 0.0, SILENCE_SECONDS_MAX
        if self._silent_seconds <= self._allowed_seconds:
            return False
        self._silent_seconds = 0.0
        return True

    def close(self) -> None:
        """Hear no more: the process is gone."""
        if self._is_open:
            self._is_open = False
            os.close(self._heard)

    def _has_beaten(self) -> bool:
        try:
            return bool(os.read(self._heard, _BYTES_MAX))
        except BlockingIOError:
            return False


class Heart:
    """The own end of a process that is watched; without a watcher it does nothing."""

    def __init__(self, descriptor: int | None) -> None:
        """Beat into the pipe, if there is one."""
        self._descriptor = descriptor

    @classmethod
    def of_this_process(cls) -> Self:
        """Take what the environment says, so that nobody else does."""
        told = os.environ.pop(PULSE_VARIABLE, None)
        if told is None:
            return cls(None)
        descriptor = int(told)
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # its only form
        faulthandler.register(_TELL)
        return cls(descriptor)

    def beat(self) -> None:
        """Show that all goes on. A pipe that is full or closed is the watcher's matter."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, b".")

    @contextmanager
    def beating(self) -> Generator[None, None, None]:
        """Beat from the running event loop for as long as the block takes."""
        loop = asyncio.get_running_loop()

        def beat() -> None:
            nonlocal timer
            self.beat()
            timer = loop.call_later(EVERY_SECONDS, beat)

        timer = loop.call_soon(beat)
        try:
            yield
        finally:
            timer.cancel()


def ask_where_it_hangs(pid: int) -> None:
    """Have a process write the frames of its threads to its standard error, if it still can."""
    with suppress(ProcessLookupError):
        os.kill(pid, _TELL)
