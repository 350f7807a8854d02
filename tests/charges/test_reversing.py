"""Uses taken back: at once, or when payable covers them; oldest first, each whole."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from app.access.principals import ConsumerPrincipal
from app.card_products.domain import CardKind
from app.charges import service
from app.charges.commands import DeclineCharge, ReverseCharge, ServeReversals
from app.charges.domain import Charge, ReversalStatus, Use
from app.charges.queries import find_charge
from app.db.engine import Database
from app.ledger.chart import AccountType
from app.money import Fen
from tests.builder import Shop, Trader, a_consumer, a_key, writing
from tests.cluster import DatabaseUrls
from tests.refusals import refused

PAYABLE = AccountType.MERCHANT_PAYABLE
DAY_SECONDS = 86_400


async def read(given: Trader, charge: Charge) -> Charge:
    async with given.db.snapshot() as tx:
        found = await find_charge(tx, charge.merchant_no, charge.charge_id)
    assert found is not None
    return found


async def waiting_amount(given: Trader, shop: Shop) -> object:
    async with given.db.snapshot() as tx:
        return await tx.value(
            "SELECT waiting_reversal_amount FROM book WHERE merchant_no = :no", no=shop.merchant_no
        )


async def test_a_reversal_gives_back_what_the_uses_that_stay_do_not_release(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(
        shop, li, CardKind.COUNT, price_amount=Fen(100_00), sessions=3, gift_sessions=0
    )
    uses = [await given.used(shop, li, card_id, Use(sessions=1)) for _ in range(3)]
    assert [use.release_amount for use in uses] == [33_33, 33_34, 33_33]

    back = await given.reversed(uses[1])

    assert (back.status, back.reversal_status) == ("reversed", "done")
    assert back.balance_sessions == 1
    card = await given.read(card_id)
    assert (card.released_amount, card.custody_amount, card.status) == (66_67, 33_33, "active")
    assert await given.balance(shop, PAYABLE) == 66_67


async def test_of_ten_reversals_at_once_one_moves_money(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))

    backs = await asyncio.gather(*(given.reversed(charge) for _ in range(10)))

    assert {back.reversal_done_at for back in backs} == {backs[0].reversal_done_at}
    assert await given.balance(shop, PAYABLE) == 0
    assert await given.balance(shop, card_id) == 500_00
    assert (await given.read(card_id)).entry_count == 3


async def test_a_reversal_over_several_cards_restores_each(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    cards = [
        await given.card(shop, li, price_amount=Fen(50_00), bonus_amount=Fen(1)) for _ in range(2)
    ]
    charge = await given.used(shop, li, cards[0], Use(amount=Fen(80_00)))

    back = await given.reversed(charge)

    assert back.balance_face_amount == 100_02
    for card_id in cards:
        card = await given.read(card_id)
        assert (card.face_used_amount, card.custody_amount, card.status) == (0, 50_00, "active")


async def test_a_reversal_of_money_paid_out_waits_and_the_next_credit_serves_it(
    given: Trader,
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await given.paid_out(shop)

    waits = await given.reversed(charge)
    assert (waits.status, waits.reversal_status) == ("confirmed", "pending")
    assert await given.reversed(charge) == waits, "asking again gives the same"
    assert (await given.read(card_id)).face_used_amount == 80_00
    assert await waiting_amount(given, shop) == 66_67

    await given.used(shop, li, card_id, Use(amount=Fen(79_00)))  # 65.83: not enough, not in part
    assert (await read(given, charge)).reversal_status == "pending"
    assert await given.balance(shop, PAYABLE) == 65_83

    await given.used(shop, li, card_id, Use(amount=Fen(2_00)))
    done = await read(given, charge)
    assert (done.status, done.reversal_status) == ("reversed", "done")
    assert await waiting_amount(given, shop) == 0
    card = await given.read(card_id)
    assert (card.face_used_amount, card.released_amount) == (81_00, 67_50)


async def test_waiting_reversals_are_served_oldest_first_each_whole(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(1_000_00), bonus_amount=Fen(0))
    large, small = [
        await given.used(shop, li, card_id, Use(amount=Fen(amount))) for amount in (50_00, 10_00)
    ]
    await given.paid_out(shop)
    await given.reversed(large)
    await given.reversed(small)

    await given.used(shop, li, card_id, Use(amount=Fen(49_99)))  # covers the small one alone
    assert [(await read(given, one)).reversal_status for one in (large, small)] == ["pending"] * 2
    assert await given.balance(shop, PAYABLE) == 49_99

    await given.used(shop, li, card_id, Use(amount=Fen(1)))
    statuses = [(await read(given, one)).reversal_status for one in (large, small)]
    assert statuses == ["done", "pending"]
    assert await given.balance(shop, PAYABLE) == 0

    await given.used(shop, li, card_id, Use(amount=Fen(10_05)))
    assert (await read(given, small)).reversal_status == "done"
    assert await given.balance(shop, PAYABLE) == 5


async def test_a_new_reversal_does_not_pass_those_that_wait(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(1_000_00), bonus_amount=Fen(0))
    first = await given.used(shop, li, card_id, Use(amount=Fen(50_00)))
    await given.paid_out(shop)
    await given.reversed(first)
    second = await given.used(shop, li, card_id, Use(amount=Fen(20_00)))

    assert (await given.reversed(second)).reversal_status == "pending"
    assert await waiting_amount(given, shop) == 70_00


@pytest_asyncio.fixture
async def later(fresh_database: DatabaseUrls) -> AsyncIterator[Trader]:
    """Give a world of the test's own, so that its clock can be moved."""
    db = Database.connect(fresh_database.database_url)
    async with writing(fresh_database.database_url) as writer:
        yield Trader(db, writer=writer)
    await db.close()


