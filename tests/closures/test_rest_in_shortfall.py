"""What of a card is the merchant's once its refund is paid is no claim of its holder's."""

from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.money import Fen
from app.refunds.domain import RefundReason
from tests.builder import a_consumer
from tests.closures.conftest import Closer
from tests.closures.test_shortfall import cards_of, refund_of, taken
from tests.refunds.conftest import Refunder


async def test_a_rest_that_grew_when_a_use_was_taken_back_is_not_shared_out(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    product = await given.product(
        shop.merchant, CardKind.PERIOD, price_amount=Fen(300_00), term_days=30
    )
    card = await given.card(shop, consumer, of=product)
    charge = await given.used(shop, consumer, card, Use(visit=True))
    refund = await Refunder(given).refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    assert (refund.amount, refund.residue_amount) == (290_00, 0)
    # The first day counts, visited or not: what comes back is the merchant's in the end.
    await given.reversed(charge)
    (other,) = await cards_of(closer, shop, 290_00)
    await taken(closer, shop, 300_00)

    view = await closer.closed(shop)

    assert view.status == "closed_with_shortfall"
    after = await refund_of(closer, refund)
    assert (after.amount, after.unpaid_amount) == (145_00, 145_00)
    assert (await given.read(other)).refunded_amount == 145_00
    assert await closer.world.balances(shop) == {"bank_claim": 290_00}
