"""Scene 5, refunds: each class, with its figure found by plain arithmetic, and paid by file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from rich.table import Table

from app.demo import files
from app.demo.client import Call
from app.demo.figures import titled, words, yuan
from app.demo.files import Cuts
from app.demo.paying import Paying
from app.demo.refund_shapes import Refund
from app.demo.selling import COUNT, PERIOD, buy, funded, pay
from app.demo.shapes import Card, Charge
from app.demo.using import Uses
from app.demo.world import HeldCard, Person, Shop, World

_SESSIONS: Final = 5
_OFFERED: Final = 50_00


@dataclass(frozen=True, slots=True)
class Figure:
    """What a refund must come to."""

    amount: int
    rest: int
    """Of the card; the shop's, once the refund is paid."""
    found: str
    """The arithmetic, as people say it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A refund that is to be paid."""

    held: HeldCard
    refund_id: str
    figure: Figure

    @property
    def amount(self) -> int:
        return self.figure.amount

    @property
    def rest(self) -> int:
        return self.figure.rest


def refund(world: World, cuts: Cuts) -> None:
    """Refund a card by each class, and let the bank pay them."""
    world.scene("5  Refunds: what law and contract give back, and nothing else")
    decided = [
        _cooling_off(world),
        _change_of_mind(world),
        _store_moved(world),
        _offered(world),
    ]
    table = Table("holder", "shop", "reason", "class", "found by", **titled("Refunds, yuan"))
    table.add_column("refund", justify="right")
    table.add_column("rest to shop", justify="right")
    for one in decided:
        refunded = read(world, one.held, one.refund_id)
        figures = (yuan(one.amount), yuan(one.rest))
        names = (one.held.holder.name, one.held.shop.name)
        found = one.figure.found
        why = (words(refunded.reason), words(refunded.refund_class))
        table.add_row(*names, *why, found, *figures)
    world.show(table)
    world.show(pay_back(world, cuts, decided))


def sold(world: World, person: Person, shop: Shop, product_id: str) -> HeldCard:
    """Sell another card, by the shop's code."""
    products = shop.products
    terms = COUNT if product_id == products.count else PERIOD
    receipt = pay(world, shop, person, buy(world, person, shop, product_id))
    funded(world, person, shop, receipt, terms)
    return world.cards[-1]


def _cooling_off(world: World) -> Decided:
    """Regret what was bought today, unused: all of it comes back."""
    held = sold(world, world.wang, world.dance, world.dance.products.period)
    paid = held.expected.paid
    return ask(world, held, "cooling_off", Figure(paid, 0, f"{yuan(paid)}, unused"))


def _change_of_mind(world: World) -> Decided:
    """Want out after some sessions: they cost their list price, and the rest is the shop's."""
    zhang, gym = world.zhang, world.gym
    held = sold(world, zhang, gym, gym.products.count)
    charge = gym.charge(card_id=held.card_id, sessions=_SESSIONS)
    done = zhang.confirm(charge, sessions=_SESSIONS)
    Uses(world).confirmed(zhang, done, "two steps", held.expected.attend(_SESSIONS))
    card = held.expected
    amount = card.of_a_change_of_mind
    found = f"{yuan(card.paid)} - {_SESSIONS} x {yuan(card.list_price)}"
    decided = ask(world, held, "consumer_choice", Figure(amount, card.left - amount, found))
    world.refused_post(
        "using a card that is being refunded",
        gym.till,
        "/v1/charges",
        gym.use(card_id=held.card_id, sessions=1),
        "card_in_refund",
    )
    return decided


def _store_moved(world: World) -> Decided:
    """Lose a shop that moved, which its operator recorded: all that is left comes back."""
    zhang, dance = world.zhang, world.dance
    (held,) = world.cards_of(zhang, dance)
    path = f"/v1/stores/{dance.store_id}"
    moved = world.operator.send(Call("PATCH", path, {"status": "moved"}))
    world.figures.same("the store's status", moved.json()["status"], "moved")
    waiting = dance.till.all(Charge, "/v1/charges", status="pending_confirmation")
    card = held.expected
    found = f"{yuan(card.paid)} - {yuan(card.released)} earned"
    decided = ask(world, held, "store_moved", Figure(card.left, 0, found))
    for charge in waiting:
        voided = dance.till.get(Charge, f"/v1/charges/{charge.id}")
        world.figures.same("a charge that waited on the card", voided.status, "cancelled")
    return decided


