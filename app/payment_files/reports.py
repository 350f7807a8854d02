"""Banks' reports as they are stored and read again: a hundred thousand lines are ordinary.

Reading that many takes seconds. It is done in threads and in pieces, so that the process serves
others meanwhile.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

from app import ids
from app.db.engine import BULK_PATIENCE_SECONDS, Transaction
from app.ids import Prefix, merchant_no_of
from app.payment_files import order_queries, queries, report_queries
from app.payment_files.domain import (
    AppliedReport,
    FileStatus,
    Outcome,
    ReportedResult,
    ResultOutcome,
)
from app.payment_files.errors import OrderNotInFile
from app.payment_files.parts import Parts
from app.payment_files.report_queries import ReportRow
from app.payment_files.result_queries import OutcomeRow
from app.writer.answers import as_facts

_PIECE: Final = 2_000
"""Lines that are asked of the database at once: some ten milliseconds of this process."""


class Line(NamedTuple):
    """A line of a report and its place in it."""

    position: int
    result: ReportedResult


async def store_report(
    tx: Transaction, bank: str, file_id: UUID, results: Sequence[ReportedResult]
) -> UUID:
    """Store a report whole, before anything of it is applied.

    Raises:
        NotFound: The file is another bank's, or there is none.
        OrderNotInFile: A line names an order of another file; nothing was stored.
    """
    await queries.require_bank_file(tx, bank, file_id, lock=True)
    for start in range(0, len(results), _PIECE):
        asked = [result.order_id for result in results[start : start + _PIECE]]
        known = await order_queries.order_ids_in_file(tx, file_id, asked)
        for order_id in asked:
            if order_id not in known:
                raise OrderNotInFile(ids.to_text(Prefix.ORDER, order_id))
    await queries.mark_acknowledged(tx, file_id)
    body = await asyncio.to_thread(_said, results)
    return await report_queries.insert_report(tx, file_id, body)


def by_merchant(report: ReportRow) -> list[tuple[int, list[Line]]]:
    """Give a report's lines by merchant, each merchant's in their order."""
    lines = [Line(position, result) for position, result in enumerate(report.results())]
    lines.sort(key=_merchant_of)
    return [(no, list(group)) for no, group in groupby(lines, key=_merchant_of)]


async def read_report(parts: Parts, report_id: UUID) -> AppliedReport:
    """Give the answer to a report that was applied."""
    rows: list[OutcomeRow] = []
    async with parts.db.snapshot(patience_seconds=BULK_PATIENCE_SECONDS) as tx:
        report = await report_queries.find_report(tx, report_id)
        (file,) = await queries.files_by_id(tx, [report.file_id])
        more = True
        while more:
            piece = await report_queries.outcomes(tx, report_id, first=len(rows), count=_PIECE)
            rows += piece
            more = len(piece) == _PIECE
    assert report.file_status is not None, "a report is read after it was applied"
    return AppliedReport(
        replace(file.sealed(), status=FileStatus(report.file_status)),
        await asyncio.to_thread(_outcomes, report, rows),
    )


def _said(results: Sequence[ReportedResult]) -> str:
    # Not json.dumps: it would hold all other threads up until the last line is said.
    return "".join(json.JSONEncoder().iterencode([as_facts(result) for result in results]))


def _outcomes(report: ReportRow, rows: Sequence[OutcomeRow]) -> tuple[ResultOutcome, ...]:
    reported = [result.status for result in report.results()]
    return tuple(
        ResultOutcome(row.order_id, reported[row.position], Outcome(row.outcome)) for row in rows
    )


def _merchant_of(line: Line) -> int:
    return merchant_no_of(line.result.order_id)
