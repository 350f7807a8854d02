"""A batch gives exactly what its commands one by one would give: answers, rows and hashes."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, note, settings

from app.card_products.domain import CardKind, CardProduct
from app.charges.domain import Charge
from app.charges.tables import ConsumerCode
from app.dates import SHANGHAI, business_date
from app.db.engine import Database
from app.db.rows import columns_of, insert_sql, transposed, unnested
from app.errors import DomainError
from app.evidence.verification import verify_in
from app.money import Fen
from app.registry import REGISTRY
from app.writer.batch import BatchRunner
from app.writer.commands import Command, Outcome
from app.writer.connection import Lane
from app.writer.engine import Writer
from app.writer.jobs import Job
from app.writer.requests import StoredRequest
from tests.builder import BOOK_TABLES, Trader, a_consumer, writing
from tests.cluster import Cluster, DatabaseUrls
from tests.properties.profile import EXAMPLES, PHASES
from tests.properties.stories import PAY_OUT, Stage, Story, overture, stories

# Time is a parameter here: the database's own clock reads what the test set.
_CLOCK: Final = """
CREATE OR REPLACE FUNCTION anxin_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT coalesce(nullif(current_setting('tests.now', true), '')::timestamptz, clock_timestamp())
$$
"""

EVENTS: Final = (
    *("purchase.opened", "purchase.accepted", "purchase.cancelled", "purchase.funded"),
    *("receipt.matched", "receipt.suspended", "receipt.returned"),
    *("charge.placed", "charge.confirmed", "charge.declined", "charge.cancelled"),
    *("charge.expired", "charge.reversed", "charge.reversal_requested"),
    *("dispute.opened", "dispute.upheld", "dispute.dismissed"),
    *("case.opened", "case.answered", "case.decided"),
    *("card.frozen", "card.unfrozen", "card.lost", "card.replaced"),
    *("transfer.offered", "transfer.accepted", "transfer.declined", "transfer.withdrawn"),
)
REFUSALS: Final = (
    *("not_found", "idempotency_key_reused", "contract_changed", "purchase_not_awaiting_payment"),
    *("bank_reference_reused", "receipt_not_in_suspense"),
    *("charge_kind_mismatch", "insufficient_balance", "product_ambiguous", "client_reference_used"),
    *("code_invalid", "code_expired", "code_used", "code_limit_exceeded", "too_many_pending"),
    *("charge_not_pending", "charge_not_confirmed", "charge_changed", "card_not_active"),
    *("charge_disputed", "case_state", "deadline_passed"),
    *("card_kind_mismatch", "transfer_not_open"),
)


_HELD: Final = ((0, 1, 2, 4), (1, 2, 3, 4), (0, 2))
"""Of which products each consumer has a card at each shop."""


class _Inside:
    """A connection whose transactions are savepoints of one that is never committed."""

    _SAID: Final = {
        "BEGIN": "SAVEPOINT batch",
        "COMMIT": "RELEASE SAVEPOINT batch",
        "ROLLBACK": "ROLLBACK TO SAVEPOINT batch",
    }

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def execute(self, sql: str, *values: object) -> str:
        return await self._connection.execute(self._SAID.get(sql, sql), *values)

    async def fetchrow(self, sql: str, *values: object) -> asyncpg.Record | None:
        return await self._connection.fetchrow(sql, *values)


class _InsideLane(Lane):
    """A lane over such a connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        super().__init__("", "")
        self._inside: Any = _Inside(connection)

    async def connection(self) -> asyncpg.Connection:
        return self._inside

    def abandon(self) -> None:
        """Leave it: the test fails anyway."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a story gave: an answer for each command, every row at the end, what happened."""

    answers: Sequence[object]
    rows: Mapping[str, Sequence[str]]
    events: Counter[str]

    @property
    def refusals(self) -> list[str]:
        answers = [cast("tuple[str, ...]", one) for one in self.answers if isinstance(one, tuple)]
        return [answer[0] for answer in answers]


@dataclass(slots=True)
class Theatre:
    """A stage, and the connection on which stories are played and taken back."""

    stage: Stage
    runner: BatchRunner
    plans: Mapping[type[Any], Any]
    connection: asyncpg.Connection
    seen: Counter[str] = field(default_factory=Counter[str])

    async def play(
        self, story: Story, cut: Callable[[Sequence[Any], Sequence[int]], Iterator[Sequence[Any]]]
    ) -> Played:
        """Play a story with its moments cut into batches; leave nothing behind."""
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            await self._show(story.codes)
            answers: list[object] = []
            events: Counter[str] = Counter()
            for moment in story.moments:
                await self.connection.execute(
                    "SELECT set_config('tests.now', $1, true)", moment.at.isoformat()
                )
                for batch in cut(moment.commands, moment.cuts):
                    answers += await self._batch(batch, events)
            rows = {table: await self._rows(table) for table in BOOK_TABLES}
            rows["outbox"] = await self._events()
            report = await verify_in(self.connection)
            assert not report.findings, "\n".join(map(str, report.findings))
            return Played(answers, rows, events)
        finally:
            await transaction.rollback()

    async def _batch(self, commands: Sequence[Command], events: Counter[str]) -> list[object]:
        loop = asyncio.get_running_loop()
        jobs = [Job(one, self.plans[type(one)], loop.create_future()) for one in commands]
        done = await self.runner.run(_InsideLane(self.connection), jobs, wait=True)
        events.update(done.events)
        return [_said(job.future) for job in jobs]

    async def _show(self, codes: Sequence[ConsumerCode]) -> None:
        columns = columns_of(ConsumerCode)
        sql = insert_sql("consumer_code", columns, unnested(columns))
        await self.connection.execute(sql, *transposed(ConsumerCode, codes))

    async def _rows(self, table: str) -> list[str]:
        found = await self.connection.fetch(f"SELECT CAST({table} AS text) FROM {table} ORDER BY 1")
        return [row[0] for row in found]

    async def _events(self) -> list[str]:
        """Give what the outbox says, however it was cut into batches; in order within a thing."""
        found = await self.connection.fetch(
            "SELECT events FROM outbox, anxin_now() WHERE created_at >= $1 ORDER BY created_at",
            self.stage.begins_at,
        )
        return sorted(str(event) for row in found for event in json.loads(row[0]))


