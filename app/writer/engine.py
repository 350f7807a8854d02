"""The writer: gathers commands while a commit is in flight and runs them as one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeVar

import structlog

from app.errors import DatabaseUnavailable, NotFound, Overloaded
from app.ids import MERCHANT_NO_MAX
from app.writer.batch import BatchRunner
from app.writer.book import ENGINE_LOOKUPS, Schema
from app.writer.commands import AnyPlan, Command, Outcome
from app.writer.connection import Lane
from app.writer.jobs import BatchFailed, BatchUnknown, Job
from app.writer.queue import Queue
from app.writer.tables import Index, Lookup, Table

ResultT = TypeVar("ResultT")
log = structlog.get_logger()

ATTEMPTS_MAX: Final = 5
RETRY_PAUSE_SECONDS: Final = 0.1
"""How often and after what pause a batch is tried again that the database could not take."""

TURNS: Final = 4
"""Of the event loop before a lone lane takes a batch, so that commands which lie in the sockets are
in it. A turn costs microseconds, and a batch half as large again makes each of its commands cheaper
by a twentieth. Of several lanes one would take all, and the others would idle: they need none."""


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """How much the writer takes on."""

    lanes: int = 2
    batch_max: int = 512
    queue_max: int = 8192
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Registry:
    """What the capabilities bring: tables, ways to find rows, and plans for their commands."""

    tables: Sequence[Table[Any]]
    indexes: Sequence[Index[Any]]
    lookups: Sequence[Lookup[Any]]
    plans: Sequence[AnyPlan]


@dataclass(frozen=True, slots=True)
class BatchObserved:
    """What one batch did, for the metrics."""

    size: int
    queued: int
    seconds: float
    commit_seconds: float
    events: Mapping[str, int]


class Writer:
    """Carries out commands; the only way by which card money moves.

    Nothing that correctness needs lives here: a second writer in another process is kept apart
    by the books' locks, and what was answered is stored with its effect.
    """

    def __init__(
        self,
        dsn: str,
        registry: Registry,
        *,
        limits: WriterLimits | None = None,
        observe: Callable[[BatchObserved], None] = lambda _: None,
    ) -> None:
        """Put the engine together.

        Raises:
            ValueError: Two plans for one command, or a lookup of a table that is not there.
        """
        self._limits = limits or WriterLimits()
        self._schema = Schema(registry.tables, registry.indexes)
        all_lookups = (*ENGINE_LOOKUPS, *registry.lookups)
        unknown = {table.name for lookup in all_lookups for table in lookup.tables.values()} - {
            table.name for table in self._schema.tables
        }
        if unknown:
            raise ValueError(f"lookups of unknown tables: {sorted(unknown)}")
        self._plans: dict[type[Any], AnyPlan] = {}
        for plan in registry.plans:
            if plan.command in self._plans:
                raise ValueError(f"two plans for {plan.command.__name__}")
            self._plans[plan.command] = plan
        self._runner = BatchRunner(self._schema, all_lookups, self._plans)
        self._dsn = dsn
        self._observe = observe
        self._queue = Queue()
        self._arrived = asyncio.Event()
        self._starved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False

    @property
    def queued(self) -> int:
        """How many commands wait."""
        return self._queue.size

    @property
    def is_running(self) -> bool:
        """Whether commands are taken."""
        return self._open

    async def start(self) -> None:
        """Start the lanes; each connects when it is first needed and again after a break."""
        self._open = True
        for number in range(self._limits.lanes):
            self._begin(self._run, f"writer-lane-{number}")
        self._begin(self._run_starved, "writer-lane-that-waits")

    def _begin(self, run: Callable[[Lane], Coroutine[None, None, None]], name: str) -> None:
        lane = Lane(self._dsn, self._runner.create)
        self._tasks.append(asyncio.create_task(run(lane), name=name))

    async def stop(self) -> None:
        """Finish what is in flight, refuse what waits, close the lanes."""
        self._open = False
        for job in self._queue.drop_all():
            job.fail(Overloaded())
        self._arrived.set()
        self._starved.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        # What a lane gave back while it ended.
        for job in self._queue.drop_all():
            job.fail(Overloaded())

    async def submit(self, command: Command) -> Outcome[Any]:
        """Carry out a command; returns after its commit.

        A retry under the same idempotency key gives the stored outcome.

        Raises:
            DatabaseUnavailable: The database is gone; whether it took effect is unknown.
            DomainError: The command was refused; nothing has changed.
            Overloaded: Too much is waiting; nothing was done.
        """
        if not self._open or self._queue.size >= self._limits.queue_max:
            raise Overloaded
        if command.merchant_no > MERCHANT_NO_MAX:
            # From an id that somebody made up; in a batch it would hold up the others.
            raise NotFound
        loop = asyncio.get_running_loop()
        job = Job(command, self._plans[type(command)], loop.create_future())
        self._queue.add(job)
        self._arrived.set()
        # Cheaper than a timeout context, and there is one for every use.
        end = loop.call_later(self._limits.timeout_seconds, job.give_up)
        try:
            return await job.future
        finally:
            end.cancel()

    async def _run(self, lane: Lane) -> None:
        while self._open:
            if self._queue.size and self._limits.lanes == 1:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            jobs = self._queue.take(self._limits.batch_max)
            if jobs:
                await self._serve(lane, jobs, wait=False)
            else:
                self._arrived.clear()
                await self._arrived.wait()
        await lane.close()

    async def _run_starved(self, lane: Lane) -> None:
        """Wait for books that others hold too often: one by one, so that no lock is held meanwhile.

        A lane of its own does it, because such a book may be held for long.
        """
        while self._open:
            jobs = self._queue.take_starved(self._limits.batch_max)
            if jobs:
                await self._serve(lane, jobs, wait=True)
            else:
                self._starved.clear()
                await self._starved.wait()
        await lane.close()

    async def _serve(self, lane: Lane, jobs: Sequence[Job], *, wait: bool) -> None:
        nos = list(dict.fromkeys(job.command.merchant_no for job in jobs))
        unfinished: Sequence[Job] = ()
        try:
            unfinished = await self._batch(lane, jobs, wait=wait)
        except Exception as error:  # the outermost loop: a lane must live on
            log.exception("batch.crashed")
            for job in jobs:
                job.fail(error)
        finally:
            self._queue.give_back(nos, unfinished)
            # Another lane may have found these books busy and gone to sleep.
            self._arrived.set()
            self._starved.set()

    async def _batch(self, lane: Lane, jobs: Sequence[Job], *, wait: bool) -> Sequence[Job]:
        """Run a batch to its end; give the jobs whose books another process had."""
        started = perf_counter()
        # Whose caller was told that the outcome is unknown, and waits no longer, is not begun.
        jobs = [job for job in jobs if not job.future.done()]
        if not jobs:
            return ()
        try:
            done = await self._runner.run(lane, jobs, wait=wait)
        except BatchUnknown as unknown:
            return await self._resolve(lane, jobs, unknown)
        except BatchFailed as failed:
            return await self._failed(lane, jobs, failed, wait=wait)
        self._observe(
            BatchObserved(
                len(jobs) - len(done.skipped),
                self._queue.size,
                perf_counter() - started,
                done.commit_seconds,
                done.events,
            )
        )
        return done.skipped

    async def _resolve(
        self, lane: Lane, jobs: Sequence[Job], unknown: BatchUnknown
    ) -> Sequence[Job]:
        """Find out whether a batch was committed whose answer was lost."""
        try:
            committed = await self._runner.was_committed(
                lane, unknown.batch_id, [job.command.merchant_no for job in jobs]
            )
        except BatchUnknown:
            for job in jobs:
                job.fail(DatabaseUnavailable())
            return ()
        log.warning("batch.resolved", batch_id=str(unknown.batch_id), committed=committed)
        if not committed:
            return await self._again(jobs)
        for settle in unknown.settlements:
            settle()
        return unknown.skipped

    async def _failed(
        self, lane: Lane, jobs: Sequence[Job], failed: BatchFailed, *, wait: bool
    ) -> Sequence[Job]:
        """Try again what may succeed on another try; else find the one command that cannot."""
        # What stalls the database stalls every batch, and is over on another try; what times out
        # again whole may be one command's. Whoever waits no longer is not tried alone either.
        blamed = failed.timed_out and any(job.attempts for job in jobs)
        if failed.retryable and not (blamed and len(jobs) > 1):
            return await self._again(jobs)
        if len(jobs) > 1:
            # One poisoned command must not fail the others: each alone, in their order.
            return [job for one in jobs for job in await self._batch(lane, [one], wait=wait)]
        log.error("command.failed", command=jobs[0].name, exc_info=failed.__cause__)
        jobs[0].fail(failed.__cause__ or failed)
        return ()

    async def _again(self, jobs: Sequence[Job]) -> Sequence[Job]:
        kept: list[Job] = []
        for job in jobs:
            job.attempts += 1
            if job.attempts > ATTEMPTS_MAX:
                job.fail(DatabaseUnavailable())
            else:
                kept.append(job)
        await asyncio.sleep(RETRY_PAUSE_SECONDS)
        return kept
