"""The evidence of a card that was refunded, and of which a use was taken back after that."""

import json
from typing import Any
from uuid import UUID

import pytest_asyncio

from app.access.principals import ConsumerPrincipal
from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.evidence.export import issue_evidence
from app.evidence.offline import verify_evidence
from app.refunds.domain import RefundReason
from tests.builder import a_consumer
from tests.cluster import DatabaseUrls
from tests.evidence.telling import KEYS, SIGNER, changed, issuing, leaves, resigned
from tests.refunds.bank import banking
from tests.refunds.conftest import Refunder


@pytest_asyncio.fixture
async def document(fresh_database: DatabaseUrls) -> Any:
    """Give the evidence of a card that was refunded, paid, and then had a use taken back."""
    async with banking(fresh_database) as bank:
        given = bank.given
        await SIGNER.publish(given.db)
        shop, consumer = await given.shop(), a_consumer()
        card_id = await given.card(shop, consumer, CardKind.COUNT)
        charges = [await given.used(shop, consumer, card_id, Use(sessions=1)) for _ in range(5)]
        refunder = Refunder(given)
        await bank.pays(await refunder.refunded(consumer, card_id, RefundReason.CONSUMER_CHOICE))
        await given.reversed(charges[0])
        return json.loads(await evidence_of(fresh_database, consumer, card_id))


async def evidence_of(urls: DatabaseUrls, consumer: ConsumerPrincipal, card_id: UUID) -> bytes:
    async with issuing(urls) as issuer:
        issued = await issue_evidence(issuer, consumer.consumer, card_id)
        return b"".join([chunk async for chunk in issued.chunks()])


async def test_a_refund_and_what_adds_to_it_are_proven_offline(document: Any) -> None:
    verdict = verify_evidence(json.dumps(document).encode(), KEYS)

    assert verdict.faults == []
    lines = document["evidence"]["lines"]
    assert [line["kind"] for line in lines[6:]] == ["refunded", "adjusted", "reversed", "refunded"]
    back = lines[8]
    # The entry moves both in one: what the use released, and what the merchant kept of the rest.
    assert (back["release_amount"], back["adjusted_amount"]) == (-100_00, -50_00)
    assert back["entry"]["text"].split("|")[5] == "15000"


async def test_neither_a_refund_nor_its_reasons_can_be_changed_even_by_the_signer(
    document: Any,
) -> None:
    unnoticed: list[str] = []
    for number, line in enumerate(document["evidence"]["lines"][6:]):
        for place, value, set_to in list(leaves(line)):
            set_to(changed(place, value))
            if not verify_evidence(resigned(document), KEYS).count:
                unnoticed.append(f"{number}{place}")
            set_to(value)
    # A store's name is in no hash.
    assert unnoticed == ["2/store/name"]
    assert verify_evidence(resigned(document), KEYS).count == 0


async def test_a_refund_is_shown_with_all_that_decided_it(document: Any) -> None:
    first, more = [
        line["refund"] for line in document["evidence"]["lines"] if line["kind"] == "refunded"
    ]

    assert (first["formula"], first["amount"], first["residue_amount"]) == (
        "paid_less_list",
        450_00,
        250_00,
    )
    assert (first["inputs"]["list_used_amount"], first["inputs"]["left_amount"]) == (
        750_00,
        700_00,
    )
    assert (more["supplements"], more["amount"], more["residue_amount"]) == (
        first["id"],
        150_00,
        -50_00,
    )
    assert (more["inputs"]["earlier_amount"], more["inputs"]["released_amount"]) == (
        450_00,
        400_00,
    )
