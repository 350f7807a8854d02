"""What a right answer to each kind of request is, and how many uses it confirms."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from bench.money import may_release


class Kind(StrEnum):
    """What is sent, and so what a right answer is."""

    USE = "use"
    TWO_STEPS = "two_steps"
    BATCH = "batch"
    MINT = "mint"
    READ = "read"
    EMPTY = "empty"


class Exchange(NamedTuple):
    """One unit of load: a request, for two steps with the second around the charge's id."""

    request: bytes
    amounts: tuple[int, ...] = ()
    before_id: bytes = b""
    after_id: bytes = b""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    replayed: bool = False
    """Whether it is that of an earlier request, so that nothing was done for it."""


class Confirmed(NamedTuple):
    """What a right answer says."""

    units: int
    released_amount: int


Check = Callable[[Answer, Exchange], Confirmed | None]


_OK: Final = 200
CREATED: Final = 201
_CONFIRMED: Final = b'"status":"confirmed"'
_RELEASED: Final = b'"release_amount":'


def _one_use(answer: Answer, exchange: Exchange, status: int) -> Confirmed | None:
    body = answer.body
    if answer.status != status or _CONFIRMED not in body:
        return None
    at = body.find(_RELEASED) + len(_RELEASED)
    released = body[at : body.find(b",", at)]
    if not released.isdigit() or not may_release(exchange.amounts[0], int(released)):
        return None
    return Confirmed(1, int(released))


def _check_batch(answer: Answer, exchange: Exchange) -> Confirmed | None:
    if answer.status != _OK:
        return None
    verdicts = json.loads(answer.body)["data"]
    charges = [verdict["charge"] for verdict in verdicts if verdict["status"] == CREATED]
    right = [
        charge["release_amount"]
        for charge, amount in zip(charges, exchange.amounts, strict=False)
        if charge["status"] == "confirmed"
        and charge["amount"] == amount
        and may_release(amount, charge["release_amount"])
    ]
    if len(right) != len(exchange.amounts):
        return None
    return Confirmed(len(right), sum(right))


def _status_is(status: int) -> Check:
    return lambda answer, _: Confirmed(1, 0) if answer.status == status else None


CHECKS: Final[dict[Kind, Check]] = {
    Kind.USE: lambda answer, exchange: _one_use(answer, exchange, CREATED),
    Kind.TWO_STEPS: lambda answer, exchange: _one_use(answer, exchange, _OK),
    Kind.BATCH: _check_batch,
    Kind.MINT: _status_is(CREATED),
    Kind.READ: _status_is(_OK),
    Kind.EMPTY: _status_is(_OK),
}
