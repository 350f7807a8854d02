"""Cards to which a bit of everything happened, and their evidence."""

import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from operator import setitem
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app import ids
from app.access.principals import ConsumerPrincipal
from app.card_products.domain import CardKind
from app.cases.domain import WITHDRAWAL
from app.charges.domain import Use
from app.db.engine import Database
from app.db.signing import Ed25519Signer
from app.evidence.canonical import canonical, signed_text
from app.evidence.export import Issuer, issue_evidence
from app.evidence.keys import Keys
from app.ids import Prefix
from app.ledger.checkpoints import take_checkpoint
from app.money import Fen
from tests.builder import SEALER, Trader, a_consumer, writing
from tests.card_life.conftest import Life
from tests.cluster import DatabaseUrls
from tests.disputes.conftest import AGREES, Disputer

SIGNER = Ed25519Signer(Ed25519PrivateKey.generate())
KEYS: Keys = {SIGNER.key_id: SIGNER.private_key.public_key()}


@dataclass(frozen=True, slots=True)
class Told:
    """One consumer's cards at one merchant."""

    consumer: ConsumerPrincipal
    cards: dict[str, UUID]


@asynccontextmanager
async def issuing(urls: DatabaseUrls) -> AsyncGenerator[Issuer, None]:
    db = Database.connect(urls.database_url)
    try:
        yield Issuer(db, SEALER, SIGNER)
    finally:
        await db.close()


async def evidence_of(issuer: Issuer, told: Told, name: str) -> bytes:
    issued = await issue_evidence(issuer, told.consumer.consumer, told.cards[name])
    content = b"".join([chunk async for chunk in issued.chunks()])
    assert len(content) == issued.size
    return content


async def tell(urls: DatabaseUrls) -> Told:
    """Sell each kind of card and use it in every way."""
    db = Database.connect(urls.database_url)
    try:
        async with writing(urls.database_url) as writer:
            return await _tell(Trader(db, writer=writer))
    finally:
        await db.close()


async def _tell(given: Trader) -> Told:
    await SIGNER.publish(given.db)
    shop, consumer = await given.shop(), a_consumer()
    value = await given.card(shop, consumer)
    listed = await given.card(shop, consumer, list_price_amount=Fen(90_00))
    count = await given.card(shop, consumer, CardKind.COUNT)
    period = await given.card(shop, consumer, CardKind.PERIOD)

    # By code, with texts and a list amount; a fen that may move nothing; in two steps; over two.
    first = await given.used_by_code(
        shop, consumer, Use(amount=Fen(33_33)), description="剪发", text_salt=bytes(range(16)),
        list_amount=Fen(50_00),
    )  # fmt: skip
    await given.used_by_code(shop, consumer, Use(amount=Fen(1)))
    async with given.db.transaction() as tx:
        await take_checkpoint(tx, SIGNER)
    await given.used(shop, consumer, value, Use(amount=Fen(120_00)), list_amount=Fen(150_00))
    await given.used(shop, consumer, value, Use(amount=Fen(500_00)), list_amount=Fen(600_00))
    await given.used(shop, consumer, count, Use(sessions=1))
    twice = await given.used_by_code(shop, consumer, Use(sessions=2))
    await given.used_by_code(shop, consumer, Use(visit=True))
    visit = await given.used(shop, consumer, period, Use(visit=True))
    await given.reversed(first)
    await given.reversed(visit)
    await given.waiting(shop, listed, Use(amount=Fen(5_00)))
    await given.paid_out(shop)
    await given.reversed(twice)  # waits: its money is with the merchant
    cards = {"value": value, "listed": listed, "count": count, "period": period}
    contested = await _contest(given, consumer)
    return Told(consumer, {**cards, "contested": contested, **await _live(given, consumer)})


async def _contest(given: Trader, consumer: ConsumerPrincipal) -> UUID:
    """Let uses be disputed: agreed to, given up, agreed to and waiting for money, open."""
    disputer, shop = Disputer(given), await given.shop()
    card_id = await given.card(shop, consumer, list_price_amount=Fen(70_00))
    agreed, given_up, waits, still_open = [
        await given.used(shop, consumer, card_id, Use(amount=Fen(amount)))
        for amount in (1_00, 20_00, 30_00, 40_00)
    ]
    for charge in (agreed, given_up):
        await disputer.disputed(consumer, charge)
    await disputer.step(agreed, AGREES)
    await disputer.step(given_up, WITHDRAWAL)
    await given.paid_out(shop)
    for charge in (waits, still_open):
        await disputer.disputed(consumer, charge)
    await disputer.step(waits, AGREES)
    return card_id


