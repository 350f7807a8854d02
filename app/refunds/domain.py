"""What a card's holder gets back: one pure function from facts to figures (DOMAIN §4).

    (offer) -> offered --accept--> decided        (claim) -> case_open --> decided
                  '---decline---> declined                       |--> rejected
    (request) -> decided --cut--> in_transit --> paid            '--> withdrawn
                    '<--- account_needed <--- returned

A refund of 0 is paid at once, without an order. Preview, execution and recomputation all call
`figure`, so that nobody can be shown one thing and get another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from app.cards.domain import Card, CardKind
from app.dates import business_date
from app.money import Fen, share
from app.refunds.interest import consumer_choice_rate, interest, merchant_fault_rate

if TYPE_CHECKING:
    from datetime import date

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class RefundReason(StrEnum):
    """Why a card is refunded, as it was asked or offered."""

    COOLING_OFF = "cooling_off"
    CONSUMER_CHOICE = "consumer_choice"
    STORE_MOVED = "store_moved"
    OBLIGATIONS_TRANSFERRED = "obligations_transferred"
    SERVICE_UNAVAILABLE = "service_unavailable"
    HEALTH = "health"
    MINOR = "minor"
    MERCHANT_OFFER = "merchant_offer"
    CLOSURE = "closure"


class RefundClass(StrEnum):
    """By which rule the figures are found."""

    MERCHANT_FAULT = "merchant_fault"
    CONSUMER_CHOICE = "consumer_choice"
    COOLING_OFF = "cooling_off"
    AGREED = "agreed"


class RefundStatus(StrEnum):
    """Where a refund is in its life."""

    OFFERED = "offered"
    REQUESTED = "requested"
    CASE_OPEN = "case_open"
    DECLINED = "declined"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    DECIDED = "decided"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    ACCOUNT_NEEDED = "account_needed"


class Formula(StrEnum):
    """How an amount was found, as it is stored and shown."""

    ALL_LEFT = "all_left"
    """P - released: all that is left."""
    PAID_LESS_LIST = "paid_less_list"
    """max(0, min(P - sum of list prices used, left))."""
    PAID_LESS_TERM = "paid_less_term"
    """min(P - round(P * t / T), left)."""
    AGREED = "agreed"
    """What was offered and accepted, at most what is left."""
    PAID_LESS_USED = "paid_less_used"
    """min(P - what a decision states was used, left)."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that decides the figures; stored with the refund, so that anyone can compute again."""

    kind: str
    paid_amount: int
    released_amount: int
    left_amount: int
    """What of the payment no use released and nobody recalled."""
    list_used_amount: int
    list_price_missing: bool
    term_days: int | None
    term_day: int | None
    """t of the day, frozen days not counted."""
    last_visit_day: int | None
    frozen_days: int
    agreed_amount: int | None
    used_amount: int | None
    """What a decision states was used (a minor's card)."""
    interest_rate: int
    """Yearly, in hundredths of a percent."""
    interest_days: int
    earlier_amount: int = 0
    """What the card's refunds came to before a use was taken back; a supplement adds to it."""
    earlier_residue_amount: int = 0
    """What the rest came to before that."""

    def to_json(self) -> str:
        """Write them as they are stored and hashed: sorted, without blanks."""
        # Not `asdict`: it copies deeply, and a closure writes these by the hundred thousand.
        return _encode({field.name: getattr(self, field.name) for field in fields(self)})

    @staticmethod
    def from_json(text: str) -> Inputs:
        """Read what `to_json` wrote, in whichever order the database keeps it."""
        said = cast("Mapping[str, object]", json.loads(text))
        return Inputs(**said)  # pyright: ignore[reportArgumentType]  # written by `to_json`


@dataclass(frozen=True, slots=True)
class Figures:
    """What a refund comes to."""

    amount: Fen
    residue_amount: Fen
    """To the merchant, once the refund is paid."""
    interest_claim_amount: Fen
    """The merchant's own debt to the holder; no money of the custody."""


FORMULA_VERSION: Final = 1


