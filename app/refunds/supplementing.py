"""What a use taken back does to a card that was refunded: its refund is computed again. Pure.

What the use released comes back. By the stored class and the stored day it makes the refund grow,
and it changes what the merchant keeps of the rest (DOMAIN §6). Where the merchant has that rest
already, its change goes in the same movement as what comes back; else it is on the card until
then. What the refund grew by is a supplement, paid as any refund is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from app.cards.domain import CardStatus
from app.db.rows import Json
from app.ids import derived_id
from app.ledger.chart import AccountType, account_id
from app.money import Fen
from app.refunds.domain import Figures, Formula, Inputs, figure
from app.refunds.enacting import take
from app.refunds.recomputing import figure_now, recomputed_inputs
from app.refunds.tables import REFUNDS_OF_CARD, REFUNDS_OF_CHARGE, REFUNDS_WAITING
from app.writer.book import ACCOUNT_BY_ID

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.refunds.enacting import Entered
    from app.refunds.rows import CardRefund
    from app.writer.book import Book
    from app.writer.tables import Need

IN_REFUND: Final = frozenset({CardStatus.REFUNDING, CardStatus.REFUNDED})


@dataclass(frozen=True, slots=True)
class Recomputed:
    """How a refund changes where uses of its card were taken back."""

    first: CardRefund
    model: CardRefund
    """The last refund of the card: a supplement is paid to whom that one pays."""
    inputs: Inputs
    formula: Formula
    figures: Figures
    """By what amount, residue and interest grow."""

    @property
    def adjusted_amount(self) -> Fen:
        """What of the change in the rest moves at once: nothing before the merchant has it."""
        return self.figures.residue_amount if self.first.settled_at is not None else Fen(0)


def needs_of_charge(merchant_no: int, charge_id: UUID) -> tuple[Need, ...]:
    """Name the rows that a use taken back from refunded cards needs."""
    return REFUNDS_OF_CHARGE(charge_id), _refund_payable(merchant_no)


def needs_of_waiting(merchant_no: int) -> tuple[Need, ...]:
    """Name the rows that the reversals which wait need of refunded cards."""
    return REFUNDS_WAITING(), _refund_payable(merchant_no)


def is_at_hand(book: Book, card: Card) -> bool:
    """Say whether the refunds of a card were loaded with it, if it has any."""
    return card.status not in IN_REFUND or bool(book.group(REFUNDS_OF_CARD, card.card_id))


def recompute(book: Book, before: Card, after: Card) -> Recomputed | None:
    """Compute the refund of a card again after a use was taken back; None where it has none."""
    assert is_at_hand(book, after), "a card's refunds are loaded with it"
    decided = sorted(
        (one for one in book.group(REFUNDS_OF_CARD, before.card_id) if one.decided_at is not None),
        key=lambda one: (one.supplements is not None, one.decided_at, one.refund_id),
    )
    if not decided:
        return None
    first = decided[0]
    formula, inputs = recomputed_inputs(first, after)
    earlier = figure_now(first, before)
    inputs = replace(
        inputs,
        earlier_amount=earlier.amount,
        earlier_residue_amount=earlier.residue_amount,
    )
    figures = figure(formula, inputs, version=first.formula_version)
    assert figures.amount >= 0, "fewer uses never make a refund smaller"
    return Recomputed(first, decided[-1], inputs, formula, figures)


def supplement(
    grown: Recomputed, card: Card, charge_id: UUID, *, seq: int, at: datetime
) -> tuple[CardRefund, Entered] | None:
    """Refund what a refund grew by; None where it did not grow.

    Its id is found from the use, so that whoever decides finds the same.
    """
    if grown.figures.amount == 0:
        return None
    refund = _row(grown, derived_id(card.merchant_no, at, charge_id, card.card_id), at)
    payable = account_id(card.merchant_no, AccountType.REFUND_PAYABLE)
    taken = take(card, refund, payable=payable, seq=seq, at=at)
    return refund, replace(taken, card=taken.card._replace(status=CardStatus.REFUNDING))


def _row(grown: Recomputed, refund_id: UUID, at: datetime) -> CardRefund:
    return grown.first.supplement(grown.model, refund_id=refund_id, at=at)._replace(
        formula=grown.formula,
        inputs=Json(grown.inputs.to_json()),
        amount=grown.figures.amount,
        residue_amount=grown.figures.residue_amount,
        interest_claim_amount=grown.figures.interest_claim_amount,
    )


def _refund_payable(merchant_no: int) -> Need:
    return ACCOUNT_BY_ID(account_id(merchant_no, AccountType.REFUND_PAYABLE))
