"""A bank's report of results: stored whole, then applied merchant by merchant.

Each line's outcome is written in the transaction that books it. So a report that was broken off
goes on where it stopped, by whoever finds it, and a retry is answered as the first time.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from app import ids
from app.bulk import BulkWork
from app.db.engine import BULK_PATIENCE_SECONDS, Transaction
from app.db.rows import Json
from app.ledger.books import LockedBook, locked_books
from app.payment_files import order_queries, queries, report_queries, result_queries
from app.payment_files.booking import Desk
from app.payment_files.decisions import Verdict, decide, file_status_after
from app.payment_files.domain import (
    STEP_MAX,
    AppliedReport,
    FileStatus,
    OrderStatus,
    Outcome,
    Reason,
    RefundStatus,
    ReportedResult,
    ReportedStatus,
)
from app.payment_files.parts import Parts
from app.payment_files.report_queries import ReportRow
from app.payment_files.reports import Line, by_merchant, read_report, store_report
from app.payment_files.result_queries import AlertRow, LiveOrder, OutcomeRow
from app.writer.answers import Answered
from app.writer.requests import RequestKey, claim, keep

log = structlog.stdlib.get_logger()

CONFLICT: Final = "payment_result_conflict"
"""The kind of alert that a contradicting result raises."""

PAYER_ACCOUNT_NEEDED: Final = "payer_account_needed"
"""The kind that money from suspense raises which its payer's account does not take."""


async def report_results(
    parts: Parts,
    bank: str,
    file_id: UUID,
    results: Sequence[ReportedResult],
    *,
    request: RequestKey | None,
) -> Answered[AppliedReport]:
    """Take what a bank says of orders, in every state of the file; it counts as acknowledgement.

    Saying the same again, under any key, changes nothing. A retry under the same key finishes
    the report and gives its outcomes.

    Raises:
        IdempotencyKeyReused: The key was used for another request.
        NotFound: The file is another bank's, or there is none.
        OrderNotInFile: A line names an order of another file; nothing was applied.
    """
    async with parts.db.transaction(patience_seconds=BULK_PATIENCE_SECONDS) as tx:
        stored = await claim(tx, ids.PLATFORM_NO, request)
        if stored is None:
            report_id = await store_report(tx, bank, file_id, results)
            await keep(
                tx,
                ids.PLATFORM_NO,
                request,
                command="report_results",
                subject_id=report_id,
                answer={"report_id": report_id},
            )
        else:
            report_id = UUID(str(stored["report_id"]))
    await apply_report(parts, report_id)
    return Answered(await read_report(parts, report_id), replayed=stored is not None)


async def apply_all(parts: Parts) -> None:
    """Apply every report to its end; the worker calls this after a crash."""
    async with parts.db.snapshot() as tx:
        unapplied = await report_queries.unapplied_reports(tx)
    work = BulkWork(parts.db, "apply_report")
    for report_id in unapplied:
        await work.step(ids.PLATFORM_NO, partial(apply_report, parts, report_id))


async def apply_report(parts: Parts, report_id: UUID) -> None:
    """Apply what of a report is not applied yet, and say where its file stands then.

    Raises:
        Exception: What broke at a merchant; all others have their results, and the report
            stays unapplied, for the worker or a retry to finish.
    """
    async with parts.db.snapshot() as tx:
        report = await report_queries.find_report(tx, report_id)
    if report.applied_at is not None:
        return
    work = BulkWork(parts.db, "apply_results")
    for merchant_no, lines in await asyncio.to_thread(by_merchant, report):
        await work.step(merchant_no, partial(_apply_lines, parts, report, merchant_no, lines))
    work.raise_failed()
    async with parts.db.transaction() as tx:
        status = await _settle_file(tx, report.file_id)
        await report_queries.mark_applied(tx, report_id, status)
    log.info(
        "payment_results.applied",
        report_id=str(report_id),
        file_id=str(report.file_id),
        file_status=str(status),
    )


