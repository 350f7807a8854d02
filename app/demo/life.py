"""Scene 7, the life of a card: frozen, lost, given away, held. Its money stays where it is."""

from dataclasses import dataclass, field, replace
from typing import Final

from rich.table import Table

from app.demo.client import Body, Call
from app.demo.figures import titled, words
from app.demo.refund_shapes import Hold, Transfer
from app.demo.refunding import sold
from app.demo.shapes import Card
from app.demo.using import Uses
from app.demo.world import HeldCard, World, day_of

_WASH: Final = 30_00
_DOCUMENT: Final = "(2026)浙0106执1234号"


def _table() -> Table:
    columns = ("holder", "shop", "card", "what happens", "status", "on hold")
    table = Table(*columns, **titled("Cards, yuan: what happens to them moves no money"))
    table.add_column("in custody", justify="right")
    return table


@dataclass(frozen=True, slots=True)
class Life:
    """What has happened to cards so far."""

    world: World
    table: Table = field(default_factory=_table)

    def note(self, held: HeldCard, happens: str, status: str, *, on_hold: bool = False) -> None:
        """Check a card after something happened to it: its money does not move."""
        card = held.holder.app.get(Card, f"/v1/me/cards/{held.card_id}")
        figures, what = self.world.figures, f"{held.holder.name}'s card, {happens}"
        figures.same(f"{what}: status", card.status, status)
        figures.same(f"{what}: on_hold", card.on_hold, on_hold)
        left = figures.yuan(f"{what}: custody_amount", card.custody_amount, held.expected.left)
        said, hold = (
            (held.holder.name, held.shop.name, words(held.product)),
            "yes" if on_hold else "",
        )
        self.table.add_row(*said, happens, status, hold, left)

    def step(self, held: HeldCard, step: str, happens: str, status: str) -> None:
        """Let the holder do something to a card."""
        held.holder.app.act(Card, f"/v1/me/cards/{held.card_id}/{step}")
        self.note(held, happens, status)

    def refuses_use(self, attempt: str, held: HeldCard, use: Body, code: str) -> None:
        """Try to charge the card."""
        body = held.shop.use(card_id=held.card_id, **use)
        self.world.refused_post(attempt, held.shop.till, "/v1/charges", body, code)


def live(world: World) -> None:
    """Play what holders and authorities do to cards."""
    world.scene("7  A card's life: frozen, lost, given away, held by a court")
    life, uses = Life(world), Uses(world)
    _frozen(life, uses)
    _lost(life, uses)
    _held(life, uses)
    _given_away(life, uses)
    world.show(life.table)
    world.show(uses.table)


def _frozen(life: Life, uses: Uses) -> None:
    """Let a term stand still: there is no visit until it runs on."""
    world, zhang = life.world, life.world.zhang
    held = sold(world, zhang, world.gym, world.gym.products.period)
    life.step(held, "freeze", "frozen by its holder", "frozen")
    life.refuses_use("visiting on a frozen card", held, {"visit": True}, "card_not_active")
    life.step(held, "unfreeze", "unfrozen", "active")
    charge = world.gym.charge(consumer_code=zhang.show_code(card_id=held.card_id), visit=True)
    day = (day_of(charge.created_at) - held.first_day).days + 1
    uses.confirmed(zhang, charge, "code", held.expected.visit(day))


def _lost(life: Life, uses: Uses) -> None:
    """Lose a card: no code from before ever draws on it again, and all on it is replaced."""
    world, li = life.world, life.world.li
    (held,) = world.cards_of(li, world.hair)
    code = li.show_code(card_id=held.card_id)
    life.step(held, "report-loss", "reported lost", "lost")
    life.refuses_use("using a lost card", held, {"amount": _WASH}, "card_not_active")
    life.step(held, "reactivate", "replaced", "active")
    body = world.hair.use(consumer_code=code, amount=_WASH)
    world.refused_post(
        "a code from before the loss", world.hair.till, "/v1/charges", body, "code_invalid"
    )
    _wash(life, uses, held)


def _held(life: Life, uses: Uses) -> None:
    """Hold a card by order of a court; two persons lift it, and it can be used again."""
    world = life.world
    (held,) = world.cards_of(world.li, world.hair)
    order: Body = {
        "target": "card",
        "target_id": held.card_id,
        "document_number": _DOCUMENT,
        "reason": "财产保全",
    }
    hold = world.regulator.create(Hold, "/v1/holds", order)
    world.figures.same("a hold's status", hold.status, "active")
    life.note(held, f"held, {_DOCUMENT}", "active", on_hold=True)
    life.refuses_use("using a card that is held", held, {"amount": _WASH}, "card_on_hold")
    preview = f"/v1/me/cards/{held.card_id}/refunds/preview"
    call = Call("POST", preview, {"reason": "consumer_choice"})
    world.refused("refunding a card that is held", world.li.app, call, "card_on_hold")
    world.two_persons(f"/v1/holds/{hold.id}/lift", None)
    lifted = world.regulator.get(Hold, f"/v1/holds/{hold.id}")
    world.figures.same("a lifted hold's status", lifted.status, "lifted")
    life.note(held, "lifted by two persons", "active")
    _wash(life, uses, held)


def _given_away(life: Life, uses: Uses) -> None:
    """Give a card away: who takes it over uses it, and who gave it does not know it any more."""
    world, wang, zhang = life.world, life.world.wang, life.world.zhang
    (held,) = world.cards_of(wang, world.hair)
    path = f"/v1/me/cards/{held.card_id}"
    offer = wang.app.propose(Transfer, f"{path}/transfer", {"consumer_id": zhang.consumer_id})
    world.figures.same("an offered card", offer.status, "offered")
    life.note(held, f"offered to {zhang.name}", "active")
    accept = f"/v1/me/transfers/{offer.id}/accept"
    world.refused_post(
        "accepting a card offered to another", world.li.app, accept, None, "not_found"
    )
    taken = zhang.app.act(Transfer, accept)
    world.figures.same("a card that was taken over", taken.status, "accepted")
    given = replace(held, holder=zhang)
    world.cards[world.cards.index(held)] = given
    life.note(given, f"taken over from {wang.name}", "active")
    world.refused("reading a card that one gave away", wang.app, Call("GET", path), "not_found")
    soon = Call("POST", f"{path}/refunds/preview", {"reason": "consumer_choice"})
    what = "refunding a card within 3 days after it was given"
    world.refused(what, zhang.app, soon, "refund_not_allowed")
    _wash(life, uses, given)


def _wash(life: Life, uses: Uses, held: HeldCard) -> None:
    """Use a card again, as any."""
    person = held.holder
    code = person.show_code(card_id=held.card_id)
    charge = held.shop.charge(consumer_code=code, amount=_WASH)
    uses.confirmed(person, charge, "code", held.expected.spend(_WASH))
    life.world.figures.same("a use of this card", charge.draws[0].card_id, held.card_id)
