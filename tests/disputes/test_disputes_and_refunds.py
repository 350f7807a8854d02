"""A disputed use and a refund of its card: which comes first, and what one does to the other."""

import asyncio

import pytest

from app.charges.domain import Charge, ReversalStatus, Use
from app.ledger.chart import AccountType
from app.money import Fen
from app.refunds import queries
from app.refunds.domain import RefundClass, RefundReason
from app.refunds.rows import CardRefund
from tests.builder import Trader, a_consumer
from tests.card_life.conftest import Life
from tests.disputes.conftest import AGREES, REJECTED, UPHELD, Disputer, card_of
from tests.refunds.conftest import Refunder
from tests.refusals import refused

CHOICE, UNAVAILABLE = RefundReason.CONSUMER_CHOICE, RefundReason.SERVICE_UNAVAILABLE


@pytest.fixture
def refunder(given: Trader) -> Refunder:
    return Refunder(given)


async def refunds_of(given: Trader, charge: Charge) -> list[CardRefund]:
    """Read what was decided of the charge's card: the refund, then what adds to it."""
    async with given.db.snapshot() as tx:
        return await tx.fetch(
            CardRefund,
            f"SELECT {queries.COLUMNS} FROM refund WHERE card_id = :id AND decided_at IS NOT NULL"
            " ORDER BY supplements IS NOT NULL, decided_at",
            id=card_of(charge),
        )


async def test_an_open_dispute_is_decided_before_its_card_is_refunded(
    given: Trader, disputer: Disputer, refunder: Refunder
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, bonus_amount=Fen(0))
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    echo = await refunder.echo(li, card_id, CHOICE)
    await disputer.disputed(li, charge)

    async with refused(given, shop, "charge_disputed"):
        await refunder.asked(li, card_id, CHOICE, echo)
    async with refused(given, shop, "charge_disputed"):
        await refunder.offered(shop, card_id, 100_00)

    await disputer.decided(charge, REJECTED)
    assert (await refunder.refunded(li, card_id, CHOICE)).amount == 420_00


async def test_an_upheld_dispute_bears_out_that_the_service_is_unavailable_and_nothing_else(
    given: Trader, disputer: Disputer, refunder: Refunder
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    assert (await refunder.preview(li, card_id, UNAVAILABLE)).quote.needs_case
    await disputer.disputed(li, charge)
    await disputer.step(charge, AGREES)

    for reason in (RefundReason.STORE_MOVED, RefundReason.HEALTH, RefundReason.MINOR):
        assert (await refunder.preview(li, card_id, reason)).quote.needs_case, reason
    assert not (await refunder.preview(li, card_id, UNAVAILABLE)).quote.needs_case
    refund = await refunder.refunded(li, card_id, UNAVAILABLE)

    assert (refund.status, refund.refund_class) == ("decided", RefundClass.MERCHANT_FAULT)
    assert refund.amount == 450_00, "all but what the use that stays released"


async def test_a_dismissed_dispute_bears_nothing_out(
    given: Trader, disputer: Disputer, refunder: Refunder
) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    await disputer.disputed(li, charge)
    await disputer.decided(charge, REJECTED)

    assert (await refunder.preview(li, card_of(charge), UNAVAILABLE)).quote.needs_case


async def test_an_upheld_dispute_that_waits_does_not_hold_up_the_refund(
    given: Trader, disputer: Disputer, refunder: Refunder
) -> None:
    shop, li, wang = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, li, bonus_amount=Fen(0))
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await given.paid_out(shop)
    await disputer.disputed(li, charge)
    assert (await disputer.decided(charge, UPHELD)).reversal_status == ReversalStatus.PENDING

    first = await refunder.refunded(li, card_id, UNAVAILABLE)
    assert (first.amount, first.refund_class) == (420_00, RefundClass.MERCHANT_FAULT)

    other = await given.card(shop, wang, bonus_amount=Fen(0))
    await given.used(shop, wang, other, Use(amount=Fen(80_00)))
    assert (await disputer.read(charge)).status == "reversed"
    assert [one.amount for one in await refunds_of(given, charge)] == [420_00, 80_00]
    assert (await given.read(card_id)).custody_amount == 0


async def test_a_dispute_upheld_on_a_refunded_card_adds_to_its_refund(
    given: Trader, disputer: Disputer, refunder: Refunder
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, bonus_amount=Fen(0))
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await refunder.refunded(li, card_id, CHOICE)

    await disputer.disputed(li, charge)
    assert await given.balance(shop, AccountType.RELEASE_DISPUTED) == 80_00
    await disputer.step(charge, AGREES)

    assert (await disputer.read(charge)).status == "reversed"
    assert [one.amount for one in await refunds_of(given, charge)] == [420_00, 80_00]
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == 500_00
    assert await given.balance(shop, AccountType.RELEASE_DISPUTED) == 0
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 0


async def test_a_dispute_and_a_refund_at_once_end_alike_in_either_order(
    given: Trader, disputer: Disputer, refunder: Refunder
) -> None:
    for number in range(6):
        shop, li = await given.shop(), a_consumer()
        card_id = await given.card(shop, li, bonus_amount=Fen(0))
        charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
        echo = await refunder.echo(li, card_id, CHOICE)
        both = [disputer.disputed(li, charge), refunder.asked(li, card_id, CHOICE, echo)]
        outcomes = await asyncio.gather(*(both[:: 1 if number % 2 else -1]), return_exceptions=True)

        refusals = [getattr(one, "code", "") for one in outcomes if isinstance(one, Exception)]
        assert refusals in ([], ["charge_disputed"])
        assert (await disputer.read(charge)).status == "disputed"
        await disputer.step(charge, AGREES)
        if refusals:
            await refunder.refunded(li, card_id, CHOICE)
        assert sum(one.amount for one in await refunds_of(given, charge)) == 500_00


async def test_what_comes_back_after_a_transfer_is_the_cards_whoever_holds_it(
    given: Trader, disputer: Disputer
) -> None:
    shop, li, wang = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, li, bonus_amount=Fen(0))
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    life = Life(given)
    await life.transferred(li, card_id, wang)

    await disputer.disputed(li, charge)
    await disputer.step(charge, AGREES)

    card = await given.read(card_id)
    assert (card.consumer, card.custody_amount) == (wang.consumer, 500_00)
    async with refused(given, shop, "not_found"):
        await disputer.disputed(wang, charge)
