"""Use cases of cases: read, answer, propose a decision, and what time decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from app.bulk import BulkWork
from app.cases import queries
from app.cases.domain import (
    Answer,
    Ruling,
    Scheduling,
    Silence,
    Step,
    as_of_request,
    words,
)
from app.dates import business_date
from app.errors import DomainError, NotFound
from app.ids import merchant_no_of
from app.writer.answers import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from app.cards.directory import MerchantDirectory
    from app.cases.conduct import Conducts
    from app.cases.domain import Words
    from app.cases.queries import CaseFilter
    from app.cases.rows import CaseFile
    from app.db.engine import Database
    from app.db.sealing import Sealer
    from app.writer.engine import Writer
    from app.writer.requests import RequestKey

log = structlog.get_logger()

_ROUND_MAX: Final = 200

_EVENTS: Final[Mapping[type[Step], str]] = {
    Answer: "case.answered",
    Ruling: "case.ruled",
    Silence: "case.silence_kept",
    Scheduling: "case.scheduled",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What the use cases of cases need of their process."""

    db: Database
    writer: Writer
    sealer: Sealer
    directory: MerchantDirectory
    conducts: Conducts


async def read_case(db: Database, case_id: UUID) -> CaseFile:
    """Read a case, whosever it is: who calls says who may see it.

    Raises:
        NotFound: There is no such case.
    """
    async with db.snapshot() as tx:
        case = await queries.find_case(tx, merchant_no_of(case_id), case_id)
    if case is None:
        raise NotFound
    return case


async def read_of_merchant(db: Database, merchant_no: int, case_id: UUID) -> CaseFile:
    """Read a case of a merchant.

    Raises:
        NotFound: There is no such case, or it is another's.
    """
    if merchant_no_of(case_id) != merchant_no:
        raise NotFound
    return await read_case(db, case_id)


async def read_own(db: Database, consumer: UUID, case_id: UUID) -> CaseFile:
    """Read a case of a consumer.

    Raises:
        NotFound: There is no such case, or it is another's.
    """
    case = await read_case(db, case_id)
    if case.consumer != consumer:
        raise NotFound
    return case


async def list_cases(
    db: Database, wanted: CaseFilter, *, before: UUID | None, count: int
) -> Sequence[CaseFile]:
    """Read a page of cases, newest first."""
    async with db.snapshot() as tx:
        return await queries.list_cases(tx, wanted, before=before, count=count)


def answering(desk: Desk, case: CaseFile, *, agree: bool, text: str | None, by: str) -> Answer:
    """Make the step that answers a case for its merchant, with what it writes sealed."""
    return Answer(agree, None if text is None else said(desk.sealer, case, text), by)


async def take_step(
    desk: Desk, case: CaseFile, step: Step, request: RequestKey | None
) -> Answered[CaseFile]:
    """Take a step of a case through the capability of its kind; a retry gives the same answer.

    Raises:
        DomainError: What that capability refuses.
    """
    outcome = await desk.writer.submit(desk.conducts[case.kind](case, step, request))
    if outcome.replayed is not None:
        outcome.replayed.raise_refusal()
        told = await read_case(desk.db, case.case_id)
        return Answered(as_of_request(told, outcome.replayed), replayed=True)
    done: CaseFile = outcome.result
    log.info(
        _EVENTS[type(step)],
        case_id=str(done.case_id),
        merchant_no=done.merchant_no,
        kind=str(done.kind),
        decision=done.decision,
        decided_by=done.decided_by,
    )
    return Answered(done)


async def decide_silent(desk: Desk) -> int:
    """Uphold the cases whose merchants kept silent; say how many.

    What stands in the way of one (a dispute, a closure) leaves it for a later round.
    """
    async with desk.db.snapshot() as tx:
        today = business_date(await tx.now())
    upheld, last = 0, None
    work = BulkWork(desk.db, "uphold_silent_case")
    while True:
        async with desk.db.snapshot() as tx:
            cases = await queries.list_silent(tx, today, after=last, count=_ROUND_MAX)
        for case in cases:
            last = case.case_id
            upheld += await _went_on(desk, case, Silence(), work)
        if len(cases) < _ROUND_MAX:
            return upheld


async def schedule(desk: Desk, due_on: Callable[[int, date], Awaitable[date | None]]) -> int:
    """Say when cases must be answered that were opened beyond the calendar; say how many.

    The merchant's time runs from now: until now it could not know when it was to end.
    """
    async with desk.db.snapshot() as tx:
        today = business_date(await tx.now())
    scheduled, last = 0, None
    work = BulkWork(desk.db, "schedule_case")
    while True:
        async with desk.db.snapshot() as tx:
            cases = await queries.list_unscheduled(tx, after=last, count=_ROUND_MAX)
        for case in cases:
            last = case.case_id
            due = await due_on(case.merchant_no, today)
            if due is not None:
                scheduled += await _went_on(desk, case, Scheduling(due), work)
        if len(cases) < _ROUND_MAX:
            return scheduled


def said(sealer: Sealer, case: CaseFile, text: str) -> Words:
    """Seal what somebody writes in a case, and commit to it."""
    assert case.salt is not None, "only a case that is over is erased"
    return words(sealer.seal(text), text, case.salt)


async def _went_on(desk: Desk, case: CaseFile, step: Step, work: BulkWork) -> bool:
    """Take a step of a case; what stands in its way, or breaks, leaves it for a later round."""
    put_off = False

    async def take() -> None:
        nonlocal put_off
        try:
            await take_step(desk, case, step, None)
        except DomainError as refused:
            log.info("case.put_off", case_id=str(case.case_id), code=refused.code)
            put_off = True

    return await work.step(case.merchant_no, take) and not put_off
