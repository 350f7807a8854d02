"""The consumer's own act: confirm or decline what waits; and the merchant's: cancel it."""

import asyncio
from typing import Any

import pytest

from app.card_products.domain import CardKind
from app.charges.commands import CancelCharge, DeclineCharge
from app.charges.domain import Charge, Use
from app.charges.errors import ChargeChanged
from app.ledger.chart import AccountType
from app.money import AMOUNT_MAX, Fen
from tests.builder import Trader, a_consumer, a_key
from tests.refusals import refused

EIGHTY_YUAN = Use(amount=Fen(80_00))


async def test_sixty_four_equal_confirms_at_once_are_one_confirmation(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.waiting(shop, card_id, EIGHTY_YUAN)

    # Each with a key of its own: confirming is idempotent by state.
    confirmed = await asyncio.gather(
        *(given.done(given.confirming(shop, li, charge, request=a_key())) for _ in range(64))
    )

    assert len({one.confirmation_id for one in confirmed}) == 1
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 66_67
    card = await given.read(card_id)
    assert (card.face_used_amount, card.face_held_amount, card.entry_count) == (80_00, 0, 2)


async def test_another_echo_moves_nothing_and_shows_the_charge_again(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.waiting(shop, card_id, EIGHTY_YUAN, list_amount=Fen(90_00))
    elsewhere = (await given.store(shop.merchant)).store_id

    echoes: tuple[dict[str, Any], ...] = (
        {"amount": Fen(79_99)},
        {"store_id": elsewhere},
        {"list_amount": None},
        {"list_amount": Fen(89_99)},
        {"amount": None, "sessions": 1},
        {"visit": True},
    )
    for echo in echoes:
        async with refused(given, shop, "charge_changed"):
            await given.done(given.confirming(shop, li, charge, **echo))
    with pytest.raises(ChargeChanged) as refusal:
        await given.done(given.confirming(shop, li, charge, amount=Fen(1)))
    assert refusal.value.members["charge"]["amount"] == 80_00  # pyright: ignore[reportIndexIssue, reportArgumentType, reportUnknownMemberType]


async def test_only_its_consumer_answers_a_charge(given: Trader) -> None:
    shop, li, zhao = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, li)
    await given.card(shop, zhao)
    charge = await given.waiting(shop, card_id, EIGHTY_YUAN)
    other = await given.shop()

    async with refused(given, shop, "not_found"):
        await given.done(given.confirming(shop, zhao, charge))
    async with refused(given, shop, "not_found"):
        await given.done(DeclineCharge(shop.merchant_no, None, charge.charge_id, zhao.consumer))
    async with refused(given, shop, "not_found"):
        await given.done(CancelCharge(other.merchant_no, None, charge.charge_id, None))
    narrowed = frozenset({(await given.store(shop.merchant)).store_id})
    async with refused(given, shop, "not_found"):
        await given.done(CancelCharge(shop.merchant_no, None, charge.charge_id, narrowed))


async def test_the_list_price_that_the_consumer_saw_counts(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)

    await given.used(shop, li, card_id, EIGHTY_YUAN, list_amount=Fen(120_00))

    card = await given.read(card_id)
    assert (card.list_used_amount, card.list_price_missing) == (120_00, False)


async def test_declined_and_cancelled_charges_free_what_they_held(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    no = shop.merchant_no
    first = await given.waiting(shop, card_id, EIGHTY_YUAN)
    second = await given.waiting(shop, card_id, EIGHTY_YUAN)

    for _ in range(2):
        declined = await given.done(DeclineCharge(no, a_key(), first.charge_id, li.consumer))
        cancelled = await given.done(CancelCharge(no, a_key(), second.charge_id, None))
        assert (declined.status, cancelled.status) == ("declined", "cancelled")

    card = await given.read(card_id)
    assert (card.face_held_amount, card.pending_count) == (0, 0)
    async with refused(given, shop, "charge_not_pending"):
        await given.done(given.confirming(shop, li, first))
    async with refused(given, shop, "charge_not_pending"):
        await given.done(given.confirming(shop, li, second))


async def test_of_a_confirmation_and_a_cancellation_at_once_exactly_one_counts(
    given: Trader,
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(1_000_00), bonus_amount=Fen(0))
    confirmed = 0
    for _ in range(5):
        charge = await given.waiting(shop, card_id, Use(amount=Fen(1_00)))
        outcomes = await asyncio.gather(
            given.done(CancelCharge(shop.merchant_no, None, charge.charge_id, None)),
            given.done(given.confirming(shop, li, charge)),
            return_exceptions=True,
        )
        assert sum(isinstance(one, Charge) for one in outcomes) == 1
        confirmed += isinstance(outcomes[1], Charge)
    assert (await given.read(card_id)).face_used_amount == confirmed * 1_00


@pytest.mark.parametrize("kind", [CardKind.STORED_VALUE, CardKind.COUNT, CardKind.PERIOD])
async def test_list_prices_that_add_up_to_too_much_are_refused_and_break_nothing(
    given: Trader, kind: CardKind
) -> None:
    shop, li = await given.shop(), a_consumer()
    use, listed, price = {
        CardKind.STORED_VALUE: (Use(amount=Fen(1)), Fen(AMOUNT_MAX), None),
        CardKind.COUNT: (Use(sessions=1), None, Fen(AMOUNT_MAX)),
        CardKind.PERIOD: (Use(visit=True), None, Fen(AMOUNT_MAX)),
    }[kind]
    card_id = await given.card(shop, li, kind, list_price_amount=price)
    first = await given.used(shop, li, card_id, use, list_amount=listed)
    assert (await given.read(card_id)).list_used_amount == AMOUNT_MAX

    async with refused(given, shop, "invalid_request"):
        await given.waiting(shop, card_id, use, list_amount=listed)

    await given.reversed(first)
    await given.used(shop, li, card_id, use, list_amount=listed)


async def test_a_use_over_two_cards_counts_up_to_the_list_price_once(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    sold = await given.product(
        shop.merchant,
        price_amount=Fen(50_00),
        bonus_amount=Fen(0),
        list_price_amount=Fen(100_00),
    )
    cards = [await given.card(shop, li, of=sold) for _ in range(2)]
    code = await given.code(shop, li)

    await given.done(given.use(shop, EIGHTY_YUAN, code_hash=code, list_amount=Fen(150_00)))

    counted = [(await given.read(card_id)).list_used_amount for card_id in cards]
    assert counted == [62_50, 37_50]
