"""What operators and banks do with sealed files."""

from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import structlog

from app import ids
from app.bulk import BulkWork
from app.db.engine import BULK_PATIENCE_SECONDS, Database
from app.db.sealing import Sealer
from app.errors import NotFound
from app.ledger.books import locked_books
from app.payment_files import order_queries, queries, result_queries
from app.payment_files.booking import Desk
from app.payment_files.domain import (
    STEP_MAX,
    Below,
    Booking,
    FileFilter,
    FileStatus,
    OrderStatus,
    PaymentFile,
    PaymentOrder,
)
from app.payment_files.errors import FileAlreadyDownloaded, FileMismatch
from app.payment_files.parts import Parts
from app.payment_files.queries import FileRow
from app.payment_files.sealing import content_of
from app.writer.answers import Answered
from app.writer.requests import RequestKey, claim, keep

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Content:
    """A file's bytes and their digest."""

    content: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class DetachedSignature:
    """An Ed25519 signature over a file's bytes."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Figures:
    """What a bank says that it received; None for what it does not say."""

    sha256: bytes | None
    order_count: int | None
    total_amount: int | None


async def list_files(
    db: Database, bank: str, wanted: FileFilter, below: Below
) -> list[PaymentFile]:
    """Give a bank's files, newest first."""
    async with db.snapshot() as tx:
        rows = await queries.files_below(tx, bank, wanted, below)
    return [row.sealed() for row in rows]


async def read_file(db: Database, bank: str, file_id: UUID) -> PaymentFile:
    """Give a file.

    Raises:
        NotFound: It is another bank's, or there is none.
    """
    async with db.snapshot() as tx:
        return (await queries.require_bank_file(tx, bank, file_id)).sealed()


async def hand_out(db: Database, sealer: Sealer, bank: str, file_id: UUID) -> Content:
    """Give a file's bytes, the same each time. From now on it cannot be cancelled.

    Raises:
        FileChanged: Its rows no longer give the signed bytes; nothing was handed out.
        NotFound: It is another bank's, or cancelled, or there is none.
    """
    async with db.transaction(patience_seconds=BULK_PATIENCE_SECONDS) as tx:
        file = await queries.require_bank_file(tx, bank, file_id, lock=True)
        _require_not_cancelled(file)
        content = await content_of(tx, sealer, file)
        await queries.mark_handed_out(tx, file_id)
    assert file.sha256 is not None
    log.info("payment_file.handed_out", file_id=str(file_id))
    return Content(content, file.sha256)


async def read_signature(db: Database, bank: str, file_id: UUID) -> DetachedSignature:
    """Give the signature over a file's bytes.

    Raises:
        NotFound: It is another bank's, or cancelled, or there is none.
    """
    async with db.snapshot() as tx:
        file = await queries.require_bank_file(tx, bank, file_id)
    _require_not_cancelled(file)
    assert file.key_id is not None
    assert file.signature is not None
    return DetachedSignature(file.key_id, file.signature)


async def list_orders(
    db: Database, sealer: Sealer, bank: str, file_id: UUID, below: Below
) -> list[PaymentOrder]:
    """Give a file's orders, newest first. From now on it cannot be cancelled.

    Raises:
        NotFound: The file is another bank's, or there is none.
    """
    async with db.transaction() as tx:
        file = await queries.require_bank_file(tx, bank, file_id, lock=True)
        if not file.is_cancelled:
            await queries.mark_handed_out(tx, file_id)
        rows = await order_queries.orders_below(tx, file_id, below)
    orders = [row.opened(sealer) for row in rows]
    if file.is_cancelled:
        return [_as_cancelled(order) for order in orders]
    return orders


async def acknowledge(
    db: Database, bank: str, file_id: UUID, figures: Figures, *, request: RequestKey | None
) -> Answered[PaymentFile]:
    """Record that the bank took a file. Repeating it changes nothing; nor does a cancelled file.

    Raises:
        FileMismatch: The bank received other figures; nothing was recorded.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: It is another bank's, or there is none.
    """
    async with db.transaction() as tx:
        stored = await claim(tx, ids.PLATFORM_NO, request)
        file = (await queries.require_bank_file(tx, bank, file_id, lock=True)).sealed()
        if stored is not None:
            then = FileStatus(str(stored["status"]))
            return Answered(replace(file, status=then), replayed=True)
        _require_equal(file, figures)
        await queries.mark_acknowledged(tx, file_id)
        (row,) = await queries.files_by_id(tx, [file_id])
        after = row.sealed()
        await keep(
            tx,
            ids.PLATFORM_NO,
            request,
            command="acknowledge_file",
            subject_id=file_id,
            answer={"status": after.status},
        )
    log.info("payment_file.acknowledged", file_id=str(file_id))
    return Answered(after)


