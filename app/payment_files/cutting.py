"""Cut files: one transaction a merchant, so that a crash loses nothing and repeats nothing.

    cutting row -> orders, merchant by merchant -> sealed, or forgotten if nothing was found

Whoever finds a `cutting` row may finish it, also while another process does: each step asks
under the locks of file and book whether it was done.
"""

import json
from dataclasses import replace
from datetime import date
from typing import Final, cast
from uuid import UUID

import structlog

from app import ids
from app.calendar.domain import Calendar
from app.dates import business_date
from app.db.engine import Transaction
from app.db.rows import Json
from app.db.sealing import Sealer
from app.errors import Overloaded
from app.ledger.books import LockedBook, locked_books
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.payment_files import cut_queries, queries
from app.payment_files.cut_queries import DecidedRefund, WayToPay
from app.payment_files.decisions import cut_move
from app.payment_files.domain import (
    STEP_MAX,
    FileKind,
    FileStatus,
    OrderStatus,
    PaymentFile,
    Standing,
    pays_merchant,
)
from app.payment_files.order_queries import OrderRow
from app.payment_files.parts import Parts
from app.payment_files.queries import FileRow
from app.payment_files.sealing import seal
from app.writer.answers import Answered
from app.writer.requests import RequestKey, claim, keep

log = structlog.stdlib.get_logger()

_TRIES_MAX: Final = 10
"""How often a cut finishes files that others began before it gives up for now."""

REMITTANCES: Final = {FileKind.RELEASE: "预付消费结算", FileKind.REFUND: "预付消费退款"}


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
    for file_id in unfinished:
        await finish(parts, file_id)


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
    for merchant_no in merchants:
        if kind is FileKind.RELEASE:
            await _cut_release(parts, file, merchant_no)
        else:
            while await _cut_refunds(parts, file, merchant_no):
                pass
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


async def _cut_release(parts: Parts, file: FileRow, merchant_no: int) -> None:
    """Put what a merchant has earned into the file, once."""
    async with parts.db.transaction() as tx:
        if not await cut_queries.is_being_cut(tx, file.file_id):
            return
        async with locked_books(tx, [merchant_no]) as books:
            book = books[merchant_no]
            standing = standing_of(book)
            way = await cut_queries.way_to_pay(tx, merchant_no, file.file_id)
            if way is None or standing.release_amount <= 0 or not pays_merchant(book.head.status):
                return
            order = _release_order(file, book, standing, way, parts.sealer)
            await cut_queries.insert_orders(tx, [order])


def standing_of(book: LockedBook) -> Standing:
    """Read from a locked book what bounds a release order."""
    return Standing(
        payable_amount=book.balance(AccountType.MERCHANT_PAYABLE),
        waiting_reversal_amount=book.head.waiting_reversal_amount,
        held_amount=Fen(0),
        bank_claim_amount=book.balance(AccountType.BANK_CLAIM),
        custody_amount=book.balance(AccountType.CUSTODY),
        in_transit_amount=Fen(
            book.balance(AccountType.RELEASE_IN_TRANSIT)
            + book.balance(AccountType.REFUND_IN_TRANSIT)
        ),
    )


def _release_order(
    file: FileRow, book: LockedBook, standing: Standing, way: WayToPay, sealer: Sealer
) -> OrderRow:
    order_id = ids.new_id(book.head.merchant_no)
    return OrderRow(
        merchant_no=book.head.merchant_no,
        order_id=order_id,
        file_id=file.file_id,
        kind=FileKind.RELEASE,
        refund_id=None,
        attempt=None,
        custody_account=way.custody_account,
        payee_account_id=way.payee_account_id,
        payee_name=sealer.seal(way.holder_name),
        payee_account_number=way.account_number,
        payee_bank_code=way.bank_code,
        amount=standing.release_amount,
        remittance=REMITTANCES[FileKind.RELEASE],
        status=OrderStatus.PENDING,
        seq=_post_cut(book, FileKind.RELEASE, order_id, standing.release_amount),
        deductions=Json(json.dumps(standing.deductions())),
        created_at=book.at,
    )


async def _cut_refunds(parts: Parts, file: FileRow, merchant_no: int) -> bool:
    """Put a step of a merchant's refunds into the file; say whether more may follow."""
    async with parts.db.transaction() as tx:
        if not await cut_queries.is_being_cut(tx, file.file_id):
            return False
        async with locked_books(tx, [merchant_no]) as books:
            book = books[merchant_no]
            custody_account = await cut_queries.custody_account_of(tx, merchant_no)
            decided = await cut_queries.decided_refunds(tx, merchant_no, STEP_MAX)
            covered = covered_refunds(decided, standing_of(book).coverable_amount)
            await cut_queries.insert_orders(
                tx, [_refund_order(file, book, custody_account, refund) for refund in covered]
            )
            await cut_queries.put_refunds_in_transit(
                tx, merchant_no, [refund.refund_id for refund in covered]
            )
    return len(covered) == STEP_MAX


def covered_refunds(decided: list[DecidedRefund], coverable_amount: int) -> list[DecidedRefund]:
    """Take refunds in their order, whole, until one is not covered: none overtakes an older."""
    covered: list[DecidedRefund] = []
    for refund in decided:
        coverable_amount -= refund.amount
        if coverable_amount < 0:
            break
        covered.append(refund)
    return covered


def _refund_order(
    file: FileRow, book: LockedBook, custody_account: str, refund: DecidedRefund
) -> OrderRow:
    order_id = ids.new_id(book.head.merchant_no)
    standing = standing_of(book)
    return OrderRow(
        merchant_no=book.head.merchant_no,
        order_id=order_id,
        file_id=file.file_id,
        kind=FileKind.REFUND,
        refund_id=refund.refund_id,
        attempt=refund.attempt + 1,
        custody_account=custody_account,
        payee_account_id=None,
        payee_name=refund.payee_name,
        payee_account_number=refund.payee_account_number,
        payee_bank_code=refund.payee_bank_code,
        amount=refund.amount,
        remittance=REMITTANCES[FileKind.REFUND],
        status=OrderStatus.PENDING,
        seq=_post_cut(book, FileKind.REFUND, order_id, refund.amount),
        deductions=Json(json.dumps(standing.deductions())),
        created_at=book.at,
    )


def _post_cut(book: LockedBook, kind: FileKind, order_id: UUID, amount: Fen) -> int:
    move = cut_move(kind, amount)
    movement = Movement(book.own(move.debit), book.own(move.credit), move.amount)
    return book.append(Entry(f"{kind}_cut", order_id, movement))