async def _live(given: Trader, consumer: ConsumerPrincipal) -> dict[str, UUID]:
    """Let cards be frozen, lost, given from hand to hand, and past their term."""
    # Another shop: here nothing is to serve the reversal that waits at the first.
    life, shop, friend = Life(given), await given.shop(), a_consumer()
    frozen = await given.card(shop, consumer, CardKind.PERIOD, list_price_amount=Fen(30_00))
    passed = await given.card(shop, friend, CardKind.COUNT)
    returned = await given.card(shop, consumer, bonus_amount=Fen(0))
    expired = await given.card(shop, consumer, term_days=2)
    await given.used(
        shop, friend, passed, Use(sessions=1), description="按摩", text_salt=bytes(range(16))
    )
    await life.lost(friend, passed)
    await life.reactivated(friend, passed)
    await life.transferred(friend, passed, consumer)
    await given.used(shop, consumer, passed, Use(sessions=1))
    await life.transferred(consumer, returned, friend)
    await given.used(shop, friend, returned, Use(amount=Fen(10_00)))
    await life.transferred(friend, returned, consumer)
    await life.frozen(consumer, frozen)
    await life.later(3)
    await life.unfrozen(consumer, frozen)
    await given.used(shop, consumer, frozen, Use(visit=True))
    await life.frozen(consumer, frozen)
    await life.lost(consumer, frozen)
    await life.reactivated(consumer, expired)
    return {"frozen": frozen, "passed": passed, "returned": returned, "expired": expired}


def resigned(document: Any) -> bytes:
    """Sign a document again, as whoever has the service's key could."""
    digest = sha256(canonical(document["evidence"])).hexdigest()
    signature = b64encode(SIGNER.sign(signed_text(digest))).decode()
    again = {**document["signature"], "sha256": digest, "signature": signature}
    return json.dumps({**document, "signature": again}, ensure_ascii=False).encode()


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any, Callable[[Any], None]]]:
    """Give every leaf of a document: where it is, what it says, and what sets it."""
    names: list[Any] = [*(value if hasattr(value, "items") else range(len(value)))]
    for name in names:
        member: Any = value[name]
        if member and not isinstance(member, str | int):
            yield from leaves(member, f"{place}/{name}")
        else:
            yield f"{place}/{name}", member, partial(setitem, value, name)


_OTHERS = {
    "stored_value": "count", "count": "stored_value", "period": "count",
    "active": "frozen", "used_up": "frozen", "lost": "frozen",
    "frozen": "lost", "unfrozen": "frozen", "replaced": "reactivated",
    "reactivated": "replaced", "transferred": "frozen",
    "confirmed": "disputed", "reversed": "confirmed", "disputed": "confirmed",
    "open": "upheld", "upheld": "dismissed", "dismissed": "upheld",
    "pending": "failed", "done": "failed",
    "consumer_code": "app", "app": "consumer_code",
    "funded": "used", "used": "adjusted",
    "bought_in_app": "accepted_in_app",
}  # fmt: skip
_NUMBERS = ("amount", "sessions", "days", "day", "total")


def changed(place: str, value: Any) -> Any:
    """Give another value of the same shape."""
    match value:
        case None:
            return _something(place.rsplit("/", 1)[-1])
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return _another(value)
        case _:  # an empty list or object
            return [{}]


def _something(name: str) -> Any:
    """Give what might stand where nothing does."""
    if name.endswith(_NUMBERS):
        return 1
    if name.endswith(("_on", "_until")):
        return "2026-11-22"
    return True if name == "visit" else "00" * 32


def _another(text: str) -> str:
    if text in _OTHERS:
        return _OTHERS[text]
    if "T" in text[:11] and text[4:5] == "-":
        return (datetime.fromisoformat(text) + timedelta(microseconds=1)).isoformat()
    if len(text) == 10 and text[4:5] == "-":
        return f"{int(text[:4]) + 1}{text[4:]}"
    if "_" in text and text.split("_", 1)[0] in set(Prefix):
        return ids.to_text(Prefix(text.split("_", 1)[0]), ids.new_id(7))
    if text.endswith("=="):
        return ("B" if text[0] == "A" else "A") + text[1:]
    return text[:-1] + ("0" if text[-1] != "0" else "1")
