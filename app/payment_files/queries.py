"""Rows of files and their orders."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Transaction
from app.errors import NotFound
from app.money import Fen
from app.payment_files.domain import (
    Below,
    FileFilter,
    FileKind,
    FileStatus,
    PaymentFile,
)

_FILES: Final = """
SELECT file_id, kind, bank, business_date, sequence, status, order_count, total_amount, sha256,
       signature, key_id, handed_out_at, cancelled_at, created_at
FROM payment_file
"""


class FileRow(NamedTuple):
    """A file as it lies in the table."""

    file_id: UUID
    kind: str
    bank: str
    business_date: date
    sequence: int | None
    status: str
    order_count: int | None
    total_amount: Fen | None
    sha256: bytes | None
    signature: bytes | None
    key_id: str | None
    handed_out_at: datetime | None
    cancelled_at: datetime | None
    created_at: datetime

    @property
    def is_sealed(self) -> bool:
        return self.status != FileStatus.CUTTING

    @property
    def is_cancelled(self) -> bool:
        """Say whether it is, also while its money is still on the way back."""
        return self.cancelled_at is not None

    def sealed(self) -> PaymentFile:
        """Give a sealed file in the domain's types."""
        assert self.sequence is not None
        assert self.order_count is not None
        assert self.total_amount is not None
        assert self.sha256 is not None
        return PaymentFile(
            file_id=self.file_id,
            kind=FileKind(self.kind),
            bank=self.bank,
            business_date=self.business_date,
            sequence=self.sequence,
            status=FileStatus.CANCELLED if self.is_cancelled else FileStatus(self.status),
            order_count=self.order_count,
            total_amount=self.total_amount,
            sha256=self.sha256,
            created_at=self.created_at,
        )


async def find_file(tx: Transaction, file_id: UUID, *, lock: bool = False) -> FileRow | None:
    """Find a file; with `lock`, its changes wait for this transaction."""
    locking = "FOR NO KEY UPDATE" if lock else ""
    return await tx.fetch_one(FileRow, f"{_FILES} WHERE file_id = :id {locking}", id=file_id)


async def files_by_id(tx: Transaction, file_ids: Sequence[UUID]) -> list[FileRow]:
    """Give those of the files that are there, in the order of their ids."""
    return await tx.fetch(
        FileRow,
        f"{_FILES} WHERE file_id = ANY(CAST(:ids AS uuid[])) ORDER BY file_id",
        ids=list(file_ids),
    )


async def require_bank_file(
    tx: Transaction, bank: str, file_id: UUID, *, lock: bool = False
) -> FileRow:
    """Give a file as its bank sees it.

    Raises:
        NotFound: It is another bank's, or not sealed, or there is none.
    """
    row = await find_file(tx, file_id, lock=lock)
    if row is None or row.bank != bank or not row.is_sealed:
        raise NotFound
    return row


async def files_below(
    tx: Transaction, bank: str, wanted: FileFilter, below: Below
) -> list[FileRow]:
    """Give a bank's sealed files, newest first, below a file's id."""
    return await tx.fetch(
        FileRow,
        f"""{_FILES}
        WHERE bank = :bank AND status <> 'cutting'
          AND kind = coalesce(CAST(:kind AS text), kind)
          AND status = coalesce(CAST(:status AS text), status)
          AND (CAST(:before AS uuid) IS NULL OR file_id < CAST(:before AS uuid))
        ORDER BY file_id DESC LIMIT :limit
        """,
        bank=bank,
        kind=wanted.kind,
        status=wanted.status,
        before=below.before,
        limit=below.limit,
    )


async def mark_handed_out(tx: Transaction, file_id: UUID) -> None:
    """Record that the bank has the file; from now on it cannot be cancelled."""
    await tx.execute(
        """
        UPDATE payment_file SET handed_out_at = anxin_now()
        WHERE file_id = :id AND handed_out_at IS NULL
        """,
        id=file_id,
    )


async def mark_acknowledged(tx: Transaction, file_id: UUID) -> None:
    """Record that the bank took the file; a later state stays."""
    await tx.execute(
        """
        UPDATE payment_file
        SET status = CASE status WHEN 'ready' THEN 'acknowledged' ELSE status END,
            handed_out_at = coalesce(handed_out_at, anxin_now()),
            acknowledged_at = coalesce(acknowledged_at, anxin_now())
        WHERE file_id = :id AND cancelled_at IS NULL
        """,
        id=file_id,
    )


async def mark_cancelled(tx: Transaction, file_id: UUID) -> None:
    """Keep the file from its bank for good."""
    await tx.execute(
        "UPDATE payment_file SET cancelled_at = anxin_now() WHERE file_id = :id", id=file_id
    )


async def files_being_cancelled(tx: Transaction) -> list[UUID]:
    """Give the files whose money is not all payable again."""

    class Found(NamedTuple):
        file_id: UUID

    rows = await tx.fetch(
        Found,
        """
        SELECT file_id FROM payment_file
        WHERE cancelled_at IS NOT NULL AND status <> 'cancelled' ORDER BY file_id
        """,
    )
    return [row.file_id for row in rows]


async def set_status(tx: Transaction, file_id: UUID, status: FileStatus) -> None:
    """Store where a file stands."""
    await tx.execute(
        "UPDATE payment_file SET status = :status WHERE file_id = :id", id=file_id, status=status
    )
