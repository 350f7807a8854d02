"""Scene 6, what people judge: a claim that nothing on record bears out, and a disputed use."""

from typing import Final

from rich.table import Table

from app.demo.client import Body, Call
from app.demo.figures import titled, words, yuan
from app.demo.files import Cuts
from app.demo.money_shapes import Balance
from app.demo.refund_shapes import Case, Refund
from app.demo.refunding import Figure, check, pay_back, read
from app.demo.shapes import Charge
from app.demo.using import Uses
from app.demo.world import HeldCard, World

_TREATMENT: Final = 60_00


def judge(world: World, cuts: Cuts) -> None:
    """Let two persons decide a claim, and a shop admit that it took too much."""
    world.scene("6  Cases: what people must judge")
    columns = ("case", "holder", "shop", "reason", "the shop says", "decided")
    table = Table(*columns, **titled("Cases, yuan"))
    table.add_column("back", justify="right")
    paid = _claim(world, cuts, table)
    uses = Uses(world)
    _dispute(world, uses, table)
    world.show(table)
    world.show(uses.table)
    world.show(paid)


def _claim(world: World, cuts: Cuts, table: Table) -> Table:
    """Ask for a refund for one's health: the shop objects, and two persons uphold it."""
    li, gym = world.li, world.gym
    (held,) = world.cards_of(li, gym)
    path = f"/v1/me/cards/{held.card_id}/refunds"
    body: Body = {"reason": "health", "text": "医生建议停止运动。"}
    claim = li.app.create(Refund, path, body)
    world.figures.same("a claim's status", claim.status, "case_open")
    assert claim.case_id is not None
    assert claim.id is not None
    case_path = f"/v1/cases/{claim.case_id}"
    world.refused_post("claiming twice", li.app, path, body, "refund_in_progress")
    use = gym.use(card_id=held.card_id, sessions=1)
    world.refused_post(
        "using a card whose claim is judged", gym.till, "/v1/charges", use, "card_in_refund"
    )
    world.refused_post(
        "another shop's case", world.hair.till, f"{case_path}/answers", {"agree": True}, "not_found"
    )
    objection: Body = {"agree": False, "text": "卡可以转让。"}
    answered = gym.till.act(Case, f"{case_path}/answers", objection)
    world.figures.same("an answered case's status", answered.status, "answered")
    ruling: Body = {"decision": "upheld", "reason": "诊断证明属实"}
    world.two_persons(f"{case_path}/decisions", ruling)
    decided = read(world, held, claim.id)
    world.figures.same("an upheld claim's class", decided.refund_class, "merchant_fault")
    refund = check(world, held, decided, Figure(held.expected.left, 0, "all that is left"))
    _note(world, table, held, claim.case_id, refund.amount)
    return pay_back(world, cuts, [refund])


def _dispute(world: World, uses: Uses, table: Table) -> None:
    """Contest a use: what it moved is set aside, and comes back when the shop agrees."""
    wang, hair = world.wang, world.hair
    (held,) = world.cards_of(wang, hair)
    card = held.expected
    code = wang.show_code(merchant_id=hair.merchant_id)
    charge = hair.charge(consumer_code=code, amount=_TREATMENT, description="护理")
    moved = card.spend(_TREATMENT)
    uses.confirmed(wang, charge, "code", moved)
    path = f"/v1/me/charges/{charge.id}/dispute"
    disputed = wang.app.act(Charge, path, {"reason": "not_provided", "text": "当天没有做护理。"})
    hair.book.set_aside(moved)
    world.figures.same("a disputed use's status", disputed.status, "disputed")
    assert disputed.dispute is not None
    case_id = disputed.dispute.case_id
    aside = hair.till.get(Balance, "/v1/balance").disputed_amount
    set_aside = world.figures.yuan("what is set aside", aside, moved)
    uses.note(wang, disputed, "dispute", "disputed", f"{set_aside} set aside")
    world.refused_post(
        "reversing a use that is disputed",
        hair.till,
        f"/v1/charges/{charge.id}/reverse",
        {},
        "charge_disputed",
    )
    hair.till.act(Case, f"/v1/cases/{case_id}/answers", {"agree": True})
    card.spend(-_TREATMENT)
    hair.book.uphold(moved)
    reversed_ = hair.till.get(Charge, f"/v1/charges/{charge.id}")
    world.figures.same("an upheld use's status", reversed_.status, "reversed")
    uses.note(wang, reversed_, "dispute upheld", "reversed", f"-{yuan(moved)}")
    _note(world, table, held, case_id, moved)
    world.refused(
        "reading another consumer's case",
        world.li.app,
        Call("GET", f"/v1/me/cases/{case_id}"),
        "not_found",
    )


def _note(world: World, table: Table, held: HeldCard, case_id: str, amount: int) -> None:
    """Note a case as it was decided."""
    case = world.operator.get(Case, f"/v1/cases/{case_id}")
    world.figures.same("a case's status", case.status, "decided")
    assert case.answer is not None
    assert case.decision is not None
    decision = world.figures.same("the decision", case.decision.decision, "upheld")
    says = "agrees" if case.answer.agree else f"no: {case.answer.text}"
    names = (held.holder.name, held.shop.name)
    about = (words(case.kind), *names, words(case.reason))
    decided = f"{decision} by {words(case.decision.by)}"
    table.add_row(*about, says, decided, yuan(amount))
