"""Readings of single things: gathered into one query while another is under way."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from app.db.engine import Database
from app.db.gathering import Gathered
from app.errors import DatabaseUnavailable


class _Reading:
    """Reads squares from the database, and keeps what it was asked for."""

    def __init__(self, db: Database) -> None:
        self.asked: list[list[int]] = []
        self.begun = asyncio.Event()
        self._db = db

    async def __call__(self, keys: Collection[int]) -> Mapping[int, int]:
        self.asked.append(list(keys))
        self.begun.set()
        async with self._db.transaction() as tx:
            found = {
                key: await tx.value("SELECT CAST(:key * :key AS bigint)", key=key) for key in keys
            }
        if 13 in found:
            raise DatabaseUnavailable
        return {key: int(str(square)) for key, square in found.items() if key}


async def test_what_is_asked_while_a_query_is_under_way_goes_into_the_next(db: Database) -> None:
    read = _Reading(db)
    gathered = Gathered(read)
    first = asyncio.create_task(gathered.find(2))
    await read.begun.wait()
    rest = [gathered.find(key) for key in (3, 4, 3, 0)]
    assert await asyncio.gather(first, *rest) == [4, 9, 16, 9, None]
    assert read.asked == [[2], [3, 4, 0]]


async def test_what_was_asked_before_is_read_again(db: Database) -> None:
    read = _Reading(db)
    gathered = Gathered(read)
    # What is under way may have been read before the caller asked.
    first = asyncio.create_task(gathered.find(2))
    await read.begun.wait()
    await asyncio.gather(first, gathered.find(2))
    assert read.asked == [[2], [2]]


async def test_no_query_is_for_more_than_five_hundred(db: Database) -> None:
    read = _Reading(db)
    gathered = Gathered(read)
    found = await asyncio.gather(*(gathered.find(key) for key in range(20, 721)))
    assert found == [key * key for key in range(20, 721)]
    assert [len(keys) for keys in read.asked] == [500, 201]


async def test_all_who_ask_while_a_query_fails_learn_of_it_and_wait_for_no_second(
    db: Database,
) -> None:
    read = _Reading(db)
    gathered = Gathered(read)
    first = [asyncio.create_task(gathered.find(key)) for key in (13, 2)]
    await read.begun.wait()
    failed = await asyncio.gather(*first, gathered.find(3), return_exceptions=True)
    assert [type(error) for error in failed] == [DatabaseUnavailable] * 3
    assert read.asked == [[13, 2]]
    assert await gathered.find(3) == 9


async def test_who_leaves_takes_the_answer_from_nobody(db: Database) -> None:
    gathered = Gathered(_Reading(db))
    leaving, staying = (asyncio.create_task(gathered.find(5)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 25
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_the_end_of_the_process_ends_all_who_wait(db: Database) -> None:
    read = _Reading(db)
    gathered = Gathered(read)
    waiting = asyncio.create_task(gathered.find(5))
    await read.begun.wait()
    for task in asyncio.all_tasks():
        if task.get_name() == "gathered-reading":
            task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await gathered.find(6) == 36
