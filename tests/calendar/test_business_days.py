from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from app.calendar.domain import Calendar, days_of, is_weekend
from app.calendar.errors import CalendarNotCovered
from app.calendar.official import official_years
from app.dates import SHANGHAI

CALENDAR = Calendar(
    {
        day.day: day.banking
        for plan in official_years()
        if not plan.provisional
        for day in days_of(plan)
    }
)

# Compared once with the State Council's texts and the `chinesecalendar` package; written out
# again here, so that a slip in the data file shows.
WEEKDAYS_OFF: Mapping[int, str] = {
    2025: "01-01 01-28 01-29 01-30 01-31 02-03 02-04 04-04 05-01 05-02 05-05 06-02 "
    "10-01 10-02 10-03 10-06 10-07 10-08",
    2026: "01-01 01-02 02-16 02-17 02-18 02-19 02-20 02-23 04-06 05-01 05-04 05-05 06-19 "
    "09-25 10-01 10-02 10-05 10-06 10-07",
}
WEEKENDS_WORKED: Mapping[int, str] = {
    2025: "01-26 02-08 04-27 09-28 10-11",
    2026: "01-04 02-14 02-28 05-09 09-20 10-10",
}


@pytest.mark.parametrize("year", [2025, 2026])
def test_the_announced_years_are_the_state_councils(year: int) -> None:
    days = {day: banking for day, banking in CALENDAR.days.items() if day.year == year}

    off = [f"{day:%m-%d}" for day, working in days.items() if not working and not is_weekend(day)]
    worked = [f"{day:%m-%d}" for day, working in days.items() if working and is_weekend(day)]
    assert len(days) == 365
    assert off == WEEKDAYS_OFF[year].split()
    assert worked == WEEKENDS_WORKED[year].split()


@pytest.mark.parametrize(
    ("day", "following"),
    [
        (date(2026, 2, 13), date(2026, 2, 14)),
        (date(2026, 2, 14), date(2026, 2, 24)),
        (date(2026, 2, 18), date(2026, 2, 24)),
        (date(2026, 11, 20), date(2026, 11, 23)),
        (date(2025, 12, 31), date(2026, 1, 4)),
    ],
)
def test_the_next_banking_day_follows_make_up_weekends_and_holidays(
    day: date, following: date
) -> None:
    assert CALENDAR.next_working_day(day) == following


def test_working_days_are_counted_over_a_holiday() -> None:
    assert CALENDAR.nth_working_day(date(2026, 2, 13), 5) == date(2026, 2, 27)


@pytest.mark.parametrize(
    ("paid_at", "days", "ends_on"),
    [
        (datetime(2026, 2, 7, 12, tzinfo=SHANGHAI), 7, date(2026, 2, 14)),
        (datetime(2026, 2, 8, 12, tzinfo=SHANGHAI), 7, date(2026, 2, 24)),
        (datetime(2026, 11, 16, 12, tzinfo=SHANGHAI), 7, date(2026, 11, 23)),
        (datetime(2026, 11, 14, 12, tzinfo=SHANGHAI), 7, date(2026, 11, 23)),
        # 17:00 in London is the next day in Shanghai.
        (datetime(2026, 2, 6, 17, tzinfo=UTC), 7, date(2026, 2, 14)),
        (datetime(2026, 2, 7, 12, tzinfo=SHANGHAI), 15, date(2026, 2, 24)),
        (datetime(2026, 12, 28, 12, tzinfo=SHANGHAI), 7, None),
    ],
)
def test_cooling_off_leaves_out_the_day_of_payment_and_ends_on_a_working_day(
    paid_at: datetime, days: int, ends_on: date | None
) -> None:
    assert CALENDAR.cooling_off_end(paid_at, days) == ends_on


def test_a_day_that_is_not_loaded_has_no_answer() -> None:
    with pytest.raises(CalendarNotCovered) as refusal:
        CALENDAR.next_working_day(date(2026, 12, 31))

    assert refusal.value.members == {"date": "2027-01-01"}


def test_provisional_years_have_their_fixed_holidays_and_no_working_weekend() -> None:
    provisional = [plan for plan in official_years() if plan.provisional]

    assert [plan.year for plan in provisional] == [2027, 2028]
    assert not any(plan.working_weekends for plan in provisional)
    days = {day.day: day for plan in provisional for day in days_of(plan)}
    assert len(days) == 365 + 366
    assert all(day.provisional for day in days.values())
    assert not days[date(2027, 10, 1)].banking
    assert not days[date(2028, 5, 1)].banking