async def cancel(
    parts: Parts, file_id: UUID, *, request: RequestKey | None
) -> Answered[PaymentFile]:
    """Take a file back that no bank has seen; its money is payable again, its number stays used.

    Repeating it gives the cancelled file, and finishes what was broken off.

    Raises:
        FileAlreadyDownloaded: The bank has it.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: There is no such file.
    """
    async with parts.db.transaction() as tx:
        stored = await claim(tx, ids.PLATFORM_NO, request)
        file = await queries.find_file(tx, file_id, lock=True)
        if file is None or not file.is_sealed:
            raise NotFound
        if file.handed_out_at is not None:
            raise FileAlreadyDownloaded
        if not file.is_cancelled:
            await queries.mark_cancelled(tx, file_id)
        if stored is None:
            await keep(
                tx, ids.PLATFORM_NO, request, command="cancel_file", subject_id=file_id, answer={}
            )
    await give_back(parts, file_id)
    log.info("payment_file.cancelled", file_id=str(file_id))
    async with parts.db.snapshot() as tx:
        (after,) = await queries.files_by_id(tx, [file_id])
    return Answered(after.sealed(), replayed=stored is not None)


async def give_back(parts: Parts, file_id: UUID) -> None:
    """Make the money of a cancelled file's orders payable again, merchant by merchant.

    Raises:
        Exception: What broke at a merchant; all others have their money again, and the file
            stays half cancelled, for the worker or a retry to finish.
    """
    async with parts.db.snapshot() as tx:
        merchants = await order_queries.merchants_with_pending(tx, file_id)
    work = BulkWork(parts.db, "cancel_file")
    for merchant_no in merchants:
        await work.step(merchant_no, partial(_give_back_to, parts, file_id, merchant_no))
    work.raise_failed()
    async with parts.db.transaction() as tx:
        await queries.set_status(tx, file_id, FileStatus.CANCELLED)


async def _give_back_to(parts: Parts, file_id: UUID, merchant_no: int) -> None:
    more = True
    while more:
        more, waiting = await _give_back_step(parts, file_id, merchant_no)
        if waiting:
            serving = BulkWork(parts.db, "serve_reversals")
            await serving.step(merchant_no, partial(parts.serve_reversals, merchant_no))


async def _give_back_step(parts: Parts, file_id: UUID, merchant_no: int) -> tuple[bool, bool]:
    """Give a step of orders back; say whether more may follow, and whether reversals wait."""
    async with parts.db.transaction() as tx, locked_books(tx, [merchant_no]) as books:
        ledger = books[merchant_no]
        pending = await result_queries.pending_order_ids(tx, merchant_no, file_id, STEP_MAX)
        desk = await Desk.of(tx, ledger, pending)
        for order_id in pending:
            desk.book(order_id, OrderStatus.CANCELLED, (Booking.CANCELLED,))
        await desk.store(tx)
        waiting = ledger.head.waiting_reversal_amount > 0
    return len(pending) == STEP_MAX, waiting


def _require_not_cancelled(file: FileRow) -> None:
    """A cancelled file is never handed out, so that no bank can execute it."""
    if file.is_cancelled:
        raise NotFound


def _require_equal(file: PaymentFile, figures: Figures) -> None:
    expected = {
        "sha256": file.sha256,
        "order_count": file.order_count,
        "total_amount": file.total_amount,
    }
    for figure, value in expected.items():
        given = getattr(figures, figure)
        if given is not None and given != value:
            raise FileMismatch(figure)


def _as_cancelled(order: PaymentOrder) -> PaymentOrder:
    """Show no pending order of a cancelled file, whose money may still be on its way back."""
    if order.status is not OrderStatus.PENDING:
        return order
    return replace(order, status=OrderStatus.CANCELLED)
