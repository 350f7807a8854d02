"""What the worker does with files: cut when it is time, finish what was broken off."""

from datetime import date, timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import uuid4

import structlog

from app import ids
from app.bulk import BulkWork
from app.calendar.errors import CalendarNotCovered
from app.dates import SHANGHAI
from app.db.engine import Database
from app.payment_files import cut_queries, queries, service
from app.payment_files.cutting import cut, finish_all
from app.payment_files.domain import FileKind, PaymentFile
from app.payment_files.parts import Parts
from app.payment_files.results import apply_all
from app.policies.versions import EVERYWHERE

log = structlog.stdlib.get_logger()

_LEASE: Final = timedelta(minutes=10)
"""How long a cut may take before another worker takes it over; both at once do no harm."""


class _Number(NamedTuple):
    merchant_no: int


async def cut_due(parts: Parts) -> list[PaymentFile]:
    """Cut both kinds of file if this is the eve of a banking day, past `cut_time`; once an eve.

    Call it every few seconds. A worker that was not there before midnight leaves its money to
    the next cut, which takes it whole.
    """
    async with parts.db.snapshot() as tx:
        now = (await tx.now()).astimezone(SHANGHAI)
    policies = await parts.policies.policies_in(EVERYWHERE, now.date())
    if now.time() < policies.cut_time:
        return []
    tomorrow = now.date() + timedelta(days=1)
    try:
        if not (await parts.calendar.get()).is_working_day(tomorrow):
            return []
    except CalendarNotCovered:
        log.warning("payment_file.calendar_not_covered", date=tomorrow.isoformat())
        return []
    made: list[PaymentFile] = []

    async def cut_kind(kind: FileKind) -> None:
        made.extend(await _cut_once(parts, kind, business_date=tomorrow))

    for kind in FileKind:
        # What is wrong with one kind of file keeps nobody from the money of the other.
        await BulkWork(parts.db, f"cut_{kind}_files").step(ids.PLATFORM_NO, partial(cut_kind, kind))
    return made


async def resume(parts: Parts) -> None:
    """Finish what a process left behind: cuts, cancellations, reports, paid refunds, reversals.

    All of it may be under way in another process; doing it together does no harm.
    """
    for name, stage in (
        ("finish_files", finish_all),
        ("finish_cancelling", _finish_cancelling),
        ("apply_reports", apply_all),
        ("serve_waiting", _serve_waiting),
    ):
        await BulkWork(parts.db, name).step(ids.PLATFORM_NO, partial(stage, parts))


async def _finish_cancelling(parts: Parts) -> None:
    async with parts.db.snapshot() as tx:
        cancelled = await queries.files_being_cancelled(tx)
    work = BulkWork(parts.db, "cancel_files")
    for file_id in cancelled:
        await work.step(ids.PLATFORM_NO, partial(service.give_back, parts, file_id))


async def _serve_waiting(parts: Parts) -> None:
    async with parts.db.snapshot() as tx:
        waiting = await tx.fetch(
            _Number, "SELECT merchant_no FROM book WHERE waiting_reversal_amount > 0"
        )
        numbers = [book.merchant_no for book in waiting]
        served = await cut_queries.with_payable(tx, numbers) if numbers else []
        unsettled = await tx.fetch(
            _Number,
            """
            SELECT DISTINCT merchant_no FROM refund
            WHERE status = 'paid' AND settled_at IS NULL AND card_id IS NOT NULL
            """,
        )
    work = BulkWork(parts.db, "serve_reversals")
    for merchant_no in sorted({*served, *(book.merchant_no for book in unsettled)}):
        # Some still wait for more; one may have got its money just before a process died.
        await work.step(merchant_no, partial(parts.serve_reversals, merchant_no))


async def _cut_once(parts: Parts, kind: FileKind, *, business_date: date) -> list[PaymentFile]:
    name = f"cut:{kind}:{business_date.isoformat()}"
    if not await _lease(parts.db, name):
        return []
    made = await cut(parts, kind, asked=business_date, request=None)
    async with parts.db.transaction() as tx:
        await tx.execute("UPDATE job SET finished_at = anxin_now() WHERE name = :name", name=name)
    return made.value


async def _lease(db: Database, name: str) -> bool:
    """Take a job that is neither finished nor another worker's."""
    async with db.transaction() as tx:
        now = await tx.now()
        return (
            await tx.execute(
                """
            INSERT INTO job (name, leased_until, leased_by) VALUES (:name, :until, :by)
            ON CONFLICT (name) DO UPDATE
            SET leased_until = excluded.leased_until, leased_by = excluded.leased_by
            WHERE job.finished_at IS NULL AND job.leased_until <= :now
            """,
                name=name,
                until=now + _LEASE,
                by=uuid4(),
                now=now,
            )
            == 1
        )
