"""Business days: when a bank executes, and when a legal period ends.

Banks and courts here follow one list: Monday to Friday, less the State Council's holidays,
plus its make-up working weekends. Nothing is guessed: a day of a year that is not loaded
has no answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from app.calendar.errors import CalendarNotCovered
from app.dates import business_date

_ONE_DAY: Final = timedelta(days=1)
_FIRST_WEEKEND_DAY: Final = 5


@dataclass(frozen=True, slots=True)
class Holiday:
    """A named run of days off, both ends included."""

    name: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class YearPlan:
    """One year as it is announced: what differs from Monday to Friday."""

    year: int
    source: str
    provisional: bool
    holidays: tuple[Holiday, ...]
    working_weekends: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class BusinessDay:
    """One day of the table; `name` says why it differs from its weekday."""

    day: date
    banking: bool
    name: str | None
    provisional: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """The business days that are loaded: every day of a covered year, true if a working day."""

    days: Mapping[date, bool]

    def is_working_day(self, day: date) -> bool:
        """Say whether banks and courts work on this day.

        Raises:
            CalendarNotCovered: Its year is not loaded.
        """
        try:
            return self.days[day]
        except KeyError:
            raise CalendarNotCovered(day) from None

    def next_working_day(self, day: date) -> date:
        """Give the first working day after this day (T+1).

        Raises:
            CalendarNotCovered: The answer lies in a year that is not loaded.
        """
        return self.nth_working_day(day, 1)

    def nth_working_day(self, day: date, n: int) -> date:
        """Give the `n`-th working day after this day; `n` is at least 1.

        Raises:
            CalendarNotCovered: The answer lies in a year that is not loaded.
        """
        for candidate in _days_from(day + _ONE_DAY):
            n -= self.is_working_day(candidate)
            if n <= 0:
                return candidate
        raise CalendarNotCovered(date.max)

    def working_day_from(self, day: date) -> date:
        """Give this day, or, if it is a day off, the next working day.

        Raises:
            CalendarNotCovered: The answer lies in a year that is not loaded.
        """
        return day if self.is_working_day(day) else self.next_working_day(day)

    def cooling_off_end(self, paid_at: datetime, days: int) -> date | None:
        """Give the last day of the cooling-off period (法释 [2025] 4号, art. 14).

        The day of payment does not count, and a period that would end on a day off ends on
        the next working day. None where the calendar does not reach: a sale never fails
        for it, and the period counts as open until the year is loaded.
        """
        try:
            return self.working_day_from(business_date(paid_at) + timedelta(days=days))
        except CalendarNotCovered:
            return None


def days_of(plan: YearPlan) -> list[BusinessDay]:
    """Spell out every day of a planned year."""
    off = {
        day: holiday.name
        for holiday in plan.holidays
        for day in _days_between(holiday.first, holiday.last)
    }
    return [
        _business_day(day, off.get(day), plan)
        for day in _days_between(date(plan.year, 1, 1), date(plan.year, 12, 31))
    ]


def _business_day(day: date, holiday: str | None, plan: YearPlan) -> BusinessDay:
    if holiday is not None:
        return BusinessDay(day, banking=False, name=holiday, provisional=plan.provisional)
    if day in plan.working_weekends:
        return BusinessDay(day, banking=True, name="调休上班", provisional=plan.provisional)
    weekday = day.weekday() < _FIRST_WEEKEND_DAY
    return BusinessDay(day, banking=weekday, name=None, provisional=plan.provisional)


def is_weekend(day: date) -> bool:
    """Say whether this is a Saturday or a Sunday."""
    return day.weekday() >= _FIRST_WEEKEND_DAY


def _days_between(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _days_from(first: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((date.max - first).days + 1))
