"""The evidence of a card that is held, or was, checks offline as any other."""

import json
from typing import Any

from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.db.engine import Database
from app.evidence.offline import verify_evidence
from app.evidence.verification import verify
from app.money import Fen
from tests.builder import Trader, a_consumer, writing
from tests.cluster import DatabaseUrls
from tests.evidence.telling import KEYS, SIGNER, Told, evidence_of, issuing
from tests.holds.conftest import Bailiff


async def test_holds_between_its_uses_leave_a_cards_evidence_true(
    fresh_database: DatabaseUrls,
) -> None:
    db = Database.connect(fresh_database.database_url)
    async with writing(fresh_database.database_url) as writer:
        given = Trader(db, writer=writer)
        bailiff = Bailiff(given)
        await SIGNER.publish(db)
        shop, consumer = await given.shop(), a_consumer()
        told = Told(
            consumer,
            {
                "freed": await given.card(shop, consumer),
                "held": await given.card(shop, consumer, CardKind.COUNT),
            },
        )
        freed, held = told.cards["freed"], told.cards["held"]
        await given.used(shop, consumer, freed, Use(amount=Fen(33_33)))
        await bailiff.lifted(await bailiff.held_card(freed))
        await bailiff.held_card(freed, expires_at=await bailiff.ends_in(5))
        await bailiff.wait(6)
        await bailiff.swept()
        await bailiff.held_payable(shop)
        await given.used(shop, consumer, freed, Use(amount=Fen(10_00)))
        use = await given.used(shop, consumer, held, Use(sessions=2))
        await bailiff.held_card(held, reason="只有法院知道")
        await given.reversed(use)
    await db.close()

    async with issuing(fresh_database) as issuer:
        contents = {name: await evidence_of(issuer, told, name) for name in told.cards}

    for content in contents.values():
        verdict = verify_evidence(content, KEYS)
        assert (verdict.faults, verdict.count) == ([], 0)
    shown: dict[str, Any] = {
        name: json.loads(content)["evidence"]["balances"]["on_hold"]
        for name, content in contents.items()
    }
    assert shown == {"freed": False, "held": True}
    assert "只有法院知道" not in contents["freed"].decode()
    assert (await verify(fresh_database.database_url)).findings == []
