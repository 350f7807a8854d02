"""Loss and replacement, expiry and reactivation: nothing on a card is lost by either."""

import asyncio
from datetime import timedelta

import pytest

from app.card_products.domain import CardKind
from app.cards.domain import CardStatus
from app.cards.errors import CardNotActive
from app.charges.domain import ChargeStatus, Use
from app.charges.errors import CodeInvalid
from app.money import Fen
from app.refunds.domain import RefundReason
from tests.builder import a_consumer
from tests.card_life.conftest import Life
from tests.refusals import refused

USE = Use(amount=Fen(60_00))
CHOICE = RefundReason.CONSUMER_CHOICE


async def test_a_lost_card_is_stopped_and_its_replacement_has_all_that_it_had(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    await given.used(shop, consumer, card_id, USE)
    waiting = await given.waiting(shop, card_id, USE)
    before = await given.read(card_id)

    lost = await life.lost(consumer, card_id)

    assert lost.status == CardStatus.LOST
    async with refused(given, shop, "card_not_active"):
        await given.waiting(shop, card_id, USE)
    async with refused(given, shop, "charge_not_pending"):
        await given.done(given.confirming(shop, consumer, waiting))
    replaced = await life.reactivated(consumer, card_id)
    assert replaced.status == CardStatus.ACTIVE
    assert replaced.custody_amount == before.custody_amount
    assert replaced.face_available_amount == 540_00
    assert await given.balance(shop, card_id) == before.custody_amount
    assert await life.lines(card_id) == ["funded", "used", "lost", "replaced"]
    assert (await given.used(shop, consumer, card_id, USE)).status == ChargeStatus.CONFIRMED


async def test_no_code_from_before_the_loss_ever_draws_on_the_card_again(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    unbound = await given.code(shop, consumer)
    bound = await given.code(shop, consumer, card_id=card_id)

    await life.lost(consumer, card_id)
    with pytest.raises(CardNotActive):
        await given.done(given.use(shop, USE, code_hash=bound))
    await life.reactivated(consumer, card_id)

    async with refused(given, shop, "code_invalid"):
        await given.done(given.use(shop, USE, code_hash=bound))
    async with refused(given, shop, "insufficient_balance"):
        await given.done(given.use(shop, USE, code_hash=unbound))
    other = await given.card(shop, consumer)
    charge = await given.done(given.use(shop, USE, code_hash=unbound))
    assert [draw.card_id for draw in charge.read_draws()] == [other]
    fresh = await given.used_by_code(shop, consumer, USE)
    assert [draw.card_id for draw in fresh.read_draws()] == [card_id]


async def test_the_days_of_a_lost_period_card_do_not_count(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    sold = await given.read(card_id)
    await long_life.later(10)
    await long_life.lost(consumer, card_id)
    await long_life.later(500)
    assert (await given.read(card_id)).status_on(await long_life.today()) == CardStatus.LOST

    card = await long_life.reactivated(consumer, card_id)

    assert (card.status, card.frozen_days, card.frozen_on) == ("active", 500, None)
    assert sold.valid_until is not None
    assert card.valid_until == sold.valid_until + timedelta(500)


async def test_a_frozen_card_that_is_lost_goes_on_when_it_is_replaced(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.PERIOD)
    await long_life.later(2)
    await long_life.frozen(consumer, card_id)
    await long_life.later(3)
    await long_life.lost(consumer, card_id)
    for step in (long_life.frozen, long_life.unfrozen):
        with pytest.raises(CardNotActive):
            await step(consumer, card_id)
    await long_life.later(4)

    card = await long_life.reactivated(consumer, card_id)

    assert (card.status, card.frozen_days) == ("active", 7)
    assert await long_life.lines(card_id) == ["funded", "frozen", "lost", "replaced"]


async def test_steps_repeated_change_nothing(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    before = await given.rows(shop)
    await life.reactivated(consumer, card_id)  # it is active as it is
    assert await given.rows(shop) == before

    lost = await life.lost(consumer, card_id)
    before = await given.rows(shop)
    assert await life.lost(consumer, card_id) == lost
    assert await given.rows(shop) == before


async def test_what_is_used_up_is_neither_lost_nor_reactivated(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    await given.used(shop, consumer, card_id, Use(amount=Fen(600_00)))

    async with refused(given, shop, "card_not_active"):
        await life.lost(consumer, card_id)
    async with refused(given, shop, "card_not_active"):
        await life.reactivated(consumer, card_id)


@pytest.mark.parametrize(
    ("kind", "use", "amount"),
    [(CardKind.STORED_VALUE, USE, 440_00), (CardKind.COUNT, Use(sessions=1), 1050_00)],
)
async def test_an_expired_balance_stays_and_gets_the_same_term_again(
    long_life: Life, kind: CardKind, use: Use, amount: int
) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, kind, term_days=30)
    other = a_consumer()
    refundable = await given.card(shop, other, kind, term_days=30)
    await given.used(shop, consumer, card_id, use)
    await given.used(shop, other, refundable, use)
    await long_life.later(30)
    today = await long_life.today()
    with pytest.raises(CardNotActive) as expired:
        await given.waiting(shop, card_id, use)

    card = await long_life.reactivated(consumer, card_id)
    refund = await long_life.refunder.refunded(other, refundable, CHOICE)

    assert expired.value.members["card_status"] == CardStatus.EXPIRED
    assert (card.status_on(today), card.valid_until) == ("active", today + timedelta(29))
    assert (await given.used(shop, consumer, card_id, use)).status == ChargeStatus.CONFIRMED
    assert refund.amount == amount


async def test_a_card_that_expired_while_it_was_lost_is_replaced_then_reactivated(
    long_life: Life,
) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, term_days=30)
    await long_life.later(29)
    await long_life.lost(consumer, card_id)
    await long_life.later(10)

    replaced = await long_life.reactivated(consumer, card_id)
    again = await long_life.reactivated(consumer, card_id)

    today = await long_life.today()
    assert replaced.status_on(today) == CardStatus.EXPIRED
    assert (again.status_on(today), again.valid_until) == ("active", today + timedelta(29))


async def test_an_expired_card_may_be_lost_and_a_lost_one_refunded(long_life: Life) -> None:
    given = long_life.given
    shop, consumer = await given.shop(), a_consumer()
    value = await given.card(shop, consumer, term_days=5)
    period = await given.card(shop, consumer, CardKind.PERIOD, term_days=10)
    await long_life.later(5)
    await long_life.lost(consumer, value)
    await long_life.lost(consumer, period)
    await long_life.later(100)

    refunds = [await long_life.refunder.refunded(consumer, one, CHOICE) for one in (value, period)]

    assert [refund.amount for refund in refunds] == [500_00, 1825_00]


async def test_a_loss_and_a_use_by_code_at_once_leave_one_order_of_the_two(life: Life) -> None:
    given = life.given
    shop, consumer = await given.shop(), a_consumer()
    for _ in range(6):
        card_id = await given.card(shop, consumer)
        code = await given.code(shop, consumer, card_id=card_id)

        used, lost = await asyncio.gather(
            given.done(given.use(shop, USE, code_hash=code)),
            life.lost(consumer, card_id),
            return_exceptions=True,
        )

        assert not isinstance(lost, BaseException)
        lines = await life.lines(card_id)
        if isinstance(used, BaseException):
            assert isinstance(used, CardNotActive | CodeInvalid)
            assert lines == ["funded", "lost"]
        else:
            assert lines == ["funded", "used", "lost"]
