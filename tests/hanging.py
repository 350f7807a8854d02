"""Where a test waits that has reached its time limit: a plugin that `tests/conftest.py` loads.

`faulthandler_timeout` ends the process of a test that waits for ever: from C, so whatever Python
does, and whole, since a stuck event loop or a frozen clock would hang the tests after it too; xdist
starts another worker for those. Of a suspended coroutine its stack says `select` and no more, so
what each task waits for is told here, shortly before.
"""

import asyncio
import gc
import os
import signal
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import Any, Final

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from tests.faults.processes import parents

_TOLD_SECONDS_BEFORE: Final = 2.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Tell, just before the limit, what the test waits for."""
    limit = float(item.config.getini("faulthandler_timeout") or 0)
    if limit <= _TOLD_SECONDS_BEFORE:
        return (yield)
    stderr = item.config.stash[fault_handler_stderr_fd_key]
    timer = Timer(limit - _TOLD_SECONDS_BEFORE, _give_up, (item.nodeid, limit, stderr))
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()


def _give_up(test: str, limit: float, stderr: int) -> None:
    _tell(test, limit, stderr)
    _end_children()


def _tell(test: str, limit: float, stderr: int) -> None:
    told = [f"\n{test} has reached its limit of {limit:g} s. What its tasks wait for:\n"]
    # Of all event loops, and from another thread than theirs: asyncio has no list of them.
    tasks: list[asyncio.Task[Any]] = [
        one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()
    ]
    for task in tasks:
        told.append(f"Task {task.get_name()}:\n")
        stack = traceback.StackSummary.extract((one, one.f_lineno) for one in _frames(task))
        told += stack.format()
    os.write(stderr, "".join(told).encode())


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Give the frames of a task's coroutine and of what it awaits, the outermost first."""
    waits: Any = task.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "gi_frame", None)
        if frame is not None:
            yield frame
        waits = getattr(waits, "cr_await", None) or getattr(waits, "gi_yieldfrom", None)


def _end_children() -> None:
    """End what the test has started, which nobody else would: Postgres, the service's processes.

    The run's own Postgres has a keeper, and serves the tests that follow.
    """
    for pid, parent in parents():
        if parent != os.getpid():
            continue
        if b"tests.cluster" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGINT)
