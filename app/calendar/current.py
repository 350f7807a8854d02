"""The calendar for those who decide by it: read from the table, at most a second old."""

from time import monotonic
from typing import Final

from app.calendar import queries
from app.calendar.domain import Calendar
from app.db.engine import Database

_FRESH_SECONDS: Final = 1.0
"""Everything cached in a process expires within a second (ARCHITECTURE 12)."""


class CurrentCalendar:
    """Gives the business days in force.

    In production a provisional day counts as not loaded, so that nothing is decided by a guess.
    """

    def __init__(self, db: Database, *, provisional: bool) -> None:
        self._db = db
        self._provisional = provisional
        self._calendar = Calendar({})
        self._read_at: float | None = None

    async def get(self) -> Calendar:
        """Give the calendar; two callers at once may both read the table, which is harmless."""
        if self._read_at is None or monotonic() - self._read_at > _FRESH_SECONDS:
            started = monotonic()
            async with self._db.snapshot() as tx:
                days = await queries.all_days(tx, provisional=self._provisional)
            self._calendar = Calendar({day.day: day.banking for day in days})
            self._read_at = started
        return self._calendar
