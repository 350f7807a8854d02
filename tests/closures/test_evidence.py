"""The evidence of a card that a closure refunded, in part and then whole, is proven offline."""

import json
from typing import Any

from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.evidence.offline import verify_evidence
from app.ledger.chart import AccountType
from app.refunds.domain import RefundReason
from tests.builder import a_consumer
from tests.closures.conftest import Closer
from tests.cluster import DatabaseUrls
from tests.evidence.telling import KEYS, SIGNER
from tests.evidence.test_refunded_card import evidence_of
from tests.refunds.conftest import Refunder


async def test_a_share_what_was_withheld_and_its_supplement_are_in_the_evidence(
    closer: Closer, fresh_database: DatabaseUrls
) -> None:
    given, shop = closer.given, await closer.given.shop()
    await SIGNER.publish(given.db)
    early, late = a_consumer(), a_consumer()
    refunded = await given.card(shop, early, CardKind.COUNT)
    await Refunder(given).refunded(early, refunded, RefundReason.CONSUMER_CHOICE)
    closed = await given.card(shop, late, CardKind.COUNT)
    await given.used(shop, late, closed, Use(sessions=1))
    await closer.world.posted(shop, AccountType.BANK_CLAIM, AccountType.CUSTODY, 1_000_00)
    await closer.closed(shop)
    await closer.world.posted(shop, AccountType.CUSTODY, AccountType.BANK_CLAIM, 400_00)
    await closer.worked()
    await closer.paid()
    await closer.worked()

    for consumer, card, kinds in (
        (early, refunded, ["refunded", "refunded", "refunded"]),
        (late, closed, ["used", "refunded", "refunded"]),
    ):
        document: Any = json.loads(await evidence_of(fresh_database, consumer, card))
        verdict = verify_evidence(json.dumps(document).encode(), KEYS)
        assert verdict.faults == []
        assert [line["kind"] for line in document["evidence"]["lines"][1:]] == kinds
