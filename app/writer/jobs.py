"""Commands that wait for their answer, and what became of the batch that carried them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from app.writer.commands import AnyPlan, Command, Outcome


@dataclass(slots=True)
class Job:
    """A command that waits for its answer."""

    command: Command
    plan: AnyPlan
    future: Future[Outcome[Any]]
    skips: int = 0
    attempts: int = 0

    @property
    def name(self) -> str:
        """What kind of command it is."""
        return type(self.command).__name__

    def answer(self, outcome: Outcome[Any]) -> None:
        """Give the caller the outcome, if it still waits."""
        if not self.future.done():
            self.future.set_result(outcome)

    def give_up(self) -> None:
        """Tell the caller that the outcome is unknown, if it still waits."""
        self.fail(DatabaseUnavailable())

    def fail(self, error: BaseException) -> None:
        """Give the caller an error, if it still waits."""
        if not self.future.done():
            self.future.set_exception(error)


Settlement = Callable[[], None]


@dataclass(frozen=True, slots=True)
class BatchDone:
    """A batch that was committed and answered."""

    skipped: Sequence[Job]
    commit_seconds: float
    events: Mapping[str, int]
    """How often each kind of event happened."""


class BatchFailed(Exception):
    """A batch did nothing. `retryable` where the same may succeed on another try.

    `timed_out` where a statement took too long: of many commands, one may be to blame.
    """

    def __init__(self, *, retryable: bool, timed_out: bool = False) -> None:
        super().__init__("the batch was not committed")
        self.retryable = retryable
        self.timed_out = timed_out


class BatchUnknown(Exception):
    """COMMIT was sent and its answer lost: the batch exists or it does not."""

    def __init__(
        self,
        batch_id: UUID,
        settlements: Sequence[Settlement] = (),
        skipped: Sequence[Job] = (),
    ) -> None:
        super().__init__(f"the outcome of batch {batch_id} is unknown")
        self.batch_id = batch_id
        self.settlements = settlements
        self.skipped = skipped
