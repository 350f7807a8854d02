"""The business date: a day as it is on the wall in China."""

from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Final

SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
"""China keeps one time and has had no daylight saving since 1991: a fixed offset is exact, and
needs no zone database on the machine."""


@lru_cache(maxsize=1024)  # all decisions of a batch are of one moment
def business_date(at: datetime) -> date:
    """Give the business date of a time: its date in Shanghai."""
    return at.astimezone(SHANGHAI).date()


def start_of_day(day: date) -> datetime:
    """Give the first moment of a business date."""
    return datetime.combine(day, time(), SHANGHAI)
