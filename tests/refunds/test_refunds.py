"""Refunds as consumers ask for them: what moves, what is refused, what is asked at once."""

import asyncio
from dataclasses import replace

import pytest

from app.card_products.domain import CardKind
from app.cards.errors import CardInRefund
from app.charges.domain import Use
from app.ledger.chart import AccountType
from app.money import Fen
from app.refunds.domain import RefundClass, RefundReason, RefundStatus
from app.refunds.errors import RefundChanged, RefundInProgress, RefundNotAllowed
from tests.builder import Shop, Trader, a_consumer, a_key
from tests.refunds.conftest import Refunder

CHOICE, COOLING_OFF = RefundReason.CONSUMER_CHOICE, RefundReason.COOLING_OFF
MOVED = RefundReason.STORE_MOVED


async def store_closed(given: Trader, shop: Shop) -> None:
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE store SET status = 'closed' WHERE merchant_no = :no", no=shop.merchant_no
        )


async def test_a_refund_closes_its_card_and_puts_the_money_where_it_waits(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(
        shop, consumer, CardKind.COUNT, price_amount=Fen(1200_00), list_price_amount=Fen(150_00)
    )
    await given.used(shop, consumer, card_id, Use(sessions=5))

    refund = await refunder.refunded(consumer, card_id, CHOICE)

    assert (refund.amount, refund.residue_amount) == (450_00, 250_00)
    assert refund.refund_class == RefundClass.CONSUMER_CHOICE
    assert refund.status == RefundStatus.DECIDED
    card = await given.read(card_id)
    assert (card.status, card.refunded_amount, card.adjusted_amount) == ("refunding", 450_00, 0)
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == 450_00
    # The merchant's part follows the holder's, not the other way round.
    assert await given.balance(shop, card_id) == 250_00


async def test_a_refund_of_nothing_is_paid_at_once_and_the_rest_is_the_merchants(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(
        shop,
        consumer,
        price_amount=Fen(1000_00),
        bonus_amount=Fen(0),
        list_price_amount=Fen(100_00),
    )
    for _ in range(11):
        use = Use(amount=Fen(60_00))
        await given.used(shop, consumer, card_id, use, list_amount=Fen(120_00))

    refund = await refunder.refunded(consumer, card_id, CHOICE)

    assert (refund.amount, refund.residue_amount) == (0, 340_00)
    assert refund.status == RefundStatus.PAID
    card = await given.read(card_id)
    assert (card.status, card.adjusted_amount, card.custody_amount) == ("refunded", 340_00, 0)
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 1000_00


async def test_a_preview_changes_nothing_and_is_what_is_executed(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    before = await given.rows(shop)

    preview = await refunder.preview(consumer, card_id, COOLING_OFF)

    assert await given.rows(shop) == before
    refund = await refunder.refunded(consumer, card_id, COOLING_OFF)
    assert refund.read_inputs() == preview.quote.inputs
    assert refund.figures == preview.quote.figures
    assert refund.amount == 500_00
    assert preview.payee == {
        "holder_name": "李**",
        "account_number": "****4567",
        "bank_code": None,
    }


async def test_another_echo_is_refused_with_the_new_figures_and_changes_nothing(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    echo = await refunder.echo(consumer, card_id, CHOICE)
    await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)))
    before = await given.rows(shop)

    for wrong in (echo, None, replace(echo, residue_amount=1)):
        with pytest.raises(RefundChanged) as refused:
            await refunder.asked(consumer, card_id, CHOICE, wrong)

    preview = refused.value.members["preview"]
    assert isinstance(preview, dict)
    assert (preview["amount"], preview["residue_amount"], preview["id"]) == (440_00, 10_00, None)
    assert await given.rows(shop) == before


async def test_of_ten_refunds_asked_at_once_exactly_one_is_decided(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    echo = await refunder.echo(consumer, card_id, CHOICE)

    asked = await asyncio.gather(
        *(refunder.asked(consumer, card_id, CHOICE, echo) for _ in range(10)),
        return_exceptions=True,
    )

    refused = [outcome for outcome in asked if isinstance(outcome, BaseException)]
    assert [type(error) for error in refused] == [RefundInProgress] * 9
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == 500_00


async def test_a_retry_under_the_same_key_gives_the_same_refund(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    echo, key = await refunder.echo(consumer, card_id, CHOICE), a_key()

    first = await refunder.asked(consumer, card_id, CHOICE, echo, request=key)
    again = await refunder.asked(consumer, card_id, CHOICE, echo, request=key)

    assert again == first


async def test_what_waits_on_a_refunded_card_is_voided_whole_and_the_card_takes_no_more(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    cards = [await given.card(shop, consumer, of=product) for _ in range(2)]
    waiting = await given.waiting(shop, cards[0], Use(amount=Fen(700_00)))
    assert len(waiting.read_draws()) == 2

    refund = await refunder.refunded(consumer, cards[0], CHOICE)

    assert refund.amount == 500_00
    assert [(await given.read(id_)).face_held_amount for id_ in cards] == [0, 0]
    with pytest.raises(CardInRefund):
        await given.waiting(shop, cards[0], Use(amount=Fen(1)))
    again = await given.used(shop, consumer, cards[1], Use(amount=Fen(600_00)))
    assert again.status == "confirmed"


async def test_cooling_off_is_not_for_a_product_used_here_before(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    first = await given.card(shop, consumer, of=product)
    await given.used(shop, consumer, first, Use(amount=Fen(60_00)))
    second = await given.card(shop, consumer, of=product)
    other = await given.card(shop, consumer)

    with pytest.raises(RefundNotAllowed, match="used here before"):
        await refunder.preview(consumer, second, COOLING_OFF)

    for card_id, left in ((first, 450_00), (other, 500_00)):
        refund = await refunder.refunded(consumer, card_id, COOLING_OFF)
        assert (refund.amount, refund.residue_amount) == (left, 0)


async def test_a_use_that_was_taken_back_does_not_end_the_cooling_off(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    first = await given.card(shop, consumer, of=product)
    charge = await given.used(shop, consumer, first, Use(amount=Fen(60_00)))
    second = await given.card(shop, consumer, of=product)
    await given.reversed(charge)

    assert (await refunder.refunded(consumer, second, COOLING_OFF)).amount == 500_00


async def test_a_store_that_closed_is_the_merchants_fault_and_one_that_did_not_is_a_claim(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)), list_amount=Fen(200_00))

    assert (await refunder.preview(consumer, card_id, MOVED)).quote.needs_case
    await store_closed(given, shop)

    refund = await refunder.refunded(consumer, card_id, MOVED)
    assert refund.refund_class == RefundClass.MERCHANT_FAULT
    assert (refund.amount, refund.residue_amount) == (450_00, 0)


async def test_an_offer_moves_nothing_until_its_holder_accepts(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    offer = await refunder.offered(shop, card_id, 300_00)
    assert offer.status == RefundStatus.OFFERED
    await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)))

    refund = await refunder.answered(consumer, offer.refund_id, accept=True)

    assert (refund.status, refund.refund_class) == ("decided", "agreed")
    assert (refund.amount, refund.residue_amount) == (300_00, 150_00)
    again = await refunder.answered(consumer, offer.refund_id, accept=True)
    assert again.read_inputs() == refund.read_inputs()
    assert again._replace(inputs=refund.inputs) == refund
    with pytest.raises(RefundNotAllowed):
        await refunder.answered(consumer, offer.refund_id, accept=False)


async def test_an_offer_is_declined_or_falls_away_with_another_refund(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    first = await refunder.offered(shop, card_id, 300_00)
    with pytest.raises(RefundInProgress):
        await refunder.offered(shop, card_id, 200_00)
    declined = await refunder.answered(consumer, first.refund_id, accept=False)
    assert declined.status == RefundStatus.DECLINED
    second = await refunder.offered(shop, card_id, 200_00)

    await refunder.refunded(consumer, card_id, CHOICE)

    with pytest.raises(RefundNotAllowed):
        await refunder.answered(consumer, second.refund_id, accept=True)


async def test_no_more_is_offered_than_is_left(given: Trader, refunder: Refunder) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)

    with pytest.raises(RefundNotAllowed):
        await refunder.offered(shop, card_id, 500_01)


async def test_less_left_than_was_offered_is_told_and_changes_nothing(
    given: Trader, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    offer = await refunder.offered(shop, card_id, 500_00)
    await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)))
    before = await given.rows(shop)

    with pytest.raises(RefundChanged):
        await refunder.answered(consumer, offer.refund_id, accept=True)

    assert await given.rows(shop) == before