async def days_pass(given: Trader, days: int, *, seconds: int = 0) -> None:
    async with given.db.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO sandbox_clock (offset_seconds) VALUES (:by)
            ON CONFLICT (only_row) DO UPDATE
            SET offset_seconds = sandbox_clock.offset_seconds + excluded.offset_seconds
            """,
            by=days * DAY_SECONDS + seconds,
        )


async def visits(
    given: Trader, shop: Shop, li: ConsumerPrincipal, card_id: UUID, *days: int
) -> list[Charge]:
    """Let a consumer come on these days of the term."""
    made: list[Charge] = []
    today = 1
    for day in days:
        await days_pass(given, day - today)
        today = day
        made.append(await given.used(shop, li, card_id, Use(visit=True)))
    return made


async def test_reversing_the_last_visit_falls_back_to_the_one_before(later: Trader) -> None:
    shop, li = await later.shop(), a_consumer()
    card_id = await later.card(shop, li, CardKind.PERIOD)  # 10.00 a day
    third, tenth, again, twentieth = await visits(later, shop, li, card_id, 3, 10, 10, 20)
    released = [one.release_amount for one in (third, tenth, again, twentieth)]
    assert released == [30_00, 70_00, 0, 100_00]

    await later.reversed(tenth)  # another visit of that day stays
    assert (await later.read(card_id)).released_amount == 200_00
    await later.reversed(twentieth)
    assert (await later.read(card_id)).released_amount == 100_00
    await later.reversed(again)
    assert (await later.read(card_id)).released_amount == 30_00
    await later.reversed(third)
    assert (await later.read(card_id)).released_amount == 0
    assert await later.balance(shop, card_id) == 3_650_00


async def test_what_a_waiting_reversal_needs_is_kept_up_to_date(later: Trader) -> None:
    """Reversing an earlier visit makes the waiting later one need more: a cut must leave that."""
    shop, li = await later.shop(), a_consumer()
    card_id = await later.card(shop, li, CardKind.PERIOD)
    fifth, seventh = await visits(later, shop, li, card_id, 5, 7)
    await later.paid_out(shop)

    assert (await later.reversed(seventh)).reversal_amount == 20_00
    assert (await later.reversed(fifth)).reversal_status == "done", "it moves nothing"
    await later.used(
        shop, li, await later.card(shop, li, bonus_amount=Fen(0)), Use(amount=Fen(40_00))
    )
    assert await waiting_amount(later, shop) == 70_00
    assert await later.balance(shop, PAYABLE) == 40_00

    value = await later.card(shop, li, bonus_amount=Fen(0))
    await later.used(shop, li, value, Use(amount=Fen(30_00)))
    assert (await read(later, seventh)).reversal_status == "done"
    assert await later.balance(shop, card_id) == 3_650_00
    assert await waiting_amount(later, shop) == 0


@pytest.mark.parametrize("named_by", ["reference", "confirmation"])
async def test_a_waiting_reversal_that_another_command_names_is_served_right_or_not_yet(
    later: Trader, named_by: str
) -> None:
    """A credit's look-up is bounded: one behind the bound may be there without its cards."""
    shop, li, wang, zhang = await later.shop(), a_consumer(), a_consumer(), a_consumer()
    card_id = await later.card(shop, wang, CardKind.PERIOD)  # 10.00 a day
    await visits(later, shop, wang, card_id, 1)
    await days_pass(later, 4)
    fifth = await later.used(shop, wang, card_id, Use(visit=True), client_reference="fifth")
    values = [await later.card(shop, one, bonus_amount=Fen(0)) for one in (li, zhang)]
    codes = await asyncio.gather(*(later.code(shop, li) for _ in range(100)))
    uses = await asyncio.gather(
        *(later.done(later.use(shop, Use(amount=Fen(1_00)), code_hash=code)) for code in codes)
    )
    await later.paid_out(shop)
    await asyncio.gather(*(later.reversed(use) for use in uses))
    assert (await later.reversed(fifth)).reversal_amount == 40_00
    credit = await later.waiting(shop, values[1], Use(amount=Fen(200_00)))

    named = (
        later.use(shop, Use(amount=Fen(1)), card_id=values[1], client_reference="fifth")
        if named_by == "reference"
        else later.confirming(shop, wang, fifth)
    )
    # While the first is in flight, the other two gather into one batch.
    _, _, credited = await asyncio.gather(
        later.writer.submit(ServeReversals(shop.merchant_no)),
        later.done(named),
        later.done(later.confirming(shop, zhang, credit)),
        return_exceptions=True,
    )

    assert getattr(credited, "status", credited) == "confirmed"
    await later.writer.submit(ServeReversals(shop.merchant_no))
    assert (await read(later, fifth)).reversal_status == "done"
    assert (await later.read(card_id)).released_amount == 10_00
    assert await later.balance(shop, PAYABLE) == 60_00
    assert await waiting_amount(later, shop) == 0