def formula_of(refund_class: RefundClass, inputs: Inputs) -> Formula:
    """Say by which formula a class is computed for these inputs."""
    match refund_class:
        case RefundClass.MERCHANT_FAULT | RefundClass.COOLING_OFF:
            # Unused, all that is left is P itself; used, cooling-off is as merchant's fault.
            return Formula.ALL_LEFT
        case RefundClass.CONSUMER_CHOICE if inputs.kind == CardKind.PERIOD:
            return Formula.PAID_LESS_TERM
        case RefundClass.CONSUMER_CHOICE:
            return Formula.PAID_LESS_LIST
        case RefundClass.AGREED if inputs.used_amount is not None:
            return Formula.PAID_LESS_USED
        case RefundClass.AGREED:
            return Formula.AGREED


def figure(formula: Formula, inputs: Inputs, *, version: int = FORMULA_VERSION) -> Figures:
    """Compute a refund from its inputs, by the rules of the version that decided it.

    `0 <= amount + residue_amount <= left_amount` always holds. A supplement comes to what its
    inputs give beyond what there was before: its residue is a change, which may be below 0.
    """
    return _VERSIONS[version](formula, inputs)


def inputs_of(
    card: Card,
    refund_class: RefundClass,
    day: date,
    *,
    agreed_amount: int | None = None,
    used_amount: int | None = None,
) -> Inputs:
    """Collect what decides a refund of a card on a business date."""
    is_period = card.kind == CardKind.PERIOD
    paid_on = business_date(card.paid_at)
    rates: Mapping[RefundClass, int] = {
        RefundClass.MERCHANT_FAULT: merchant_fault_rate(paid_on),
        RefundClass.CONSUMER_CHOICE: consumer_choice_rate(paid_on),
    }
    return Inputs(
        kind=str(card.kind),
        paid_amount=card.paid_amount,
        released_amount=card.released_amount,
        left_amount=card.paid_amount - card.released_amount - card.recalled_amount,
        list_used_amount=list_used(card),
        list_price_missing=card.list_price_missing,
        term_days=card.term_days if is_period else None,
        term_day=card.term_day_on(day) if is_period else None,
        last_visit_day=card.last_visit_day if is_period else None,
        frozen_days=card.frozen_days_on(day) if is_period else 0,
        agreed_amount=agreed_amount,
        used_amount=used_amount,
        # Cooling-off gives the principal back (art. 14), an agreement what was agreed.
        interest_rate=rates.get(refund_class, 0),
        interest_days=max(0, (day - paid_on).days),
    )


def list_used(card: Card) -> Fen:
    """Give ΣL: the list price of the uses; of sessions without one, what they released."""
    if card.kind == CardKind.COUNT and card.list_price_amount is None:
        return card.released_amount
    return card.list_used_amount


def _figure_v1(formula: Formula, inputs: Inputs) -> Figures:
    left, paid = inputs.left_amount, inputs.paid_amount
    match formula:
        case Formula.ALL_LEFT:
            return _with_interest(inputs, left, 0)
        case Formula.PAID_LESS_LIST:
            amount = max(0, min(paid - inputs.list_used_amount, left))
        case Formula.PAID_LESS_TERM:
            used = share(paid, inputs.term_day or 0, inputs.term_days or 1)
            amount = max(0, min(paid - used, left))
        case Formula.AGREED:
            amount = min(inputs.agreed_amount or 0, left)
        case Formula.PAID_LESS_USED:
            amount = max(0, min(paid - (inputs.used_amount or 0), left))
    return _with_interest(inputs, amount, left - amount)


def _with_interest(inputs: Inputs, amount: int, residue: int) -> Figures:
    rate, days = inputs.interest_rate, inputs.interest_days
    claim = interest(amount, rate=rate, days=days)
    earlier = interest(inputs.earlier_amount, rate=rate, days=days)
    return Figures(
        Fen(amount - inputs.earlier_amount),
        Fen(residue - inputs.earlier_residue_amount),
        Fen(claim - earlier),
    )


_VERSIONS: Final[Mapping[int, Callable[[Formula, Inputs], Figures]]] = MappingProxyType(
    {1: _figure_v1}
)
"""Every version that ever decided a refund; none is changed, a new one is added."""
