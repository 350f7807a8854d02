"""The last scene: where every fen is, per card, per shop and in the trial balance."""

from collections import Counter
from typing import Final

from rich.table import Table

from app.demo.figures import titled, words, yuan
from app.demo.files import Cuts
from app.demo.money_shapes import Balance, TrialBalance
from app.demo.shapes import Card, StatementRow
from app.demo.world import HeldCard, Shop, World

_LIABILITIES: Final = {
    "card_amount": "card",
    "payable_amount": "merchant_payable",
    "disputed_amount": "release_disputed",
    "release_in_transit_amount": "release_in_transit",
    "refund_payable_amount": "refund_payable",
    "refund_in_transit_amount": "refund_in_transit",
    "suspense_amount": "suspense",
    "custody_yield_amount": "custody_yield",
}
_ASSETS: Final = frozenset({"custody", "bank_claim"})


def close(world: World, before: TrialBalance, cuts: Cuts) -> None:
    """Show where the money is, and that nothing is anywhere else."""
    world.scene("9  Where every fen is")
    world.show(_refusals(world))
    world.show(_cards(world))
    world.show(_way(world))
    world.show(_trial_balance(world, before, cuts))


def _refusals(world: World) -> Table:
    table = Table("refused, as it must be", **titled("Refusals"))
    table.add_column("status", justify="right")
    table.add_column("code")
    for refusal in dict.fromkeys(world.refusals):
        table.add_row(refusal.attempt, str(refusal.status), refusal.code)
    return table


def _cards(world: World) -> Table:
    table = Table(
        "holder",
        "shop",
        "card",
        **titled(
            "Cards, yuan: what was paid is earned, refunded, the shop's rest, or left in custody"
        ),
    )
    for column in ("paid", "earned", "refunded", "rest", "left"):
        table.add_column(column, justify="right")
    for held in world.cards:
        table.add_row(
            held.holder.name, held.shop.name, words(held.product), *_figures_of(world, held)
        )
    return table


def _figures_of(world: World, held: HeldCard) -> tuple[str, ...]:
    path, figures = f"/v1/me/cards/{held.card_id}", world.figures
    card = held.holder.app.get(Card, path)
    last = held.holder.app.all(StatementRow, f"{path}/statement")[0]
    what, expected = f"{held.holder.name}'s card at {held.shop.name}", held.expected
    if expected.face:
        used = figures.yuan(f"{what}: face used", card.face_used_amount, expected.face_used)
        assert used
        figures.same(f"{what}: face held", card.face_held_amount, 0)
    if expected.sessions:
        figures.same(f"{what}: sessions_used", card.sessions_used, expected.sessions_used)
    figures.yuan(f"{what}: statement, custody_amount", last.custody_amount, expected.left)
    return (
        figures.yuan(f"{what}: paid_amount", card.paid_amount, expected.paid),
        figures.yuan(f"{what}: released_amount", card.released_amount, expected.released),
        figures.yuan(f"{what}: refunded_amount", card.refunded_amount, expected.refunded),
        figures.yuan(f"{what}: adjusted_amount", card.adjusted_amount, expected.adjusted),
        figures.yuan(f"{what}: custody_amount", card.custody_amount, expected.left),
    )


def _way(world: World) -> Table:
    """Show each shop's money from the payers to where it is now."""
    table = Table("", **titled("The money's way, yuan"))
    for column in (*(shop.name for shop in world.shops), "all"):
        table.add_column(column, justify="right")
    balances = {shop.name: shop.till.get(Balance, "/v1/balance") for shop in world.shops}
    lines = {shop.name: _lines(world, shop, balances[shop.name]) for shop in world.shops}
    for label in lines[world.hair.name]:
        amounts = [lines[shop.name][label] for shop in world.shops]
        if label.startswith("= "):
            table.add_section()
        table.add_row(label, *(yuan(amount) for amount in amounts), yuan(sum(amounts)))
    return table


def _lines(world: World, shop: Shop, balance: Balance) -> dict[str, int]:
    """Check a shop's balance, account by account, and give the lines of its column."""
    figures, book = world.figures, shop.book
    shown = {name: amount for name, amount in balance.model_dump().items() if name in _LIABILITIES}
    for name, account in _LIABILITIES.items():
        figures.yuan(f"{shop.name}: {name}", shown[name], book[account])
    figures.yuan(f"{shop.name}: custody_amount", balance.custody_amount, book["custody"])
    figures.yuan(f"{shop.name}: bank_claim_amount", balance.bank_claim_amount, 0)
    figures.yuan(f"{shop.name}: waiting", balance.pending_reversal_amount, sum(book.waiting))
    figures.yuan(f"{shop.name}: custody = liabilities", sum(shown.values()), book["custody"])
    left = book.received - book.paid_out - book.given_back
    figures.yuan(f"{shop.name}: received - paid out - given back", balance.custody_amount, left)
    of_cards = sum(held.expected.left for held in world.cards if held.shop is shop)
    figures.yuan(f"{shop.name}: left on its cards", balance.card_amount, of_cards)
    return {
        "received from consumers": book.received,
        "paid out to the shop by the bank": -book.paid_out,
        "given back to payers": -book.given_back,
        "= in custody at the bank": balance.custody_amount,
        "  of it on cards, not yet earned": balance.card_amount,
        "  of it payable to the shop": balance.payable_amount,
        "  of it in files, unanswered": balance.release_in_transit_amount,
        "  of it in suspense": balance.suspense_amount,
    }


def _trial_balance(world: World, before: TrialBalance, cuts: Cuts) -> Table:
    """Show the whole service's trial balance, and check what the demo has moved in it."""
    figures = world.figures
    after = world.operator.get(TrialBalance, "/v1/ledger/trial-balance")
    figures.same("whether the trial balance is balanced", after.balanced, expected=True)
    debits = sum(line.debit_amount for line in after.accounts)
    credits_ = sum(line.credit_amount for line in after.accounts)
    total = figures.yuan("the trial balance's debits = credits", debits, credits_)
    start, end = _net(before), _net(after)
    moved = {account: end[account] - start[account] for account in end}
    for account, amount in _expected_moves(world, cuts).items():
        figures.yuan(f"trial balance: what the demo moved on {account}", moved[account], amount)
    table = Table("account", **titled("Trial balance of the whole service, yuan"))
    for column in ("debit", "credit", "moved by this demo"):
        table.add_column(column, justify="right")
    for line in after.accounts:
        debit, credit = yuan(line.debit_amount), yuan(line.credit_amount)
        table.add_row(line.type, debit, credit, yuan(moved[line.type]))
    table.add_section()
    table.add_row("all", total, yuan(credits_), "")
    return table


def _net(balance: TrialBalance) -> Counter[str]:
    """Give each account's balance on its own side: what custody holds, what others are owed."""
    return Counter(
        {
            line.type: (line.debit_amount - line.credit_amount)
            * (1 if line.type in _ASSETS else -1)
            for line in balance.accounts
        }
    )


def _expected_moves(world: World, cuts: Cuts) -> Counter[str]:
    """Sum the shops' books; a cut also moves what other banks' shops had payable."""
    moves = Counter(dict.fromkeys((*_ASSETS, *_LIABILITIES.values()), 0))
    for shop in world.shops:
        moves.update(shop.book.accounts)
    for payable, in_transit, kind in (
        ("merchant_payable", "release_in_transit", "release"),
        ("refund_payable", "refund_in_transit", "refund"),
    ):
        moves[payable] -= cuts.amounts[kind]
        moves[in_transit] += cuts.amounts[kind]
    return moves
