"""Between the moment in which shares change and that in which all refunds are at them."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio

from app.calendar.service import load_official_years
from app.card_products.domain import CardKind
from app.cases.rows import CaseDecision
from app.charges.domain import Use
from app.closures.levelling import adjust_step, level, share_where_due
from app.money import Fen
from app.payment_files.domain import FileKind
from app.refunds.domain import RefundReason
from app.refunds.service import uphold_claims
from tests.builder import a_consumer
from tests.closures.conftest import Closer
from tests.closures.test_late_claims import gone_on, held, lifted
from tests.closures.test_shortfall import cards_of, taken
from tests.disputes.conftest import Disputer
from tests.refunds.conftest import Refunder


@pytest_asyncio.fixture
async def disputer(closer: Closer) -> AsyncIterator[Disputer]:
    await load_official_years(closer.given.db, provisional=True)
    yield Disputer(closer.given)


async def cut_amounts(closer: Closer) -> list[int]:
    """Cut what can be cut; give the amounts of the orders."""
    amounts: list[int] = []
    for file in await closer.world.cut(FileKind.REFUND):
        amounts += (order.amount for order in await closer.world.orders(file))
    return sorted(amounts)


async def refunded(closer: Closer, cards: list[UUID]) -> list[int]:
    return [(await closer.given.read(card)).refunded_amount for card in cards]


async def test_a_refund_that_grew_is_not_cut_before_all_is_shared_out_again(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, bonus_amount=Fen(0))
    charge = await given.used(shop, consumer, card, Use(amount=Fen(80_00)))
    await Refunder(given).refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    await disputer.disputed(consumer, charge)
    (other,) = await cards_of(closer, shop, 420_00)
    await taken(closer, shop, 420_00)
    closure = await closer.executed(shop)
    await closer.worked()
    assert await refunded(closer, [card, other]) == [210_00, 210_00]

    await disputer.decided(charge, CaseDecision.UPHELD)

    assert await refunded(closer, [card, other]) == [290_00, 210_00]
    assert await cut_amounts(closer) == []
    await closer.worked()
    # 500.00 are there for 500.00 and 420.00.
    assert await refunded(closer, [card, other]) == [271_74, 228_26]
    await closer.paid()
    await gone_on(closer)
    assert (await closer.view(closure)).status == "closed_with_shortfall"
    assert await closer.world.balances(shop) == {"bank_claim": 420_00}


async def test_a_claim_upheld_whole_is_not_cut_before_it_is_brought_to_its_share(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    assert disputer.given is given
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    (other,) = await cards_of(closer, shop, 1_200_00)
    await Refunder(given).asked(consumer, card, RefundReason.SERVICE_UNAVAILABLE, None)
    hold_id = await held(closer, card)
    await taken(closer, shop, 1_200_00)
    await closer.executed(shop)
    await closer.worked()

    await lifted(closer, hold_id)
    await uphold_claims(given.db, given.writer, shop.merchant_no)

    assert await refunded(closer, [card, other]) == [1_200_00, 600_00]
    assert await cut_amounts(closer) == []
    await closer.worked()
    assert await cut_amounts(closer) == [600_00, 600_00]


async def test_who_works_by_older_shares_stops_where_another_has_shared_anew(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    refunder, consumers = Refunder(given), (a_consumer(), a_consumer())
    cards = [await given.card(shop, consumer) for consumer in consumers]
    for consumer, card in zip(consumers, cards, strict=True):
        await refunder.refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    await taken(closer, shop, 400_00)
    closure = await closer.executed(shop)
    older = await share_where_due(given.db, closure)
    await taken(closer, shop, 100_00)
    newer = await share_where_due(given.db, closure)
    assert newer.shared_seq > older.shared_seq

    assert await adjust_step(given.db, older, after=None) is None

    assert await refunded(closer, cards) == [500_00, 500_00]
    assert (await closer.view(closure)).closure.adjusting
    assert await cut_amounts(closer) == []
    assert not (await level(given.db, closure)).adjusting
    assert await refunded(closer, cards) == [250_00, 250_00]
    assert await cut_amounts(closer) == [250_00, 250_00]


async def test_who_is_late_does_not_say_that_newer_shares_are_reached(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer)
    await Refunder(given).refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    await taken(closer, shop, 100_00)
    closure = await closer.executed(shop)
    older = await share_where_due(given.db, closure)
    assert await adjust_step(given.db, older, after=None) is None
    assert not (await closer.view(closure)).closure.adjusting
    await taken(closer, shop, 100_00)
    await share_where_due(given.db, closure)

    # A second worker, which read the older shares too, comes to the end of its steps now.
    assert await adjust_step(given.db, older, after=None) is None

    assert (await closer.view(closure)).closure.adjusting
    assert await cut_amounts(closer) == []
    await level(given.db, closure)
    assert await cut_amounts(closer) == [300_00]


async def test_of_workers_and_losses_at_once_all_end_at_the_last_shares(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    refunder, consumers = Refunder(given), [a_consumer() for _ in range(4)]
    cards = [await given.card(shop, consumer) for consumer in consumers]
    for consumer, card in zip(consumers, cards, strict=True):
        await refunder.refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    closure = await closer.executed(shop)

    for _ in range(5):
        await asyncio.gather(
            level(given.db, closure),
            taken(closer, shop, 100_00),
            level(given.db, closure),
            taken(closer, shop, 100_00),
            level(given.db, closure),
        )
    levelled = await asyncio.gather(*(level(given.db, closure) for _ in range(3)))

    assert [one.adjusting for one in levelled] == [False] * 3
    assert await refunded(closer, cards) == [250_00] * 4
    assert await cut_amounts(closer) == [250_00] * 4
