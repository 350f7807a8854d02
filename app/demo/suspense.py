"""Scene 3, suspense: money that funds nothing is matched, or given back, by two persons."""

from typing import Final

from pydantic import ValidationError
from rich.table import Table

from app.demo.client import Body, Call, DemoFailed, new_key
from app.demo.figures import titled, words, yuan
from app.demo.selling import STORED_VALUE, buy, hold, pay, receipt_body
from app.demo.shapes import Card, Purchase, Receipt
from app.demo.world import World

_SHORT_BY: Final = 1_00


def suspend(world: World) -> Receipt:
    """Pay too little, then pay with a wrong reference; give the receipt that went back."""
    world.scene("3  Suspense: money that funds nothing")
    li, hair = world.li, world.hair
    purchase = buy(world, li, hair, hair.products.stored_value)
    underpaid = pay(world, hair, li, purchase, amount=STORED_VALUE.paid - _SHORT_BY)
    unknown = pay(world, hair, li, purchase, payment_reference="李强 理发卡")
    for receipt, reason in ((underpaid, "underpaid"), (unknown, "unknown_reference")):
        world.figures.same("the receipt's status", receipt.status, "suspense")
        world.figures.same("the reason of suspense", receipt.suspense_reason, reason)
        hair.book.receive_in_suspense(receipt.amount)
    waiting = world.operator.all(Receipt, "/v1/receipts", status="suspense")
    mine = {receipt.id for receipt in waiting} & {underpaid.id, unknown.id}
    world.figures.same("receipts that wait for a person", len(mine), 2)
    _report_again(world, purchase)
    table = Table("payer", "shop", "reason", **titled("Receipts, yuan"))
    table.add_column("received", justify="right")
    table.add_column("decided by two persons")
    matched = _decide(world, unknown, "match", {"purchase_id": purchase.id})
    _fund(world, matched)
    returned = _decide(world, underpaid, "return", None)
    hair.book.give_back(returned.amount)
    for receipt, amount in ((matched, STORED_VALUE.paid), (returned, STORED_VALUE.paid - 1_00)):
        received = world.figures.yuan("the receipt's amount", receipt.amount, amount)
        reason = words(str(receipt.suspense_reason))
        table.add_row(li.name, hair.name, reason, received, receipt.status)
    _refuse_again(world, returned)
    world.show(table)
    return returned


def _report_again(world: World, purchase: Purchase) -> None:
    """Report a payment twice: the same facts are one receipt, others are refused."""
    body: Body = receipt_body(world.gym, world.li, purchase.created_at) | {
        "bank_reference": new_key(),
        "amount": 10_00,
        "payment_reference": "转账",
    }
    call = Call("POST", "/v1/bank/receipts", body, key=new_key())
    first = world.bank.expect(Receipt, call, 201)
    world.gym.book.receive_in_suspense(first.amount)
    again = Call("POST", call.path, body, key=new_key())
    same = world.bank.expect(Receipt, again, 200)
    world.figures.same("a receipt reported twice", same.id, first.id)
    other = {**body, "amount": 11_00}
    world.refused_post(
        "another amount under the same bank reference",
        world.bank,
        call.path,
        other,
        "bank_reference_reused",
    )


def _decide(world: World, receipt: Receipt, what: str, body: Body | None) -> Receipt:
    path = f"/v1/receipts/{receipt.id}/{what}"
    approved = world.two_persons(path, body)
    try:
        return Receipt.model_validate(approved.result)
    except ValidationError as error:
        raise DemoFailed(f"POST {path}: `result` is not the receipt: {error}") from error


def _fund(world: World, receipt: Receipt) -> None:
    """See the card that the matched money has funded."""
    world.figures.same("the matched receipt's status", receipt.status, "matched")
    assert receipt.card_id is not None
    card = world.li.app.get(Card, f"/v1/me/cards/{receipt.card_id}")
    world.figures.yuan("the matched card's paid_amount", card.paid_amount, receipt.amount)
    world.hair.book.match(receipt.amount)
    hold(world, world.li, world.hair, card, STORED_VALUE)


def _refuse_again(world: World, returned: Receipt) -> None:
    path = f"/v1/receipts/{returned.id}/return"
    world.refused_post(
        "giving money back a second time", world.operator, path, None, "receipt_not_in_suspense"
    )
    world.figures.same("what went back", yuan(returned.amount), "499.00")