def _said(future: asyncio.Future[Outcome[Any]]) -> object:
    error = future.exception()
    if error is None:
        return _plain(future.result())
    assert isinstance(error, DomainError), repr(error)
    return error.code, error.detail, _plain(error.members)


def _plain(value: Any) -> object:
    """Say a value so that JSON text counts by its content."""
    if isinstance(value, Charge):
        value = {**value._asdict(), "draws": value.read_draws()}
    elif isinstance(value, StoredRequest):
        value = {**value._asdict(), "facts": value.read_facts()}
    elif is_dataclass(value):
        value = {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, Mapping):
        said = cast("Mapping[str, object]", value)
        return {name: _plain(one) for name, one in said.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("Sequence[object]", value)]
    return value


def at_once(commands: Sequence[Any], _: Sequence[int]) -> Iterator[Sequence[Any]]:
    yield commands


def one_by_one(commands: Sequence[Any], _: Sequence[int]) -> Iterator[Sequence[Any]]:
    for command in commands:
        yield [command]


def in_parts(commands: Sequence[Any], cuts: Sequence[int]) -> Iterator[Sequence[Any]]:
    for start, end in zip((0, *cuts), (*cuts, len(commands)), strict=True):
        if start < end:
            yield commands[start:end]


async def _set_up(given: Trader) -> Stage:
    shops = [await given.shop() for _ in range(2)]
    consumers = [a_consumer() for _ in range(3)]
    products: list[list[CardProduct]] = []
    cards: list[list[UUID]] = []
    other_stores: list[UUID] = []
    for shop in shops:
        sold = [
            await given.product(shop.merchant, price_amount=Fen(10), bonus_amount=Fen(0)),
            await given.product(
                shop.merchant, price_amount=Fen(7), bonus_amount=Fen(4), list_price_amount=Fen(9)
            ),
            await given.product(
                shop.merchant,
                CardKind.COUNT,
                price_amount=Fen(10),
                sessions=3,
                gift_sessions=0,
                list_price_amount=None,
            ),
            await given.product(
                shop.merchant, CardKind.COUNT, price_amount=Fen(2), sessions=4, gift_sessions=1
            ),
            await given.product(shop.merchant, CardKind.PERIOD, price_amount=Fen(10), term_days=5),
        ]
        products.append(sold)
        cards.append(
            [
                await given.card(shop, consumers[holder], of=sold[number])
                for holder, numbers in enumerate(_HELD)
                for number in numbers
            ]
        )
        other_stores.append((await given.store(shop.merchant)).store_id)
    tomorrow = business_date(await given.now()) + timedelta(days=1)
    noon = datetime.combine(tomorrow, time(12), SHANGHAI)
    holders = [[holder for holder, numbers in enumerate(_HELD) for _ in numbers]] * len(shops)
    return Stage(shops, other_stores, products, consumers, cards, holders, noon)


async def _build(cluster: Cluster, made: DatabaseUrls) -> Theatre:
    await cluster.execute(_CLOCK, database=made.name)
    db = Database.connect(made.database_url)
    async with writing(made.database_url) as writer:
        stage = await _set_up(Trader(db, writer=writer))
    await db.close()
    writer = Writer(made.database_url, replace(REGISTRY, plans=(*REGISTRY.plans, PAY_OUT)))
    lane = Lane(made.database_url, writer._runner.create)
    return Theatre(stage, writer._runner, writer._plans, await lane.connection())


@contextmanager
def theatre_on(cluster: Cluster) -> Generator[tuple[asyncio.Runner, Theatre]]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        made = runner.run(cluster.clone("stories"))
        theatre = runner.run(_build(cluster, made))
        try:
            yield runner, theatre
        finally:
            runner.run(theatre.connection.close())
            runner.run(cluster.drop(made.name))


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_a_batch_gives_what_its_commands_one_by_one_would_give(cluster: Cluster) -> None:
    with theatre_on(cluster) as (runner, theatre):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
            phases=PHASES,
        )
        @example(overture(theatre.stage))
        @given(stories(theatre.stage, moments_max=6, steps_max=14))
        def plays_the_same(story: Story) -> None:
            note(repr(story))
            single = runner.run(theatre.play(story, one_by_one))
            theatre.seen.update(single.events)
            theatre.seen.update(single.refusals)
            for cut in (at_once, in_parts):
                batched = runner.run(theatre.play(story, cut))
                for command, expected, found in zip(
                    (one for moment in story.moments for one in moment.commands),
                    single.answers,
                    batched.answers,
                    strict=True,
                ):
                    assert found == expected, command
                for table, rows in single.rows.items():
                    assert batched.rows[table] == rows, table

        plays_the_same()
    seen = {name: theatre.seen[name] for name in (*EVENTS, *REFUSALS)}
    print("\nhow often each event and refusal happened:", json.dumps(seen, indent=1))  # noqa: T201  # the run's report
    assert set(theatre.seen) <= set(seen), "something happened that is not counted here"
    assert all(seen.values()), f"never happened: {[name for name in seen if not seen[name]]}"
