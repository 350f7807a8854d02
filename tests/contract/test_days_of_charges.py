"""`from` and `to` of the list of charges: times, or business dates that count whole."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from app.api.schemas import FromTime, ToTime
from app.dates import business_date
from tests.contract.world import World

FROM, TO = TypeAdapter[datetime](FromTime), TypeAdapter[datetime](ToTime)


async def test_a_date_is_that_whole_business_day(world: World) -> None:
    charge = await world.pending(world.a)
    today = business_date(datetime.fromisoformat(charge["created_at"]))
    before, after = today - timedelta(days=1), today + timedelta(days=1)

    async def found(query: str) -> bool:
        page = await world.got(f"/v1/charges?{query}", world.a.merchant)
        return charge["id"] in {one["id"] for one in page["data"]}

    assert await found(f"from={today}&to={today}")
    assert await found(f"from={before}")
    assert await found(f"to={after}")
    assert not await found(f"to={before}")
    assert not await found(f"from={after}")
    assert await found(f"from={today}T00:00:00%2B08:00&to={after}T00:00:00%2B08:00")


def test_a_business_day_begins_and_ends_at_midnight_in_china() -> None:
    assert FROM.validate_python("2026-02-14") == datetime(2026, 2, 13, 16, tzinfo=UTC)
    assert TO.validate_python("2026-02-14") == datetime(2026, 2, 14, 16, tzinfo=UTC)
    at = datetime(2026, 2, 14, 1, 2, 3, tzinfo=UTC)
    assert FROM.validate_python("2026-02-14T01:02:03Z") == at
    assert TO.validate_python("2026-02-14T01:02:03Z") == at


@pytest.mark.parametrize(
    "given",
    [
        "2026-02-30", "9999-12-31", "0001-01-01", "2026-02-1x", "20260214", "1800000000",
        "2026-02-14T10:00:00", "yesterday", "", 1, True, None,
    ],
)  # fmt: skip
def test_nothing_else_is_taken(given: object) -> None:
    for taken in (FROM, TO):
        with pytest.raises(ValidationError):
            taken.validate_python(given)
