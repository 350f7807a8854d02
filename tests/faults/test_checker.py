"""The judge is judged: each kind of wrong that the faults could cause is noticed."""

import json
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from app import ids
from app.ids import Prefix
from tests.faults.checker import Check, Rows
from tests.faults.client import Client
from tests.faults.history import Answer, Asked, Body, History, Kind
from tests.faults.http import Reply

_CARD = str(uuid4())


def _charge(reference: str, charge_id: Any, status: str = "confirmed") -> dict[str, Any]:
    counts = status in {"confirmed", "reversed"}
    return {
        "client_reference": reference,
        "charge_id": charge_id,
        "status": status,
        "amount": 300,
        "draws": json.dumps([{"card_id": _CARD, "face_amount": 300}]),
        "used": int(counts),
        "reversed": int(status == "reversed"),
    }


def _told(status: int, body: Body) -> Answer:
    return Answer(status, body, replayed=False)


def _asked(kind: Kind, path: str, body: Body, answer: Answer | None) -> Asked:
    return Asked(kind, path, "credential", "key", body, "mch", answer)


def _world() -> Check:
    """Give a true story: a use, a refusal, an unknown that is there, and a reversal."""
    one, lost, back = (ids.new_id(1) for _ in range(3))
    told = {
        "id": ids.to_text(Prefix.CHARGE, one),
        "status": "confirmed",
        "amount": 300,
    }
    gave_back = ids.to_text(Prefix.CHARGE, back)
    history = History(
        [
            _asked(Kind.PLACE, "/v1/charges", {"client_reference": "one"}, _told(201, told)),
            _asked(Kind.PLACE, "/v1/charges", {"client_reference": "no"}, _told(409, {})),
            _asked(Kind.PLACE, "/v1/charges", {"client_reference": "lost"}, None),
            _asked(
                Kind.PLACE,
                "/v1/charges",
                {"client_reference": "back"},
                _told(201, {**told, "id": gave_back}),
            ),
            _asked(
                Kind.REVERSE,
                f"/v1/charges/{gave_back}/reverse",
                {},
                _told(200, {**told, "id": gave_back, "status": "reversed"}),
            ),
            _asked(
                Kind.RECEIPT,
                "/v1/bank/receipts",
                {"bank_reference": "r"},
                _told(201, {"amount": 500}),
            ),
        ]
    )
    charges = {
        "one": _charge("one", one),
        "lost": _charge("lost", lost),
        "back": _charge("back", back, "reversed"),
    }
    cards = {_CARD: {"face_used_amount": 600, "face_held_amount": 0}}
    return Check(Rows(charges, set(), {"r": {"amount": 500}}, cards, 500), history)


def test_a_true_story_is_believed() -> None:
    check = _world()

    check.run()

    assert not check.wrong


def _lose(check: Check) -> None:
    del check.rows.charges["one"]


def _do_what_was_refused(check: Check) -> None:
    check.rows.charges["no"] = _charge("no", ids.new_id(1))


def _invent(check: Check) -> None:
    check.rows.charges["nobody's"] = _charge("nobody's", ids.new_id(1))


def _do_another(check: Check) -> None:
    check.rows.charges["one"]["charge_id"] = ids.new_id(1)


def _forget_the_reversal(check: Check) -> None:
    row = check.rows.charges["back"]
    row.update(_charge("back", row["charge_id"]))


def _use_twice(check: Check) -> None:
    check.rows.charges["one"]["used"] = 2


def _take_too_much(check: Check) -> None:
    check.rows.cards[_CARD]["face_used_amount"] = 900


def _lose_money(check: Check) -> None:
    check.rows.custody = 499


def _lose_a_receipt(check: Check) -> None:
    check.rows.receipts.clear()
    check.rows.custody = 0


def _answer_500(check: Check) -> None:
    check.history.violations.append("place: 500")


@pytest.mark.parametrize(
    "spoil",
    [
        _lose,
        _do_what_was_refused,
        _invent,
        _do_another,
        _forget_the_reversal,
        _use_twice,
        _take_too_much,
        _lose_money,
        _lose_a_receipt,
        _answer_500,
    ],
)
def test_what_is_wrong_is_noticed(spoil: Callable[[Check], None]) -> None:
    check = _world()
    spoil(check)

    check.run()

    assert check.wrong


@pytest.mark.parametrize("by_code", [True, False])
def test_a_refusal_for_too_many_unknown_codes_needs_lost_codes(*, by_code: bool) -> None:
    client = Client(History(), Random(0), [])
    body = {"consumer_code": "AAAA"} if by_code else {"card_id": _CARD}
    asked = Asked(Kind.PLACE, "/v1/charges", "ak_1", "key", body, "mch_1")
    told = Reply(429, {"retry-after": "30"}, b'{"code": "rate_limited"}')

    client._judged(asked, told)
    before = len(client.history.violations)
    client.lose_codes()
    client._judged(asked, told)

    assert before == 1
    assert len(client.history.violations) == (1 if by_code else 2)
