"""How much one consumer may have prepaid with one merchant, and what counts to it."""

import asyncio
from datetime import date

import pytest

from app import ids
from app.access.principals import ConsumerPrincipal
from app.card_life import service as card_life
from app.card_life.service import Office
from app.card_products.domain import CardKind, CardProduct
from app.cards.ceilings import Ceilings, Prepaid, check_ceilings
from app.cards.errors import CeilingExceeded
from app.charges.domain import Use
from app.money import Fen
from app.policies.domain import Policies
from app.policies.versions import in_force
from app.purchases import service
from app.purchases.ceilings import ceilings_of
from app.purchases.commands import AcceptPurchase, OpenPurchase
from app.purchases.domain import Purchase
from app.refunds.domain import RefundReason
from tests.builder import Shop, Trader, a_consumer, a_key, holder_of
from tests.refunds.conftest import Refunder

NAMED = Ceilings(Fen(5_000_00), None, None)
TRAINING = Ceilings(Fen(5_000_00), 60, 92)


async def bought(
    given: Trader,
    shop: Shop,
    product: CardProduct,
    consumer: ConsumerPrincipal,
    ceilings: Ceilings | None = NAMED,
    *,
    accepted: bool = True,
) -> Purchase:
    """Buy a card in the app; or let the POS begin a sale to this consumer."""
    command = OpenPurchase(
        shop.merchant_no,
        None,
        ids.new_id(shop.merchant_no),
        product.product_id,
        shop.store.store_id,
        holder_of(consumer),
        product.contract.sha256 if accepted else None,
        1800,
        ceilings,
    )
    return (await service.change_purchase(given.till, command)).value


async def accepted(
    given: Trader, purchase: Purchase, consumer: ConsumerPrincipal, ceilings: Ceilings = NAMED
) -> Purchase:
    command = AcceptPurchase(
        purchase.merchant_no,
        None,
        purchase.purchase_id,
        holder_of(consumer),
        purchase.contract_sha256,
        ceilings,
    )
    return (await service.change_purchase(given.till, command)).value


async def test_no_more_is_bought_than_the_ceiling_leaves(given: Trader) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(3_000_00), bonus_amount=Fen(0))
    await given.card(shop, consumer, of=product)
    before = await given.rows(shop)

    with pytest.raises(CeilingExceeded) as refused:
        await bought(given, shop, product, consumer)

    assert refused.value.members == {
        "ceiling_amount": 5_000_00,
        "live_amount": 3_000_00,
        "available_amount": 2_000_00,
    }
    assert await given.rows(shop) == before
    # Just what is left fits, and another consumer has a ceiling of their own.
    rest = await given.product(shop.merchant, price_amount=Fen(2_000_00), bonus_amount=Fen(0))
    await bought(given, shop, rest, consumer)
    await bought(given, shop, product, a_consumer())


async def test_what_was_used_or_refunded_leaves_room_again(given: Trader) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(3_000_00), bonus_amount=Fen(0))
    first = await given.card(shop, consumer, of=product)
    await given.used(shop, consumer, first, Use(amount=Fen(999_99)))
    with pytest.raises(CeilingExceeded):
        await bought(given, shop, product, consumer)
    await given.used(shop, consumer, first, Use(amount=Fen(1)))

    second = await bought(given, shop, product, consumer)

    await given.cancelled(second)
    await Refunder(given).refunded(consumer, first, RefundReason.CONSUMER_CHOICE)
    third = await bought(given, shop, product, consumer)
    with pytest.raises(CeilingExceeded) as refused:
        await bought(given, shop, product, consumer)
    # A card that is being refunded is live no more; what was accepted and not paid is.
    assert refused.value.members["live_amount"] == 3_000_00
    await given.paid(shop, third)


async def test_of_two_purchases_at_once_that_exceed_it_together_one_is_accepted(
    given: Trader,
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(3_000_00), bonus_amount=Fen(0))
    sales = [await given.purchase(shop, product, None, accepted=False) for _ in range(2)]

    taken = await asyncio.gather(
        *(accepted(given, sale, consumer) for sale in sales), return_exceptions=True
    )

    assert sorted(isinstance(one, CeilingExceeded) for one in taken) == [False, True]
    # Accepting again what was accepted gives the same: it counts once.
    (sale,) = [one for one in taken if isinstance(one, Purchase)]
    assert (await accepted(given, sale, consumer)).accepted_at == sale.accepted_at


