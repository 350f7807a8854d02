"""Work over many merchants: what breaks at one is told, and the others' goes on.

An outermost loop, as the worker's is: a bug in one merchant's step must not keep money of the
merchants after it from being cut, booked or given back. It is never silent: a log line with its
frames, and an alert, which `/metrics` counts.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from app import ids
from app.db.engine import Database
from app.errors import DatabaseUnavailable, Overloaded

STEP_FAILED: Final = "step_failed"
"""The kind of alert that a broken step raises; once an hour for each merchant and step."""

_PAUSE_SECONDS: Final = 0.5
"""How long a step waits that the database or the writer could not take, before its second try."""

log = structlog.stdlib.get_logger()


@dataclass(slots=True)
class BulkWork:
    """One kind of step, done merchant by merchant."""

    db: Database
    name: str
    failed: dict[int, Exception] = field(default_factory=dict[int, Exception])
    """What broke, by merchant."""

    async def step(self, merchant_no: int, do: Callable[[], Awaitable[object]]) -> bool:
        """Do one merchant's step, which may run twice; False where it broke.

        What is no merchant's (`PLATFORM_NO`) runs once: the steps in it have tried again.

        Raises:
            DatabaseUnavailable: Not the step is broken: the alert could not be raised either.
        """
        try:
            await (do() if merchant_no == ids.PLATFORM_NO else _tried(do))
        except Exception as error:  # as the outermost loops do: see above
            log.exception("step.failed", step=self.name, merchant_no=merchant_no)
            self.failed[merchant_no] = error
            await _alert(self.db, self.name, merchant_no, error)
            return False
        return True

    def raise_failed(self) -> None:
        """Say that not all was done, once the others are through.

        Raises:
            Exception: What broke first.
        """
        for error in self.failed.values():
            raise error


async def _tried(do: Callable[[], Awaitable[object]]) -> None:
    try:
        await do()
    except (DatabaseUnavailable, Overloaded):
        # A lock that was held for long, a restart: most often over by then.
        await asyncio.sleep(_PAUSE_SECONDS)
        await do()


async def _alert(db: Database, step: str, merchant_no: int, error: Exception) -> None:
    """Put a broken step before people; by the error's type, since its message may hold rows."""
    async with db.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO alert (alert_id, merchant_no, kind, subject_id, detail, created_at)
            SELECT :id, :no, :kind, NULL, CAST(:detail AS jsonb), anxin_now()
            WHERE NOT EXISTS (
                SELECT FROM alert WHERE merchant_no = :no AND kind = :kind
                    AND detail ->> 'step' = :step AND created_at > anxin_now() - interval '1 hour')
            """,
            id=ids.new_id(merchant_no),
            no=merchant_no,
            kind=STEP_FAILED,
            step=step,
            detail=json.dumps({"step": step, "error": type(error).__qualname__}),
        )
