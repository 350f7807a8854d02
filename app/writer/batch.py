"""One batch: open (lock and read), decide each command, write, commit, answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime  # read at run time: a row's column
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import UUID

import asyncpg

from app.db.diagnosis import diagnose
from app.db.rows import json_text
from app.errors import DomainError, IdempotencyKeyReused, NotFound
from app.ids import new_platform_id
from app.ledger.posting import FloorBroken
from app.writer.book import (
    REQUEST_BY_ID,
    STORED_REQUESTS,
    Book,
    Schema,
)
from app.writer.commands import AnyPlan, Command, Decision, Event, Outcome
from app.writer.jobs import BatchDone, BatchFailed, BatchUnknown, Job, Settlement
from app.writer.opening import Opening
from app.writer.requests import StoredRequest, refusal_of
from app.writer.writing import BatchEvent, Writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.writer.connection import Lane
    from app.writer.tables import Lookup, Need

_DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_BUGS: Final = (
    FloorBroken,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


@dataclass(slots=True)
class _Open:
    """A batch between its opening and its commit."""

    at: datetime
    books: dict[int, Book]
    settlements: list[Settlement] = field(default_factory=list[Settlement])
    events: list[BatchEvent] = field(default_factory=list[BatchEvent])
    following: list[Command] = field(default_factory=list[Command])


class BatchRunner:
    """Runs batches on a lane's connection. Holds no state of its own but prepared SQL."""

    def __init__(
        self, schema: Schema, lookups: Sequence[Lookup[Any]], plans: Mapping[type[Any], AnyPlan]
    ) -> None:
        """Prepare for these tables, lookups and plans."""
        self.opening = Opening(lookups)
        self._schema = schema
        self._plans = plans
        self._writing = Writing(schema.tables)
        self.create = f"{self._writing.create} {self.opening.create}"

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
            opened = await self._carry_out(connection, batch_id, jobs, wait=wait)
        except _DRIVER_ERRORS as error:
            await self._give_up(lane, error)
        except Exception as error:
            # A bug outside one command's decision: of a follow-up, or of what it asks to load.
            lane.abandon()
            raise BatchFailed(retryable=False) from error
        except BaseException:
            # The end of the process: what is open must not be committed.
            lane.abandon()
            raise
        skipped = [job for job in jobs if job.command.merchant_no not in opened.books]
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

    async def _carry_out(
        self, connection: asyncpg.Connection, batch_id: UUID, jobs: Sequence[Job], *, wait: bool
    ) -> _Open:
        """Do all of a batch but its COMMIT."""
        opened = await self._open(connection, jobs, wait=wait)
        for job in jobs:
            if (book := opened.books.get(job.command.merchant_no)) is not None:
                if job.plan.more is not None:
                    await self._load(connection, book, job.plan.more(job.command, book))
                opened.settlements.append(self._decide(job, book, opened))
            while opened.following:
                await self._follow(connection, opened.following.pop(0), opened)
        await self._writing.write(
            connection,
            list(opened.books.values()),
            batch_id=batch_id,
            events=opened.events,
            at=opened.at,
        )
        return opened

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
        raise BatchFailed(
            retryable=diagnosis.retryable or diagnosis.unavailable,
            timed_out=diagnosis.timed_out,
        ) from error

    async def _open(
        self, connection: asyncpg.Connection, jobs: Sequence[Job], *, wait: bool
    ) -> _Open:
        nos = list({job.command.merchant_no for job in jobs})
        needs = [(job.command.merchant_no, need) for job in jobs for need in _needs(job)]
        opened = await self.opening.open(connection, nos, needs, wait=wait)
        books = {head.merchant_no: Book(head, self._schema) for head in opened.heads}
        for table, rows in opened.rows:
            for row in rows:
                books[row.merchant_no].load(table, row)
        return _Open(opened.at, books)

    async def _follow(
        self, connection: asyncpg.Connection, command: Command, opened: _Open
    ) -> None:
        """Carry out what a decision made due on its book, with the rows that only this needs."""
        plan = self._plans[type(command)]
        book = opened.books[command.merchant_no]
        await self._load(connection, book, list(plan.needs(command)))
        if plan.more is not None:
            await self._load(connection, book, plan.more(command, book))
        at = max(opened.at, book.head.last_at)
        decision: Decision[Any] = plan.decide(command, book, at)
        self._apply(book, decision, at, opened)

    async def _load(
        self, connection: asyncpg.Connection, book: Book, needs: Sequence[Need]
    ) -> None:
        """Load more rows of a book; what the batch has of them already is newer and stays."""
        if not needs:
            return
        no = book.merchant_no
        # The batch has the book's lock already, so nothing is waited for.
        more = await self.opening.open(connection, [no], [(no, need) for need in needs], wait=True)
        for table, rows in more.rows:
            for row in rows:
                book.load_missing(table, row)

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
            if request is not None and request.keeps(error):
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
        except _BUGS as error:
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
        None if facts is None else json_text(facts),
        at,
    )


def _event(merchant_no: int, event: Event) -> BatchEvent:
    return merchant_no, event.name, str(event.subject_id)
