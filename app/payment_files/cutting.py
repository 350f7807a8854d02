"""Cut files: one transaction a merchant, so that a crash loses nothing and repeats nothing.

    cutting row -> orders, merchant by merchant -> sealed, or forgotten if nothing was found

Whoever finds a `cutting` row may finish it, also while another process does: each step asks
under the locks of file and book whether it was done.
"""

from dataclasses import replace
from datetime import date
from functools import partial
from typing import Final, cast
from uuid import UUID

import structlog

from app import ids
from app.bulk import BulkWork
from app.calendar.domain import Calendar
from app.dates import business_date
from app.db.engine import Transaction
from app.errors import Overloaded
from app.payment_files import cut_queries, queries
from app.payment_files.domain import (
    FileKind,
    FileStatus,
    PaymentFile,
)
from app.payment_files.merchant_cuts import cut_merchant
from app.payment_files.parts import Parts
from app.payment_files.sealing import seal
from app.writer.answers import Answered
from app.writer.requests import RequestKey, claim, keep

log = structlog.stdlib.get_logger()

_TRIES_MAX: Final = 10
"""How often a cut finishes files that others began before it gives up for now."""


class _CutUnderWay(Exception):
    """Another cut began a file of the same bank and kind meanwhile."""


def date_of_cut(today: date, asked: date | None, calendar: Calendar) -> date:
    """Give the banking day on which a file cut today is executed.

    At the earliest the next banking day after today; a day off is rolled forward.

    Raises:
        CalendarNotCovered: The answer lies in a year that is not loaded.
    """
    earliest = calendar.next_working_day(today)
    return earliest if asked is None else max(earliest, calendar.working_day_from(asked))


async def cut(
    parts: Parts, kind: FileKind, *, asked: date | None, request: RequestKey | None
) -> Answered[list[PaymentFile]]:
    """Cut one file per bank that has something to pay; none where nothing is payable.

    What an earlier cut left unfinished is finished first, so that it takes its money itself.
    A retry under the same key finishes and gives the files that the first try began.

    Raises:
        CalendarNotCovered: The banking days are not loaded; no file was made.
        IdempotencyKeyReused: The key was used for another request.
        Overloaded: Others cut all the time; nothing was done under this key.
    """
    calendar = await parts.calendar.get()
    for _ in range(_TRIES_MAX):
        begun = await _begin(parts, calendar, kind, asked, request)
        if begun is not None:
            for file_id in begun.value:
                await finish(parts, file_id)
            async with parts.db.snapshot() as tx:
                rows = await queries.files_by_id(tx, begun.value)
            made = [row.sealed() for row in rows if row.is_sealed]
            # As they were when they were cut, whatever a bank has said of them since.
            ready = [replace(file, status=FileStatus.READY) for file in made]
            return Answered(ready, begun.replayed)
        await finish_all(parts, kind)
    raise Overloaded


async def finish_all(parts: Parts, kind: FileKind | None = None) -> None:
    """Finish every file that is being cut; the worker calls this after a crash."""
    async with parts.db.snapshot() as tx:
        unfinished = await cut_queries.files_being_cut(tx, kind)
    work = BulkWork(parts.db, "finish_file")
    for file_id in unfinished:
        await work.step(ids.PLATFORM_NO, partial(finish, parts, file_id))


async def finish(parts: Parts, file_id: UUID) -> None:
    """Take a file from where it stands to its seal; a sealed or forgotten one is left alone.

    Raises:
        CalendarNotCovered: Its day has passed, and the next banking day is not loaded.
    """
    calendar = await parts.calendar.get()
    async with parts.db.transaction() as tx:
        file = await queries.find_file(tx, file_id)
        if file is None or file.is_sealed:
            return
        today = business_date(await tx.now())
        if file.business_date <= today:
            # Begun by a process that died days ago: no bank can execute it on a day gone by.
            await cut_queries.move_file(tx, file_id, date_of_cut(today, None, calendar))
        kind = FileKind(file.kind)
        merchants = await cut_queries.merchants_to_pay(tx, file.bank, kind)
    # Money of a merchant whose step breaks stays owed, for the next cut to take.
    work = BulkWork(parts.db, f"cut_{kind}")
    for merchant_no in merchants:
        await work.step(merchant_no, partial(cut_merchant, parts, file, merchant_no))
    sealed = await seal(parts.db, parts.sealer, parts.signer, file_id)
    if sealed is not None:
        log.info(
            "payment_file.sealed",
            file_id=str(file_id),
            kind=str(kind),
            order_count=sealed.order_count,
            total_amount=sealed.total_amount,
        )


async def _begin(
    parts: Parts,
    calendar: Calendar,
    kind: FileKind,
    asked: date | None,
    request: RequestKey | None,
) -> Answered[list[UUID]] | None:
    """Begin a file per bank with something to pay; None where an earlier cut is unfinished."""
    try:
        async with parts.db.transaction() as tx:
            stored = await claim(tx, ids.PLATFORM_NO, request)
            if stored is not None:
                texts = cast("list[str]", stored["file_ids"])
                return Answered([UUID(text) for text in texts], replayed=True)
            if await cut_queries.files_being_cut(tx, kind):
                return None
            on = date_of_cut(business_date(await tx.now()), asked, calendar)
            begun = await _begin_files(tx, kind, on)
            await keep(
                tx,
                ids.PLATFORM_NO,
                request,
                command="cut_files",
                subject_id=None,
                answer={"file_ids": begun},
            )
            return Answered(begun)
    except _CutUnderWay:
        return None


async def _begin_files(tx: Transaction, kind: FileKind, on: date) -> list[UUID]:
    begun: list[UUID] = []
    for bank in await cut_queries.banks(tx):
        if not await cut_queries.merchants_to_pay(tx, bank, kind):
            continue
        file_id = ids.new_platform_id()
        if not await cut_queries.begin_file(tx, file_id, kind=kind, bank=bank, business_date=on):
            raise _CutUnderWay
        begun.append(file_id)
    return begun
