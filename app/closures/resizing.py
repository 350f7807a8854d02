"""Bring a card's refunds to its share: what is too much stays, what is missing follows. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from app.cards.domain import CardStatus
from app.cards.statement import CardEntryKind, Line, enter
from app.db.rows import Json
from app.ids import new_id
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.refunds.domain import Formula, RefundStatus, figure
from app.refunds.enacting import take
from app.refunds.rows import CardRefund

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.cards.statement import CardEntry

WITHHELD: Final = "refund_withheld"
"""The entry that leaves on a card what a shortfall keeps a decided refund from paying."""
_UNCUT: Final = frozenset({RefundStatus.DECIDED, RefundStatus.ACCOUNT_NEEDED})


class Resized(NamedTuple):
    """A card with its refunds at its share, and the rows that say so."""

    card: Card
    changed: Sequence[CardRefund]
    added: Sequence[CardRefund]
    lines: Sequence[CardEntry]
    entries: Sequence[Entry]


class Moment(NamedTuple):
    """When and where a card is brought to its share."""

    closure_id: UUID
    payable: UUID
    at: datetime
    seq: int


def resize(card: Card, refunds: Sequence[CardRefund], share: Fen, moment: Moment) -> Resized | None:
    """Give or leave what a card's refunds lack to its share; None where no refund is decided.

    What a bank has got stays as it is. A refund keeps its class, and what it came to.
    """
    if not refunds:
        return None
    missing = share - card.refunded_amount
    if missing > 0:
        return _add(card, refunds, Fen(min(missing, card.custody_amount)), moment)
    return _withhold(card, refunds, Fen(-missing), moment)


def _withhold(card: Card, refunds: Sequence[CardRefund], excess: Fen, moment: Moment) -> Resized:
    changed: list[CardRefund] = []
    lines: list[CardEntry] = []
    entries: list[Entry] = []
    for refund in reversed(refunds):
        back = Fen(min(excess, refund.amount)) if refund.status in _UNCUT else Fen(0)
        if back == 0:
            continue
        excess = Fen(excess - back)
        less = refund._replace(
            amount=Fen(refund.amount - back), unpaid_amount=Fen(refund.unpaid_amount + back)
        )
        if less.amount == 0:
            # Nothing to be paid is paid; its card is finished as after any payment.
            less = less._replace(status=RefundStatus.PAID)
        card = card._replace(refunded_amount=Fen(card.refunded_amount - back))
        told = Line(
            CardEntryKind.REFUNDED, refund.refund_id, None, less.content_hash(), amount=-back
        )
        card, line = enter(card, told, seq=moment.seq + len(entries), at=moment.at)
        moved = Movement(moment.payable, card.card_id, back)
        entries.append(Entry(WITHHELD, refund.refund_id, moved, line.content_hash()))
        lines.append(line)
        changed.append(less)
    return Resized(card, changed, (), lines, entries)


def _add(card: Card, refunds: Sequence[CardRefund], amount: Fen, moment: Moment) -> Resized:
    """Pay more of what a refund came to: a supplement that takes off what is unpaid."""
    first, last = refunds[0], refunds[-1]
    inputs = first.read_inputs()
    whole = figure(Formula(first.formula), inputs, version=first.formula_version)
    inputs = replace(
        inputs,
        earlier_amount=whole.amount + inputs.earlier_amount,
        earlier_residue_amount=whole.residue_amount + inputs.earlier_residue_amount,
    )
    added = first.supplement(last, refund_id=new_id(card.merchant_no), at=moment.at)._replace(
        inputs=Json(inputs.to_json()),
        amount=amount,
        unpaid_amount=Fen(-amount),
        residue_amount=Fen(0),
        interest_claim_amount=Fen(0),
        closure_id=moment.closure_id,
    )
    taken = take(card, added, payable=moment.payable, seq=moment.seq, at=moment.at)
    card = taken.card._replace(status=CardStatus.REFUNDING)
    return Resized(card, (), (added,), (taken.line,), (taken.entry,))
