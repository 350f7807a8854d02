"""Scene 2, use: nothing reaches a shop but what its consumer confirmed."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from pydantic import JsonValue
from rich.table import Table

from app.demo.client import Call, new_key
from app.demo.figures import titled, yuan
from app.demo.shapes import Charge, Verdicts
from app.demo.world import Person, World, day_of

_HAIRCUT: Final = 80_00
_HAIRCUT_LIST: Final = 90_00
_PERM: Final = 560_00
_SHAMPOO: Final = 30_00
_ABOVE_CODE_LIMIT: Final = 250_00


def _table() -> Table:
    table = Table("holder", "shop", "use", "how", "status", **titled("Uses, yuan"))
    table.add_column("released", justify="right")
    table.add_column("left", justify="right")
    return table


@dataclass(frozen=True, slots=True)
class Uses:
    """The uses so far: each is checked, then noted."""

    world: World
    table: Table = field(default_factory=_table)

    def confirmed(self, person: Person, charge: Charge, how: str, moved: int) -> None:
        """Check a use that counts: what it moves, what is left, and its proof."""
        figures, shop = self.world.figures, self.world.shop_of(charge)
        shop.book.earn(moved)
        what = f"{person.name} at {shop.name}, {how}"
        released = figures.yuan(f"{what}: release_amount", charge.release_amount, moved)
        drawn = sum(draw.release_amount or 0 for draw in charge.draws)
        figures.yuan(f"{what}: release_amount of its draws", drawn, moved)
        method = charge.confirmation.method if charge.confirmation else None
        proof = "consumer_code" if how.startswith("code") else "app"
        figures.same(f"{what}: confirmation", method, proof)
        self.note(person, charge, how, "confirmed", released)
        figures.same(f"{what}: status", charge.status, "confirmed")

    def ended(self, person: Person, charge: Charge, how: str, status: str) -> None:
        """Check a charge that ended without moving anything."""
        what = f"{person.name} at {self.world.shop_of(charge).name}, {how}"
        self.world.figures.same(f"{what}: status", charge.status, status)
        self.world.figures.same(f"{what}: release_amount", charge.release_amount, None)
        self.note(person, charge, how, status, "-")

    def note(self, person: Person, charge: Charge, how: str, status: str, released: str) -> None:
        """Note what is checked already."""
        shop, left = self.world.shop_of(charge), _left(self.world, person, charge)
        self.table.add_row(person.name, shop.name, _said(charge), how, status, released, left)


def use(world: World) -> Uses:
    """Use cards in every way there is, and fail to in many; give an empty table for later uses."""
    world.scene("2  Use: what a consumer confirms becomes payable, and nothing else")
    uses = Uses(world)
    _by_code(world, uses)
    _two_steps_over_two_cards(world, uses)
    _above_the_limit(world, uses)
    _cancelled(world, uses)
    _sessions(world, uses)
    _visits(world, uses)
    _batch(world, uses)
    world.show(uses.table)
    return Uses(world)


def _by_code(world: World, uses: Uses) -> None:
    """Charge by code, ask again, then try what must not work with codes."""
    wang, hair = world.wang, world.hair
    code = wang.show_code(merchant_id=hair.merchant_id)
    body = hair.use(
        consumer_code=code, amount=_HAIRCUT, list_amount=_HAIRCUT_LIST, description="剪发"
    )
    call = Call("POST", "/v1/charges", body, key=new_key())
    charge = hair.till.expect(Charge, call, 201)
    first, _ = world.cards_of(wang, hair)
    uses.confirmed(wang, charge, "code", first.expected.spend(_HAIRCUT))
    again = hair.till.send(call)
    world.figures.same("a repeated charge", again.json()["id"], charge.id)
    replayed = again.headers.get("Idempotency-Replayed")
    world.figures.same("Idempotency-Replayed of a repeated charge", replayed, "true")
    world.refused(
        "another amount under the same idempotency key",
        hair.till,
        Call("POST", "/v1/charges", {**body, "amount": 1}, key=call.key),
        "idempotency_key_reused",
    )
    no_key = Call("POST", "/v1/charges", body)
    world.refused("a charge without a key", hair.till, no_key, "idempotency_key_required")
    world.refused_post("a code used twice", hair.till, "/v1/charges", body, "code_used")
    _refuse_codes(world)
    _refuse_bad_input(world)


def _refuse_codes(world: World) -> None:
    wang, hair, gym = world.wang, world.hair, world.gym
    foreign = wang.show_code(merchant_id=hair.merchant_id)
    body = gym.use(consumer_code=foreign, amount=_SHAMPOO)
    world.refused_post(
        "a code made for another shop", gym.till, "/v1/charges", body, "code_invalid"
    )
    capped = wang.show_code(merchant_id=hair.merchant_id, max_amount=_SHAMPOO)
    body = hair.use(consumer_code=capped, amount=_SHAMPOO + 1)
    world.refused_post(
        "more than the consumer set for a code",
        hair.till,
        "/v1/charges",
        body,
        "code_limit_exceeded",
    )
    late = wang.show_code(merchant_id=hair.merchant_id)
    minute: dict[str, JsonValue] = {"seconds": 61}
    world.anybody.send(Call("POST", "/v1/sandbox/clock/advance", minute))
    body = hair.use(consumer_code=late, amount=_SHAMPOO)
    world.refused_post("a code after 61 seconds", hair.till, "/v1/charges", body, "code_expired")


def _refuse_bad_input(world: World) -> None:
    wang, hair = world.wang, world.hair
    card_id = world.cards_of(wang, hair)[0].card_id
    for attempt, fields, code in (
        ("a charge of 0 fen", {"amount": 0}, "invalid_request"),
        ("a charge of 80.5 fen", {"amount": 80.5}, "invalid_request"),
        ("more than is left", {"amount": 99_999_99}, "insufficient_balance"),
        ("a session on a stored value card", {"sessions": 1}, "charge_kind_mismatch"),
    ):
        body = hair.use(card_id=card_id, **fields)
        world.refused_post(attempt, hair.till, "/v1/charges", body, code)
    body = world.gym.use(card_id=card_id, amount=1)
    world.refused_post("another shop's card", world.gym.till, "/v1/charges", body, "not_found")
    world.refused(
        "a call without a credential", world.anybody, Call("GET", "/v1/charges"), "unauthenticated"
    )


def _two_steps_over_two_cards(world: World, uses: Uses) -> None:
    """Charge what the first card alone cannot pay, and let the consumer confirm it."""
    wang, hair = world.wang, world.hair
    first, second = world.cards_of(wang, hair)
    from_first = first.expected.face - first.expected.face_used
    charge = hair.charge(card_id=first.card_id, amount=_PERM, description="烫发")
    confirm = f"/v1/me/charges/{charge.id}/confirm"
    body = hair.use(amount=_PERM)
    world.refused_post("a shop confirming for its customer", hair.till, confirm, body, "forbidden")
    world.refused_post("confirming another's use", world.li.app, confirm, body, "not_found")
    body = hair.use(amount=_PERM - 1)
    world.refused_post(
        "confirming another amount than is charged", wang.app, confirm, body, "charge_changed"
    )
    done = wang.confirm(charge, amount=_PERM)
    moved = first.expected.spend(from_first) + second.expected.spend(_PERM - from_first)
    faces = [(draw.card_id, draw.face_amount) for draw in done.draws]
    expected = [(first.card_id, from_first), (second.card_id, _PERM - from_first)]
    world.figures.same("the draws over two cards, oldest first", faces, expected)
    uses.confirmed(wang, done, "two steps, two cards", moved)


def _above_the_limit(world: World, uses: Uses) -> None:
    """Charge by code more than a code may: it waits for the consumer, who declines."""
    wang, hair = world.wang, world.hair
    code = wang.show_code(merchant_id=hair.merchant_id)
    charge = hair.charge(consumer_code=code, amount=_ABOVE_CODE_LIMIT)
    world.figures.same("a code's charge above its limit", charge.status, "pending_confirmation")
    path = f"/v1/me/charges/{charge.id}/decline"
    declined = wang.app.act(Charge, path, {"reason": "金额不对"})
    uses.ended(wang, declined, "code, above its limit", "declined")


def _cancelled(world: World, uses: Uses) -> None:
    """Let the till take a charge back before it was confirmed."""
    wang, hair = world.wang, world.hair
    charge = hair.charge(card_id=world.cards_of(wang, hair)[1].card_id, amount=_SHAMPOO)
    cancelled = hair.till.act(Charge, f"/v1/charges/{charge.id}/cancel")
    uses.ended(wang, cancelled, "two steps", "cancelled")
    confirm = f"/v1/me/charges/{charge.id}/confirm"
    body = hair.use(amount=_SHAMPOO)
    world.refused_post(
        "confirming what was cancelled", wang.app, confirm, body, "charge_not_pending"
    )


def _sessions(world: World, uses: Uses) -> None:
    """Use one session by code and two in two steps, then take the first one back."""
    li, gym = world.li, world.gym
    (card,) = world.cards_of(li, gym)
    code = li.show_code(merchant_id=gym.merchant_id)
    one = gym.charge(consumer_code=code, sessions=1, client_reference=f"gym-{new_key()}")
    uses.confirmed(li, one, "code", card.expected.attend(1))
    body = gym.use(card_id=card.card_id, sessions=1, client_reference=one.client_reference)
    world.refused_post(
        "a client_reference used before", gym.till, "/v1/charges", body, "client_reference_used"
    )
    two = gym.charge(card_id=card.card_id, sessions=2)
    done = li.confirm(two, sessions=2)
    uses.confirmed(li, done, "two steps", card.expected.attend(2))
    taken_back = gym.till.act(Charge, f"/v1/charges/{one.id}/reverse", {"reason": "课程取消"})
    gym.book.take_back(-card.expected.attend(-1))
    status = world.figures.same("a reversed session's status", taken_back.status, "reversed")
    back = "-" + world.figures.yuan("what came back", taken_back.release_amount, 100_00)
    uses.note(li, taken_back, "reversal", status, back)


def _visits(world: World, uses: Uses) -> None:
    """Visit twice on one day: the second visit counts, and moves nothing."""
    zhang, dance = world.zhang, world.dance
    (card,) = world.cards_of(zhang, dance)

    def day(charge: Charge) -> int:
        return (day_of(charge.created_at) - card.first_day).days + 1

    code = zhang.show_code(card_id=card.card_id)
    by_code = dance.charge(consumer_code=code, visit=True)
    uses.confirmed(zhang, by_code, "code", card.expected.visit(day(by_code)))
    done = zhang.confirm(dance.charge(card_id=card.card_id, visit=True), visit=True)
    uses.confirmed(zhang, done, "two steps, same day", card.expected.visit(day(done)))
    for number in range(4):
        body = dance.use(card_id=card.card_id, visit=True)
        if number < 3:  # noqa: PLR2004  # the policy's default
            dance.till.create(Charge, "/v1/charges", body)
            continue
        world.refused_post(
            "a fourth charge while three wait", dance.till, "/v1/charges", body, "too_many_pending"
        )


def _batch(world: World, uses: Uses) -> None:
    """Send three charges in one call: one is good, and two have their own refusal."""
    wang, hair = world.wang, world.hair
    _, second = world.cards_of(wang, hair)
    code = wang.show_code(merchant_id=hair.merchant_id)
    items: list[JsonValue] = [
        hair.use(client_reference="a", consumer_code=code, amount=_SHAMPOO),
        hair.use(client_reference="b", card_id=second.card_id, amount=99_999_99),
        hair.use(client_reference="c", card_id=world.cards_of(world.li, world.gym)[0].card_id)
        | {"sessions": 1},
    ]
    call = Call("POST", "/v1/charges/batch", {"items": items}, key=new_key())
    verdicts = hair.till.expect(Verdicts, call, 200).data
    found = [verdict.status for verdict in verdicts]
    world.figures.same("the statuses in a batch", found, [201, 409, 404])
    codes = [verdict.problem.code for verdict in verdicts if verdict.problem]
    world.figures.same("the codes in a batch", codes, ["insufficient_balance", "not_found"])
    good = verdicts[0].charge
    assert good is not None
    uses.confirmed(wang, good, "code, in a batch", second.expected.spend(_SHAMPOO))


def _said(charge: Charge) -> str:
    if charge.amount is not None:
        return yuan(charge.amount)
    if charge.sessions is not None:
        return f"{charge.sessions} session{'s' if charge.sessions > 1 else ''}"
    return "a visit"


def _left(world: World, person: Person, charge: Charge) -> str:
    figures, balance, shop = world.figures, charge.balance, world.shop_of(charge)
    cards = world.cards_of(person, shop)
    what = f"what {person.name} has left at {shop.name}"
    if charge.kind == "stored_value":
        face = sum(card.expected.face - card.expected.face_used for card in cards)
        return figures.yuan(what, balance.card_face_amount, face)
    if charge.kind == "count":
        sessions = sum(card.expected.sessions - card.expected.sessions_used for card in cards)
        return f"{figures.same(what, balance.sessions_left, sessions)} sessions"
    last = cards[0].first_day + timedelta(days=cards[0].expected.days - 1)
    return f"to {figures.same(what, balance.valid_until, last)}"
