"""The policies for those who decide by them: read from the table, at most a second old."""

import asyncio
from datetime import date, timedelta
from time import monotonic
from typing import Final, NamedTuple

from app.dates import business_date, start_of_day
from app.db.engine import Database, Transaction
from app.policies import queries
from app.policies.domain import Policies
from app.policies.versions import PolicyVersion, in_force

_FRESH_SECONDS: Final = 1.0
"""Everything cached in a process expires within a second (ARCHITECTURE 12)."""
_RESOLVED_MAX: Final = 10_000
"""Districts and days remembered; China has some 3,000 districts."""


class _Reading(NamedTuple):
    versions: list[PolicyVersion]
    today: date
    started: float
    """On the process's own clock: whatever was committed before it is in here."""
    day_ends: float
    """On the same clock; a reading is believed for a second, so the day after is tomorrow."""


class CurrentPolicies:
    """Gives the policies in force in a district. `base` counts where no row says otherwise."""

    def __init__(self, db: Database, base: Policies) -> None:
        self.base = base
        self._db = db
        self._reading: _Reading | None = None
        self._under_way: asyncio.Task[None] | None = None
        self._resolved: dict[tuple[str, date], Policies] = {}

    async def policies_in(
        self, district: str, day: date, *, tx: Transaction | None = None
    ) -> Policies:
        """Give the policies of a district on a business date.

        `tx` is the transaction (READ COMMITTED) that the caller is in: reading through it takes
        no second connection, for which it could wait while others wait for its own.
        """
        return self._resolve(await self._fresh(tx), district, day)

    async def policies_today(self, district: str) -> Policies:
        """Give the policies of a district on today's business date.

        Today is the domain's, and like the rows a second old at most: it needs no query more.
        """
        reading = await self._fresh(None)
        is_over = monotonic() >= reading.day_ends
        day = reading.today + timedelta(days=1) if is_over else reading.today
        return self._resolve(reading, district, day)

    def _resolve(self, reading: _Reading, district: str, day: date) -> Policies:
        known = self._resolved.get((district, day))
        if known is None:
            if len(self._resolved) >= _RESOLVED_MAX:
                self._resolved.clear()
            known = in_force(self.base, district, day, reading.versions)
            self._resolved[district, day] = known
        return known

    async def _fresh(self, tx: Transaction | None) -> _Reading:
        reading = self._reading
        if reading is not None and monotonic() - reading.started <= _FRESH_SECONDS:
            return reading
        if tx is not None:
            return self._keep(await _read(tx))
        if self._under_way is None:
            # One reads for all who wait, so that a second's end is no burst of queries.
            self._under_way = asyncio.create_task(self._read_alone(), name="policies")
            self._under_way.add_done_callback(self._done)
        await asyncio.shield(self._under_way)
        # Since it was done, a later reading may have taken its place.
        assert self._reading is not None
        return self._reading

    async def _read_alone(self) -> None:
        async with self._db.snapshot() as tx:
            self._keep(await _read(tx))

    def _keep(self, reading: _Reading) -> _Reading:
        """Remember what was read, unless a later reading came first; give the later one."""
        before = self._reading
        if before is not None and before.started > reading.started:
            return before
        if before is None or before.versions != reading.versions:
            self._resolved.clear()
        self._reading = reading
        return reading

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way = None
        if not task.cancelled():
            # Those who waited have the failure already; if all of them left, nobody needs it.
            task.exception()


async def _read(tx: Transaction) -> _Reading:
    started = monotonic()
    versions, now = await queries.all_versions(tx), await tx.now()
    # Not from `started`: however long the queries waited, the day is as long as it is.
    told = monotonic()
    today = business_date(now)
    left = start_of_day(today + timedelta(days=1)) - now
    return _Reading(versions, today, started, told + left.total_seconds())
