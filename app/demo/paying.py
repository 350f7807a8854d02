"""Scene 4, the bank's files: paid, rejected, returned, and the same money once more."""

from dataclasses import dataclass
from typing import Final

from rich.table import Table

from app.demo import files
from app.demo.figures import yuan
from app.demo.files import CutFile, Cuts
from app.demo.money_shapes import Balance, Order, PaymentFile
from app.demo.shapes import Charge, Receipt
from app.demo.using import Uses
from app.demo.world import Shop, World

_COLOUR: Final = 120_00


@dataclass(frozen=True, slots=True)
class Paying:
    """The files so far."""

    world: World
    cuts: Cuts
    table: Table

    def note(self, cut_file: CutFile, shop: Shop, payee: str, amount: int, says: str) -> None:
        """Check one order as the bank's report left it, and note it."""
        figures, file = self.world.figures, cut_file.file
        path = f"/v1/bank/files/{file.id}/orders"
        order = next(
            order
            for order in self.world.bank.all(Order, path)
            if order.merchant_id == shop.merchant_id and order.amount == amount
        )
        what = f"{shop.name}'s order in {file.kind} file {file.sequence}"
        figures.same(f"{what}: status", order.status, says.rpartition(" ")[2])
        self.table.add_row(
            f"{file.kind} {file.sequence}",
            file.business_date.isoformat(),
            shop.name,
            figures.same(f"{what}: payee_name", order.payee_name, payee),
            figures.yuan(f"{what}: amount", order.amount, amount),
            says,
        )


def pay_out(world: World, cuts: Cuts, uses: Uses, returned: Receipt) -> None:
    """Play three files."""
    world.scene("4  The bank's files: out of custody")
    paying = Paying(world, cuts, files.files_table())
    _first_release(paying)
    _reverse_what_was_paid(world, uses)
    _refund(paying, returned)
    _second_release(paying)
    world.show(uses.table)
    world.show(paying.table)


def _first_release(paying: Paying) -> None:
    """Cut what was confirmed: one shop is paid, one rejected, one returned after it was paid."""
    world = paying.world
    amounts = [(shop, shop.book.cut_release()) for shop in world.shops]
    cut_file = files.cut(world, paying.cuts, "release", amounts)
    hair, gym, dance = (cut_file.order_of(*each) for each in amounts)
    world.refused_post(
        "cancelling a file that the bank has",
        world.operator,
        f"/v1/payment-files/{cut_file.file.id}/cancel",
        None,
        "file_already_downloaded",
    )
    files.acknowledge(world, cut_file)
    _refuse_unknown_order(world, cut_file)
    first = [(hair, "paid", None), (gym, "rejected", "technical"), (dance, "paid", None)]
    _same_outcomes(world, files.report(world, cut_file, first), ["applied"] * 3)
    world.hair.book.release_paid(hair.amount)
    world.gym.book.release_rejected(gym.amount)
    world.dance.book.release_paid(dance.amount)
    later = [(dance, "returned", "technical"), (hair, "paid", None)]
    outcomes = files.report(world, cut_file, later)
    _same_outcomes(world, outcomes, ["applied", "unchanged"])
    world.dance.book.release_returned(dance.amount)
    _completed(world, cut_file)
    all_say = ("paid", "rejected", "paid, then returned")
    for (shop, amount), says in zip(amounts, all_say, strict=True):
        paying.note(cut_file, shop, shop.name, amount, says)


