"""`anxin worker`: the jobs that nobody calls for, such as expiry and the nightly files."""

import asyncio

from app.commands.pulses import Heart
from app.commands.starting import check_before_start, end_with_supervisor, prepared_settings
from app.settings import Settings
from app.worker import work


def worker() -> None:
    """Run the jobs from a migrated database until told to stop."""
    end_with_supervisor()
    settings = prepared_settings()
    check_before_start(settings)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    with Heart.of_this_process().beating():
        await work(settings)
