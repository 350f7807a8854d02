"""Decide by which class a card is refunded and what that comes to: facts in, quote out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

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

CLAIMS: Final = frozenset(
    {
        RefundReason.STORE_MOVED,
        RefundReason.OBLIGATIONS_TRANSFERRED,
        RefundReason.SERVICE_UNAVAILABLE,
        RefundReason.HEALTH,
        RefundReason.MINOR,
    }
)
"""Reasons that people judge where nothing on record bears them out (DOMAIN §4)."""


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
    """Whether holder or buyer had used the same product here before this card was paid."""
    disputed: bool
    """Whether a dispute of a use of the card is open."""
    dispute_upheld: bool
    """Whether a dispute of a use of the card was upheld."""
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
    needs_case: bool = False
    """Whether nothing on record bears the reason out: the figures are those of a claim upheld."""


def quote_claim(reason: RefundReason, facts: Facts, rules: Rules) -> Quote:
    """Say what the holder gets for a reason, today; where a case decides, if it is upheld.

    Raises:
        CardNotActive, CardOnHold: Nothing can be refunded from the card.
        ChargeDisputed: A use of it is disputed, which is decided first.
        ClosureInProgress: The closure refunds it.
        CoolingOffOver: There is no cooling-off period, or it is over.
        RefundInProgress: It is being refunded, or was.
        RefundNotAllowed: Nothing is left.
    """
    check_refundable(facts)
    if needs_case(reason, facts):
        return replace(_upheld(reason, facts, rules.policy_version, None), needs_case=True)
    return _quote(reason, class_of(reason, facts, rules), facts, rules.policy_version)


def quote_upheld(
    reason: RefundReason,
    facts: Facts,
    *,
    policy_version: int,
    used_amount: int | None,
    closing: bool = False,
) -> Quote:
    """Say what a claim comes to that was upheld today; its card waits for that (`refunding`).

    Args:
        reason: What was claimed.
        facts: The card's, of the moment of the decision.
        policy_version: That of the claim: what it rests on is the law of its day.
        used_amount: What the decision states was used (a minor's card); nothing stated is 0.
        closing: Whether a closure upholds it, which may do so while the merchant closes.

    Raises:
        CardNotActive, CardOnHold: Nothing can be refunded from the card now.
        ChargeDisputed: A use of it is disputed, which is decided first.
        ClosureInProgress: The closure decides it.
    """
    _check_open(facts, closing=closing)
    return _upheld(reason, facts, policy_version, used_amount)


def quote_agreed(facts: Facts, amount: int) -> Quote:
    """Say what an amount that merchant and holder agree on comes to.

    Raises:
        CardNotActive, CardOnHold, ChargeDisputed, ClosureInProgress, RefundInProgress: As above.
        RefundNotAllowed: It is more than is left, or the merchant is on notice.
    """
    check_refundable(facts)
    left = facts.card.custody_amount
    if facts.book_status == _NOTICE:
        # From notice on every refund is the merchant's fault: nobody settles for less.
        raise RefundNotAllowed(
            "The merchant is closing: ask for all that is left instead.", custody_amount=left
        )
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
    _check_open(facts)
    if card.refundable_from is not None and facts.day < card.refundable_from:
        raise RefundNotAllowed(
            "The card changed hands a short time ago; it can be refunded a few days later.",
            refundable_from=card.refundable_from.isoformat(),
        )
    if card.custody_amount == 0:
        raise RefundNotAllowed("Nothing of the payment is left on this card.", custody_amount=0)


def is_closing(book_status: str) -> bool:
    """Say whether a closure has taken over what is refunded."""
    return book_status in _CLOSING


def needs_case(reason: RefundReason, facts: Facts) -> bool:
    """Say whether people must judge a reason, since nothing on record bears it out (DOMAIN §4)."""
    match reason:
        case RefundReason.STORE_MOVED:
            on_record = facts.store_status in _LEFT_ITS_PLACE
        case RefundReason.SERVICE_UNAVAILABLE:
            # The merchant took a use that it did not give: that is judged, and not judged again.
            on_record = facts.dispute_upheld
        case _:
            on_record = False
    return reason in CLAIMS and facts.book_status != _NOTICE and not on_record


def class_of(reason: RefundReason, facts: Facts, rules: Rules) -> RefundClass:
    """Say by which class a reason is decided that is borne out by what is on record (DOMAIN §4).

    Raises:
        CoolingOffOver: There is no cooling-off period, or it is over.
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
        case _:
            return RefundClass.MERCHANT_FAULT


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


def _check_open(facts: Facts, *, closing: bool = False) -> None:
    card = facts.card
    if card.on_hold:
        raise CardOnHold(card.card_id, facts.holds)
    if card.status in _GONE:
        raise CardNotActive(card.card_id, card.status)
    if is_closing(facts.book_status) and not closing:
        raise ClosureInProgress
    if facts.disputed:
        raise ChargeDisputed


def _upheld(
    reason: RefundReason, facts: Facts, policy_version: int, used_amount: int | None
) -> Quote:
    on_notice = facts.book_status == _NOTICE or is_closing(facts.book_status)
    if reason == RefundReason.MINOR and not on_notice:
        # A contract that a minor could not make is undone: what was used is what is stated.
        return _quote(
            reason, RefundClass.AGREED, facts, policy_version, used_amount=used_amount or 0
        )
    return _quote(reason, RefundClass.MERCHANT_FAULT, facts, policy_version)


def _quote(  # noqa: PLR0913  # what is stated beside the facts goes by name
    reason: RefundReason,
    refund_class: RefundClass,
    facts: Facts,
    policy_version: int,
    *,
    agreed_amount: int | None = None,
    used_amount: int | None = None,
) -> Quote:
    inputs = inputs_of(
        facts.card,
        refund_class,
        facts.day,
        agreed_amount=agreed_amount,
        used_amount=used_amount,
    )
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