def _reverse_what_was_paid(world: World, uses: Uses) -> None:
    """Take a use back whose money has left: it waits, and the next use serves it."""
    wang, hair = world.wang, world.hair
    oldest = hair.till.all(Charge, "/v1/charges", status="confirmed")[-1]
    used = world.cards_of(wang, hair)[0].expected
    amount = oldest.amount or 0
    moves_back = used.released - used.without(amount).released
    at_once = hair.book.take_back(moves_back)
    world.figures.same(
        "whether the shop's payable money covers the reversal", at_once, expected=False
    )
    path = f"/v1/charges/{oldest.id}/reverse"
    waiting = hair.till.act(Charge, path, {"reason": "服务不满意"})
    world.figures.same("the status of a use whose reversal waits", waiting.status, "confirmed")
    _reversal(world, waiting, "pending")
    balance = hair.till.get(Balance, "/v1/balance")
    what = "pending_reversal_amount"
    waits = f"-{world.figures.yuan(what, balance.pending_reversal_amount, moves_back)} waits"
    how = "reversal of money paid out"
    uses.table.add_row(wang.name, hair.name, yuan(amount), how, waiting.status, waits, "-")
    _serve(world, uses)
    used.spend(-amount)
    served = hair.till.get(Charge, f"/v1/charges/{oldest.id}")
    world.figures.same("the status of a use whose reversal was served", served.status, "reversed")
    _reversal(world, served, "done")
    back = f"-{world.figures.yuan('what came back', oldest.release_amount, moves_back)}"
    uses.note(wang, served, "served by the use above", "reversed", back)
    again = {"store_id": hair.store_id, "amount": amount}
    confirm = f"/v1/me/charges/{oldest.id}/confirm"
    world.refused_post(
        "confirming a use that was reversed", wang.app, confirm, again, "charge_not_pending"
    )


def _serve(world: World, uses: Uses) -> None:
    """Let another consumer use a card: the shop's next money serves the reversal first."""
    li, hair = world.li, world.hair
    (card,) = world.cards_of(li, hair)
    charge = hair.charge(consumer_code=li.show_code(merchant_id=hair.merchant_id), amount=_COLOUR)
    uses.confirmed(li, charge, "code", card.expected.spend(_COLOUR))


def _reversal(world: World, charge: Charge, status: str) -> None:
    found = charge.reversal.status if charge.reversal else None
    world.figures.same("the reversal's status", found, status)


def _refund(paying: Paying, returned: Receipt) -> None:
    """Give suspense money back to its payer, by a refund file."""
    world, hair = paying.world, paying.world.hair
    amount = hair.book.cut_refund()
    world.figures.yuan("what goes back to its payer", returned.amount, amount)
    cut_file = files.cut(world, paying.cuts, "refund", [(hair, amount)])
    files.acknowledge(world, cut_file)
    order = cut_file.order_of(hair, amount)
    account = world.li.account_number
    world.figures.same("the payer's account in the order", order.payee_account_number, account)
    _same_outcomes(world, files.report(world, cut_file, [(order, "paid", None)]), ["applied"])
    hair.book.refund_paid(amount)
    _completed(world, cut_file)
    paying.note(cut_file, hair, world.li.name, amount, "paid")


def _second_release(paying: Paying) -> None:
    """Cut again: rejected and returned money is in it once, and nothing is left for a third."""
    world = paying.world
    amounts = [(shop, shop.book.cut_release()) for shop in world.shops]
    cut_file = files.cut(world, paying.cuts, "release", amounts)
    files.acknowledge(world, cut_file)
    orders = [cut_file.order_of(*each) for each in amounts]
    outcomes = files.report(world, cut_file, [(order, "paid", None) for order in orders])
    _same_outcomes(world, outcomes, ["applied"] * 3)
    _completed(world, cut_file)
    for shop, amount in amounts:
        shop.book.release_paid(amount)
        paying.note(cut_file, shop, shop.name, amount, "paid")
    files.cut_nothing(world, paying.cuts, "release")


def _refuse_unknown_order(world: World, cut_file: CutFile) -> None:
    path = f"/v1/bank/files/{cut_file.file.id}/results"
    world.refused_post(
        "a result for an order that is not in the file",
        world.bank,
        path,
        {"results": [{"order_id": "ord_01h455vb4pex5vsknk084sn02q", "status": "paid"}]},
        "order_not_in_file",
    )


def _same_outcomes(world: World, found: list[str], expected: list[str]) -> None:
    world.figures.same("the outcomes of the bank's results", found, expected)


def _completed(world: World, cut_file: CutFile) -> None:
    file = world.bank.get(PaymentFile, f"/v1/bank/files/{cut_file.file.id}")
    world.figures.same("the file's status, every order answered", file.status, "completed")
