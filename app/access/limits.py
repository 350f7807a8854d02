"""A limit on failed attempts, so that guessing costs the guesser and not the database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from app.errors import RateLimited

_WINDOW_SECONDS: Final = 60.0
_CALLERS_MAX: Final = 100_000


@dataclass(slots=True)
class FailureLimit:
    """Counts failures per caller in windows of a minute; past the limit the caller is refused.

    Where successes are counted too, a caller may fail as often as it succeeded in this window and
    the one before, if that is more: a chain with a thousand tills makes more mistakes than a shop
    with one, and after a crash of the database, which forgets all codes, its consumers show many.

    It lies in one process's memory: nothing correct rests on it, it only bounds load.
    """

    failures_max: int
    clock: Callable[[], float] = monotonic
    told: str = "Too many failed attempts from your address; wait a minute."
    """What a caller past the limit reads."""
    _failures: dict[str, int] = field(default_factory=dict[str, int])
    _successes: dict[str, int] = field(default_factory=dict[str, int])
    _successes_before: dict[str, int] = field(default_factory=dict[str, int])
    _window_ends_at: float = float("-inf")

    def check(self, caller: str) -> None:
        """Go on only below the limit.

        Raises:
            RateLimited: This caller failed too often within the minute.
        """
        failures = self._failures.get(caller, 0)
        if failures < self.failures_max or self.clock() >= self._window_ends_at:
            return
        if failures >= self._successes.get(caller, 0) + self._successes_before.get(caller, 0):
            raise RateLimited(self.told)

    def count(self, caller: str) -> None:
        """Remember a failure."""
        self._begin_window_if_due()
        self._failures[caller] = self._failures.get(caller, 0) + 1

    def count_success(self, caller: str) -> None:
        """Remember that the caller is who it says, or knows what it is asked for."""
        self._begin_window_if_due()
        self._successes[caller] = self._successes.get(caller, 0) + 1

    def _begin_window_if_due(self) -> None:
        now = self.clock()
        if now >= self._window_ends_at:
            is_next = now < self._window_ends_at + _WINDOW_SECONDS
            self._successes_before = self._successes if is_next else {}
            self._successes, self._failures = {}, {}
            self._window_ends_at = now + _WINDOW_SECONDS
        elif len(self._failures) + len(self._successes) > _CALLERS_MAX:
            # Forgetting everybody at once bounds the memory.
            self._successes, self._failures = {}, {}
