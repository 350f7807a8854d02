"""Processes that a command starts: asked to stop in good order, ended where they do not."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from app.commands.pulses import PULSE_VARIABLE, Pulse, ask_where_it_hangs

_POLL_SECONDS: Final = 0.05
_TELL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours, and its pulse."""

    process: subprocess.Popen[bytes]
    pulse: Pulse

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        """Give its status, if it ended."""
        status = self.process.poll()
        if status is not None:
            self.pulse.close()
        return status

    def end_hung(self) -> None:
        """Kill it, after it said where it hangs; it would hear no request to stop."""
        ask_where_it_hangs(self.pid)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_TELL_SECONDS)
        self.process.kill()


def start_child(*arguments: str, environment: Mapping[str, str]) -> Child:
    """Start `anxin ARGUMENTS`."""
    pulse = Pulse()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "app.cli", *arguments],
            env={**environment, PULSE_VARIABLE: str(pulse.written)},
            stdin=subprocess.DEVNULL,
            # Its own session: Ctrl-C reaches us alone, and we stop everything in order.
            start_new_session=True,
            pass_fds=(pulse.written,),
        )
    finally:
        os.close(pulse.written)
    return Child(process, pulse)


def stop_children(children: Sequence[Child], *, seconds_max: float) -> Sequence[Child]:
    """Ask all at once to stop, and wait for them; give those that had to be killed."""
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + seconds_max
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    late = [child for child in children if child.poll() is None]
    for child in late:
        child.process.kill()
        child.process.wait()
        child.pulse.close()
    return late
