"""Freezing: which days do not count, and what that does to the term, to visits and refunds."""

import asyncio
from datetime import timedelta

import pytest

from app.card_life.errors import CardKindMismatch
from app.card_products.domain import CardKind
from app.cards.domain import CardStatus
from app.cards.errors import CardInRefund, CardNotActive
from app.charges.domain import ChargeStatus, Use
from app.charges.errors import InsufficientBalance
from app.errors import DomainError, NotFound
from app.ledger.chart import AccountType
from app.refunds.domain import RefundReason
from tests.builder import a_consumer
from tests.card_life.conftest import Life
from tests.refusals import refused

VISIT = Use(visit=True)
CHOICE = RefundReason.CONSUMER_CHOICE


async def test_frozen_days_do_not_count_and_the_term_ends_as_much_later(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    sold = await given.read(card_id)
    await long_life.later(10)

    frozen = await long_life.frozen(consumer, card_id)
    await long_life.later(30)
    running = await long_life.unfrozen(consumer, card_id)

    assert (frozen.status, frozen.frozen_on) == (
        CardStatus.FROZEN,
        sold.activated_on + timedelta(10),
    )
    assert (running.status, running.frozen_on, running.frozen_days) == ("active", None, 30)
    assert sold.valid_until is not None
    assert running.valid_until == sold.valid_until + timedelta(30)
    visit = await given.used(shop, consumer, card_id, VISIT)
    assert visit.read_draws()[0].visit_day == 11
    assert await long_life.lines(card_id) == ["funded", "frozen", "unfrozen", "used"]


@pytest.mark.parametrize("unfrozen_first", [False, True])
async def test_on_day_100_with_30_days_frozen_a_refund_pays_for_70(
    long_life: Life, *, unfrozen_first: bool
) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    if unfrozen_first:
        await long_life.later(20)
        await long_life.frozen(consumer, card_id)
        await long_life.later(30)
        await long_life.unfrozen(consumer, card_id)
        await long_life.later(49)
    else:
        # Frozen on day 71 and still so on day 100, that day among the 30.
        await long_life.later(70)
        await long_life.frozen(consumer, card_id)
        await long_life.later(29)

    refund = await long_life.refunder.refunded(consumer, card_id, CHOICE)

    inputs = refund.read_inputs()
    assert (inputs.term_day, inputs.frozen_days) == (70, 30)
    assert (refund.amount, refund.residue_amount) == (2950_00, 700_00)


async def test_a_card_frozen_from_its_first_day_gives_all_back(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    await long_life.frozen(consumer, card_id)
    await long_life.later(400)

    card = await given.read(card_id)
    refund = await long_life.refunder.refunded(consumer, card_id, CHOICE)

    assert card.status_on(await long_life.today()) == CardStatus.FROZEN, "its term stands still"
    assert (refund.amount, refund.read_inputs().term_day) == (3650_00, 0)


async def test_a_day_that_was_visited_is_not_frozen(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    await long_life.later(4)
    await given.used(shop, consumer, card_id, VISIT)

    frozen = await long_life.frozen(consumer, card_id)
    today = await long_life.today()
    again = await long_life.unfrozen(consumer, card_id)
    await long_life.frozen(consumer, card_id)
    await long_life.later(3)
    running = await long_life.unfrozen(consumer, card_id)
    visit = await given.used(shop, consumer, card_id, VISIT)

    assert frozen.frozen_on == today + timedelta(1)
    assert again.frozen_days == 0, "frozen and unfrozen on one day is no day"
    assert running.frozen_days == 2, "the two days between the visits"
    assert visit.read_draws()[0].visit_day == 6
    assert (await given.read(card_id)).released_amount == 60_00


async def test_freezing_for_an_hour_costs_and_gives_no_day(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    before = await given.read(card_id)

    await long_life.frozen(consumer, card_id)
    after = await long_life.unfrozen(consumer, card_id)

    assert (after.frozen_days, after.valid_until) == (0, before.valid_until)
    visit = await given.used(shop, consumer, card_id, VISIT)
    assert visit.read_draws()[0].visit_day == 1


async def test_freezing_after_the_last_days_visit_leaves_no_day(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD, term_days=5)
    await long_life.later(4)
    await given.used(shop, consumer, card_id, VISIT)
    await long_life.frozen(consumer, card_id)
    await long_life.later(10)

    running = await long_life.unfrozen(consumer, card_id)

    assert running.status_on(await long_life.today()) == CardStatus.EXPIRED


async def test_a_frozen_card_is_not_used_and_what_waited_is_voided(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    waiting = await given.waiting(shop, card_id, VISIT)
    unbound = await given.code(shop, consumer)
    bound = await given.code(shop, consumer, card_id=card_id)

    await life.frozen(consumer, card_id)

    async with refused(given, shop, "charge_not_pending"):
        await given.done(given.confirming(shop, consumer, waiting))
    async with refused(given, shop, "card_not_active"):
        await given.waiting(shop, card_id, VISIT)
    with pytest.raises(CardNotActive) as named:
        await given.done(given.use(shop, VISIT, code_hash=bound))
    assert named.value.members["card_status"] == "frozen"
    with pytest.raises(InsufficientBalance):
        await given.done(given.use(shop, VISIT, code_hash=unbound))
    assert (await given.read(card_id)).pending_count == 0
    await life.unfrozen(consumer, card_id)
    # A code that no one stopped is good again: the card was never out of its holder's hands.
    assert (await given.done(given.use(shop, VISIT, code_hash=bound))).status == "confirmed"


async def test_freezing_and_unfreezing_again_change_nothing(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    frozen = await life.frozen(consumer, card_id)
    before = await given.rows(shop)
    assert await life.frozen(consumer, card_id) == frozen
    assert await given.rows(shop) == before

    running = await life.unfrozen(consumer, card_id)
    before = await given.rows(shop)
    assert await life.unfrozen(consumer, card_id) == running
    assert await given.rows(shop) == before


async def test_what_cannot_be_frozen_is_left_as_it_is(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    value = await given.card(shop, consumer)
    count = await given.card(shop, consumer, CardKind.COUNT)
    period = await given.card(shop, consumer, CardKind.PERIOD)
    gone = await given.card(shop, consumer, CardKind.PERIOD)
    await life.refunder.refunded(consumer, gone, CHOICE)
    before = await given.rows(shop)

    for card_id in (value, count):
        for step in (life.frozen, life.unfrozen):
            with pytest.raises(CardKindMismatch):
                await step(consumer, card_id)
    for step in (life.frozen, life.unfrozen, life.lost, life.reactivated):
        with pytest.raises(CardInRefund):
            await step(consumer, gone)
        with pytest.raises(NotFound):
            await step(a_consumer(), period)
    assert await given.rows(shop) == before


async def test_a_term_that_is_over_cannot_be_frozen(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD, term_days=5)
    await long_life.later(5)

    for step in (long_life.frozen, long_life.unfrozen):
        with pytest.raises(CardNotActive):
            await step(consumer, card_id)
    with pytest.raises(CardKindMismatch):
        await long_life.reactivated(consumer, card_id)


async def test_past_its_term_the_holders_confirmation_releases_what_is_left(
    long_life: Life,
) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD, term_days=5)
    await given.used(shop, consumer, card_id, VISIT)
    await long_life.later(9)
    assert await given.balance(shop, card_id) == 2920_00, "nobody takes it but by their word"

    refund = await long_life.refunder.refunded(consumer, card_id, CHOICE)

    assert (refund.amount, refund.residue_amount, refund.status) == (0, 2920_00, "paid")
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 3650_00


async def test_a_visit_and_a_freeze_at_once_leave_one_of_two_days(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    outcomes: set[str] = set()
    for _ in range(6):
        card_id = await given.card(shop, consumer, CardKind.PERIOD)
        waiting = await given.waiting(shop, card_id, VISIT)

        await asyncio.gather(
            given.done(given.confirming(shop, consumer, waiting)),
            life.frozen(consumer, card_id),
            return_exceptions=True,
        )

        card, today = await given.read(card_id), await life.today()
        visited = card.last_visit_day == 1
        assert card.frozen_on == (today + timedelta(1) if visited else today)
        assert card.released_amount == (10_00 if visited else 0)
        outcomes.add(f"visited {visited}")
        await life.lost(consumer, card_id)  # out of the way of the next round's visit
    assert outcomes


async def test_of_ten_freezes_at_once_one_is_written(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)

    done = await asyncio.gather(*(life.frozen(consumer, card_id) for _ in range(10)))

    assert len(set(done)) == 1
    assert await life.lines(card_id) == ["funded", "frozen"]


async def test_a_voided_charge_says_so(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    waiting = await given.waiting(shop, card_id, VISIT)
    await life.frozen(consumer, card_id)

    with pytest.raises(DomainError) as error:
        await given.done(given.confirming(shop, consumer, waiting))
    assert error.value.members["charge_status"] == ChargeStatus.CANCELLED
