"""Every state of a closure with every event, and what bounds one."""

from dataclasses import replace
from itertools import product

import pytest

from app.closures.domain import (
    EVENTS,
    ClosureEvent,
    ClosureKind,
    ClosureStatus,
    Standing,
    first_status,
    next_status,
)
from app.closures.errors import ClosureState
from app.money import Fen

S, E = ClosureStatus, ClosureEvent
ARROWS = {
    (S.NOTICE, E.END_NOTICE): S.CLOSING,
    (S.NOTICE, E.CANCEL): S.CANCELLED,
    (S.CLOSING, E.EXECUTE): S.REFUNDING,
    (S.REFUNDING, E.FINISH): S.CLOSED,
    (S.REFUNDING, E.FINISH_SHORT): S.CLOSED_WITH_SHORTFALL,
    (S.CLOSED_WITH_SHORTFALL, E.FINISH): S.CLOSED,
    (S.CLOSED, E.FINISH_SHORT): S.CLOSED_WITH_SHORTFALL,
}
NOTHING = Standing(*(Fen(0) for _ in range(9)))


@pytest.mark.parametrize(("status", "event"), list(product(S, E)))
def test_an_event_leads_where_the_drawing_says_or_is_refused(
    status: ClosureStatus, event: ClosureEvent
) -> None:
    if (status, event) in ARROWS:
        assert next_status(status, event) is ARROWS[status, event]
        return
    with pytest.raises(ClosureState):
        next_status(status, event)


def test_only_what_is_on_notice_can_be_cancelled() -> None:
    assert first_status(ClosureKind.NOTICE) is S.NOTICE
    assert first_status(ClosureKind.IMMEDIATE) is first_status(ClosureKind.ABSCONDED) is S.CLOSING
    assert set(EVENTS) == set(S)


def standing(**amounts: int) -> Standing:
    return replace(NOTHING, **{f"{name}_amount": Fen(fen) for name, fen in amounts.items()})


@pytest.mark.parametrize(
    ("amounts", "shortfall"),
    [
        ({"custody": 1_000}, 0),
        # Left without instruction: what is on cards is more than what is in custody.
        ({"custody": 600, "bank_claim": 400}, 400),
        # The merchant's own stands against it first.
        ({"custody": 600, "bank_claim": 400, "payable": 400}, 0),
        ({"custody": 600, "bank_claim": 400, "payable": 100}, 300),
        # But for what waiting reversals will take of it.
        ({"custody": 600, "bank_claim": 400, "payable": 400, "waiting_reversal": 150}, 150),
        # Interest that nobody was given yet covers claims.
        ({"custody": 600, "bank_claim": 400, "custody_yield": 250}, 150),
        # What is disputed may come to be a claim.
        ({"custody": 600, "bank_claim": 400, "disputed": 400}, 400),
    ],
)
def test_what_lacks_is_found_from_the_merchants_own_accounts(
    amounts: dict[str, int], shortfall: int
) -> None:
    found = standing(**amounts)

    assert found.shortfall_amount == shortfall
    # The same as adding up: what is owed and may come to be, less what custody has for it, and
    # what of payable waits for uses that are taken back.
    owed = found.claim_amount + found.disputed_amount
    reserved = min(found.payable_amount, found.waiting_reversal_amount)
    lacking = owed - (found.custody_amount - found.in_transit_amount) + reserved
    assert max(0, lacking) == shortfall
