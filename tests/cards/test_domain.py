"""The arithmetic of cards, against DOMAIN §4 and against exact fractions."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cards.domain import (
    Card,
    CardKind,
    CardStatus,
    Draw,
)
from app.cards.draws import (
    draw_amount,
    draw_sessions,
    draw_visit,
    oldest_payment_first,
    with_list_amounts,
)
from app.cards.errors import CardInRefund, CardNotActive, CardOnHold
from app.money import AMOUNT_MAX, Fen, share

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
AMOUNTS = st.sampled_from([1, 2, 3, 100_00, AMOUNT_MAX]) | st.integers(1, 10_000)


def a_card(number: int = 1, kind: CardKind = CardKind.STORED_VALUE, **fields: Any) -> Card:
    """Make an unused card of 100.00 yuan; `fields` replace what it has by default."""
    said: dict[str, Any] = {
        "merchant_no": 1,
        "card_id": UUID(int=number),
        "consumer": UUID(int=99),
        "consumer_id": "li.na",
        "product_id": UUID(int=50),
        "purchase_id": UUID(int=60 + number),
        "kind": kind,
        "status": CardStatus.ACTIVE,
        "on_hold": False,
        "paid_amount": Fen(100_00),
        "bonus_amount": Fen(0),
        "face_used_amount": Fen(0),
        "face_held_amount": Fen(0),
        "list_price_amount": None,
        "list_used_amount": Fen(0),
        "list_price_missing": False,
        "sessions_total": 3 if kind is CardKind.COUNT else None,
        "sessions_used": 0,
        "sessions_held": 0,
        "term_days": 365 if kind is CardKind.PERIOD else None,
        "activated_on": date(2026, 3, 1),
        "valid_until": date(2027, 2, 28) if kind is CardKind.PERIOD else None,
        "last_visit_day": 0,
        "frozen_days": 0,
        "released_amount": Fen(0),
        "refunded_amount": Fen(0),
        "adjusted_amount": Fen(0),
        "recalled_amount": Fen(0),
        "pending_count": 0,
        "code_day": None,
        "code_day_amount": Fen(0),
        "entry_count": 1,
        "cooling_off_days": 7,
        "cooling_off_ends_on": None,
        "holder_salt": b"",
        "terms_hash": b"",
        "paid_at": NOW + timedelta(seconds=number),
        "created_at": NOW,
    }
    return Card(**{**said, **fields})


def of_face(card: Card, amount: int, list_amount: int | None = None) -> Draw:
    listed = None if list_amount is None else Fen(list_amount)
    return Draw(card.card_id, Fen(amount), None, None, listed)


def of_sessions(card: Card, sessions: int) -> Draw:
    return Draw(card.card_id, None, sessions, None, None)


def of_visit(card: Card, day: int) -> Draw:
    return Draw(card.card_id, None, None, day, None)


def test_three_equal_uses_release_33_33_then_33_34_then_33_33() -> None:
    card = a_card(kind=CardKind.COUNT)
    released: list[int] = []
    for _ in range(3):
        used = card.use(of_sessions(card, 1))
        released.append(used.released_amount - card.released_amount)
        card = used
    assert released == [33_33, 33_34, 33_33]
    assert (card.status, card.custody_amount) == (CardStatus.USED_UP, 0)

    card = card.unuse(of_sessions(card, 1), last_visit_day=0)
    assert (card.released_amount, card.custody_amount) == (66_67, 33_33)
    assert card.status == CardStatus.ACTIVE


@pytest.mark.parametrize(
    ("paid", "bonus", "used", "released"),
    [
        (3000_00, 1000_00, 3594_00, 2695_50),
        (500_00, 100_00, 80_00, 66_67),
        (7, 4, 1, 1),
        (1, 9, 4, 0),
    ],
)
def test_stored_value_releases_its_share_of_the_face(
    paid: int, bonus: int, used: int, released: int
) -> None:
    card = a_card(paid_amount=Fen(paid), bonus_amount=Fen(bonus))
    assert card.use(of_face(card, used)).released_amount == released


@pytest.mark.parametrize(
    ("paid", "total", "used", "released"),
    [(2000_00, 60, 12, 400_00), (20740_00, 61, 25, 8500_00), (1200_00, 12, 5, 500_00)],
)
def test_count_releases_by_sessions(paid: int, total: int, used: int, released: int) -> None:
    card = a_card(kind=CardKind.COUNT, paid_amount=Fen(paid), sessions_total=total)
    assert card.use(of_sessions(card, used)).released_amount == released


def test_period_releases_up_to_the_last_visit() -> None:
    card = a_card(kind=CardKind.PERIOD, paid_amount=Fen(3650_00))
    card = card.use(of_visit(card, 40))
    assert card.released_amount == 400_00
    again = card.use(of_visit(card, 12))  # confirmed late: an earlier day moves nothing
    assert again.released_amount == 400_00
    assert again.unuse(of_visit(card, 40), last_visit_day=12).released_amount == 120_00
    whole = again.use(of_visit(card, 365))
    assert whole.released_amount == 3650_00
    assert whole.status == CardStatus.ACTIVE, "its holder may come again on the last day"


@given(amount=AMOUNTS, whole=AMOUNTS, data=st.data())
def test_a_share_is_rounded_half_up(amount: int, whole: int, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from([0, 1, whole]) | st.integers(0, whole))
    exact = Fraction(amount) * part / whole
    assert share(amount, part, whole) == floor(exact + Fraction(1, 2))


@given(paid=AMOUNTS, bonus=st.just(0) | AMOUNTS, data=st.data())
def test_released_is_a_function_of_the_uses_whatever_their_order(
    paid: int, bonus: int, data: st.DataObject
) -> None:
    card = a_card(paid_amount=Fen(paid), bonus_amount=Fen(bonus))
    uses: list[Draw] = []
    moved = 0
    for _ in range(data.draw(st.integers(1, 8))):
        before = card
        left = card.face_available_amount
        if uses and data.draw(st.booleans()):
            card = card.unuse(uses.pop(data.draw(st.integers(0, len(uses) - 1))), last_visit_day=0)
        elif left:
            taken = data.draw(st.sampled_from([1, max(1, left - 1), left]) | st.integers(1, left))
            uses.append(of_face(card, taken))
            card = card.use(uses[-1])
        moved += card.released_amount - before.released_amount
        used = sum(draw.face_amount or 0 for draw in uses)
        assert card.released_amount == share(paid, used, paid + bonus) == moved
        assert 0 <= card.released_amount <= paid
        assert card.list_used_amount == used
        assert (card.status == CardStatus.USED_UP) == (used == paid + bonus)
    if card.face_available_amount:
        card = card.use(of_face(card, card.face_available_amount))
    assert (card.released_amount, card.custody_amount) == (paid, 0), "the last use sweeps"


@given(
    faces=st.lists(AMOUNTS, min_size=1, max_size=4),
    asked=AMOUNTS,
    held=st.integers(0, 1),
)
def test_an_amount_is_drawn_oldest_payment_first_and_whole_or_not_at_all(
    faces: list[int], asked: int, held: int
) -> None:
    cards = [
        a_card(number, paid_amount=Fen(face), face_held_amount=Fen(held))
        for number, face in enumerate(faces, start=1)
    ]
    draws = draw_amount(cards, Fen(asked))
    available = sum(face - held for face in faces)
    if asked > available:
        assert draws is None
        return
    assert draws is not None
    assert sum(draw.face_amount or 0 for draw in draws) == asked
    for card, draw in zip(
        [card for card in cards if card.face_available_amount], draws, strict=False
    ):
        assert draw.card_id == card.card_id
        is_last = draw == draws[-1]
        assert is_last or draw.face_amount == card.face_available_amount


def test_sessions_are_drawn_over_several_cards_with_each_cards_own_price() -> None:
    cards = [
        a_card(1, CardKind.COUNT, sessions_used=2, list_price_amount=Fen(150_00)),
        a_card(2, CardKind.COUNT, sessions_held=3),
        a_card(3, CardKind.COUNT),
    ]
    assert draw_sessions(cards, 3) == [
        Draw(UUID(int=1), None, 1, None, Fen(150_00)),
        Draw(UUID(int=3), None, 2, None, None),
    ]
    assert draw_sessions(cards, 5) is None


def test_a_visit_is_of_the_first_card_alone() -> None:
    first, second = a_card(1, CardKind.PERIOD), a_card(2, CardKind.PERIOD)
    assert draw_visit([first, second], NOW) == [Draw(UUID(int=1), None, None, 2, None)]
    assert draw_visit([], NOW) is None


def test_cards_come_in_the_order_of_their_payment() -> None:
    older = a_card(2, paid_at=NOW - timedelta(days=1))
    equal = a_card(3, paid_at=NOW - timedelta(days=1))
    assert oldest_payment_first([a_card(1), equal, older]) == [older, equal, a_card(1)]


@given(faces=st.lists(st.integers(1, 50), min_size=1, max_size=5), listed=st.integers(0, 300))
def test_a_list_amount_is_split_by_face_and_nothing_is_lost(faces: list[int], listed: int) -> None:
    cards = [a_card(number) for number in range(1, len(faces) + 1)]
    draws = [of_face(card, face) for card, face in zip(cards, faces, strict=True)]
    shared = with_list_amounts(draws, cards, Fen(listed), confirmed_in_app=True)
    assert sum(draw.list_amount or 0 for draw in shared) == listed
    so_far = 0
    for draw, face in zip(shared, faces, strict=True):
        exact = Fraction(listed) * face / sum(faces)
        assert abs((draw.list_amount or 0) - exact) <= 1
        so_far += draw.list_amount or 0
        assert (
            abs(so_far - Fraction(listed * sum(faces[: shared.index(draw) + 1]), sum(faces))) <= 1
        )


def test_a_list_amount_counts_up_to_the_frozen_price_or_where_the_consumer_saw_it() -> None:
    frozen, free = a_card(1, list_price_amount=Fen(60)), a_card(2)
    draws = [of_face(frozen, 50), of_face(free, 50)]
    in_app = with_list_amounts(draws, [frozen, free], Fen(200), confirmed_in_app=True)
    assert [draw.list_amount for draw in in_app] == [30, 100]
    by_code = with_list_amounts(draws, [frozen, free], Fen(200), confirmed_in_app=False)
    assert [draw.list_amount for draw in by_code] == [30, None]
    assert [draw.list_value for draw in by_code] == [30, 50]
    assert with_list_amounts(draws, [frozen, free], None, confirmed_in_app=True) == draws
    assert free.use(by_code[1]).list_price_missing
    assert not frozen.use(by_code[0]).list_price_missing


@pytest.mark.parametrize(
    ("at", "frozen_days", "day"),
    [
        ("2026-03-01T00:00:00+08:00", 0, 1),
        ("2026-03-01T23:59:59+08:00", 0, 1),
        ("2026-03-02T00:00:00+08:00", 0, 2),
        ("2026-03-01T17:00:00+00:00", 0, 2),
        ("2026-04-09T12:00:00+08:00", 30, 10),
        ("2027-02-28T12:00:00+08:00", 0, 365),
        ("2028-01-01T12:00:00+08:00", 0, 365),
    ],
)
def test_the_day_of_a_visit_is_shanghais_and_at_most_the_term(
    at: str, frozen_days: int, day: int
) -> None:
    card = a_card(kind=CardKind.PERIOD, frozen_days=frozen_days)
    assert card.visit_day_at(datetime.fromisoformat(at)) == day


def test_holding_and_freeing_leave_a_card_as_it_was() -> None:
    card, count = a_card(), a_card(kind=CardKind.COUNT)
    held = card.hold(of_face(card, 100_00))
    assert (held.face_available_amount, held.pending_count) == (0, 1)
    assert held.unhold(of_face(card, 100_00)) == card
    assert count.hold(of_sessions(count, 2)).sessions_available == 1
    assert count.hold(of_sessions(count, 2)).unhold(of_sessions(count, 2)) == count


_REFUSED = {
    CardStatus.FROZEN: CardNotActive,
    CardStatus.LOST: CardNotActive,
    CardStatus.EXPIRED: CardNotActive,
    CardStatus.RECALLED: CardNotActive,
    CardStatus.REPLACED: CardNotActive,
    CardStatus.REFUNDING: CardInRefund,
    CardStatus.REFUNDED: CardInRefund,
}


@pytest.mark.parametrize("status", CardStatus)
@pytest.mark.parametrize("on_hold", [False, True])
def test_which_cards_can_be_named_and_which_fit(status: CardStatus, *, on_hold: bool) -> None:
    card = a_card(status=status, on_hold=on_hold)
    refusal = CardOnHold if on_hold else _REFUSED.get(status)
    if refusal is None:
        card.check_usable(date(2026, 3, 2))
    else:
        with pytest.raises(refusal):
            card.check_usable(date(2026, 3, 2))
    fits = card.fits(CardKind.STORED_VALUE, None, date(2026, 3, 2))
    assert fits == (status is CardStatus.ACTIVE and not on_hold)


def test_a_card_past_its_term_is_expired_by_the_clock() -> None:
    card = a_card(kind=CardKind.PERIOD)
    assert card.status_on(date(2027, 2, 28)) == CardStatus.ACTIVE
    assert card.status_on(date(2027, 3, 1)) == CardStatus.EXPIRED
    assert not card.fits(CardKind.PERIOD, None, date(2027, 3, 1))


@given(
    faces=st.lists(st.integers(1, 50), min_size=1, max_size=5),
    listed=st.integers(0, 300),
    price=st.integers(0, 300),
)
def test_a_use_over_several_cards_counts_up_to_one_frozen_price(
    faces: list[int], listed: int, price: int
) -> None:
    cards = [a_card(number, list_price_amount=Fen(price)) for number in range(1, len(faces) + 1)]
    draws = [of_face(card, face) for card, face in zip(cards, faces, strict=True)]

    shared = with_list_amounts(draws, cards, Fen(listed), confirmed_in_app=False)

    assert sum(draw.list_amount or 0 for draw in shared) == min(listed, price)


def test_each_card_goes_by_the_price_that_was_frozen_for_it() -> None:
    cards = [a_card(1, list_price_amount=Fen(100)), a_card(2, list_price_amount=Fen(60))]
    draws = [of_face(card, 50) for card in cards]
    shared = with_list_amounts(draws, cards, Fen(90), confirmed_in_app=False)
    assert [draw.list_amount for draw in shared] == [45, 30]
