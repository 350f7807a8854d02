"""A limit on failed attempts: by caller, by minute, and by what else the caller does."""

import pytest

from app.access.limits import FailureLimit
from app.errors import RateLimited


class _Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def limit(clock: _Clock) -> FailureLimit:
    return FailureLimit(3, clock, told="Too many; wait a minute.")


def _fail(limit: FailureLimit, times: int, caller: str = "shop") -> None:
    for _ in range(times):
        limit.check(caller)
        limit.count(caller)


def test_who_fails_too_often_waits_for_the_next_window(limit: FailureLimit, clock: _Clock) -> None:
    _fail(limit, 3)
    clock.now += 59
    with pytest.raises(RateLimited, match="Too many; wait a minute"):
        limit.check("shop")
    limit.check("another shop")
    clock.now += 1
    _fail(limit, 3)


def test_who_succeeds_may_fail_as_often(limit: FailureLimit) -> None:
    for _ in range(10):
        limit.count_success("chain")
    _fail(limit, 10, "chain")
    with pytest.raises(RateLimited):
        limit.check("chain")
    # Another's successes help nobody.
    _fail(limit, 3)
    with pytest.raises(RateLimited):
        limit.check("shop")


def test_successes_count_in_the_window_after_theirs_and_no_longer(
    limit: FailureLimit, clock: _Clock
) -> None:
    for _ in range(10):
        limit.count_success("chain")
    clock.now += 60
    _fail(limit, 10, "chain")
    with pytest.raises(RateLimited):
        limit.check("chain")
    clock.now += 60
    _fail(limit, 3, "chain")
    with pytest.raises(RateLimited):
        limit.check("chain")


def test_successes_of_long_ago_count_for_nothing(limit: FailureLimit, clock: _Clock) -> None:
    for _ in range(10):
        limit.count_success("chain")
    clock.now += 120
    _fail(limit, 3, "chain")
    with pytest.raises(RateLimited):
        limit.check("chain")


def test_the_memory_is_bounded(limit: FailureLimit) -> None:
    for number in range(100_002):
        limit.count_success(f"shop {number}")
    assert len(limit._successes) < 100_000  # the bound is of no caller's concern
