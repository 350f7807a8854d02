"""A ledger with merchants, cards and a history, made by the service's own pure functions.

The rows are those that sales and uses would have left, hash chains included, so that `anxin
verify` proves them. They are copied in book by book: selling 200,000 cards over HTTP would take
longer than the measurement.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import get_context
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from app.db.rows import columns_of
from bench.keys import secret_of
from bench.making import make_book
from bench.rows import TABLES, Rows

_BOOKS_A_COPY: Final = 100
_WORKERS: Final = 2


class Shape(NamedTuple):
    """How large a ledger is."""

    merchants: int
    cards: int
    uses_per_card: int = 0

    @property
    def transfers(self) -> int:
        """How many transfers it holds: each card's payment, and its uses."""
        return self.cards * (1 + self.uses_per_card)


@dataclass(frozen=True, slots=True)
class Till:
    """A merchant as its point of sale knows it, with its cards."""

    merchant_no: int
    merchant_id: UUID
    store_id: UUID
    key: str
    cards: list[UUID] = field(default_factory=list[UUID])
    consumers: list[str] = field(default_factory=list[str])


def seed(dsn: str, shape: Shape) -> None:
    """Fill an empty, migrated database, book by book."""
    parts = [
        range(first, min(first + _BOOKS_A_COPY, shape.merchants + 1))
        for first in range(1, shape.merchants + 1, _BOOKS_A_COPY)
    ]
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_seed_books, dsn, shape, part) for part in parts]:
            done.result()
    asyncio.run(_settle(dsn))


async def read_tills(dsn: str) -> list[Till]:
    """Read the merchants with their cards, in the order of their numbers."""
    connection = await asyncpg.connect(dsn)
    try:
        merchants = await connection.fetch(
            "SELECT merchant_no, merchant_id, store_id FROM merchant JOIN store USING (merchant_no)"
            " ORDER BY merchant_no"
        )
        tills = {no: Till(no, id_, store, secret_of(no)) for no, id_, store in merchants}
        for no, card, consumer in await connection.fetch(
            "SELECT merchant_no, card_id, consumer_id FROM card ORDER BY card_id"
        ):
            tills[no].cards.append(card)
            tills[no].consumers.append(consumer)
    finally:
        await connection.close()
    return list(tills.values())


def _seed_books(dsn: str, shape: Shape, numbers: Iterable[int]) -> None:
    asyncio.run(_copy_books(dsn, shape, numbers))


async def _copy_books(dsn: str, shape: Shape, numbers: Iterable[int]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        at: datetime = await connection.fetchval("SELECT anxin_now()")
        rows = Rows()
        for no in numbers:
            cards = shape.cards // shape.merchants + (no <= shape.cards % shape.merchants)
            make_book(rows, no, cards, shape.uses_per_card, at)
        async with connection.transaction():
            for table, row_type in TABLES.items():
                await connection.copy_records_to_table(
                    table,
                    records=rows.by_table[table],
                    columns=[column.name for column in columns_of(row_type)],
                )
    finally:
        await connection.close()


async def _settle(dsn: str) -> None:
    """Leave the tables as autovacuum would, which never visits an empty one.

    One that was analysed while it was empty is taken to stay so: any index looks as good as the
    right one, and the service's plans read whole merchants until the next analysis.
    """
    connection = await asyncpg.connect(dsn)
    for table in TABLES:
        if await connection.fetchval(f"SELECT EXISTS (TABLE {table})"):
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    await connection.close()
