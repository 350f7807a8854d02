"""Scene 1, sale: by the shop's code, and by the till's purchase that a consumer claims."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from pydantic import JsonValue
from rich.table import Table

from app.demo.client import new_key
from app.demo.expected import ExpectedCard
from app.demo.figures import titled, words
from app.demo.shapes import Card, Purchase, Receipt
from app.demo.world import HeldCard, Person, Shop, World, day_of

STORED_VALUE: Final = ExpectedCard(paid=500_00, face=600_00)
COUNT: Final = ExpectedCard(paid=1_200_00, sessions=12, list_price=150_00)
PERIOD: Final = ExpectedCard(paid=3_650_00, days=365)


def sell(world: World) -> None:
    """Sell five cards at three shops; each is funded by the bank's report of the exact amount."""
    world.scene("1  Sale: money enters custody")
    scanned, pos = "scans the shop's code", "claims the till's purchase"
    ways = [
        (world.wang, world.hair, world.hair.products.stored_value, STORED_VALUE, scanned),
        (world.wang, world.hair, world.hair.products.stored_value, STORED_VALUE, scanned),
        (world.li, world.gym, world.gym.products.count, COUNT, pos),
        (world.zhang, world.dance, world.dance.products.period, PERIOD, pos),
    ]
    table = Table("consumer", "shop", "how", "card", **titled("Sales, yuan"))
    table.add_column("paid", justify="right")
    table.add_column("worth", justify="right")
    for person, shop, product_id, terms, how in ways:
        start = buy if how == scanned else claim
        purchase = start(world, person, shop, product_id)
        receipt = pay(world, shop, person, purchase)
        card = funded(world, person, shop, receipt, terms)
        paid = world.figures.yuan("the card's paid_amount", card.paid_amount, terms.paid)
        worth = _worth(world, card, terms)
        table.add_row(person.name, shop.name, how, words(card.kind), paid, worth)
    _refuse(world)
    world.show(table)


def buy(world: World, person: Person, shop: Shop, product_id: str) -> Purchase:
    """Buy in the app: look at the page behind the shop's code, accept its contract."""
    product = shop.sells(product_id)
    body: dict[str, JsonValue] = {"product_id": product_id, "store_id": shop.store_id}
    world.refused_post(
        "buying under a contract that was changed",
        person.app,
        "/v1/me/purchases",
        {**body, "contract_sha256": "0" * 64},
        "contract_changed",
    )
    return person.app.create(
        Purchase, "/v1/me/purchases", {**body, "contract_sha256": product.contract.sha256}
    )


def claim(world: World, person: Person, shop: Shop, product_id: str) -> Purchase:
    """Buy at the till: the POS makes the purchase, who accepts it first is the holder."""
    made = shop.till.create(
        Purchase, "/v1/purchases", {"product_id": product_id, "store_id": shop.store_id}
    )
    world.figures.same("the holder of an unclaimed purchase", made.consumer_id, None)
    path = f"/v1/me/purchases/{made.id}"
    seen = person.app.get(Purchase, path)
    accept: dict[str, JsonValue] = {"contract_sha256": seen.contract.sha256}
    claimed = person.app.act(Purchase, f"{path}/accept", accept)
    world.figures.same("the holder", claimed.consumer_id, person.consumer_id)
    other = next(one for one in world.people if one is not person)
    world.refused_post(
        "accepting what somebody else has accepted",
        other.app,
        f"{path}/accept",
        accept,
        "not_found",
    )
    return claimed


def pay(
    world: World, shop: Shop, person: Person, purchase: Purchase, **other: JsonValue
) -> Receipt:
    """Report money in the shop's custody account, as its bank does; `other` facts replace."""
    body = receipt_body(shop, person, purchase.created_at) | {
        "amount": purchase.amount,
        "payment_reference": purchase.payment_reference,
    }
    return world.bank.create(Receipt, "/v1/bank/receipts", body | other)


def receipt_body(shop: Shop, person: Person, at: datetime) -> dict[str, JsonValue]:
    """Say who paid into which account, and when."""
    return {
        "bank_reference": new_key(),
        "custody_account": shop.custody_account,
        "paid_at": at.isoformat(),
        "payer": {"name": person.name, "account_number": person.account_number},
    }


def funded(world: World, person: Person, shop: Shop, receipt: Receipt, terms: ExpectedCard) -> Card:
    """Find the card that a receipt has funded, and note what it must say from now on."""
    world.figures.same("the receipt's status", receipt.status, "matched")
    assert receipt.card_id is not None
    card = person.app.get(Card, f"/v1/me/cards/{receipt.card_id}")
    world.figures.same("the card's status", card.status, "active")
    shop.book.fund(terms.paid)
    hold(world, person, shop, card, terms)
    return card


def hold(world: World, person: Person, shop: Shop, card: Card, terms: ExpectedCard) -> None:
    """Note a card, and what it must say from now on."""
    expected = replace(terms)
    first_day = day_of(card.paid_at)
    world.cards.append(HeldCard(card.id, card.kind, shop, person, first_day, expected))


def _worth(world: World, card: Card, terms: ExpectedCard) -> str:
    if terms.face:
        return world.figures.yuan("the card's face_amount", card.face_amount, terms.face)
    if terms.sessions:
        total = world.figures.same("sessions_total", card.sessions_total, terms.sessions)
        return f"{total} sessions"
    return f"{world.figures.same('term_days', card.term_days, terms.days)} days"


def _refuse(world: World) -> None:
    shop = world.gym
    world.refused_post(
        "a product that says: no refund",
        shop.till,
        "/v1/card-products",
        {
            "name": "不退不换卡",
            "kind": "stored_value",
            "price_amount": 100_00,
            "terms": {
                "text": "概不退款",
                "refundable": False,
                "transferable": True,
                "forfeits_on_expiry": False,
                "merchant_may_change": False,
            },
        },
        "product_terms_refused",
    )
    purchase = shop.till.all(Purchase, "/v1/purchases")[0]
    world.refused_post(
        "cancelling a purchase that is paid",
        shop.till,
        f"/v1/purchases/{purchase.id}/cancel",
        None,
        "purchase_not_awaiting_payment",
    )
