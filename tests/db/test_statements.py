"""Statements: named parameters as the driver gets them, and statements that count at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy.exc import DBAPIError

from app.db.engine import POOL_MAX, Database
from app.db.parameters import numbered
from app.errors import DatabaseUnavailable


def test_parameters_are_numbered_as_they_come_each_with_the_type_of_its_value() -> None:
    statement, names = numbered(
        "SELECT :b, :a, :b, c::text, '10:30', d[1:2] WHERE :none IS NULL",
        (("a", int), ("b", str), ("none", type(None))),
    )
    assert names == ("b", "a", "none")
    assert statement == (
        "SELECT $1::text, $2::bigint, $1::text, c::text, '10:30', d[1:2] WHERE $3 IS NULL"
    )


@pytest.mark.parametrize("given", [(), (("a", int), ("b", int)), (("b", int),)])
def test_a_parameter_that_is_missing_or_in_vain_is_refused(
    given: tuple[tuple[str, type[object]], ...],
) -> None:
    with pytest.raises(TypeError, match="missing or in vain"):
        numbered("SELECT :a", given)


async def test_every_kind_of_value_comes_back_as_it_was_sent(db: Database) -> None:
    values = (
        True, 2**53, 0.5, "¥ :a 'b'", b"\x00\xff", date(2026, 2, 28),
        datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC), timedelta(days=1, microseconds=1),
        uuid4(),
    )  # fmt: skip
    async with db.at_once() as tx:
        assert [await tx.value("SELECT :value", value=value) for value in values] == [*values]


class _Number(NamedTuple):
    number: int


@pytest_asyncio.fixture
async def one(database_url: str) -> AsyncIterator[Database]:
    """Give a pool of one connection, which each block gets again."""
    pool = Database.connect(database_url, pool_max=1)
    yield pool
    await pool.close()


async def test_a_statement_counts_at_once_though_a_later_one_fails(one: Database) -> None:
    with pytest.raises(DBAPIError, match="division by zero"):  # noqa: PT012  # the block fails
        async with one.at_once() as tx:
            await tx.execute("CREATE TEMPORARY TABLE told (number bigint)")
            assert await tx.execute("INSERT INTO told VALUES (:a), (:b)", a=1, b=2) == 2
            await tx.value("SELECT 1 / :zero", zero=0)
    async with one.at_once() as tx:
        found = await tx.fetch(_Number, "SELECT number FROM told ORDER BY number")
        await tx.execute("DROP TABLE told")
    assert found == [_Number(1), _Number(2)]


async def test_an_error_does_not_say_with_what_values_it_was_asked(db: Database) -> None:
    with pytest.raises(DBAPIError, match="division by zero") as failed:
        async with db.transaction() as tx:
            await tx.value("SELECT length(:name) / :zero", name="张三", zero=0)
    assert "张三" not in str(failed.value)


async def test_a_connection_that_counted_at_once_counts_at_the_end_for_the_next(
    one: Database,
) -> None:
    with pytest.raises(LookupError):  # noqa: PT012  # the block is what fails
        async with one.transaction() as tx:
            await tx.execute("CREATE TEMPORARY TABLE told (number bigint)")
            raise LookupError
    async with one.at_once() as tx:
        assert await tx.value("SELECT to_regclass('pg_temp.told')") is None


async def test_connections_are_lent_in_the_order_in_which_they_are_asked_for(db: Database) -> None:
    callers = 3 * POOL_MAX
    asked = count()
    served: list[int] = []

    async def ask(times: int) -> None:
        for _ in range(times):
            turn = next(asked)
            async with db.at_once() as tx:
                served.append(turn)
                await tx.value("SELECT 1")

    # All connections are open before it counts: the making of one takes longer than many a turn.
    await asyncio.gather(*(ask(1) for _ in range(callers)))
    served.clear()
    asked = count()
    await asyncio.gather(*(ask(60) for _ in range(callers)))
    overtaken = max(place - turn for place, turn in enumerate(served))
    assert overtaken < callers, "somebody was let wait while others asked and were served again"


async def test_a_database_that_is_silent_is_said_to_be_unavailable(db: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with db.at_once(patience_seconds=0.1) as tx:
            await tx.value("SELECT pg_sleep(5)")
    async with db.at_once() as tx:
        assert await tx.value("SELECT 1") == 1
