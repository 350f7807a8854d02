"""The worker process: what nobody calls for. Every job may run twice, or be broken off."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from app.api.services import Services
from app.calendar.deadlines import answer_due_on
from app.cases import rulings
from app.cases import service as cases
from app.cases.routes import desk_of
from app.charges import upkeep
from app.closures import upkeep as closures
from app.closures.preparing import Tools
from app.db.engine import Database
from app.errors import DomainError
from app.holds import upkeep as holds_upkeep
from app.main import open_services
from app.observability import configure_logging
from app.payment_files import due
from app.payment_files.routes import parts_of
from app.purchases import suspense
from app.purchases.routes import till_of
from app.settings import Settings
from app.writer import requests

log = structlog.stdlib.get_logger()

_LEASE: Final = timedelta(seconds=30)
"""After this long a worker that died loses its job to another."""
_RECEIPTS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Job:
    """Something done again and again; a lease keeps a second worker from doing it too."""

    name: str
    every_seconds: float
    run: Callable[[Services], Awaitable[object]]


async def _expire_charges(services: Services) -> None:
    await upkeep.expire_charges(services.db, services.writer)


async def _expire_holds(services: Services) -> None:
    await holds_upkeep.expire_holds(services.db, services.writer)


async def _forget(services: Services) -> None:
    await upkeep.forget_codes(services.db)
    await requests.forget_refusals(services.db)


async def _return_receipts(services: Services) -> None:
    await suspense.return_due(till_of(services), count=_RECEIPTS_MAX)


async def _decide_silent(services: Services) -> None:
    await cases.decide_silent(desk_of(services))
    await rulings.end_overtaken(services.db)


async def _schedule_cases(services: Services) -> None:
    async def due_on(merchant_no: int, today: date) -> date | None:
        return await answer_due_on(
            services.calendar, services.policies, services.directory, merchant_no, today
        )

    await cases.schedule(desk_of(services), due_on)


async def _cut_files(services: Services) -> None:
    await due.cut_due(parts_of(services))


async def _resume_files(services: Services) -> None:
    await due.resume(parts_of(services))


async def _carry_closures_on(services: Services) -> None:
    await closures.carry_on(Tools(services.writer, parts_of(services)))


async def _look_at_every_closure(services: Services) -> None:
    await closures.carry_on(Tools(services.writer, parts_of(services)), every=True)


JOBS: Final = (
    Job("closures", 1, _carry_closures_on),
    Job("every_closure", 60, _look_at_every_closure),
    Job("expire_charges", 1, _expire_charges),
    Job("expire_holds", 5, _expire_holds),
    Job("return_receipts", 5, _return_receipts),
    Job("decide_silent_cases", 5, _decide_silent),
    Job("schedule_cases", 60, _schedule_cases),
    Job("cut_files", 5, _cut_files),
    Job("resume_files", 10, _resume_files),
    Job("forget", 60, _forget),
)


async def work(settings: Settings) -> None:
    """Run the jobs until told to stop; a job that is in the middle is cancelled and rolls back."""
    configure_logging(settings.log_level)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    worker = uuid4()
    async with open_services(settings) as services:
        tasks = [asyncio.create_task(_repeat(job, services, worker), name=job.name) for job in JOBS]
        log.info("worker.started", jobs=len(JOBS))
        await stopped.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _release(services.db, worker)
    log.info("worker.stopped")


async def _repeat(job: Job, services: Services, worker: UUID) -> None:
    while True:
        try:
            if await _leased(services.db, job, worker):
                await job.run(services)
        except DomainError as refused:
            log.warning("job.put_off", job=job.name, code=refused.code)
        except Exception:
            # An outermost loop: the next round may succeed, and other jobs go on.
            log.exception("job.failed", job=job.name)
        await asyncio.sleep(job.every_seconds)


async def _leased(db: Database, job: Job, worker: UUID) -> bool:
    """Take or keep the job; False while another living worker has it."""
    now = datetime.now(UTC)  # Real time: a lease is about processes, not about the domain.
    async with db.transaction() as tx:
        taken = await tx.execute(
            """
            INSERT INTO job (name, leased_until, leased_by) VALUES (:name, :until, :worker)
            ON CONFLICT (name) DO UPDATE
            SET leased_until = excluded.leased_until, leased_by = excluded.leased_by
            WHERE job.leased_until <= :now OR job.leased_by = excluded.leased_by
            """,
            name=job.name,
            until=now + _LEASE + timedelta(seconds=job.every_seconds),
            worker=worker,
            now=now,
        )
    return taken == 1


async def _release(db: Database, worker: UUID) -> None:
    """Let another worker take over at once."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE job SET leased_until = :now WHERE leased_by = :worker",
            now=datetime.now(UTC),
            worker=worker,
        )
