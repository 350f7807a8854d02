"""What a holder does to a card and what that leaves of its term: pure (DOMAIN §4, §6).

    active --freeze--> frozen --unfreeze--> active                    (period cards)
    active, frozen, expired --report_loss--> lost --reactivate--> active, replaced
    expired --reactivate--> active, the same term again from today    (stored value, count)

Frozen days are the days from the freeze's day to the day before the unfreeze. A day of a visit
is never frozen. The loss of a period card freezes it too, so that its term does not run out while
nobody can use it. No step moves money, and none changes what was used.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from app.card_life.errors import CardKindMismatch
from app.cards.domain import Card, CardKind, CardStatus
from app.cards.errors import CardInRefund, CardNotActive
from app.dates import business_date

if TYPE_CHECKING:
    from datetime import date, datetime

_DAY: Final = timedelta(days=1)
IN_REFUND: Final = frozenset({CardStatus.REFUNDING, CardStatus.REFUNDED})
_LOSABLE: Final = frozenset({CardStatus.ACTIVE, CardStatus.FROZEN, CardStatus.EXPIRED})
TRANSFERABLE: Final = frozenset({CardStatus.ACTIVE, CardStatus.FROZEN, CardStatus.EXPIRED})
"""Who has a card that is frozen or past its term still has what is left on it, and may give it."""


def freeze(card: Card, day: date) -> Card:
    """Let the term of a period card stand still from today, or after today's visit.

    Freezing a frozen card gives it as it is.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardKindMismatch: It has no term whose days are counted.
        CardNotActive: It is lost, past its term, recalled or replaced.
    """
    if card.kind != CardKind.PERIOD:
        raise CardKindMismatch(card.kind, "Only a period card can be frozen.")
    status = card.status_on(day)
    if status == CardStatus.FROZEN:
        return card
    if status != CardStatus.ACTIVE:
        raise _not_active(card, status)
    return card._replace(status=CardStatus.FROZEN, frozen_on=_first_frozen_day(card, day))


def unfreeze(card: Card, day: date) -> Card:
    """Let the term run on from today; it ends as many days later as were frozen.

    Unfreezing an active card gives it as it is.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardKindMismatch: It cannot be frozen.
        CardNotActive: It is lost, past its term, recalled or replaced.
    """
    if card.kind != CardKind.PERIOD:
        raise CardKindMismatch(card.kind, "Only a period card can be frozen.")
    status = card.status_on(day)
    if status == CardStatus.ACTIVE:
        return card
    if status != CardStatus.FROZEN:
        raise _not_active(card, status)
    return _running(card, day)._replace(status=CardStatus.ACTIVE)


def report_loss(card: Card, day: date, at: datetime) -> Card:
    """Stop all use of a card at once; codes that were made for it draw on it no more.

    Reporting a lost card gives it as it is.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardNotActive: It is used up, recalled or replaced.
    """
    status = card.status_on(day)
    if status == CardStatus.LOST:
        return card
    if status not in _LOSABLE:
        raise _not_active(card, status)
    lost = card._replace(status=CardStatus.LOST, codes_from=at)
    if card.kind != CardKind.PERIOD or card.frozen_on is not None or status == CardStatus.EXPIRED:
        return lost
    return lost._replace(frozen_on=_first_frozen_day(card, day))


def reactivate(card: Card, day: date) -> Card:
    """Make a lost card, or one past its term, usable again; for nothing, by its holder.

    A lost card comes back with all that it had, a period card with the days in which it was lost.
    A stored value or count card past its term gets the same term again, from today. An active
    card is given as it is.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardKindMismatch: A period card's term is over: what is left is refunded, not used.
        CardNotActive: It is frozen, used up, recalled or replaced.
    """
    status = card.status_on(day)
    if status == CardStatus.LOST:
        return _running(card, day)._replace(status=CardStatus.ACTIVE).settled()
    if status == CardStatus.ACTIVE:
        return card
    if status != CardStatus.EXPIRED:
        raise _not_active(card, status)
    if card.kind == CardKind.PERIOD:
        raise CardKindMismatch(
            card.kind, "The card's term is over; ask for a refund of what is left."
        )
    assert card.term_days is not None, "what has no term does not expire"
    return card._replace(valid_until=day + (card.term_days - 1) * _DAY)


def frozen_in_between(frozen_on: date | None, until: date) -> int:
    """Count the days from the first frozen one to the day before the term runs on."""
    return 0 if frozen_on is None else max(0, (until - frozen_on).days)


def first_refund_day(at: datetime, wait_days: int) -> date:
    """Say from which day on a new holder may ask for a refund (policy)."""
    return business_date(at) + wait_days * _DAY


def _first_frozen_day(card: Card, day: date) -> date:
    """Give today, or tomorrow where today was visited: freezing never backdates past a visit.

    Each day that is not frozen has a number of its own, so the last visit was today exactly
    where it has today's.
    """
    return day + _DAY if card.last_visit_day == card.term_day_on(day) else day


def _running(card: Card, day: date) -> Card:
    frozen = frozen_in_between(card.frozen_on, day)
    return card._replace(
        frozen_on=None,
        frozen_days=card.frozen_days + frozen,
        valid_until=card.valid_until and card.valid_until + frozen * _DAY,
    )


def _not_active(card: Card, status: CardStatus) -> CardInRefund | CardNotActive:
    if status in IN_REFUND:
        return CardInRefund(card.card_id, status)
    return CardNotActive(card.card_id, status)
