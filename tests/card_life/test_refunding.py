"""A card that is frozen, lost or past its term can be refunded by every class."""

import pytest

from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.ledger.chart import AccountType
from app.money import Fen
from app.refunds.domain import RefundClass, RefundReason, RefundStatus
from tests.builder import a_consumer
from tests.card_life.conftest import Life

_CLASSES = {
    "merchant_fault": RefundReason.STORE_MOVED,
    "consumer_choice": RefundReason.CONSUMER_CHOICE,
    "cooling_off": RefundReason.COOLING_OFF,
    "agreed": RefundReason.MERCHANT_OFFER,
}


@pytest.mark.parametrize("reason", _CLASSES.values(), ids=_CLASSES)
@pytest.mark.parametrize("state", ["frozen", "lost", "expired"])
async def test_every_class_refunds_it_and_the_money_is_all_there(
    long_life: Life, state: str, reason: RefundReason
) -> None:
    given, refunder = long_life.given, long_life.refunder
    shop, consumer = await given.shop(), a_consumer()
    kind = CardKind.PERIOD if state == "frozen" else CardKind.COUNT
    term_days = 365 if state == "frozen" else 2
    card_id = await given.card(shop, consumer, kind, term_days=term_days)
    use = Use(visit=True) if state == "frozen" else Use(sessions=1)
    await given.used(shop, consumer, card_id, use)
    if state != "expired":
        await (long_life.frozen if state == "frozen" else long_life.lost)(consumer, card_id)
    await long_life.later(2)
    before = await given.read(card_id)
    assert before.status_on(await long_life.today()) == state

    match reason:
        case RefundReason.MERCHANT_OFFER:
            offer = await refunder.offered(shop, card_id, 100_00)
            refund = await refunder.answered(consumer, offer.refund_id, accept=True)
        case RefundReason.STORE_MOVED:
            async with given.db.transaction() as tx:
                await tx.execute("UPDATE store SET status = 'moved'")
            refund = await refunder.refunded(consumer, card_id, reason)
        case _:
            refund = await refunder.refunded(consumer, card_id, reason)

    assert refund.status == RefundStatus.DECIDED
    if reason == RefundReason.MERCHANT_OFFER:
        assert (refund.refund_class, refund.amount) == (RefundClass.AGREED, 100_00)
    else:
        assert str(refund.refund_class) in _CLASSES
    assert refund.amount + refund.residue_amount == before.custody_amount
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == refund.amount
    assert await given.balance(shop, card_id) == Fen(refund.residue_amount)
    assert (await given.read(card_id)).status == "refunding"
