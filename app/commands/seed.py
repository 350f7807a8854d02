"""`anxin seed`: the sandbox's principals, merchant, store and products."""

import asyncio

from rich.console import Console

from app.commands.starting import check_before_start, prepared_settings
from app.sandbox.domain import Sandbox
from app.sandbox.service import seed as seed_sandbox
from app.settings import Settings, StartRefused


def seed() -> None:
    """Make what the sandbox starts with; doing it again changes nothing."""
    seed_into(prepared_settings(), publish=True)
    Console().print("The sandbox is seeded.")


def seed_into(settings: Settings, *, publish: bool) -> Sandbox:
    """Seed the database of these settings; `publish` writes `sandbox.json` at once.

    Raises:
        StartRefused: This is production, or the database cannot be used.
    """
    if not settings.is_sandbox:
        raise StartRefused("Only a sandbox is seeded: MODE is production.")
    check_before_start(settings)
    return asyncio.run(seed_sandbox(settings, publish=publish))
