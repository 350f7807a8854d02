"""What callers and capabilities say to the writer: commands, plans, decisions, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from app.db.rows import Row

if TYPE_CHECKING:
    from uuid import UUID

    from app.ledger.posting import Entry
    from app.writer.book import Book
    from app.writer.requests import RequestKey, StoredRequest
    from app.writer.tables import Need

ResultT = TypeVar("ResultT")


class Command(Protocol):
    """Something asked of one merchant's book. A frozen dataclass; it carries all new ids."""

    @property
    def merchant_no(self) -> int:
        """The book that it is about."""
        ...

    @property
    def request(self) -> RequestKey | None:
        """The idempotency key under which it came, if it came under one."""
        ...


CommandT = TypeVar("CommandT", bound=Command)


class Event(NamedTuple):
    """What has happened, for those who follow: `noun.past_participle` and what it is about."""

    name: str
    subject_id: UUID


class Decision(NamedTuple, Generic[ResultT]):
    """What a command does: an answer, rows, entries of the chain. Refusals are raised instead.

    `entries[i]` gets `book.next_seq + i`; a row may count on that. `facts` is what of the answer
    later events may change: a replay puts it over the thing as it is then.
    """

    result: ResultT
    rows: Sequence[Row] = ()
    entries: Sequence[Entry] = ()
    events: Sequence[Event] = ()
    subject_id: UUID | None = None
    facts: Mapping[str, object] | None = None
    then: Command | None = None
    """A command on the same book that follows in the same transaction, before any other."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[CommandT, ResultT]):
    """How one kind of command is carried out.

    `needs` names the rows to load; `decide` is pure: no I/O, no clock, no randomness, the same
    decision for the same command, rows and time. It raises a `DomainError` to refuse.

    `more` names rows that only loaded rows lead to, which may be of this batch and not in the
    database yet. It costs a round trip, so few plans have it.
    """

    command: type[CommandT]
    needs: Callable[[CommandT], Iterable[Need]]
    decide: Callable[[CommandT, Book, datetime], Decision[ResultT]]
    more: Callable[[CommandT, Book], Sequence[Need]] | None = None


AnyPlan = Plan[Any, Any]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[ResultT]):
    """The answer to a command: its result, or, for a replay, what was stored the first time."""

    _result: ResultT | None
    replayed: StoredRequest | None = None

    @property
    def result(self) -> ResultT:
        """What the command gave; only where it was not replayed."""
        assert self._result is not None, "a replay has what was stored instead"
        return self._result
