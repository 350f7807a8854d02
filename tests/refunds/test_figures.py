"""The figures of refunds: every worked example of DOMAIN §4, and what always holds."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.calendar.domain import Calendar, days_of
from app.calendar.official import official_years
from app.cards.domain import Card, CardKind, CardStatus, Draw
from app.money import Fen
from app.refunds.domain import (
    Figures,
    Formula,
    Inputs,
    RefundClass,
    figure,
    formula_of,
    inputs_of,
)

CARD_ID = UUID(int=1)
ACTIVATED = date(2026, 1, 1)
FAULT, CHOICE = RefundClass.MERCHANT_FAULT, RefundClass.CONSUMER_CHOICE
COOLING_OFF, AGREED = RefundClass.COOLING_OFF, RefundClass.AGREED


def a_card(kind: CardKind = CardKind.STORED_VALUE, **fields: Any) -> Card:
    """Make a card as it was sold on 1 January 2026; `fields` replace what it says."""
    said: dict[str, Any] = {
        **dict.fromkeys(Card._fields, 0),
        "card_id": CARD_ID,
        "kind": kind,
        "status": CardStatus.ACTIVE,
        "on_hold": False,
        "list_price_amount": None,
        "list_price_missing": False,
        "sessions_total": None,
        "term_days": None,
        "activated_on": ACTIVATED,
        "valid_until": None,
        "frozen_on": None,
        "codes_from": None,
        "refundable_from": None,
        "paid_at": datetime(2026, 1, 1, 4, tzinfo=UTC),
        **fields,
    }
    return Card(**said)


def used(card: Card, *draws: Draw) -> Card:
    for draw in draws:
        card = card.use(draw)
    return card


def face(amount: int, list_amount: int | None = None) -> Draw:
    listed = None if list_amount is None else Fen(list_amount)
    return Draw(CARD_ID, Fen(amount), None, None, listed)


def sessions(count: int, list_price: int | None = None) -> Draw:
    listed = None if list_price is None else Fen(list_price * count)
    return Draw(CARD_ID, None, count, None, listed)


def visit(day: int) -> Draw:
    return Draw(CARD_ID, None, None, day, None)


def figures(
    card: Card, refund_class: RefundClass, day: date = date(2026, 4, 10), **fields: int
) -> tuple[int, int]:
    """Give the refund and the rest that goes to the merchant."""
    inputs = inputs_of(card, refund_class, day, **fields)
    found = figure(formula_of(refund_class, inputs), inputs)
    return found.amount, found.residue_amount


def test_a_gym_that_closed_gives_back_the_sessions_that_are_left() -> None:
    card = used(a_card(CardKind.COUNT, paid_amount=2000_00, sessions_total=60), sessions(12))

    assert figures(card, FAULT) == (1600_00, 0)


def test_lessons_that_were_not_given_are_paid_back() -> None:
    card = used(a_card(CardKind.COUNT, paid_amount=20740_00, sessions_total=61), sessions(25))

    assert figures(card, FAULT) == (12240_00, 0)


def test_a_bonus_makes_every_use_cheaper() -> None:
    card = used(a_card(paid_amount=3000_00, bonus_amount=1000_00), face(3594_00))

    assert figures(card, FAULT) == (304_50, 0)


def test_gift_sessions_count_for_the_merchants_fault_and_not_for_a_change_of_mind() -> None:
    sold = a_card(CardKind.COUNT, paid_amount=1200_00, sessions_total=12, list_price_amount=150_00)
    card = used(sold, *[sessions(1, 150_00)] * 5)

    assert figures(card, FAULT) == (700_00, 0)
    assert figures(card, CHOICE) == (450_00, 250_00)


def test_a_change_of_mind_pays_list_prices_and_never_less_than_nothing() -> None:
    sold = a_card(paid_amount=1000_00, list_price_amount=100_00)
    card = used(sold, *[face(60_00, 100_00)] * 11)

    assert figures(card, CHOICE) == (0, 340_00)
    assert figures(card, FAULT) == (340_00, 0)


def test_a_term_is_paid_until_the_day_on_which_it_ends() -> None:
    card = a_card(CardKind.PERIOD, paid_amount=3650_00, term_days=365)
    day_100 = date(2026, 4, 10)

    assert figures(card, CHOICE, day_100) == (2650_00, 1000_00)
    assert figures(card._replace(frozen_days=30), CHOICE, day_100) == (2950_00, 700_00)
    assert figures(used(card, visit(40)), FAULT, day_100) == (3250_00, 0)


def test_what_was_not_used_comes_back_whole_in_the_cooling_off_period() -> None:
    assert figures(a_card(paid_amount=5399_00), COOLING_OFF, date(2026, 1, 6)) == (5399_00, 0)


def test_a_used_card_comes_back_in_the_cooling_off_period_as_by_the_merchants_fault() -> None:
    card = used(a_card(paid_amount=1000_00, list_price_amount=100_00), face(60_00, 100_00))

    assert figures(card, COOLING_OFF, date(2026, 1, 6)) == (940_00, 0)


def test_three_equal_uses_release_all_and_one_taken_back_leaves_a_third() -> None:
    card = a_card(CardKind.COUNT, paid_amount=100_00, sessions_total=3)
    released: list[int] = []
    for _ in range(3):
        after = used(card, sessions(1))
        released.append(after.released_amount - card.released_amount)
        card = after

    assert released == [33_33, 33_34, 33_33]
    card = card.unuse(sessions(1), last_visit_day=0)
    assert card.released_amount == 66_67
    assert figures(card, FAULT) == (33_33, 0)


def test_cooling_off_ends_on_a_working_saturday() -> None:
    days = {day.day: day.banking for year in official_years() for day in days_of(year)}

    ends_on = Calendar(days).cooling_off_end(datetime(2026, 2, 7, 4, tzinfo=UTC), 7)

    assert ends_on == date(2026, 2, 14)


def test_an_agreement_gives_what_was_offered_and_the_rest_to_the_merchant() -> None:
    card = used(a_card(paid_amount=1000_00), face(400_00))

    assert figures(card, AGREED, agreed_amount=250_00) == (250_00, 350_00)
    assert figures(card, AGREED, agreed_amount=700_00) == (600_00, 0)


def test_a_minors_card_gives_back_all_but_what_a_decision_says_was_used() -> None:
    card = used(a_card(paid_amount=1000_00), face(400_00))

    assert figures(card, AGREED, used_amount=100_00) == (600_00, 0)
    assert figures(card, AGREED, used_amount=700_00) == (300_00, 300_00)
    assert figures(card, AGREED, used_amount=2000_00) == (0, 600_00)


def test_sessions_without_a_list_price_count_for_what_they_released() -> None:
    card = used(a_card(CardKind.COUNT, paid_amount=1000_00, sessions_total=10), sessions(3))

    assert figures(card, CHOICE) == (700_00, 0)
    assert inputs_of(card, CHOICE, ACTIVATED).list_price_missing


def test_a_term_that_is_over_leaves_nothing_to_one_who_changes_their_mind() -> None:
    card = a_card(CardKind.PERIOD, paid_amount=365_00, term_days=365)

    assert figures(card, CHOICE, date(2028, 1, 1)) == (0, 365_00)


@pytest.mark.parametrize(
    ("refund_class", "rate"), [(FAULT, 300), (CHOICE, 150), (COOLING_OFF, 0), (AGREED, 0)]
)
def test_interest_is_the_merchants_debt_and_changes_no_amount(
    refund_class: RefundClass, rate: int
) -> None:
    card = a_card(paid_amount=10_000_00)

    inputs = inputs_of(card, refund_class, date(2027, 1, 1), agreed_amount=10_000_00)

    assert (inputs.interest_rate, inputs.interest_days) == (rate, 365)
    found = figure(formula_of(refund_class, inputs), inputs)
    assert found == Figures(Fen(10_000_00), Fen(0), Fen(rate * 100))


AMOUNTS = st.sampled_from([0, 1, 2, 99_99]) | st.integers(0, 10**12)


@st.composite
def cards(draw: st.DrawFn) -> Card:
    kind = draw(st.sampled_from(CardKind))
    paid = draw(st.sampled_from([1, 2, 100_00]) | st.integers(1, 10**12))
    if kind is CardKind.STORED_VALUE:
        card = a_card(kind, paid_amount=paid, bonus_amount=draw(AMOUNTS))
        part = draw(st.integers(0, card.face_amount))
        return used(card, face(part, draw(st.none() | AMOUNTS))) if part else card
    if kind is CardKind.COUNT:
        total = draw(st.integers(1, 100))
        price = draw(st.none() | AMOUNTS)
        card = a_card(kind, paid_amount=paid, sessions_total=total, list_price_amount=price)
        times = draw(st.integers(0, total))
        return used(card, sessions(times, price)) if times else card
    term = draw(st.integers(1, 400))
    card = a_card(kind, paid_amount=paid, term_days=term, frozen_days=draw(st.integers(0, 30)))
    last = draw(st.integers(0, term))
    return used(card, visit(last)) if last else card


@given(cards(), st.sampled_from(RefundClass), st.integers(0, 800), AMOUNTS, st.none() | AMOUNTS)
def test_no_fen_is_made_or_lost(
    card: Card, refund_class: RefundClass, days: int, agreed: int, used_amount: int | None
) -> None:
    day = date.fromordinal(ACTIVATED.toordinal() + days)

    inputs = inputs_of(card, refund_class, day, agreed_amount=agreed, used_amount=used_amount)
    found = figure(formula_of(refund_class, inputs), inputs)

    assert found.amount >= 0
    assert found.residue_amount >= 0
    assert found.interest_claim_amount >= 0
    assert card.released_amount + found.amount + found.residue_amount == card.paid_amount
    if refund_class in {FAULT, COOLING_OFF}:
        assert found.residue_amount == 0
    assert figure(formula_of(refund_class, inputs), Inputs.from_json(inputs.to_json())) == found


def test_every_formula_belongs_to_a_version_that_still_computes() -> None:
    inputs = inputs_of(a_card(paid_amount=100), FAULT, ACTIVATED)

    assert {figure(formula, inputs, version=1).amount for formula in Formula} <= {0, 100}
