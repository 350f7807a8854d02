"""Load the business days of a year: those that come with the service, and an operator's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, cast

import structlog

from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.calendar import queries
from app.calendar.domain import BusinessDay, Holiday, YearPlan, days_of, is_weekend
from app.calendar.official import official_years
from app.db.engine import Database, Transaction
from app.errors import FieldError, InvalidRequest, NotFound

REPLACE_YEAR: Final = "calendar.replace_year"
"""The action under which approvals of a year are found and executed."""

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class NamedDay:
    """A day that is off, and why."""

    day: date
    name: str


@dataclass(frozen=True, slots=True)
class YearDifferences:
    """What makes a year differ from Monday to Friday."""

    year: int
    provisional: bool
    holidays: tuple[NamedDay, ...]
    working_weekends: tuple[date, ...]


async def load_official_years(db: Database, *, provisional: bool) -> None:
    """Load the years that come with the service; repeating it changes nothing.

    `provisional` years are for the sandbox only. What two persons set stays as they set it.
    """
    async with db.transaction() as tx:
        for plan in official_years():
            if provisional or not plan.provisional:
                await queries.add_days(tx, days_of(plan))


async def read_year(db: Database, year: int) -> YearDifferences:
    """Give a year as it is loaded.

    Raises:
        NotFound: It is not loaded.
    """
    async with db.snapshot() as tx:
        days = await queries.days_of_year(tx, year)
    if not days:
        raise NotFound
    return _differences(year, days)


async def propose_year(
    db: Database,
    year: int,
    holidays: Sequence[NamedDay],
    working_weekends: Sequence[date],
    *,
    by: str,
) -> Approval:
    """Put a year's announced holidays before a second person; nothing changes yet.

    Raises:
        InvalidRequest: A day lies in another year, is named twice, or cannot be what it is
            called.
    """
    _require_sound(year, holidays, working_weekends)
    request = {
        "year": year,
        "holidays": [{"date": holiday.day, "name": holiday.name} for holiday in holidays],
        "working_weekends": list(working_weekends),
    }
    async with db.transaction() as tx:
        return await approvals.propose(tx, REPLACE_YEAR, str(year), request, by)


async def replace_year(tx: Transaction, approval: Approval) -> Execution:
    """Do what a second person approved: the year is loaded, and no longer provisional."""
    request = approval.request
    holidays = cast("Sequence[Mapping[str, str]]", request["holidays"])
    working_weekends = cast("Sequence[str]", request["working_weekends"])
    plan = YearPlan(
        year=int(cast("int", request["year"])),
        source=str(approval.approval_id),
        provisional=False,
        holidays=tuple(
            Holiday(holiday["name"], first=day, last=day)
            for holiday in holidays
            for day in [date.fromisoformat(holiday["date"])]
        ),
        working_weekends=tuple(date.fromisoformat(day) for day in working_weekends),
    )
    await queries.replace_days(tx, days_of(plan))
    return Execution(
        {
            "year": plan.year,
            "provisional": False,
            "holidays": holidays,
            "working_weekends": working_weekends,
        }
    )


EXECUTORS: Final[Mapping[str, Executor]] = {REPLACE_YEAR: replace_year}


def _differences(year: int, days: Sequence[BusinessDay]) -> YearDifferences:
    return YearDifferences(
        year=year,
        provisional=any(day.provisional for day in days),
        holidays=tuple(
            NamedDay(day.day, day.name) for day in days if not day.banking and day.name is not None
        ),
        working_weekends=tuple(day.day for day in days if day.banking and is_weekend(day.day)),
    )


def _require_sound(
    year: int, holidays: Sequence[NamedDay], working_weekends: Sequence[date]
) -> None:
    off = [holiday.day for holiday in holidays]
    named = [
        *((f"/holidays/{index}/date", day) for index, day in enumerate(off)),
        *((f"/working_weekends/{index}", day) for index, day in enumerate(working_weekends)),
    ]
    wrong = [FieldError(at, "Lies in another year") for at, day in named if day.year != year]
    seen: set[date] = set()
    for at, day in named:
        if day in seen:
            wrong.append(FieldError(at, "Is named twice"))
        seen.add(day)
    wrong += [
        FieldError(f"/working_weekends/{index}", "Is no Saturday or Sunday")
        for index, day in enumerate(working_weekends)
        if not is_weekend(day)
    ]
    if wrong:
        raise InvalidRequest(*wrong)
