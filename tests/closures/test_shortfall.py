"""Custody does not cover all claims: pro rata, named, and made good later."""

from uuid import UUID

from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.closures import service
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import FileKind, Reason, ReportedStatus
from app.refunds import service as refunds
from app.refunds.domain import RefundReason
from app.refunds.rows import CardRefund
from tests.builder import Shop, a_consumer
from tests.closures.conftest import OPERATOR, Closer
from tests.payment_files.conftest import said
from tests.refunds.conftest import Refunder

BANK_CLAIM, CUSTODY = AccountType.BANK_CLAIM, AccountType.CUSTODY


async def cards_of(closer: Closer, shop: Shop, *prices: int) -> list[UUID]:
    """Sell a stored value card for each price."""
    given = closer.given
    cards: list[UUID] = []
    for price in prices:
        product = await given.product(
            shop.merchant, CardKind.STORED_VALUE, price_amount=Fen(price), bonus_amount=Fen(0)
        )
        cards.append(await given.card(shop, a_consumer(), of=product))
    return cards


async def refund_of(closer: Closer, refund: CardRefund) -> CardRefund:
    return await refunds.read_own(closer.given.db, refund.consumer, refund.refund_id)


async def taken(closer: Closer, shop: Shop, amount: int) -> None:
    """Let money leave custody without instruction, as by a court's enforcement."""
    await closer.world.posted(shop, BANK_CLAIM, CUSTODY, amount)


async def made_good(closer: Closer, shop: Shop, amount: int) -> None:
    await closer.world.posted(shop, CUSTODY, BANK_CLAIM, amount)


