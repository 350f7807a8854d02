"""Decide by which class a card is refunded and what that comes to: facts in, quote out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from app.cards.domain import Card, CardStatus
from app.cards.errors import CardNotActive, CardOnHold
from app.charges.errors import ChargeDisputed
from app.refunds.domain import (
    FORMULA_VERSION,
    Figures,
    Formula,
    Inputs,
    RefundClass,
    RefundReason,
    figure,
    formula_of,
    inputs_of,
)
from app.refunds.errors import (
    ClosureInProgress,
    CoolingOffOver,
    RefundInProgress,
    RefundNotAllowed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from app.cards.holding import CardHold

_IN_REFUND: Final = frozenset({CardStatus.REFUNDING, CardStatus.REFUNDED})
_GONE: Final = frozenset({CardStatus.RECALLED, CardStatus.REPLACED})
_NOTICE: Final = "notice"
_CLOSING: Final = frozenset({"closing", "refunding", "closed", "closed_with_shortfall"})
_LEFT_ITS_PLACE: Final = frozenset({"moved", "closed"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What policies and calendar say of a card, on the day on which it was paid."""

    cooling_off_ends_on: date | None
    """None where the calendar does not reach: the period counts as open."""
    unused_only: bool
    policy_version: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that decides a refund beside the card's own row."""

    card: Card
    day: date
    book_status: str
    store_status: str
    """Of the store that sold the card."""
    used_before: bool
    """Whether the holder had used the same product here before paying for this card."""
    disputed: bool
    refund_id: UUID | None
    """The refund that the card has already."""
    holds: Sequence[CardHold] = ()
    """What holds the card, oldest first."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a refund would come to on a business date, and by which rule."""

    reason: RefundReason
    refund_class: RefundClass
    formula: Formula
    formula_version: int
    policy_version: int
    inputs: Inputs
    as_of: date
    figures: Figures


def quote_claim(reason: RefundReason, facts: Facts, rules: Rules) -> Quote:
    """Say what the holder gets for a reason, today.

    Raises:
        CardNotActive, CardOnHold: Nothing can be refunded from the card.
        ChargeDisputed: A use of it is disputed, which is decided first.
        ClosureInProgress: The closure refunds it.
        RefundInProgress: It is being refunded, or was.
        RefundNotAllowed: The claim has no ground that is on record, or nothing is left.
    """
    check_refundable(facts)
    return _quote(reason, class_of(reason, facts, rules), facts, rules.policy_version)


def quote_agreed(facts: Facts, amount: int) -> Quote:
    """Say what an amount that merchant and holder agree on comes to.

    Raises:
        CardNotActive, CardOnHold, ChargeDisputed, ClosureInProgress, RefundInProgress: As above.
        RefundNotAllowed: It is more than is left.
    """
    check_refundable(facts)
    left = facts.card.custody_amount
    if amount > left:
        raise RefundNotAllowed(
            "This is more than is left of the payment in custody.", custody_amount=left
        )
    return _quote(RefundReason.MERCHANT_OFFER, RefundClass.AGREED, facts, 0, agreed_amount=amount)


def check_refundable(facts: Facts) -> None:
    """Refuse what no reason can refund."""
    card = facts.card
    if facts.refund_id is not None or card.status in _IN_REFUND:
        raise RefundInProgress(facts.refund_id)
    if card.on_hold:
        raise CardOnHold(card.card_id, facts.holds)
    if card.status in _GONE:
        raise CardNotActive(card.card_id, card.status)
    if facts.book_status in _CLOSING:
        raise ClosureInProgress
    if facts.disputed:
        raise ChargeDisputed
    if card.custody_amount == 0:
        raise RefundNotAllowed("Nothing of the payment is left on this card.", custody_amount=0)


def class_of(reason: RefundReason, facts: Facts, rules: Rules) -> RefundClass:
    """Say by which class a reason is decided, on recorded facts alone (DOMAIN §4).

    Raises:
        RefundNotAllowed: Nothing on record bears the claim out.
    """
    if facts.book_status == _NOTICE:
        # From notice on every refund is the merchant's fault (DOMAIN §6, Closure).
        return RefundClass.MERCHANT_FAULT
    match reason:
        case RefundReason.CONSUMER_CHOICE:
            return RefundClass.CONSUMER_CHOICE
        case RefundReason.COOLING_OFF:
            check_cooling_off(facts, rules)
            return RefundClass.COOLING_OFF
        case RefundReason.STORE_MOVED if facts.store_status in _LEFT_ITS_PLACE:
            return RefundClass.MERCHANT_FAULT
        case _:
            return open_case(reason)


def check_cooling_off(facts: Facts, rules: Rules) -> None:
    """Refuse where there is no cooling-off period (法释 [2025] 4号, art. 14).

    It does not exist for one who had used the same product here before paying; uses of this
    card do not end it, but where the region gives it for unused cards alone (policy).

    Raises:
        CoolingOffOver: It is over, or never was.
    """
    ends_on = rules.cooling_off_ends_on
    if facts.used_before:
        raise CoolingOffOver(
            "There is no cooling-off period for a product that was used here before.", ends_on
        )
    if rules.unused_only and is_used(facts.card):
        raise CoolingOffOver("Here the cooling-off period is for unused cards alone.", ends_on)
    if ends_on is not None and facts.day > ends_on:
        raise CoolingOffOver("The cooling-off period is over.", ends_on)


def is_used(card: Card) -> bool:
    """Say whether a use of the card stands."""
    return bool(card.face_used_amount or card.sessions_used or card.last_visit_day)


def open_case(reason: RefundReason) -> NoReturn:
    """Put a claim that nothing on record bears out before the merchant and two persons.

    The one place where a claim becomes a case; until there are cases it is refused.

    Raises:
        RefundNotAllowed: Always.
    """
    raise RefundNotAllowed(
        f"Nothing on record bears out {reason}, and claims cannot be heard here yet. "
        "consumer_choice is open to you."
    )


def _quote(
    reason: RefundReason,
    refund_class: RefundClass,
    facts: Facts,
    policy_version: int,
    *,
    agreed_amount: int | None = None,
) -> Quote:
    inputs = inputs_of(facts.card, refund_class, facts.day, agreed_amount=agreed_amount)
    formula = formula_of(refund_class, inputs)
    return Quote(
        reason,
        refund_class,
        formula,
        FORMULA_VERSION,
        policy_version,
        inputs,
        facts.day,
        figure(formula, inputs),
    )
