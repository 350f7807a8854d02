"""What a hold is by the clock, and what holds keep of a merchant's money: pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.holds.domain import Held, Hold, HoldStatus, HoldTarget, held_by
from app.ids import new_id
from app.money import Fen

AT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
SOON, BEFORE = AT + timedelta(microseconds=1), AT - timedelta(days=1)
PAYABLE, CUSTODY = HoldTarget.PAYABLE, HoldTarget.CUSTODY_ACCOUNT
ACTIVE, LIFTED, EXPIRED = HoldStatus.ACTIVE, HoldStatus.LIFTED, HoldStatus.EXPIRED


def a_hold(**fields: Any) -> Hold:
    said: dict[str, Any] = {
        "merchant_no": 1,
        "hold_id": new_id(1),
        "target": PAYABLE,
        "target_id": new_id(1),
        "amount": None,
        "document_number": "1234号",
        "reason": "财产保全",
        "text_salt": bytes(16),
        "status": ACTIVE,
        "placed_by": "li.na",
        "placed_at": BEFORE,
        "expires_at": None,
        "ended_at": None,
        "seq": 1,
        "ended_seq": None,
    }
    return Hold(**{**said, **fields})


@pytest.mark.parametrize(
    ("status", "expires_at", "then"),
    [
        (ACTIVE, None, ACTIVE),
        (ACTIVE, SOON, ACTIVE),
        (ACTIVE, AT, EXPIRED),
        (ACTIVE, BEFORE, EXPIRED),
        (LIFTED, None, LIFTED),
        (LIFTED, BEFORE, LIFTED),
        (LIFTED, SOON, LIFTED),
        (EXPIRED, BEFORE, EXPIRED),
        (EXPIRED, AT, EXPIRED),
    ],
)
def test_the_clock_ends_what_is_active_and_nothing_else(
    status: HoldStatus, expires_at: datetime | None, then: HoldStatus
) -> None:
    hold = a_hold(status=status, expires_at=expires_at)

    assert hold.status_at(AT) == then
    assert hold.is_active(AT) == (then is ACTIVE)


def test_orders_add_up_and_each_target_by_itself() -> None:
    holds = [
        a_hold(amount=Fen(300)),
        a_hold(amount=Fen(50), expires_at=SOON),
        a_hold(amount=Fen(7_000), expires_at=AT),
        a_hold(amount=Fen(80_000), status=LIFTED),
        a_hold(target=CUSTODY, amount=Fen(9)),
        a_hold(target=HoldTarget.CARD),
    ]

    held = held_by(holds, AT)

    assert held == Held(Fen(350), Fen(9))
    assert (held.of_payable(Fen(1_000)), held.of_custody(1_000)) == (350, 9)
    # No more is kept than there is.
    assert (held.of_payable(Fen(1)), held.of_custody(-5)) == (1, 0)


def test_one_order_for_all_holds_all_whatever_the_others_say() -> None:
    held = held_by([a_hold(amount=Fen(300)), a_hold(), a_hold(target=CUSTODY)], AT)

    assert held == Held(None, None)
    assert (held.of_payable(Fen(1_000)), held.of_custody(700)) == (1_000, 700)
    assert (held.of_payable(Fen(0)), held.of_custody(-5)) == (0, 0)


def test_nothing_is_held_where_nobody_ordered_it() -> None:
    held = held_by([], AT)

    assert (held.of_payable(Fen(1_000)), held.of_custody(1_000)) == (0, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"target": CUSTODY},
        {"target_id": new_id(1)},
        {"amount": Fen(1)},
        {"document_number": "1235号"},
        {"reason": "别的"},
        {"placed_by": "wang.wei"},
        {"expires_at": SOON},
        {"text_salt": bytes(15) + b"1"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_all_that_was_ordered_is_in_the_hash(changed: dict[str, Any]) -> None:
    hold = a_hold()

    assert hold._replace(**changed).content_hash() != hold.content_hash()
