"""The table of business days."""

from collections.abc import Sequence
from datetime import date

from app.calendar.domain import BusinessDay
from app.db.engine import Transaction

_STORE = """
INSERT INTO business_day (day, banking, name, provisional)
SELECT * FROM unnest(
    CAST(:days AS date[]), CAST(:banking AS boolean[]), CAST(:names AS text[]),
    CAST(:provisional AS boolean[]))
ON CONFLICT (day) DO UPDATE
SET banking = excluded.banking, name = excluded.name, provisional = excluded.provisional
WHERE {overwritten}
"""
# What comes with the service never overwrites what two persons decided; an announced year
# takes the place of the provisional one.
_ADD = _STORE.format(overwritten="business_day.provisional AND NOT excluded.provisional")
_REPLACE = _STORE.format(overwritten="true")


async def days_of_year(tx: Transaction, year: int) -> list[BusinessDay]:
    """Give the days of one year, in order; none where it is not loaded."""
    return await tx.fetch(
        BusinessDay,
        """
        SELECT day, banking, name, provisional FROM business_day
        WHERE day BETWEEN CAST(:first AS date) AND CAST(:last AS date) ORDER BY day
        """,
        first=date(year, 1, 1),
        last=date(year, 12, 31),
    )


async def all_days(tx: Transaction, *, provisional: bool) -> list[BusinessDay]:
    """Give every day that counts; provisional ones only where they are asked for."""
    return await tx.fetch(
        BusinessDay,
        """
        SELECT day, banking, name, provisional FROM business_day
        WHERE :provisional OR NOT provisional
        """,
        provisional=provisional,
    )


async def add_days(tx: Transaction, days: Sequence[BusinessDay]) -> None:
    """Add days that are missing or only provisional."""
    await _store(tx, _ADD, days)


async def replace_days(tx: Transaction, days: Sequence[BusinessDay]) -> None:
    """Set days, whatever they were."""
    await _store(tx, _REPLACE, days)


async def _store(tx: Transaction, sql: str, days: Sequence[BusinessDay]) -> None:
    await tx.execute(
        sql,
        days=[day.day for day in days],
        banking=[day.banking for day in days],
        names=[day.name for day in days],
        provisional=[day.provisional for day in days],
    )
