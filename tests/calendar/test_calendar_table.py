from collections.abc import AsyncIterator
from datetime import date

import pytest

from app.access import approvals
from app.access.approvals import Approval
from app.calendar import service
from app.calendar.current import CurrentCalendar
from app.calendar.domain import Calendar
from app.calendar.errors import CalendarNotCovered
from app.calendar.service import (
    REPLACE_YEAR,
    NamedDay,
    load_official_years,
    propose_year,
    read_year,
)
from app.db.engine import Database
from app.errors import InvalidRequest, NotFound
from tests.builder import APPROVER, PROPOSER
from tests.cluster import DatabaseUrls


async def calendar_of(db: Database, *, provisional: bool) -> Calendar:
    return await CurrentCalendar(db, provisional=provisional).get()


@pytest.fixture
async def empty_db(fresh_database: DatabaseUrls) -> AsyncIterator[Database]:
    db = Database.connect(fresh_database.database_url)
    yield db
    await db.close()


async def approved(db: Database, approval: Approval) -> None:
    await approvals.approve(
        db,
        {REPLACE_YEAR: service.replace_year},
        approval.approval_id,
        person_id=APPROVER,
        request=None,
    )


async def test_production_has_no_answer_where_the_sandbox_guesses(empty_db: Database) -> None:
    await load_official_years(empty_db, provisional=True)

    sandbox = await calendar_of(empty_db, provisional=True)
    production = await calendar_of(empty_db, provisional=False)

    assert sandbox.next_working_day(date(2026, 12, 31)) == date(2027, 1, 4)
    with pytest.raises(CalendarNotCovered):
        production.next_working_day(date(2026, 12, 31))
    assert production.next_working_day(date(2026, 2, 13)) == date(2026, 2, 14)


async def test_a_year_that_two_persons_announce_takes_the_place_of_the_guess(
    empty_db: Database,
) -> None:
    await load_official_years(empty_db, provisional=True)
    assert (await read_year(empty_db, 2027)).provisional

    approval = await propose_year(
        empty_db, 2027, [NamedDay(date(2027, 1, 4), "元旦")], [date(2027, 1, 9)], by=PROPOSER
    )
    assert (await read_year(empty_db, 2027)).provisional
    await approved(empty_db, approval)
    await load_official_years(empty_db, provisional=True)

    year = await read_year(empty_db, 2027)
    assert not year.provisional
    assert year.holidays == (NamedDay(date(2027, 1, 4), "元旦"),)
    assert year.working_weekends == (date(2027, 1, 9),)
    production = await calendar_of(empty_db, provisional=False)
    assert production.next_working_day(date(2027, 1, 8)) == date(2027, 1, 9)


async def test_a_year_is_seen_within_a_second_of_its_approval(
    empty_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("app.calendar.current.monotonic", lambda: now)
    current = CurrentCalendar(empty_db, provisional=False)
    assert (await current.get()).days == {}

    await load_official_years(empty_db, provisional=False)
    now += 1.001

    assert len((await current.get()).days) == 365 * 2


async def test_a_year_that_is_not_loaded_is_not_found(empty_db: Database) -> None:
    with pytest.raises(NotFound):
        await read_year(empty_db, 2026)


@pytest.mark.parametrize(
    ("holidays", "working_weekends", "pointers"),
    [
        ([date(2028, 1, 1)], [], ["/holidays/0/date"]),
        ([date(2029, 1, 1), date(2029, 1, 1)], [], ["/holidays/1/date"]),
        ([date(2029, 1, 6)], [date(2029, 1, 6)], ["/working_weekends/0"]),
        ([], [date(2029, 1, 5)], ["/working_weekends/0"]),
    ],
)
async def test_days_that_cannot_be_are_refused_by_place(
    db: Database, holidays: list[date], working_weekends: list[date], pointers: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await propose_year(
            db, 2029, [NamedDay(day, "元旦") for day in holidays], working_weekends, by=PROPOSER
        )

    assert [error.pointer for error in refusal.value.errors] == pointers
