"""The years that come with the service, read from `official.toml`."""

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TypedDict, cast

from app.calendar.domain import Holiday, YearPlan


class _HolidayEntry(TypedDict):
    name: str
    first: date
    last: date


class _YearEntry(TypedDict):
    source: str
    provisional: bool
    working_weekends: list[date]
    holidays: list[_HolidayEntry]


@cache
def official_years() -> tuple[YearPlan, ...]:
    """Give the announced years and, marked `provisional`, those not announced yet."""
    text = files("app.calendar").joinpath("official.toml").read_text(encoding="utf-8")
    entries = cast("dict[str, _YearEntry]", tomllib.loads(text))
    return tuple(_plan(int(year), entry) for year, entry in entries.items())


def _plan(year: int, entry: _YearEntry) -> YearPlan:
    return YearPlan(
        year=year,
        source=entry["source"],
        provisional=entry["provisional"],
        holidays=tuple(Holiday(**holiday) for holiday in entry["holidays"]),
        working_weekends=tuple(entry["working_weekends"]),
    )
