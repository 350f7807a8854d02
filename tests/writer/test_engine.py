"""The engine: what it promises whoever submits, whatever the commands are."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg
import pytest

from app.charges.commands import ServeReversals
from app.charges.domain import Use
from app.db.engine import Transaction
from app.errors import DatabaseUnavailable, NotFound, Overloaded
from app.ledger.books import locked_books
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, FloorBroken, Movement
from app.main import REGISTRY
from app.money import Fen
from app.writer import connection
from app.writer.book import ACCOUNT_BY_ID, Book
from app.writer.commands import Decision, Plan
from app.writer.engine import BatchObserved, Writer, WriterLimits
from app.writer.requests import RequestKey
from tests.breaking import slow_at
from tests.builder import Trader, a_consumer, a_key
from tests.refusals import refused


@dataclass(frozen=True, slots=True)
class Post:
    """Move an amount from suspense to payable: a command of these tests, with no other rule."""

    merchant_no: int
    amount: int
    fails: type[Exception] | None = None
    request: RequestKey | None = None
    then: type[Exception] | None = None
    """Move nothing, and fail in what follows."""


def _decide(command: Post, book: Book, at: datetime) -> Decision[int]:
    del at
    if command.fails is not None:
        raise command.fails("as this test wants it")
    if command.then is not None:
        return Decision(0, then=Post(command.merchant_no, 0, command.then))
    moved = Movement(
        book.own(AccountType.SUSPENSE), book.own(AccountType.MERCHANT_PAYABLE), Fen(command.amount)
    )
    return Decision(command.amount, entries=(Entry("posted", UUID(int=1), moved),))


POST = Plan(
    Post,
    lambda command: [
        ACCOUNT_BY_ID(account_id(command.merchant_no, kind))
        for kind in (AccountType.SUSPENSE, AccountType.MERCHANT_PAYABLE)
    ],
    _decide,
)
WITH_POST = replace(REGISTRY, plans=(*REGISTRY.plans, POST))


@pytest.mark.parametrize(
    "fails", [AssertionError, AttributeError, KeyError, OverflowError, ValueError, TypeError]
)
async def test_a_plans_bug_fails_its_own_command_alone(
    given: Trader, database_url: str, fails: type[Exception]
) -> None:
    shop = await given.shop()
    before = await given.rows(shop)
    writer = Writer(database_url, WITH_POST, limits=WriterLimits(lanes=1))
    await writer.start()

    outcomes = await asyncio.gather(
        *(writer.submit(Post(shop.merchant_no, 1, wrong)) for wrong in (fails,) * 3),
        writer.submit(Post(shop.merchant_no, 1)),
        return_exceptions=True,
    )

    await writer.stop()
    assert [type(one) for one in outcomes] == [fails] * 3 + [FloorBroken]
    assert await given.rows(shop) == before


async def test_a_bug_of_what_follows_a_command_fails_that_command_alone(
    given: Trader, database_url: str
) -> None:
    shop, other = await given.shop(), await given.shop()
    product = await given.product(other.merchant)
    purchases = [await given.purchase(other, product, a_consumer()) for _ in range(3)]
    before = await given.rows(shop)
    writer = Writer(database_url, WITH_POST, limits=WriterLimits(lanes=1))
    await writer.start()
    trader = replace(given, writer=writer)

    broken, *cancelled = await asyncio.gather(
        writer.submit(Post(shop.merchant_no, 0, then=AssertionError)),
        *(trader.cancelled(purchase) for purchase in purchases),
        return_exceptions=True,
    )

    await writer.stop()
    assert isinstance(broken, AssertionError)
    assert [getattr(one, "status", one) for one in cancelled] == ["cancelled"] * 3
    assert await given.rows(shop) == before


async def test_a_floor_holds_whatever_a_plan_decides(given: Trader, database_url: str) -> None:
    shop = await given.shop()
    purchase = await given.purchase(shop, await given.product(shop.merchant), a_consumer())
    await given.paid(shop, purchase, 99)
    writer = Writer(database_url, WITH_POST)
    await writer.start()

    outcomes = await asyncio.gather(
        *(writer.submit(Post(shop.merchant_no, 50)) for _ in range(2)), return_exceptions=True
    )
    back = Post(shop.merchant_no, 49)
    assert (await writer.submit(back)).result == 49

    await writer.stop()
    assert sum(isinstance(one, FloorBroken) for one in outcomes) == 1
    assert await given.balance(shop, AccountType.SUSPENSE) == 0
    # These tests' command is none that a receipt stands for; undo it, so that verify agrees.
    async with given.db.transaction() as tx:
        await _undo(tx, shop.merchant_no, 99)


async def _undo(tx: Transaction, merchant_no: int, amount: int) -> None:
    async with locked_books(tx, [merchant_no]) as books:
        book = books[merchant_no]
        moved = Movement(
            book.own(AccountType.MERCHANT_PAYABLE), book.own(AccountType.SUSPENSE), Fen(amount)
        )
        book.append(Entry("posted_back", UUID(int=1), moved))


@pytest.mark.parametrize("merchant_no", [2**31 - 1, 2**31, 2**32 - 1])
async def test_a_command_for_a_book_that_nobody_has_is_not_found(
    given: Trader, merchant_no: int
) -> None:
    with pytest.raises(NotFound):
        await given.writer.submit(ServeReversals(merchant_no))


async def test_commands_gather_while_a_commit_is_in_flight(
    given: Trader, database_url: str
) -> None:
    seen: list[BatchObserved] = []
    writer = Writer(database_url, REGISTRY, limits=WriterLimits(lanes=1), observe=seen.append)
    await writer.start()
    trader = replace(given, writer=writer)
    shop, li = await trader.shop(), a_consumer()
    card_id = await trader.card(shop, li, price_amount=Fen(1_000_00))
    codes = [await trader.code(shop, li) for _ in range(40)]
    seen.clear()

    await asyncio.gather(
        *(trader.done(trader.use(shop, Use(amount=Fen(1_00)), code_hash=code)) for code in codes)
    )

    await writer.stop()
    assert sum(batch.size for batch in seen) == 40
    assert len(seen) < 40
    assert (await given.read(card_id)).face_used_amount == 40_00


async def test_two_writers_on_one_book_keep_its_sequence_and_its_money(
    given: Trader, database_url: str
) -> None:
    writers = [Writer(database_url, REGISTRY) for _ in range(2)]
    for writer in writers:
        await writer.start()
    traders = [replace(given, writer=writer) for writer in writers]
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(1_000_00))
    codes = [await given.code(shop, li) for _ in range(40)]

    charges = await asyncio.gather(
        *(
            traders[number % 2].done(traders[0].use(shop, Use(amount=Fen(1_00)), code_hash=code))
            for number, code in enumerate(codes)
        )
    )

    for writer in writers:
        await writer.stop()
    assert len({charge.charge_id for charge in charges}) == 40
    assert (await given.read(card_id)).face_used_amount == 40_00
    async with given.db.snapshot() as tx:
        gap = await tx.value(
            "SELECT max(seq) - count(*) FROM transfer WHERE merchant_no = :no", no=shop.merchant_no
        )
    assert gap == 0


async def test_one_key_at_two_writers_takes_effect_once(given: Trader, database_url: str) -> None:
    other = Writer(database_url, REGISTRY)
    await other.start()
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    command = given.use(shop, Use(amount=Fen(1_00)), card_id=card_id, request=a_key())

    outcomes = await asyncio.gather(
        *(writer.submit(command) for writer in (given.writer, other) for _ in range(8))
    )

    await other.stop()
    assert sum(outcome.replayed is None for outcome in outcomes) == 1
    assert (await given.read(card_id)).face_held_amount == 1_00


async def test_a_full_queue_and_a_stopped_writer_say_so(given: Trader, database_url: str) -> None:
    shop = await given.shop()
    command = ServeReversals(shop.merchant_no)
    writer = Writer(database_url, REGISTRY, limits=WriterLimits(queue_max=2))
    with pytest.raises(Overloaded):
        await writer.submit(command)
    await writer.start()
    outcomes = await asyncio.gather(
        *(writer.submit(command) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(one, Overloaded) for one in outcomes) == 6
    await writer.stop()
    with pytest.raises(Overloaded):
        await writer.submit(command)


async def test_a_book_that_is_held_elsewhere_does_not_hold_up_the_others(given: Trader) -> None:
    held, free = await given.shop(), await given.shop()
    li = a_consumer()
    at_held, at_free = await given.card(held, li), await given.card(free, li)
    async with given.db.transaction() as tx:
        await tx.value(
            "SELECT seq FROM book WHERE merchant_no = :no FOR NO KEY UPDATE", no=held.merchant_no
        )
        waits = asyncio.create_task(given.waiting(held, at_held, Use(amount=Fen(1_00))))
        await asyncio.sleep(0)
        charge = await given.waiting(free, at_free, Use(amount=Fen(1_00)))
        assert charge.status == "pending_confirmation"
        assert not waits.done()
    assert (await waits).status == "pending_confirmation"


async def _waiting_lanes(given: Trader) -> int:
    """Count the lanes that wait for a lock."""
    async with given.db.transaction() as tx:
        counted = await tx.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'anxin-writer' AND wait_event_type = 'Lock'"
        )
    assert isinstance(counted, int)
    return counted


async def test_who_waits_for_a_book_that_is_held_long_keeps_no_lane_from_the_others(
    given: Trader, database_url: str
) -> None:
    writer = Writer(database_url, REGISTRY, limits=WriterLimits(lanes=1))
    await writer.start()
    trader = replace(given, writer=writer)
    held, free = await given.shop(), await given.shop()
    li = a_consumer()
    at_held, at_free = await given.card(held, li), await given.card(free, li)
    async with given.db.transaction() as tx:
        await tx.value(
            "SELECT seq FROM book WHERE merchant_no = :no FOR NO KEY UPDATE", no=held.merchant_no
        )
        waits = asyncio.create_task(trader.waiting(held, at_held, Use(amount=Fen(1_00))))
        while not await _waiting_lanes(given):  # noqa: ASYNC110  # it is another session that waits
            await asyncio.sleep(0.01)
        # The only lane that does not wait is free, as often as it is needed.
        for _ in range(3):
            charge = await trader.waiting(free, at_free, Use(amount=Fen(1_00)))
            assert charge.status == "pending_confirmation"
        assert not waits.done()
    assert (await waits).status == "pending_confirmation"
    await writer.stop()


async def test_what_a_lane_gives_back_while_the_writer_stops_is_answered(
    given: Trader, database_url: str
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    writer = Writer(database_url, REGISTRY, limits=WriterLimits(lanes=1, timeout_seconds=60))
    await writer.start()
    trader = replace(given, writer=writer)

    async with given.db.transaction() as tx:
        await tx.value(
            "SELECT seq FROM book WHERE merchant_no = :no FOR NO KEY UPDATE", no=shop.merchant_no
        )
        waits = asyncio.create_task(trader.waiting(shop, card_id, Use(amount=Fen(1_00))))
        await asyncio.sleep(0.2)
        await writer.stop()

    with pytest.raises(Overloaded):
        await asyncio.wait_for(waits, timeout=5)


async def test_a_command_that_always_times_out_fails_alone(
    given: Trader, database_url: str, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = await given.shop(), [await given.shop() for _ in range(3)]
    li = a_consumer()
    at_slow = await given.card(slow, li)
    cards = [(shop, await given.card(shop, li)) for shop in quick]
    monkeypatch.setattr(
        connection, "_SERVER_SETTINGS", {**connection._SERVER_SETTINGS, "statement_timeout": "500"}
    )
    writer = Writer(database_url, REGISTRY, limits=WriterLimits(lanes=1, timeout_seconds=60))
    trader = replace(given, writer=writer)

    async with slow_at(owner_url, "charge", slow.merchant_no):
        writer._open = True  # so that all of them are in one batch
        stuck = asyncio.create_task(trader.waiting(slow, at_slow, Use(amount=Fen(1_00))))
        others = [
            asyncio.create_task(trader.waiting(shop, card_id, Use(amount=Fen(1_00))))
            for shop, card_id in cards
        ]
        await asyncio.wait([stuck, *others], timeout=0.1)
        await writer.start()
        done = await asyncio.gather(*others)
        with pytest.raises(DatabaseUnavailable):
            await stuck
    await writer.stop()

    assert [charge.merchant_no for charge in done] == [shop.merchant_no for shop in quick]
    assert (await given.read(at_slow)).face_held_amount == 0


async def test_what_nobody_waits_for_any_more_is_not_begun(
    given: Trader, database_url: str
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    writer = Writer(database_url, REGISTRY, limits=WriterLimits(lanes=1, timeout_seconds=0.5))
    await writer.start()
    trader = replace(given, writer=writer)

    async with given.db.transaction() as tx:
        await tx.value(
            "SELECT seq FROM book WHERE merchant_no = :no FOR NO KEY UPDATE", no=shop.merchant_no
        )
        begun = asyncio.create_task(trader.waiting(shop, card_id, Use(amount=Fen(1_00))))
        while not await _waiting_lanes(given):  # noqa: ASYNC110  # it is another session that waits
            await asyncio.sleep(0.01)
        with pytest.raises(DatabaseUnavailable):
            await trader.waiting(shop, card_id, Use(amount=Fen(2_00)))
    with pytest.raises(DatabaseUnavailable):
        await begun
    while writer.queued:  # noqa: ASYNC110  # an empty queue is nothing that the engine tells
        await asyncio.sleep(0.01)
    await writer.stop()

    # Of the first, which was in a batch, nobody knew the outcome; the second was dropped.
    assert (await given.read(card_id)).face_held_amount == 1_00


async def test_a_broken_connection_is_made_anew_and_nothing_is_lost_or_doubled(
    given: Trader, database_url: str
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(1_000_00))
    codes = [await given.code(shop, li) for _ in range(60)]
    writer = Writer(database_url, REGISTRY)
    await writer.start()
    trader = replace(given, writer=writer)

    async def use(code: bytes) -> str:
        command = trader.use(shop, Use(amount=Fen(1_00)), code_hash=code, request=a_key())
        for _ in range(20):
            try:
                return str((await trader.done(command)).status)
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)
        raise AssertionError("the database was there again")

    async def cut() -> Sequence[object]:
        connection = await asyncpg.connect(database_url)
        cut: list[object] = []
        for _ in range(3):
            await asyncio.sleep(0.02)
            cut += await connection.fetch(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'anxin-writer' AND datname = current_database()
                """
            )
        await connection.close()
        return cut

    *statuses, lost = await asyncio.gather(*(use(code) for code in codes), cut())

    await writer.stop()
    assert lost
    assert statuses == ["confirmed"] * 60
    assert (await given.read(card_id)).face_used_amount == 60_00


async def test_a_refusal_under_a_key_is_the_only_row_that_it_leaves(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(1_00), bonus_amount=Fen(0))
    command = given.use(shop, Use(amount=Fen(2_00)), card_id=card_id, request=a_key())
    before = await given.rows(shop)
    async with refused(given, shop, "insufficient_balance"):
        await given.done(replace(command, request=None))
    with pytest.raises(Exception, match="hold less"):
        await given.done(command)
    after = await given.rows(shop)
    assert {table for table in after if after[table] != before[table]} == {"stored_request"}


def test_a_command_has_one_plan() -> None:
    with pytest.raises(ValueError, match="two plans for Post"):
        Writer("", replace(REGISTRY, plans=(POST, POST)))
    with pytest.raises(ValueError, match="unknown tables"):
        Writer("", replace(REGISTRY, tables=(), indexes=()))
