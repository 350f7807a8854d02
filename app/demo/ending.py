"""Scene 8, a shop that vanished: every card is refunded once, and the end is certified."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from rich.table import Table

from app.demo import files
from app.demo.client import Body, Call, DemoFailed
from app.demo.figures import titled, words, yuan
from app.demo.files import Cuts
from app.demo.money_shapes import Balance, KeySet
from app.demo.paying import Paying
from app.demo.refund_shapes import Certificate, CertifiedEnd, Closure, ClosurePreview, Refund
from app.demo.refunding import Decided, Figure, check, pay_back, sold
from app.demo.using import Uses
from app.demo.world import HeldCard, Shop, World

_FORMAT: Final = "anxin closure certificate 1"
_SECONDS_MAX: Final = 30.0


def end(world: World, cuts: Cuts) -> None:
    """Close a shop whose owner is gone, and pay back what is left on its cards."""
    gym = world.gym
    world.scene(f"8  {gym.name} has vanished: every card is refunded, once")
    cards = _last_cards(world)
    closure = _ordered(world, gym)
    _previewed(world, closure, cards)
    world.two_persons(f"/v1/closures/{closure.id}/execute", None)
    decided = _refunded(world, closure, cards)
    suspense = gym.book["suspense"]
    gym.book.give_back(suspense)
    table = pay_back(world, cuts, decided, also=[(gym, suspense)])
    world.show(_cards(decided))
    world.show(table)
    first = _certified(world, closure, number=1, left=gym.book["merchant_payable"])
    world.show(_release(world, cuts, gym))
    last = _certified(world, closure, number=2, left=0)
    world.show(_certificates(world, first, last))


def _last_cards(world: World) -> list[HeldCard]:
    """Sell two more cards before the end; one of them is used."""
    gym, wang, li = world.gym, world.wang, world.li
    (year,) = world.cards_of(world.zhang, gym)
    used = sold(world, wang, gym, gym.products.count)
    charge = gym.charge(card_id=used.card_id, sessions=2)
    done = wang.confirm(charge, sessions=2)
    Uses(world).confirmed(wang, done, "two steps", used.expected.attend(2))
    return [year, used, sold(world, li, gym, gym.products.count)]


def _ordered(world: World, shop: Shop) -> Closure:
    """Let the regulator order the end: from this moment nothing is sold or used."""
    path = f"/v1/merchants/{shop.merchant_id}/closures"
    order: Body = {"kind": "absconded", "reason": "人去楼空"}
    world.refused_post(
        "an operator saying that a shop absconded", world.operator, path, order, "forbidden"
    )
    held = world.cards_of(world.li, shop)[0]
    closure = world.regulator.create(Closure, path, order)
    world.figures.same("a closure's status", closure.status, "closing")
    world.refused_post(
        "closing a shop twice",
        world.operator,
        path,
        {**order, "kind": "immediate"},
        "closure_in_progress",
    )
    sale: Body = {"product_id": shop.products.count, "store_id": shop.store_id}
    world.refused_post(
        "selling at a shop that closes", shop.till, "/v1/purchases", sale, "merchant_frozen"
    )
    use = shop.use(card_id=held.card_id, sessions=1)
    world.refused_post(
        "using a card at a shop that closes", shop.till, "/v1/charges", use, "merchant_frozen"
    )
    wish = Call("POST", f"/v1/me/cards/{held.card_id}/refunds/preview", {"reason": "health"})
    what = "a refund of one's own at a shop that closes"
    world.refused(what, world.li.app, wish, "closure_in_progress")
    return closure


def _previewed(world: World, closure: Closure, cards: list[HeldCard]) -> None:
    preview = world.operator.act(ClosurePreview, f"/v1/closures/{closure.id}/preview")
    total = sum(held.expected.left for held in cards)
    world.figures.same("the closure's card_count", preview.card_count, len(cards))
    world.figures.yuan("the closure's refund_amount", preview.refund_amount, total)
    for kind in preview.kinds:
        of_kind = [held.expected.left for held in cards if held.product == kind.kind]
        world.figures.same(f"cards of kind {kind.kind}", kind.card_count, len(of_kind))
        world.figures.yuan(f"their refund_amount ({kind.kind})", kind.refund_amount, sum(of_kind))


def _refunded(world: World, closure: Closure, cards: list[HeldCard]) -> list[Decided]:
    """Wait for the worker to refund each card, and check each."""

    def all_refunded() -> bool:
        now = world.operator.get(Closure, f"/v1/closures/{closure.id}")
        return now.refunded_count == len(cards)

    _until(all_refunded, "every card is refunded")
    decided: list[Decided] = []
    for held in cards:
        card = held.expected
        (refund,) = (
            refund
            for refund in held.holder.app.all(Refund, "/v1/me/refunds")
            if refund.card_id == held.card_id
        )
        world.figures.same("a closure's class", refund.refund_class, "merchant_fault")
        found = f"{yuan(card.paid)} - {yuan(card.released)} earned"
        decided.append(check(world, held, refund, Figure(card.left, 0, found)))
    return decided


def _cards(decided: list[Decided]) -> Table:
    table = Table("holder", "card", "found by", **titled("Refunded by the closure, yuan"))
    table.add_column("refund", justify="right")
    for one in decided:
        table.add_row(
            one.held.holder.name, words(one.held.product), one.figure.found, yuan(one.amount)
        )
    return table


def _release(world: World, cuts: Cuts, shop: Shop) -> Table:
    """Pay the shop what it had earned, now that its consumers are paid."""
    paying = Paying(world, cuts, files.files_table())
    amount = shop.book.cut_release()
    hair = [(world.hair, world.hair.book.cut_release())]
    dance = [(world.dance, world.dance.book.cut_release())]
    orders = [each for each in (*hair, (shop, amount), *dance) if each[1]]
    cut_file = files.cut(world, cuts, "release", orders)
    files.acknowledge(world, cut_file)
    files.report(world, cut_file, [(cut_file.order_of(*each), "paid", None) for each in orders])
    for payee, paid in orders:
        payee.book.release_paid(paid)
        paying.note(cut_file, payee, payee.name, paid, "paid")
    return paying.table


def _certified(world: World, closure: Closure, *, number: int, left: int) -> CertifiedEnd:
    """Wait for a certificate, prove its signature, and see whose every fen is that is left."""
    path = f"/v1/closures/{closure.id}/certificate"
    found: list[Certificate] = []

    def is_issued() -> bool:
        answer = world.regulator.send(Call("GET", path))
        if answer.is_success:
            found[:] = [Certificate.model_validate_json(answer.content)]
        return bool(found) and found[0].certificate.get("number") == number

    _until(is_issued, f"certificate {number} of the closure is issued")
    _prove(world, found[0])
    try:
        end = CertifiedEnd.model_validate(found[0].certificate)
    except ValidationError as error:
        raise DemoFailed(f"GET {path}: not the contract's certificate: {error}") from error
    figures = world.figures
    figures.same("the certified status", end.closure.status, "closed")
    figures.yuan("the certified custody_amount", end.custody_amount, left)
    figures.yuan("what is left with a name", sum(one.amount for one in end.left), left)
    figures.yuan("what was paid of the refunds", end.refunded.paid_amount, end.refunded.amount)
    custody = world.gym.till.get(Balance, "/v1/balance").custody_amount
    figures.yuan("the shop's custody_amount at its end", custody, left)
    return end


def _prove(world: World, issued: Certificate) -> None:
    """Check a certificate's signature as anybody can: over its canonical bytes (RFC 8785)."""
    document = json.dumps(
        issued.certificate, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    digest = hashlib.sha256(document.encode()).hexdigest()
    world.figures.same("the certificate's sha256", issued.signature.sha256, digest)
    keys = world.anybody.get(KeySet, "/.well-known/anxin-keys.json").keys
    key = next(key for key in keys if key.kid == issued.signature.key_id)
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key.x + "=="))
    try:
        signature = base64.b64decode(issued.signature.signature)
        public.verify(signature, f"{_FORMAT}\n{digest}\n".encode())
    except InvalidSignature:
        raise DemoFailed("the certificate's signature does not fit") from None


def _certificates(world: World, *ends: CertifiedEnd) -> Table:
    what = titled("Certificates, yuan: signed, and again when something changed")
    table = Table("certificate", "status", "cards", **what)
    for column in ("paid back", "in custody"):
        table.add_column(column, justify="right")
    table.add_column("left, each with its name")
    for end in ends:
        paid = world.figures.yuan("refunds paid", end.refunded.paid_amount, end.refunded.amount)
        left = ", ".join(
            f"{yuan(one.amount)} {words(one.account)} ({words(one.why)})" for one in end.left
        )
        number, cards = str(end.number), str(end.refunded.card_count)
        table.add_row(
            number, end.closure.status, cards, paid, yuan(end.custody_amount), left or "nothing"
        )
    return table


def _until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what the worker does by itself.

    Raises:
        DemoFailed: It has not done it in time.
    """
    deadline = time.monotonic() + _SECONDS_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise DemoFailed(f"after {_SECONDS_MAX:.0f} s it is not so that {what}")
        time.sleep(0.2)