async def test_uses_can_be_reversed_for_ninety_days(later: Trader) -> None:
    shop, li = await later.shop(), a_consumer()
    card_id = await later.card(shop, li)
    first, second = [await later.used(shop, li, card_id, Use(amount=Fen(1_00))) for _ in range(2)]
    await days_pass(later, 90, seconds=-60)
    assert (await later.reversed(first)).status == "reversed"
    await days_pass(later, 0, seconds=61)
    async with refused(later, shop, "deadline_passed"):
        await later.reversed(second)
    assert (await later.reversed(first)).status == "reversed", "what is done can be asked again"


async def test_a_card_past_its_term_is_refused_but_its_uses_can_be_reversed(
    later: Trader,
) -> None:
    shop, li = await later.shop(), a_consumer()
    card_id = await later.card(shop, li, CardKind.PERIOD, term_days=3, price_amount=Fen(9_00))
    (visit,) = await visits(later, shop, li, card_id, 3)
    waiting = await later.waiting(shop, card_id, Use(visit=True))
    await days_pass(later, 1)

    async with refused(later, shop, "card_not_active"):
        await later.waiting(shop, card_id, Use(visit=True))
    async with refused(later, shop, "charge_not_pending"):
        await later.done(later.confirming(shop, li, waiting))
    code = await later.code(shop, li)
    async with refused(later, shop, "insufficient_balance"):
        await later.done(later.use(shop, Use(visit=True), code_hash=code))
    assert (await later.reversed(visit)).status == "reversed"


@pytest.mark.parametrize("status", ["pending_confirmation", "declined"])
async def test_what_was_not_confirmed_is_not_reversed(given: Trader, status: str) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.waiting(shop, card_id, Use(amount=Fen(1_00)))
    if status == "declined":
        await given.done(DeclineCharge(shop.merchant_no, None, charge.charge_id, li.consumer))

    async with refused(given, shop, "charge_not_confirmed"):
        await given.reversed(charge)


async def test_serving_where_nothing_waits_changes_nothing(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    before = await given.rows(shop)

    outcome = await given.writer.submit(ServeReversals(shop.merchant_no))

    assert outcome.result == 0
    assert await given.rows(shop) == before


async def test_retrying_a_reversal_that_waited_says_that_it_waited(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await given.paid_out(shop)
    command = ReverseCharge(shop.merchant_no, a_key(), charge.charge_id, None, None, 90)
    assert (await given.done(command)).reversal_status == "pending"
    await given.used(shop, li, card_id, Use(amount=Fen(100_00)))
    assert (await read(given, charge)).reversal_status == "done"

    again = await service.carry_out(given.writer, given.db, command)

    assert again.replayed
    assert (again.value.status, again.value.reversal_status) == (
        "confirmed",
        ReversalStatus.PENDING,
    )
    assert again.value.reversal_done_at is None
