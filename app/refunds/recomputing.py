"""What a card's refund comes to with the uses that stand now. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.refunds.domain import Figures, Formula, Inputs, RefundClass, figure, list_used

if TYPE_CHECKING:
    from app.cards.domain import Card
    from app.refunds.rows import CardRefund


def figure_now(first: CardRefund, card: Card) -> Figures:
    """Say what all refunds of a card come to in sum, with the uses that stand now."""
    formula, inputs = recomputed_inputs(first, card)
    return figure(formula, inputs, version=first.formula_version)


def recomputed_inputs(first: CardRefund, card: Card) -> tuple[Formula, Inputs]:
    """Give the inputs of a card's refund with the uses that stand now, class and day as stored.

    What was agreed grows by all that comes back (DOMAIN §6).
    """
    stored = first.read_inputs()
    inputs = replace(
        stored,
        released_amount=card.released_amount,
        left_amount=card.paid_amount - card.released_amount - card.recalled_amount,
        list_used_amount=list_used(card),
        last_visit_day=None if stored.last_visit_day is None else card.last_visit_day,
    )
    if first.refund_class != RefundClass.AGREED:
        return Formula(first.formula), inputs
    back = stored.released_amount - card.released_amount
    return Formula.AGREED, replace(inputs, agreed_amount=first.figures.amount + back)
