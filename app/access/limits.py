"""A limit on failed attempts, so that guessing costs the guesser and not the database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from app.errors import RateLimited

_WINDOW_SECONDS: Final = 60.0
_CALLERS_MAX: Final = 10_000


@dataclass(slots=True)
class FailureLimit:
    """Counts failures per caller in windows of a minute; only failures count.

    It lies in one process's memory: nothing correct rests on it, it only bounds load.
    """

    failures_max: int
    clock: Callable[[], float] = monotonic
    _counts: dict[str, int] = field(default_factory=dict[str, int])
    _window_ends_at: float = 0.0

    def check(self, caller: str) -> None:
        """Go on only below the limit.

        Raises:
            RateLimited: This caller failed too often within the minute.
        """
        if self._counts.get(caller, 0) >= self.failures_max and self.clock() < self._window_ends_at:
            raise RateLimited("Too many failed attempts from your address; wait a minute.")

    def count(self, caller: str) -> None:
        """Remember a failure."""
        now = self.clock()
        # Forgetting everybody at once bounds the memory too.
        if now >= self._window_ends_at or len(self._counts) > _CALLERS_MAX:
            self._counts.clear()
            self._window_ends_at = now + _WINDOW_SECONDS
        self._counts[caller] = self._counts.get(caller, 0) + 1