def _offered(world: World) -> Decided:
    """Accept what the shop offers; it cannot offer more than is left."""
    wang, hair = world.wang, world.hair
    held = world.cards_of(wang, hair)[0]
    left = held.expected.left
    path = f"/v1/cards/{held.card_id}/refund-offers"
    more: dict[str, JsonValue] = {"amount": left + 1}
    world.refused_post("offering more than is left", hair.till, path, more, "refund_not_allowed")
    offer = hair.till.create(Refund, path, {"amount": _OFFERED})
    world.figures.same("an offer's status", offer.status, "offered")
    accepted = wang.app.act(Refund, f"/v1/me/refunds/{offer.id}/accept")
    found = f"offered, of {yuan(left)} left"
    return check(world, held, accepted, Figure(_OFFERED, left - _OFFERED, found))


def ask(world: World, held: HeldCard, reason: str, figure: Figure) -> Decided:
    """Preview a refund, and ask for what the preview shows; anything else is refused."""
    app, path = held.holder.app, f"/v1/me/cards/{held.card_id}/refunds"
    preview = app.expect(Refund, Call("POST", f"{path}/preview", {"reason": reason}), 200)
    figures = world.figures
    figures.yuan(f"{reason}: the preview's amount", preview.amount, figure.amount)
    figures.yuan(f"{reason}: the preview's residue_amount", preview.residue_amount, figure.rest)
    figures.same(f"{reason}: the preview's id", preview.id, None)
    body: dict[str, JsonValue] = {
        "reason": reason,
        "amount": preview.amount,
        "residue_amount": preview.residue_amount,
        "as_of": preview.as_of.isoformat(),
    }
    more = {**body, "amount": figure.amount + 1}
    world.refused_post("asking for another refund than shown", app, path, more, "refund_changed")
    made = app.create(Refund, path, body)
    world.refused_post("refunding a card twice", app, path, body, "refund_in_progress")
    return check(world, held, made, figure)


def check(world: World, held: HeldCard, refund: Refund, figure: Figure) -> Decided:
    """Check a decided refund, and book it."""
    figures = world.figures
    what = f"{held.holder.name}'s refund at {held.shop.name}"
    figures.same(f"{what}: status", refund.status, "decided")
    figures.yuan(f"{what}: amount", refund.amount, figure.amount)
    figures.yuan(f"{what}: residue_amount", refund.residue_amount, figure.rest)
    figures.yuan(f"{what}: released", refund.inputs.released_amount, held.expected.released)
    held.shop.book.refund(figure.amount)
    held.expected.refunded += figure.amount
    assert refund.id is not None
    return Decided(held, refund.id, figure)


def read(world: World, held: HeldCard, refund_id: str) -> Refund:
    """Read a refund as its holder does."""
    found = held.holder.app.get(Refund, f"/v1/me/refunds/{refund_id}")
    world.figures.same("the refund's card", found.card_id, held.card_id)
    return found


def pay_back(
    world: World, cuts: Cuts, decided: Sequence[Decided], *, also: Sequence[tuple[Shop, int]] = ()
) -> Table:
    """Pay all refunds that are decided by one file; `also` are receipts that go back."""
    paying = Paying(world, cuts, files.files_table())
    shops = {one.held.shop.merchant_id: one.held.shop for one in decided}
    for shop in shops.values():
        shop.book.cut_refund()
    orders = [*((one.held.shop, one.amount) for one in decided), *also]
    cut_file = files.cut(world, cuts, "refund", orders)
    files.acknowledge(world, cut_file)
    results = [(cut_file.order_of(*order), "paid", None) for order in orders]
    outcomes = files.report(world, cut_file, results)
    world.figures.same("the outcomes of refunds", outcomes, ["applied"] * len(orders))
    for one in decided:
        held = one.held
        held.shop.book.refund_paid(one.amount, one.rest)
        held.expected.adjusted += one.rest
        _paid(world, one)
        order = cut_file.order_of(held.shop, one.amount)
        account = held.holder.account_number
        world.figures.same("the holder's account", order.payee_account_number, account)
        paying.note(cut_file, held.shop, held.holder.name, one.amount, "paid")
    for shop, amount in also:
        shop.book.refund_paid(amount)
        payee = cut_file.order_of(shop, amount).payee_name
        paying.note(cut_file, shop, payee, amount, "paid")
    return paying.table


def _paid(world: World, one: Decided) -> None:
    """See the refund paid, and the card closed with nothing left on it."""
    held = one.held
    world.figures.same("a refund's status", read(world, held, one.refund_id).status, "paid")
    card = held.holder.app.get(Card, f"/v1/me/cards/{held.card_id}")
    world.figures.same("a refunded card's status", card.status, "refunded")
    world.figures.yuan("a refunded card's refunded_amount", card.refunded_amount, one.amount)
    world.figures.yuan("a refunded card's adjusted_amount", card.adjusted_amount, one.rest)
