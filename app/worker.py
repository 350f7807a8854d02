"""The worker process: what nobody calls for. Jobs are given by `app/main.py`'s parts."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from app.api.services import Services
from app.main import open_services
from app.observability import configure_logging
from app.settings import Settings

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """Something done again and again; doing it twice at once must be harmless."""

    name: str
    every_seconds: float
    run: Callable[[Services], Awaitable[None]]


JOBS: Final[tuple[Job, ...]] = ()


async def work(settings: Settings) -> None:
    """Run the jobs until told to stop; a job that is in the middle is cancelled and rolls back."""
    configure_logging(settings.log_level)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with open_services(settings) as services:
        tasks = [asyncio.create_task(_repeat(job, services), name=job.name) for job in JOBS]
        log.info("worker.started", jobs=len(JOBS))
        await stopped.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    log.info("worker.stopped")


async def _repeat(job: Job, services: Services) -> None:
    while True:
        try:
            await job.run(services)
        except Exception:
            # An outermost loop: the next round may succeed, and other jobs go on.
            log.exception("job.failed", job=job.name)
        await asyncio.sleep(job.every_seconds)
