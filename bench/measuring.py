"""One measurement: a load in its own process, and what it cost between `begin` and `end`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, Generic, TypeVar

from bench.load import Counted
from bench.machine import Probe, Sample
from bench.processes import Server

_JOIN_SECONDS: Final = 10
_MICRO: Final = 1_000_000

JobT = TypeVar("JobT")


class MeasurementFailed(Exception):
    """A figure cannot be given; the message says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the report, from one round. Rates are per second, CPU in cores."""

    name: str
    callers: int
    rate: float
    p50_seconds: float | None = None
    p99_seconds: float | None = None
    service_cores: float | None = None
    postgres_cores: float | None = None
    load_cores: float | None = None
    wal_bytes: float | None = None
    """Per unit, with page images."""
    wal_record_bytes: float | None = None
    """Per unit, without them."""
    batch_size: float | None = None
    commit_seconds: float | None = None
    ran_out: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """What is the same in every round."""
        return self.name, self.callers

    @property
    def cpu_micros(self) -> float | None:
        """Give the CPU time of service and Postgres that one unit costs."""
        if self.postgres_cores is None or not self.rate:
            return None
        return (self.postgres_cores + (self.service_cores or 0.0)) / self.rate * _MICRO


@dataclass(frozen=True, slots=True)
class Work(Generic[JobT]):
    """What a process of its own does, and on which server, if it is not itself the writer."""

    target: Callable[[JobT, Connection], None]
    job: JobT
    server: Server | None = None


async def measure(
    name: str, callers: int, work: Work[JobT], probe: Probe
) -> tuple[Measured, Counted]:
    """Run a load to its end.

    Raises:
        MeasurementFailed: An answer was wrong, or there was nothing left to send in the warm-up.
    """
    counted, first, last = await _run(work, probe)
    if counted.wrong:
        raise MeasurementFailed(
            f"{name} at {callers}: {counted.wrong} answers were wrong, such as {counted.examples}"
        )
    if not counted.seconds or not counted.units:
        raise MeasurementFailed(f"{name} at {callers}: nothing was counted")
    in_process = work.server is None
    images = await probe.page_image_bytes(first, last)
    units, seconds = counted.units, counted.seconds
    wal_bytes = last.wal_bytes - first.wal_bytes
    batches, commits = last.batches - first.batches, last.commits - first.commits
    cpu = counted.cpu_seconds / seconds
    latencies = sorted(counted.latencies)
    measured = Measured(
        name,
        callers,
        units / seconds,
        p50_seconds=latencies[len(latencies) // 2],
        p99_seconds=latencies[len(latencies) * 99 // 100],
        service_cores=cpu if in_process else (last.service_cpu - first.service_cpu) / seconds,
        postgres_cores=(last.postgres_cpu - first.postgres_cpu) / seconds,
        load_cores=None if in_process else cpu,
        wal_bytes=wal_bytes / units,
        wal_record_bytes=None if images is None else (wal_bytes - images) / units,
        batch_size=(last.commands - first.commands) / batches if batches else None,
        commit_seconds=(last.commit_seconds - first.commit_seconds) / commits if commits else None,
        ran_out=counted.ran_out,
    )
    return measured, counted


async def _run(work: Work[JobT], probe: Probe) -> tuple[Counted, Sample, Sample]:
    server = work.server
    pid = None if server is None else server.pid
    metrics_ports = () if server is None else server.metrics_ports
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work.target, args=(work.job, theirs), daemon=True)
    await asyncio.to_thread(process.start)
    theirs.close()
    try:
        first = last = None
        while True:
            try:
                told = await asyncio.to_thread(ours.recv)
            except EOFError:
                raise MeasurementFailed("the load generator died") from None
            if isinstance(told, Counted):
                break
            sample = await probe.sample(pid, metrics_ports)
            if told == "begin":
                first = sample
            else:
                last = sample
    finally:
        process.join(_JOIN_SECONDS)
        if process.is_alive():
            process.terminate()
    if server is not None:
        server.forget_log()
    if first is None or last is None:
        raise MeasurementFailed("there was nothing left to send before the warm-up ended")
    return told, first, last