async def test_claims_are_paid_pro_rata_and_the_rest_stays_by_name(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    cards = await cards_of(closer, shop, 100_00, 200_00, 300_01)
    await taken(closer, shop, 300_00)

    view = await closer.closed(shop)

    # 300.01 for 600.01: 50.0008…, 100.0016…, 150.0075…: the fen over goes to the last.
    assert view.status == "closed_with_shortfall"
    after = [await given.read(card) for card in cards]
    assert [card.refunded_amount for card in after] == [50_00, 100_00, 150_01]
    assert [card.custody_amount for card in after] == [50_00, 100_00, 150_00]
    assert {card.status for card in after} == {"refunded"}
    assert (view.closure.shortfall_amount, view.closure.refunded_amount) == (300_00, 300_01)
    assert "closure_shortfall" in {alert.kind for alert in await closer.world.alerts()}
    balances = await closer.world.balances(shop)
    assert balances == {"bank_claim": 300_00}


async def test_the_certificate_names_every_fen_that_is_left(closer: Closer) -> None:
    shop = await closer.given.shop()
    await cards_of(closer, shop, 100_00, 200_00)
    await taken(closer, shop, 100_00)

    view = await closer.closed(shop)

    certificate = await service.read_certificate(
        closer.given.db, view.closure.closure_id, by=OPERATOR
    )
    said = certificate.read()
    assert (said["custody_amount"], said["bank_claim_amount"]) == (0, 100_00)
    assert said["left_amount"] == 100_00
    assert [(one["account"], one["why"]) for one in said["left"]] == [("card", "shortfall")] * 2
    assert sorted(one["amount"] for one in said["left"]) == [33_33, 66_67]


async def test_what_payable_can_give_is_no_shortfall(closer: Closer) -> None:
    given, consumer = closer.given, a_consumer()
    shop = await given.shop()
    card = await given.card(shop, consumer)
    await given.used(shop, consumer, card, Use(amount=Fen(300_00)))
    await taken(closer, shop, 200_00)

    view = await closer.closed(shop)

    assert view.status == "closed"
    assert (await given.read(card)).refunded_amount == 250_00
    # The merchant's 250.00 made good the 200.00 that the bank took.
    assert await closer.world.balances(shop) == {"custody": 50_00, "merchant_payable": 50_00}


async def test_what_is_made_good_later_is_paid_as_a_supplement(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    cards = await cards_of(closer, shop, 100_00, 200_00)
    await taken(closer, shop, 150_00)
    view = await closer.closed(shop)
    assert view.status == "closed_with_shortfall"

    await made_good(closer, shop, 30_00)
    await closer.worked()
    await closer.paid()
    await closer.worked()

    assert [(await given.read(card)).refunded_amount for card in cards] == [60_00, 120_00]
    assert (await closer.view(view.closure)).status == "closed_with_shortfall"

    await made_good(closer, shop, 120_00)
    await closer.worked()
    await closer.paid()
    await closer.worked()

    assert [(await given.read(card)).refunded_amount for card in cards] == [100_00, 200_00]
    done = await closer.view(view.closure)
    assert (done.status, done.closure.shortfall_amount, done.certificates) == ("closed", 0, 3)
    assert await closer.world.balances(shop) == {}


async def test_a_refund_decided_before_is_paid_pro_rata_too_and_keeps_its_class(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    refunder, consumer = Refunder(given), a_consumer()
    count = await given.card(shop, consumer, CardKind.COUNT)
    await given.used(shop, consumer, count, Use(sessions=5))
    refund = await refunder.refunded(consumer, count, RefundReason.CONSUMER_CHOICE)
    assert (refund.amount, refund.residue_amount) == (450_00, 250_00)
    (card,) = await cards_of(closer, shop, 450_00)
    await taken(closer, shop, 500_00 + 450_00)

    view = await closer.closed(shop)

    # 700.00 are left for 900.00; what was earned and the rest stand against what was taken.
    assert view.status == "closed_with_shortfall"
    after = await refund_of(closer, refund)
    assert (after.amount, after.unpaid_amount) == (350_00, 100_00)
    assert (after.refund_class, after.figures.residue_amount) == ("consumer_choice", 250_00)
    assert (await given.read(card)).refunded_amount == 350_00
    assert await closer.world.balances(shop) == {"bank_claim": 200_00}


async def test_no_refund_is_cut_before_it_is_shared_out(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    refunder, consumer = Refunder(given), a_consumer()
    first = await given.card(shop, consumer)
    await refunder.refunded(consumer, first, RefundReason.CONSUMER_CHOICE)
    second = await given.card(shop, a_consumer())
    await taken(closer, shop, 500_00)

    closure = await closer.executed(shop)
    assert await closer.world.cut(FileKind.REFUND) == []
    await closer.worked()
    await closer.paid()
    await closer.worked()

    assert [(await given.read(card)).refunded_amount for card in (first, second)] == [250_00] * 2
    assert (await closer.view(closure)).status == "closed_with_shortfall"


async def test_money_without_a_card_ranks_equal(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    (card,) = await cards_of(closer, shop, 100_00)
    await given.received(given.report(shop, 100_00, "nonsense", paid_at=await given.now()))
    await taken(closer, shop, 100_00)

    view = await closer.closed(shop)

    assert view.status == "closed_with_shortfall"
    assert (await given.read(card)).refunded_amount == 50_00
    assert await closer.world.balances(shop) == {"bank_claim": 100_00, "suspense": 50_00}


async def test_nothing_in_custody_leaves_every_claim_by_name(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    (card,) = await cards_of(closer, shop, 100_00)
    await taken(closer, shop, 100_00)

    view = await closer.closed(shop)

    assert (view.status, view.closure.refunded_count) == ("closed_with_shortfall", 1)
    after = await given.read(card)
    assert (after.status, after.refunded_amount, after.custody_amount) == ("refunded", 0, 100_00)


async def test_a_release_that_the_bank_paid_twice_is_short_until_it_comes_back(
    closer: Closer,
) -> None:
    given, world, shop = closer.given, closer.world, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    await given.used(shop, consumer, card, Use(sessions=6))
    first = await world.one_file(FileKind.RELEASE)
    lost = await world.only_order(first)
    await world.report(first, said(lost.order_id, ReportedStatus.REJECTED, Reason.TECHNICAL))
    second = await world.one_file(FileKind.RELEASE)
    await world.report(second, said((await world.only_order(second)).order_id, ReportedStatus.PAID))
    # What was rejected was paid after all: the bank owes it, and 600.00 are gone twice.
    await world.report(first, said(lost.order_id, ReportedStatus.PAID))
    assert await world.balances(shop) == {"bank_claim": 600_00}
    other = await given.card(shop, a_consumer(), CardKind.COUNT)

    view = await closer.closed(shop)

    assert view.status == "closed_with_shortfall"
    # 1,200.00 for 600.00 and 1,200.00.
    after = [(await given.read(one)).refunded_amount for one in (card, other)]
    assert after == [400_00, 800_00]

    await world.report(first, said(lost.order_id, ReportedStatus.RETURNED))
    await closer.worked()
    await closer.paid()
    await closer.worked()

    done = await closer.view(view.closure)
    assert (done.status, done.certificates) == ("closed", 2)
    after = [(await given.read(one)).refunded_amount for one in (card, other)]
    assert after == [600_00, 1_200_00]
    assert await world.balances(shop) == {}
