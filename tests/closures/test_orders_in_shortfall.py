"""Orders that paid nothing, or twice, for refunds that a shortfall made smaller since.

What is looked at is `verify`, which goes over each test's rows at its end.
"""

from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import FileKind, Reason, ReportedStatus
from app.refunds.domain import RefundReason
from tests.builder import a_consumer
from tests.closures.conftest import Closer
from tests.closures.test_shortfall import cards_of, made_good, refund_of, taken
from tests.payment_files.conftest import said
from tests.refunds.conftest import Refunder


async def rejected(closer: Closer) -> None:
    """Cut the refunds that can be cut, and let the bank reject them all."""
    for file in await closer.world.cut(FileKind.REFUND):
        orders = await closer.world.orders(file)
        lines = (said(one.order_id, ReportedStatus.REJECTED, Reason.TECHNICAL) for one in orders)
        await closer.world.report(file, *lines)


async def test_a_refund_that_its_bank_paid_twice_and_sent_back_once_is_paid_its_share(
    closer: Closer,
) -> None:
    given, world, shop = closer.given, closer.world, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, bonus_amount=Fen(0))
    refund = await Refunder(given).refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    (other,) = await cards_of(closer, shop, 500_00)
    first = await world.one_file(FileKind.REFUND)
    lost = await world.only_order(first)
    await world.report(first, said(lost.order_id, ReportedStatus.REJECTED, Reason.TECHNICAL))
    second = await world.one_file(FileKind.REFUND)
    order = await world.only_order(second)
    await world.report(second, said(order.order_id, ReportedStatus.PAID))
    await world.report(first, said(lost.order_id, ReportedStatus.PAID))
    await world.report(second, said(order.order_id, ReportedStatus.RETURNED, Reason.ACCOUNT_CLOSED))
    assert await world.balance(shop, AccountType.BANK_CLAIM) == 500_00

    await closer.closed(shop)

    after = await refund_of(closer, refund)
    assert (after.amount, after.unpaid_amount) == (250_00, 250_00)
    assert (await given.read(other)).refunded_amount == 250_00


async def test_a_share_that_was_rejected_may_come_to_less(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    cards = await cards_of(closer, shop, 100_00, 200_00)
    await taken(closer, shop, 150_00)
    await closer.executed(shop)
    await closer.worked()
    await rejected(closer)

    await taken(closer, shop, 30_00)
    await closer.worked()

    assert [(await given.read(card)).refunded_amount for card in cards] == [40_00, 80_00]


async def test_a_supplement_that_was_rejected_may_come_to_less(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    cards = await cards_of(closer, shop, 100_00, 200_00)
    await taken(closer, shop, 150_00)
    await closer.closed(shop)
    await made_good(closer, shop, 60_00)
    await closer.worked()
    await rejected(closer)

    await taken(closer, shop, 30_00)
    await closer.worked()

    assert [(await given.read(card)).refunded_amount for card in cards] == [60_00, 120_00]


async def test_what_is_given_back_of_suspense_may_come_to_more(closer: Closer) -> None:
    given, world, shop = closer.given, closer.world, await closer.given.shop()
    await cards_of(closer, shop, 100_00)
    await given.received(given.report(shop, 100_00, "nonsense", paid_at=await given.now()))
    await taken(closer, shop, 100_00)
    await closer.executed(shop)
    await closer.worked()
    await rejected(closer)
    assert await world.balance(shop, AccountType.REFUND_PAYABLE) == 100_00

    await made_good(closer, shop, 40_00)
    await closer.worked()
    await closer.paid()

    assert await world.balances(shop) == {"bank_claim": 60_00, "suspense": 30_00}
