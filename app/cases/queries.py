"""Read cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.cases.rows import CaseFile, CaseKind, CaseStatus
from app.db.rows import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from app.db.engine import Transaction

_COLUMNS: Final = ", ".join(f"case_file.{column.name}" for column in columns_of(CaseFile))


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases a list is about; None is any."""

    merchant_no: int | None = None
    consumer: UUID | None = None
    status: CaseStatus | None = None
    kind: CaseKind | None = None


async def find_case(tx: Transaction, merchant_no: int, case_id: UUID) -> CaseFile | None:
    """Read one case."""
    return await tx.fetch_one(
        CaseFile,
        f"SELECT {_COLUMNS} FROM case_file"  # noqa: S608  # our own column names
        " WHERE merchant_no = :no AND case_id = :id",
        no=merchant_no,
        id=case_id,
    )


async def list_cases(
    tx: Transaction, wanted: CaseFilter, *, before: UUID | None, count: int
) -> Sequence[CaseFile]:
    """Read a page of cases, newest first."""
    conditions = {
        "merchant_no": wanted.merchant_no,
        "consumer": wanted.consumer,
        "status": wanted.status,
        "kind": wanted.kind,
    }
    given = {name: value for name, value in conditions.items() if value is not None}
    where = "".join(f" AND {name} = :{name}" for name in given)
    return await tx.fetch(
        CaseFile,
        f"SELECT {_COLUMNS} FROM case_file"  # noqa: S608  # our own column names
        " WHERE (CAST(:before AS uuid) IS NULL OR case_id < CAST(:before AS uuid))"
        f"{where} ORDER BY case_id DESC LIMIT :count",
        before=before,
        count=count,
        **given,
    )


async def list_decided(tx: Transaction, ids: Sequence[UUID]) -> Sequence[CaseFile]:
    """Read which of these cases are decided."""
    return await tx.fetch(
        CaseFile,
        f"SELECT {_COLUMNS} FROM case_file"  # noqa: S608  # our own column names
        " WHERE case_id = ANY(CAST(:ids AS uuid[])) AND status = 'decided'",
        ids=list(ids),
    )


async def list_silent(
    tx: Transaction, today: date, *, after: UUID | None, count: int
) -> Sequence[CaseFile]:
    """Read open cases whose merchant let the day go by, oldest first; not of a held card."""
    return await tx.fetch(
        CaseFile,
        f"""
        SELECT {_COLUMNS} FROM case_file
        LEFT JOIN card
            ON card.merchant_no = case_file.merchant_no AND card.card_id = case_file.card_id
        WHERE case_file.status = 'open' AND case_file.answer_due_on < :today
          AND card.on_hold IS NOT TRUE
          AND (CAST(:after AS uuid) IS NULL OR case_id > CAST(:after AS uuid))
        ORDER BY case_id LIMIT :count
        """,  # noqa: S608  # our own column names
        today=today,
        after=after,
        count=count,
    )


async def list_unscheduled(
    tx: Transaction, *, after: UUID | None, count: int
) -> Sequence[CaseFile]:
    """Read open cases of which the calendar did not say when they must be answered."""
    return await tx.fetch(
        CaseFile,
        f"""
        SELECT {_COLUMNS} FROM case_file
        WHERE status = 'open' AND answer_due_on IS NULL
          AND (CAST(:after AS uuid) IS NULL OR case_id > CAST(:after AS uuid))
        ORDER BY case_id LIMIT :count
        """,  # noqa: S608  # our own column names
        after=after,
        count=count,
    )
