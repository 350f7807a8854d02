"""What a closure gives back on one card: all that is left, or its share of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from app.cards.domain import CardStatus
from app.ids import new_id
from app.money import Fen
from app.refunds.domain import (
    FORMULA_VERSION,
    Formula,
    RefundClass,
    RefundReason,
    RefundStatus,
    figure,
    inputs_of,
)
from app.refunds.enacting import take
from app.refunds.quoting import Quote
from app.refunds.rows import new_refund

if TYPE_CHECKING:
    from datetime import date, datetime

    from app.cards.domain import Card
    from app.cards.statement import CardEntry
    from app.ledger.posting import Entry
    from app.refunds.rows import CardRefund

_NO_POLICY = 0
"""What is left on a card is given back by law, whatever the policies say."""


class Sale(NamedTuple):
    """Who paid for a card, and from which account (sealed)."""

    card_id: UUID
    buyer: UUID
    payer_name: bytes
    payer_account_number: bytes


class Decided(NamedTuple):
    """A card's refund with all that comes with it."""

    refund: CardRefund
    card: Card
    line: CardEntry
    entry: Entry


class Step(NamedTuple):
    """What all refunds of a step share."""

    closure_id: UUID
    payable: UUID
    """The merchant's account of refunds to be paid."""
    day: date
    at: datetime


def decide(card: Card, sale: Sale, share: Fen | None, step: Step, *, seq: int) -> Decided:
    """Refund a card by a closure: its holder gets what is left, or `share` where there is one.

    What a share leaves unpaid stays on the card's account, a claim by its name.
    """
    quote = quote_closure(card, step.day)
    owed = quote.figures.amount
    paid = owed if share is None else Fen(min(share, owed))
    refund = new_refund(quote, card, refund_id=new_id(card.merchant_no), at=step.at)
    refund = refund._replace(
        amount=paid,
        unpaid_amount=Fen(owed - paid),
        closure_id=step.closure_id,
        decided_at=step.at,
        **_payment(card, sale, paid, step.at),
    )
    taken = take(card, refund, payable=step.payable, seq=seq, at=step.at)
    # Nothing to be paid is paid at once, without an order.
    status = CardStatus.REFUNDED if paid == 0 else CardStatus.REFUNDING
    return Decided(refund, taken.card._replace(status=status), taken.line, taken.entry)


def quote_closure(card: Card, day: date) -> Quote:
    """Say what a closing merchant owes on a card: all that is left, as at the merchant's fault."""
    inputs = inputs_of(card, RefundClass.MERCHANT_FAULT, day)
    return Quote(
        RefundReason.CLOSURE,
        RefundClass.MERCHANT_FAULT,
        Formula.ALL_LEFT,
        FORMULA_VERSION,
        _NO_POLICY,
        inputs,
        day,
        figure(Formula.ALL_LEFT, inputs),
    )


def _payment(card: Card, sale: Sale, paid: Fen, at: datetime) -> dict[str, object]:
    """Pay the account that paid; after a transfer the new holder has to name one (DOMAIN §6)."""
    payee: dict[str, object] = {}
    if sale.buyer == card.consumer:
        payee = {"payee_name": sale.payer_name, "payee_account_number": sale.payer_account_number}
    if paid == 0:
        return {**payee, "status": RefundStatus.PAID, "settled_at": at}
    return {**payee, "status": RefundStatus.DECIDED if payee else RefundStatus.ACCOUNT_NEEDED}
