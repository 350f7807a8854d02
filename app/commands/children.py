"""Processes that a command starts: asked to stop in good order, ended where they do not."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

Child = subprocess.Popen[bytes]

_POLL_SECONDS: Final = 0.05


def start_child(*arguments: str, environment: Mapping[str, str]) -> Child:
    """Start `anxin ARGUMENTS`."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "app.cli", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        # Its own session: Ctrl-C reaches us alone, and we stop everything in order.
        start_new_session=True,
    )


def stop_children(children: Sequence[Child], *, seconds_max: float) -> Sequence[Child]:
    """Ask all at once to stop, and wait for them; give those that had to be killed."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + seconds_max
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    late = [child for child in children if child.poll() is None]
    for child in late:
        child.kill()
        child.wait()
    return late
