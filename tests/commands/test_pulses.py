"""A process that hangs is noticed, and one that only seems to is not."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from app.commands import pulses
from app.commands.children import Child, stop_children
from app.commands.pulses import Heart, Pulse

_SILENCE_SECONDS = 0.3
_SECONDS_MAX = 30
_HANGS = "while True: pass"


@pytest.fixture
def pulse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pulse]:
    """Give a pulse whose times are short, and a stalled test counts for little in them."""
    monkeypatch.setattr(pulses, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(pulses, "SILENCE_SECONDS_MAX", _SILENCE_SECONDS)
    monkeypatch.setattr(pulses, "FIRST_SECONDS_MAX", 3 * _SILENCE_SECONDS)
    monkeypatch.setattr(pulses, "GAP_SECONDS_MAX", 0.02)
    made = Pulse()
    monkeypatch.setenv(pulses.PULSE_VARIABLE, str(made.written))
    yield made
    made.close()
    with suppress(OSError):
        os.close(made.written)


def _looks_until_lost(pulse: Pulse) -> int:
    looks = 1
    while not pulse.is_lost():
        looks += 1
        time.sleep(0.01)
    return looks


async def test_a_loop_that_goes_on_is_never_lost(pulse: Pulse) -> None:
    with Heart.of_this_process().beating():
        for _ in range(100):
            await asyncio.sleep(0.01)
            assert not pulse.is_lost()


async def test_a_loop_that_is_blocked_is_lost(pulse: Pulse) -> None:
    with Heart.of_this_process().beating():
        await asyncio.sleep(0)
        assert not pulse.is_lost()
        assert _looks_until_lost(pulse) >= _SILENCE_SECONDS / 0.02


async def test_a_loop_that_ended_beats_no_more(pulse: Pulse) -> None:
    with Heart.of_this_process().beating():
        await asyncio.sleep(0)
    _looks_until_lost(pulse)
    _looks_until_lost(pulse)  # said once each time


def test_a_first_beat_may_take_longer(pulse: Pulse) -> None:
    first = _looks_until_lost(pulse)
    Heart.of_this_process().beat()
    assert not pulse.is_lost()
    assert first >= 3 * _SILENCE_SECONDS / 0.02


def test_a_watcher_that_stood_still_does_not_take_that_for_silence(pulse: Pulse) -> None:
    Heart.of_this_process().beat()
    assert not pulse.is_lost()
    time.sleep(2 * _SILENCE_SECONDS)
    assert not pulse.is_lost()


def test_a_pipe_that_nobody_empties_holds_nothing_up(pulse: Pulse) -> None:
    heart = Heart.of_this_process()
    for _ in range(100_000):
        heart.beat()
    pulse.close()
    heart.beat()


async def test_who_is_not_watched_does_not_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pulses.PULSE_VARIABLE, raising=False)
    heart = Heart.of_this_process()
    heart.beat()
    with heart.beating():
        await asyncio.sleep(0)


def test_only_the_process_itself_takes_its_end(pulse: Pulse) -> None:
    assert not pulse.is_lost()
    Heart.of_this_process()
    assert pulses.PULSE_VARIABLE not in os.environ
    assert not os.get_inheritable(pulse.written)


def test_one_that_hangs_says_where_before_it_is_killed(pulse: Pulse) -> None:
    code = f"from app.commands.pulses import Heart\nHeart.of_this_process().beat()\n{_HANGS}"
    with subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=(pulse.written,), stderr=subprocess.PIPE
    ) as process:
        child = Child(process, pulse)
        while not pulse._has_beaten():
            time.sleep(0.01)

        child.end_hung()

        said = process.communicate(timeout=_SECONDS_MAX)[1]
    assert b'File "<string>", line 3 in <module>' in said
    assert child.poll() == -9
    assert not stop_children([child], seconds_max=0)