async def _apply_lines(
    parts: Parts, report: ReportRow, merchant_no: int, lines: Sequence[Line]
) -> None:
    """Apply a merchant's lines in their order: an order may be paid and returned in a report."""
    following = False
    for start in range(0, len(lines), STEP_MAX):
        step = lines[start : start + STEP_MAX]
        following = await _apply_step(parts, report, merchant_no, step)
    if following:
        # Also where nothing was to do: a crash may have come between the booking and this.
        # What breaks here does not unmake the results; `due.resume` comes back to it.
        serving = BulkWork(parts.db, "serve_reversals")
        await serving.step(merchant_no, partial(parts.serve_reversals, merchant_no))


async def _apply_step(
    parts: Parts, report: ReportRow, merchant_no: int, lines: Sequence[Line]
) -> bool:
    """Apply lines that were not applied before; say whether something waits for the money."""
    async with parts.db.transaction() as tx, locked_books(tx, [merchant_no]) as books:
        ledger = books[merchant_no]
        positions = [line.position for line in lines]
        done = await result_queries.positions_done(tx, merchant_no, report.report_id, positions)
        todo = [line for line in lines if line.position not in done]
        if todo:
            await _apply(tx, ledger, report.report_id, todo)
        waiting = ledger.head.waiting_reversal_amount > 0
        unsettled = await result_queries.has_unsettled_refunds(tx, merchant_no)
    return waiting or unsettled


async def _apply(
    tx: Transaction, ledger: LockedBook, report_id: UUID, lines: Sequence[Line]
) -> None:
    desk = await Desk.of(tx, ledger, [line.result.order_id for line in lines])
    outcomes: list[OutcomeRow] = []
    alerts: list[AlertRow] = []
    for position, result in lines:
        order = desk.orders[result.order_id]
        verdict = _decide(order, result)
        if verdict.bookings:
            desk.book(order.order_id, verdict.status, verdict.bookings, _reason_of(result))
        if verdict.outcome is Outcome.CONFLICT:
            alerts.append(_alert(order, result, verdict, ledger))
        alerts += _payers_without_account(desk, order, result)
        outcomes.append(
            OutcomeRow(order.merchant_no, report_id, position, order.order_id, verdict.outcome)
        )
    await desk.store(tx)
    await result_queries.insert_alerts(tx, alerts)
    await result_queries.insert_outcomes(tx, outcomes)


def _decide(order: LiveOrder, result: ReportedResult) -> Verdict:
    agrees = result.amount is None or result.amount == order.amount
    return decide(OrderStatus(order.status), result.status, amount_agrees=agrees)


def _reason_of(result: ReportedResult) -> Reason | None:
    return None if result.status is ReportedStatus.PAID else result.reason


def _alert(
    order: LiveOrder, result: ReportedResult, verdict: Verdict, ledger: LockedBook
) -> AlertRow:
    detail = {
        "order_status": order.status,
        "amount": order.amount,
        "reported_status": result.status,
        "reported_amount": result.amount,
        "reported_reason": result.reason,
        "booked": verdict.bookings,
    }
    return AlertRow(
        ids.new_id(order.merchant_no),
        order.merchant_no,
        CONFLICT,
        order.order_id,
        Json(json.dumps(detail)),
        ledger.at,
    )


def _payers_without_account(
    desk: Desk, order: LiveOrder, result: ReportedResult
) -> Iterator[AlertRow]:
    """Tell operators of money from suspense whose payer must name another account.

    A card's holder sees it in their refund; a payer sees nothing here.
    """
    refund = None if order.refund_id is None else desk.refunds[order.refund_id]
    if (
        refund is not None
        and refund.card_id is None
        and refund.status == RefundStatus.ACCOUNT_NEEDED
        and desk.orders[order.order_id].status != order.status
    ):
        yield AlertRow(
            ids.new_id(order.merchant_no),
            order.merchant_no,
            PAYER_ACCOUNT_NEEDED,
            refund.receipt_id,
            Json(json.dumps({"reason": result.reason})),
            desk.ledger.at,
        )


async def _settle_file(tx: Transaction, file_id: UUID) -> FileStatus:
    """Say where a file stands; reports on it at the same time wait here for each other."""
    file = await queries.find_file(tx, file_id, lock=True)
    assert file is not None
    if file.is_cancelled:
        return FileStatus.CANCELLED
    counts = await order_queries.count_orders(tx, file_id)
    status = file_status_after(
        FileStatus(file.status),
        orders=counts.orders,
        pending=counts.pending,
        rejected=counts.rejected,
    )
    await queries.set_status(tx, file_id, status)
    return status
