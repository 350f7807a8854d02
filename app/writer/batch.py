"""One batch: open (lock and read), decide each command, write, commit, answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime  # read at run time: a row's column
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn
from uuid import UUID

import asyncpg

from app.db.diagnosis import diagnose
from app.db.rows import Json
from app.errors import DomainError, IdempotencyKeyReused, NotFound
from app.ids import new_platform_id
from app.ledger.posting import FloorBroken
from app.ledger.rows import BookHead
from app.writer.book import (
    REQUEST_BY_ID,
    STORED_REQUESTS,
    Book,
    Schema,
    changes_of,
)
from app.writer.commands import AnyPlan, Command, Decision, Event, Outcome
from app.writer.requests import StoredRequest, refusal_of
from app.writer.tables import Change, Need, OpeningSql, Table, reader, writing_sql

if TYPE_CHECKING:
    from asyncio import Future

    from app.writer.connection import Lane

_DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_HEAD_COLUMNS: Final = ("seq", "chain_hash", "last_at", "waiting_reversal_amount")


class OutboxRow(NamedTuple):
    """One batch and what happened in it: `[merchant_no, name, subject]` each."""

    batch_id: UUID
    events: Json
    created_at: datetime


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
    """A batch did nothing. `retryable` where the same may succeed on another try."""

    def __init__(self, *, retryable: bool) -> None:
        super().__init__("the batch was not committed")
        self.retryable = retryable


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


@dataclass(slots=True)
class _Open:
    """A batch between its opening and its commit."""

    at: datetime
    books: dict[int, Book]
    settlements: list[Settlement] = field(default_factory=list[Settlement])
    events: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    following: list[Command] = field(default_factory=list[Command])


class BatchRunner:
    """Runs batches on a lane's connection. Holds no state of its own but prepared SQL."""

    def __init__(
        self, schema: Schema, opening: OpeningSql, plans: Mapping[type[Any], AnyPlan]
    ) -> None:
        """Prepare for these tables, lookups and plans."""
        self.opening = opening
        self._schema = schema
        self._plans = plans
        self._changes = {
            (table, update): Change(table, update=update)
            for table in (*schema.tables, _HEADS, _OUTBOX)
            for update in ((False, True) if table.mutable else (False,))
        }
        self._order = {key: number for number, key in enumerate(self._changes)}
        self._writing_sql: dict[tuple[int, ...], str] = {}
        self._readers = [reader(lookup.table) for lookup in opening.lookups]
        self._read_head = reader(_HEADS)

    async def run(self, lane: Lane, jobs: Sequence[Job], *, wait: bool) -> BatchDone:
        """Run jobs as one transaction and answer them; books that are locked are skipped.

        Raises:
            BatchFailed: Nothing was done.
            BatchUnknown: The answer to COMMIT was lost.
        """
        batch_id = new_platform_id()
        try:
            connection = await lane.connection()
            await connection.execute("BEGIN")
            opened = await self._open(connection, jobs, wait=wait)
            skipped = [job for job in jobs if job.command.merchant_no not in opened.books]
            for job in jobs:
                if (book := opened.books.get(job.command.merchant_no)) is not None:
                    opened.settlements.append(self._decide(job, book, opened))
                while opened.following:
                    await self._follow(connection, opened.following.pop(0), opened)
            await self._write(connection, batch_id, opened)
        except _DRIVER_ERRORS as error:
            await self._give_up(lane, error)
        except BaseException:
            # A bug of our own, or the end of the process: what is open must not be committed.
            lane.abandon()
            raise
        started = perf_counter()
        try:
            await connection.execute("COMMIT")
        except _DRIVER_ERRORS as error:
            lane.abandon()
            raise BatchUnknown(batch_id, opened.settlements, skipped) from error
        commit_seconds = perf_counter() - started
        for settle in opened.settlements:
            settle()
        for job in skipped:
            job.skips += 1
            if wait:
                # Waited for and not there: nobody has such a book.
                job.fail(NotFound())
        if wait:
            skipped = []
        events = Counter(name for _, name, _ in opened.events)
        return BatchDone(skipped, commit_seconds, events)

    async def was_committed(self, lane: Lane, batch_id: UUID, nos: Sequence[int]) -> bool:
        """Say whether a batch exists whose COMMIT went unanswered.

        The books are locked first: until its transaction is over, it holds them.

        Raises:
            BatchUnknown: The database cannot say now.
        """
        try:
            connection = await lane.connection()
            async with connection.transaction():
                await connection.execute(
                    "SELECT FROM book WHERE merchant_no = ANY ($1) ORDER BY merchant_no"
                    " FOR NO KEY UPDATE",
                    sorted(set(nos)),
                )
                found: bool = await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM outbox WHERE batch_id = $1)", batch_id
                )
        except _DRIVER_ERRORS as error:
            lane.abandon()
            raise BatchUnknown(batch_id) from error
        return found

    async def _give_up(self, lane: Lane, error: BaseException) -> NoReturn:
        """Nothing was committed: leave the connection clean or drop it."""
        diagnosis = diagnose(error)
        assert diagnosis is not None, "only driver errors come here"
        if diagnosis.unavailable:
            lane.abandon()
        else:
            try:
                await (await lane.connection()).execute("ROLLBACK")
            except _DRIVER_ERRORS:
                lane.abandon()
        raise BatchFailed(retryable=diagnosis.retryable or diagnosis.unavailable) from error

    async def _open(
        self, connection: asyncpg.Connection, jobs: Sequence[Job], *, wait: bool
    ) -> _Open:
        nos = list({job.command.merchant_no for job in jobs})
        needs = [(job.command.merchant_no, need) for job in jobs for need in _needs(job)]
        record = await connection.fetchrow(
            self.opening.call, nos, wait, *self.opening.arguments(needs)
        )
        at, heads, *loaded = record
        books = {
            head.merchant_no: Book(head, self._schema) for head in map(self._read_head, heads or ())
        }
        for lookup, read, rows in zip(self.opening.lookups, self._readers, loaded, strict=True):
            for row in map(read, rows or ()):
                books[row.merchant_no].load(lookup.table, row)
        return _Open(at, books)

    async def _follow(
        self, connection: asyncpg.Connection, command: Command, opened: _Open
    ) -> None:
        """Carry out what a decision made due on its book, with the rows that only this needs."""
        plan = self._plans[type(command)]
        needs = [(command.merchant_no, need) for need in plan.needs(command)]
        record = await connection.fetchrow(
            self.opening.call, [command.merchant_no], True, *self.opening.arguments(needs)
        )
        book = opened.books[command.merchant_no]
        for lookup, read, rows in zip(
            self.opening.lookups, self._readers, list(record)[2:], strict=True
        ):
            for row in map(read, rows or ()):
                book.load_missing(lookup.table, row)
        at = max(opened.at, book.head.last_at)
        decision: Decision[Any] = plan.decide(command, book, at)
        self._apply(book, decision, at, opened)

    def _apply(self, book: Book, decision: Decision[Any], at: datetime, opened: _Open) -> None:
        book.apply(decision, at)
        opened.events += [_event(book.merchant_no, event) for event in decision.events]
        if decision.then is not None:
            opened.following.append(decision.then)

    def _decide(self, job: Job, book: Book, opened: _Open) -> Settlement:
        """Decide one command and let it take effect in memory; give what answers its caller."""
        at = max(opened.at, book.head.last_at)
        try:
            return self._decided(job, book, at, opened)
        except DomainError as error:
            request = job.command.request
            if request is not None and error.storable:
                book.put_all(
                    [
                        refusal_of(
                            request,
                            merchant_no=book.merchant_no,
                            command=job.name,
                            error=error,
                            at=at,
                        )
                    ]
                )
            refused = error
        except (FloorBroken, AssertionError, LookupError, TypeError, ValueError) as error:
            # A bug of one plan: nothing of it was applied, and it must not fail the others.
            refused = error
        return lambda: job.fail(refused)

    def _decided(self, job: Job, book: Book, at: datetime, opened: _Open) -> Settlement:
        request = job.command.request
        if request is not None:
            stored = book.find(STORED_REQUESTS, request.request_id)
            if stored is not None:
                if stored.fingerprint != request.fingerprint:
                    raise IdempotencyKeyReused
                return lambda: job.answer(Outcome(None, stored))
        decision: Decision[Any] = job.plan.decide(job.command, book, at)
        self._apply(book, decision, at, opened)
        if request is not None:
            book.put_all([_stored(request_job=job, decision=decision, at=at)])
        outcome = Outcome(decision.result)
        return lambda: job.answer(outcome)

    async def _write(self, connection: asyncpg.Connection, batch_id: UUID, opened: _Open) -> None:
        changes = changes_of(list(opened.books.values()))
        if not changes:
            return
        heads = [book.head for book in opened.books.values() if book.inserted or book.updated]
        changes[_HEADS, True] = heads
        events = Json(json.dumps(opened.events, separators=(",", ":")))
        changes[_OUTBOX, False] = [OutboxRow(batch_id, events, opened.at)]
        keys = sorted(changes, key=self._order.__getitem__)
        parts = [self._changes[key] for key in keys]
        signature = tuple(self._order[key] for key in keys)
        sql = self._writing_sql.get(signature)
        if sql is None:
            sql = self._writing_sql[signature] = writing_sql(parts)
        arguments = [
            column
            for key, part in zip(keys, parts, strict=True)
            for column in part.columns(changes[key])
        ]
        await connection.execute(sql, *arguments)


_HEADS: Final = Table("book", BookHead, (), _HEAD_COLUMNS)
_OUTBOX: Final = Table("outbox", OutboxRow, ("batch_id",))


def _needs(job: Job) -> list[Need]:
    needs = list(job.plan.needs(job.command))
    if job.command.request is not None:
        needs.append(REQUEST_BY_ID(job.command.request.request_id))
    return needs


def _stored(*, request_job: Job, decision: Decision[Any], at: datetime) -> StoredRequest:
    request = request_job.command.request
    assert request is not None, "only keyed commands are stored"
    facts = decision.facts
    return StoredRequest(
        request_job.command.merchant_no,
        request.request_id,
        request.fingerprint,
        request_job.name,
        decision.subject_id,
        None,
        None if facts is None else Json(json.dumps(facts, ensure_ascii=False)),
        at,
    )


def _event(merchant_no: int, event: Event) -> tuple[int, str, str]:
    return merchant_no, event.name, str(event.subject_id)