async def test_an_expired_purchase_counts_no_more(given: Trader) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(3_000_00), bonus_amount=Fen(0))
    await given.purchase(shop, product, consumer, lifetime_seconds=0)

    await bought(given, shop, product, consumer)


async def test_the_till_is_told_when_it_names_the_consumer(given: Trader) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(5_000_01), bonus_amount=Fen(0))

    with pytest.raises(CeilingExceeded):
        await bought(given, shop, product, consumer, accepted=False)

    sale = await given.purchase(shop, product, None, accepted=False)
    with pytest.raises(CeilingExceeded):
        await accepted(given, sale, consumer)


async def test_what_was_accepted_is_funded_whatever_came_since(given: Trader) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(3_000_00), bonus_amount=Fen(0))
    sale = await bought(given, shop, product, consumer)
    # Another ceiling was in force when this one was bought.
    await given.card(shop, consumer, of=product)

    recorded = await given.paid(shop, sale)

    assert recorded.receipt.status == "matched"


async def test_training_has_ceilings_on_lessons_and_terms_too(given: Trader) -> None:
    shop, consumer = await given.shop(), a_consumer()
    lessons = await given.product(
        shop.merchant, CardKind.COUNT, sessions=30, gift_sessions=1, price_amount=Fen(100_00)
    )
    await given.card(shop, consumer, of=lessons)
    with pytest.raises(CeilingExceeded) as refused:
        await bought(given, shop, lessons, consumer, TRAINING)
    assert refused.value.members == {
        "ceiling_sessions": 60,
        "live_sessions": 31,
        "available_sessions": 29,
    }
    await bought(given, shop, lessons, consumer, NAMED)
    long, short = [
        await given.product(
            shop.merchant, CardKind.PERIOD, term_days=days, price_amount=Fen(100_00)
        )
        for days in (93, 92)
    ]
    with pytest.raises(CeilingExceeded) as refused:
        await bought(given, shop, long, consumer, TRAINING)
    assert refused.value.members == {"ceiling_days": 92, "term_days": 93}
    await bought(given, shop, short, a_consumer(), TRAINING)


async def test_a_product_that_two_persons_exempted_neither_counts_nor_is_refused(
    given: Trader,
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(6_000_00), bonus_amount=Fen(0))
    with pytest.raises(CeilingExceeded):
        await bought(given, shop, product, consumer)
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE card_product SET ceiling_exempted_at = anxin_now(),"
            ' ceiling_exemption = CAST(\'{"legal_basis": "a", "document_number": "b"}\''
            " AS jsonb) WHERE product_id = :id",
            id=product.product_id,
        )

    await bought(given, shop, product, consumer)
    await given.card(shop, consumer, of=product)

    other = await given.product(shop.merchant, price_amount=Fen(5_000_00), bonus_amount=Fen(0))
    await bought(given, shop, other, consumer)


def test_the_region_and_the_industry_say_which_ceilings_there_are() -> None:
    def ceilings(district: str, industry: str) -> Ceilings | None:
        return ceilings_of(in_force(Policies(), district, date(2026, 11, 22)), industry)

    assert ceilings("310101", "fitness") == NAMED
    assert ceilings("310101", "training") == TRAINING
    assert ceilings("330106", "fitness") is None
    exempt = ceilings("330106", "training")
    assert exempt is not None
    check_ceilings(exempt, Prepaid(10**9, 10**6), Prepaid(10**9, 10**6), term_days=36_500)


async def test_a_card_is_not_taken_over_by_one_who_has_too_much_prepaid(given: Trader) -> None:
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    product = await given.product(shop.merchant, price_amount=Fen(3_000_00), bonus_amount=Fen(0))
    card_id = await given.card(shop, giver, of=product)
    own = await given.card(shop, receiver, of=product)
    office = Office(given.db, given.writer)
    offered = await card_life.offer_transfer(office, giver, card_id, receiver.consumer_id, None)
    key = a_key()

    async def taken() -> str:
        done = await card_life.accept_transfer(
            office,
            receiver.consumer,
            offered.value.transfer_id,
            refund_wait_days=3,
            ceilings=NAMED,
            request=key,
        )
        return done.value.status

    with pytest.raises(CeilingExceeded) as refused:
        await taken()
    assert refused.value.members["available_amount"] == 2_000_00
    assert (await given.read(card_id)).consumer == giver.consumer

    # With room for what is left on it, the same request goes through.
    await given.used(shop, giver, card_id, Use(amount=Fen(1_000_00)))
    assert await taken() == "accepted"
    assert (await given.read(own)).consumer == (await given.read(card_id)).consumer
