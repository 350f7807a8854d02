"""`anxin run`, as `make run` starts it: what stands in its way is said, and nothing is left."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.postgres import data_folder
from tests.faults.processes import ROOT, Process, free_port, parents
from tests.faults.rounds import ROUNDS

pytestmark = pytest.mark.faults

_STOP_SECONDS_MAX = 60
_TURN_SECONDS = 0.05
_IMPATIENT = """
from app.cli import app
from app.commands import pulses

pulses.SILENCE_SECONDS_MAX = 3
pulses.FIRST_SECONDS_MAX = 30
app()
"""
"""Takes three seconds of silence for long; a child may be stopped while it still starts."""


@dataclass(frozen=True, slots=True)
class Run:
    """`anxin run` under way."""

    process: subprocess.Popen[str]
    port: int
    data: Path

    def children(self) -> set[int]:
        """Give every process that it started, and those that they started."""
        found = {self.process.pid}
        while more := {pid for pid, parent in parents() if parent in found} - found:
            found |= more
        return found - {self.process.pid}

    def child(self, name: str) -> int:
        return next(
            pid
            for pid in self.children()
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-2:-1] == [name.encode()]
        )

    async def ready(self) -> None:
        assert self.process.stderr is not None
        process = Process("serve", {"PORT": str(self.port)}, self.data / "no-log")
        process._process = self.process  # pyright: ignore[reportAttributeAccessIssue]  # only asked whether it runs
        await process.ready()
        async with asyncio.timeout(_STOP_SECONDS_MAX):
            # Its last step: whoever finds the file may call.
            while not (self.data / "sandbox.json").exists():
                await asyncio.sleep(_TURN_SECONDS)


def _environment(data: Path, port: int, **more: str) -> dict[str, str]:
    ours = {"DATA": str(data), "PORT": str(port), "METRICS_PORT": str(free_port())}
    known = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    return {**known, **ours, **more}


@contextlib.contextmanager
def running(data: Path, *, impatient: bool = False) -> Generator[Run, None, None]:
    port = free_port()
    program = ["-c", _IMPATIENT] if impatient else ["-m", "app.cli"]
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(
            [sys.executable, *program, "run"],
            cwd=ROOT,
            env=_environment(data, port),
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            yield Run(process, port, data)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS_MAX)


def refused(data: Path, port: int, **environment: str) -> str:
    """Run where it cannot; give what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "run"],
        cwd=ROOT,
        env=_environment(data, port, **environment),
        capture_output=True,
        text=True,
        timeout=_STOP_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


async def _gone(pids: set[int]) -> None:
    async with asyncio.timeout(_STOP_SECONDS_MAX):
        while pids & {pid for pid, _ in parents()}:
            await asyncio.sleep(_TURN_SECONDS)


async def test_what_stands_in_its_way_is_said_and_ctrl_c_stops_all() -> None:
    with data_folder() as data, data_folder() as other, running(data) as run:
        await run.ready()

        # A second one on the same data folder.
        said = await asyncio.to_thread(refused, data, free_port())
        assert "A service is running on the data folder" in said
        # A port that somebody has, even with a folder of its own.
        said = await asyncio.to_thread(refused, other, run.port)
        assert f"Port {run.port}" in said
        assert not other.exists()
        await run.ready()  # neither did any harm

        pids = run.children()
        run.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(run.process.wait, _STOP_SECONDS_MAX) == 0
        await _gone(pids)
        assert len(pids) > 3, "web, worker, Postgres and its own"


async def test_a_database_that_is_not_there_is_said_without_its_password() -> None:
    with data_folder() as data:
        urls = {
            name: f"postgresql://{role}:hush-hush@127.0.0.1:{free_port()}/anxin"
            for name, role in (("DATABASE_URL", "service"), ("MIGRATION_DATABASE_URL", "owner"))
        }
        said = await asyncio.to_thread(lambda: refused(data, free_port(), **urls))

    assert "cannot be used" in said
    assert "hush-hush" not in said


@pytest.mark.skipif(ROUNDS == 1, reason="three starts of everything: `make faults` has the time")
async def test_a_child_that_dies_takes_all_down_and_a_killed_run_leaves_nothing_in_the_way() -> (
    None
):
    with data_folder() as data:
        with running(data) as run:
            await run.ready()
            children = run.children()
            service = {run.child("serve"), run.child("worker")}
            run.process.kill()
            run.process.wait()
            await _gone(service)  # Postgres goes on: nobody was there to stop it

        with running(data) as run:
            await _gone(children)  # the one that was left is stopped first
            (data / "sandbox.json").unlink(missing_ok=True)
            await run.ready()
            children = run.children()
            os.kill(run.child("worker"), signal.SIGKILL)
            assert await asyncio.to_thread(run.process.wait, _STOP_SECONDS_MAX) == 1
            assert run.process.stderr is not None
            assert "`anxin worker` ended with status" in run.process.stderr.read()
            await _gone(children)


@pytest.mark.skipif(ROUNDS == 1, reason="two starts of everything: `make faults` has the time")
@pytest.mark.parametrize("name", ["serve", "worker"])
async def test_a_child_that_hangs_takes_all_down(name: str) -> None:
    with data_folder() as data, running(data, impatient=True) as run:
        await run.ready()
        children = run.children()
        os.kill(run.child(name), signal.SIGSTOP)
        assert await asyncio.to_thread(run.process.wait, _STOP_SECONDS_MAX) == 1
        assert run.process.stderr is not None
        assert f"`anxin {name}` hung and was killed" in run.process.stderr.read()
        await _gone(children)
