"""Rows of banks' reports, as they came and as they were applied."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

from app.db.engine import Transaction
from app.db.rows import Json
from app.ids import new_platform_id
from app.payment_files.domain import FileStatus, ReportedResult
from app.payment_files.result_queries import OutcomeRow
from app.writer.answers import from_facts


class ReportRow(NamedTuple):
    """A report as the bank sent it."""

    report_id: UUID
    file_id: UUID
    body: Json
    applied_at: datetime | None
    file_status: str | None

    def results(self) -> list[ReportedResult]:
        """Read its lines."""
        lines = cast("list[Mapping[str, object]]", json.loads(self.body))
        return [from_facts(ReportedResult, line) for line in lines]


class ReportId(NamedTuple):
    """A report."""

    report_id: UUID


async def insert_report(tx: Transaction, file_id: UUID, body: str) -> UUID:
    """Store a report as JSON."""
    report_id = new_platform_id()
    await tx.execute(
        """
        INSERT INTO result_report (report_id, file_id, body, received_at)
        VALUES (:id, :file_id, CAST(:body AS jsonb), anxin_now())
        """,
        id=report_id,
        file_id=file_id,
        body=body,
    )
    return report_id


async def find_report(tx: Transaction, report_id: UUID) -> ReportRow:
    """Give a report."""
    row = await tx.fetch_one(
        ReportRow,
        """
        SELECT report_id, file_id, CAST(body AS text) AS body, applied_at, file_status
        FROM result_report WHERE report_id = :id
        """,
        id=report_id,
    )
    assert row is not None
    return row


async def unapplied_reports(tx: Transaction) -> list[UUID]:
    """Give the reports that were not applied to the end, oldest first."""
    rows = await tx.fetch(
        ReportId,
        """
        SELECT report_id FROM result_report WHERE applied_at IS NULL
        ORDER BY received_at, report_id
        """,
    )
    return [row.report_id for row in rows]


async def mark_applied(tx: Transaction, report_id: UUID, file_status: FileStatus) -> None:
    """Record that all of a report was applied, and where its file stood then."""
    await tx.execute(
        """
        UPDATE result_report SET applied_at = anxin_now(), file_status = :status
        WHERE report_id = :id AND applied_at IS NULL
        """,
        status=str(file_status),
        id=report_id,
    )


async def outcomes(tx: Transaction, report_id: UUID, *, first: int, count: int) -> list[OutcomeRow]:
    """Give what lines of a report did, in their order, from one of them on."""
    return await tx.fetch(
        OutcomeRow,
        """
        SELECT merchant_no, report_id, position, order_id, outcome
        FROM result_outcome WHERE report_id = :id AND position >= :first
        ORDER BY position LIMIT :count
        """,
        id=report_id,
        first=first,
        count=count,
    )
