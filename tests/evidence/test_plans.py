"""`anxin verify` reads a ledger a fixed number of times, however long it is.

It once took a quarter of an hour over a million rows: the planner took loops over rows that were
written since statistics were taken. So each query is planned here with statistics of before the
tables grew, at one size and at four times that, and the rows are counted that its plan read.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import pytest

from app.access.principals import ConsumerPrincipal
from app.card_products.domain import CardProduct
from app.charges.domain import Charge, Use
from app.db.engine import Database
from app.evidence.verification import _snapshot, verify_in
from app.money import Fen
from app.policies.domain import Policies
from app.refunds.domain import RefundReason
from tests.builder import Shop, Trader, a_consumer, writing
from tests.cluster import Cluster, DatabaseUrls
from tests.disputes.conftest import Disputer
from tests.refunds.conftest import Refunder

_SIZE: Final = 60
_TIMES: Final = 4
_GROWTH_MAX: Final = 1.5 * _TIMES
"""What is linear grows as the tables do, or less; what is quadratic, by their growth squared."""
_ROWS_MIN: Final = 4 * _SIZE
"""Fewer rows count as so many: a plan that found nothing to join grows from nothing."""

_REMOVED: Final = ("Filter", "Join Filter", "Index Recheck")
_ASKED_FOR: Final = ("Aggregate", "Function Scan", "Limit", "Values Scan")

_Node = Mapping[str, Any]


@dataclass(slots=True)
class _Watched:
    """A connection that notes what it is asked."""

    connection: asyncpg.Connection
    asked: list[tuple[str, Sequence[object]]] = field(
        default_factory=list[tuple[str, Sequence[object]]]
    )

    async def fetch(self, sql: str, *values: object) -> Any:
        self.asked.append((sql, values))
        return await self.connection.fetch(sql, *values)

    async def fetchval(self, sql: str, *values: object) -> Any:
        return await self.connection.fetchval(sql, *values)

    def cursor(self, sql: str, *values: object, prefetch: int | None = None) -> Any:
        self.asked.append((sql, values))
        return self.connection.cursor(sql, *values, prefetch=prefetch)


@dataclass(slots=True)
class _Merchant:
    """A merchant who sells many cards, of which one is used all the time."""

    given: Trader
    shop: Shop
    product: CardProduct
    li: ConsumerPrincipal
    card_id: UUID

    async def grow(self, size: int) -> None:
        """Let happen what `anxin verify` compares, so often."""
        refunder, disputer = Refunder(self.given), Disputer(self.given)
        charges = await asyncio.gather(*(self._used(self.card_id) for _ in range(2 * size)))
        await asyncio.gather(*(self.given.reversed(one) for one in charges[:size]))
        disputed = charges[size : size + size // 4]
        await asyncio.gather(*(disputer.disputed(self.li, one) for one in disputed))
        cards = await asyncio.gather(
            *(self.given.card(self.shop, self.li, of=self.product) for _ in range(size // 2))
        )
        await asyncio.gather(*(self._used(card_id) for card_id in cards))
        reason = RefundReason.CONSUMER_CHOICE
        await asyncio.gather(*(refunder.refunded(self.li, card_id, reason) for card_id in cards))

    async def _used(self, card_id: UUID) -> Charge:
        return await self.given.used(self.shop, self.li, card_id, Use(amount=Fen(1)))


@pytest.fixture
async def merchant(cluster: Cluster, fresh_database: DatabaseUrls) -> AsyncIterator[_Merchant]:
    """Give a merchant whose tables' statistics are of before anything was used."""
    db = Database.connect(fresh_database.database_url)
    async with writing(fresh_database.database_url) as writer:
        given = Trader(db, writer=writer, policies=Policies(pending_per_card=1_000))
        shop, li = await given.shop(), a_consumer()
        product = await given.product(shop.merchant)
        cards = [await given.card(shop, li, of=product) for _ in range(10)]
        await _stop_statistics(cluster, fresh_database)
        yield _Merchant(given, shop, product, li, cards[0])
    await db.close()


async def _stop_statistics(cluster: Cluster, database: DatabaseUrls) -> None:
    connection = await asyncpg.connect(cluster.superuser_url(database.name))
    try:
        for (table,) in await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ):
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


class _Read(NamedTuple):
    """What a query's plan did."""

    rows: int
    """How many went through its nodes."""
    slow_joins: Sequence[str]
    """What may go through the same rows again and again, in tables larger than those here."""


async def _read(database: DatabaseUrls) -> Mapping[str, _Read]:
    """Verify; give what the plan of each query did."""
    read: dict[str, _Read] = {}
    async with _snapshot(database.database_url) as connection:
        watched = _Watched(connection)
        report = await verify_in(watched)  # pyright: ignore[reportArgumentType]  # all that is asked of it
        assert not report.findings, report.findings
        for sql, values in watched.asked:
            told = await connection.fetchval(
                f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", *values
            )
            nodes = list(_nodes(json.loads(told)[0]["Plan"]))
            slow = [node["Node Type"] for node in nodes if _is_slow_join(node)]
            read[sql] = _Read(sum(map(_rows, nodes)), slow)
    return read


def _nodes(node: _Node) -> Iterator[_Node]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _rows(node: _Node) -> int:
    """Give how many rows a node let through or left out, each time that it was gone through."""
    removed = sum(node.get(f"Rows Removed by {what}", 0) for what in _REMOVED)
    return round((node["Actual Rows"] + removed) * node["Actual Loops"])


def _is_slow_join(node: _Node) -> bool:
    """Say whether the planner chose a loop, or a merge: by part of a key one is like a loop.

    A loop that the query itself asks for is not a choice: over what lies in a row, or to the one
    row that a limit or a sum leaves. How much those read is counted.
    """
    if node["Node Type"] != "Nested Loop":
        return node["Node Type"] == "Merge Join"
    inner = node["Plans"][1]
    while inner["Node Type"] == "Subquery Scan":
        (inner,) = inner["Plans"]
    return inner["Node Type"] not in _ASKED_FOR


async def test_no_query_reads_more_than_in_proportion_to_the_ledger(
    merchant: _Merchant, fresh_database: DatabaseUrls
) -> None:
    await merchant.grow(_SIZE)
    few = await _read(fresh_database)
    await merchant.grow(_SIZE * (_TIMES - 1))
    many = await _read(fresh_database)

    assert few.keys() == many.keys()
    grown = {sql: one.rows / max(few[sql].rows, _ROWS_MIN) for sql, one in many.items()}
    assert sum(one > 2 for one in grown.values()) >= 40, "the ledger did not grow"
    too_much = {sql: by for sql, by in grown.items() if by > _GROWTH_MAX}
    assert not too_much, "\n".join(f"{by:.1f} times: {sql}" for sql, by in too_much.items())
    # Which join is taken goes by the sizes of tables: what is slow in large ones alone shows here.
    slow = {sql: one.slow_joins for sql, one in many.items() if one.slow_joins}
    assert not slow, "\n".join(f"{', '.join(joins)}: {sql}" for sql, joins in slow.items())
