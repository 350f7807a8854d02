"""The arithmetic of frozen days, against a calendar on which they are crossed out one by one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.card_life.domain import freeze, reactivate, report_loss, unfreeze
from app.card_life.errors import CardKindMismatch
from app.cards.domain import Card, CardKind, CardStatus, Draw
from app.cards.errors import CardInRefund, CardNotActive
from tests.cards.test_domain import a_card

TERM: Final = 12
FIRST: Final = date(2026, 3, 1)
NOW: Final = datetime(2026, 3, 1, 4, tzinfo=UTC)
STEPS: Final = ("freeze", "unfreeze", "visit", "lose", "replace")


def a_period_card(**fields: Any) -> Card:
    until = FIRST + timedelta(TERM - 1)
    return a_card(kind=CardKind.PERIOD, term_days=TERM, valid_until=until, **fields)


def after(card: Card, step: str, day: date) -> Card:
    """Take a step where the card allows it."""
    steps: Mapping[str, Callable[[], Card]] = {
        "freeze": lambda: freeze(card, day),
        "unfreeze": lambda: unfreeze(card, day),
        "lose": lambda: report_loss(card, day, NOW),
        "replace": lambda: reactivate(card, day),
        "visit": lambda: card.use(Draw(card.card_id, None, None, card.term_day_on(day), None)),
    }
    if step == "visit" and card.status_on(day) != CardStatus.ACTIVE:
        return card
    try:
        return steps[step]()
    except (CardNotActive, CardKindMismatch):
        return card


def is_over(card: Card, day: date) -> bool:
    """Say whether the term has ended for good: no step brings it back."""
    return card.frozen_on is None and card.valid_until is not None and card.valid_until < day


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from(STEPS), max_size=4), min_size=1, max_size=40))
def test_t_is_the_number_of_days_that_are_not_crossed_out(days: Sequence[Sequence[str]]) -> None:
    card, crossed_out, visited = a_period_card(), set[date](), set[date]()
    for number, steps in enumerate(days):
        day = FIRST + timedelta(number)
        for step in steps:
            if is_over(card, day):
                break
            was_visit = step == "visit" and card.status_on(day) == CardStatus.ACTIVE
            card = after(card, step, day)
            visited |= {day} if was_visit else set()
        if is_over(card, day):
            break
        if card.status != CardStatus.ACTIVE and day not in visited:
            crossed_out.add(day)

        counted = [FIRST + timedelta(n) for n in range(number + 1)]
        counted = [one for one in counted if one not in crossed_out]
        assert card.term_day_on(day) == len(counted)
        assert card.frozen_days_on(day) == len(crossed_out)
        assert card.last_visit_day == max(
            (sum(one <= visit for one in counted) for visit in visited), default=0
        )
        until = card.valid_until_on(day)
        today = 1 if day in crossed_out else 0
        # Unfrozen today, the term would end after as many days as it still has.
        assert until == day + timedelta(TERM - len(counted) - today)


def test_a_step_repeated_gives_the_card_as_it_is() -> None:
    card = a_period_card()
    for step, state in (("freeze", "frozen"), ("unfreeze", "active"), ("lose", "lost")):
        card = after(card, step, FIRST)
        assert card.status == state
        assert after(card, step, FIRST + timedelta(3)) == card


ALLOWED: Final = {
    "freeze": {"active", "frozen"},
    "unfreeze": {"active", "frozen"},
    "lose": {"active", "frozen", "lost"},
    "replace": {"active", "lost"},
}


@pytest.mark.parametrize("status", CardStatus)
@pytest.mark.parametrize("step", ALLOWED)
def test_every_step_in_every_state(step: str, status: CardStatus) -> None:
    frozen_on = FIRST if status == CardStatus.FROZEN else None
    card = a_period_card(status=status, frozen_on=frozen_on)
    calls = {
        "freeze": lambda: freeze(card, FIRST),
        "unfreeze": lambda: unfreeze(card, FIRST),
        "lose": lambda: report_loss(card, FIRST, NOW),
        "replace": lambda: reactivate(card, FIRST),
    }
    # Of a period card the clock alone says that it expired; the row never does.
    losable = {"expired"} if step == "lose" else set[str]()
    if status in ALLOWED[step] | losable:
        assert calls[step]().card_id == card.card_id
        return
    in_refund = status in {CardStatus.REFUNDING, CardStatus.REFUNDED}
    with pytest.raises((CardInRefund,) if in_refund else (CardNotActive, CardKindMismatch)):
        calls[step]()
