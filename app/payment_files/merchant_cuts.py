"""What one merchant gives to a file that is being cut: an order for what it earned, or refunds.

Each function is one transaction under the locks of file and book; doing it again changes nothing.
"""

import json
from typing import Final
from uuid import UUID

from app import ids
from app.db.rows import Json
from app.db.sealing import Sealer
from app.holds.domain import Held
from app.holds.service import held_of
from app.ledger.books import LockedBook, locked_books
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.payment_files import closure_queries, cut_queries
from app.payment_files.cut_queries import DecidedRefund, WayToPay
from app.payment_files.decisions import cut_move
from app.payment_files.domain import STEP_MAX, FileKind, OrderStatus, Standing, pays_merchant
from app.payment_files.order_queries import OrderRow
from app.payment_files.parts import Parts
from app.payment_files.queries import FileRow

REMITTANCES: Final = {FileKind.RELEASE: "预付消费结算", FileKind.REFUND: "预付消费退款"}


async def cut_merchant(parts: Parts, file: FileRow, merchant_no: int) -> None:
    """Put all that can be paid of a merchant's money into the file.

    Raises:
        SealBroken: A payee cannot be opened; what was not cut stays owed.
    """
    if file.kind == FileKind.RELEASE:
        await _cut_release(parts, file, merchant_no)
        return
    while await _cut_refunds(parts, file, merchant_no):
        pass


async def _cut_release(parts: Parts, file: FileRow, merchant_no: int) -> None:
    """Put what a merchant has earned into the file, once."""
    async with parts.db.transaction() as tx:
        if not await cut_queries.is_being_cut(tx, file.file_id):
            return
        async with locked_books(tx, [merchant_no]) as books:
            book = books[merchant_no]
            standing = standing_of(book, await held_of(tx, merchant_no, book.at))
            way = await cut_queries.way_to_pay(tx, merchant_no, file.file_id)
            if way is None or standing.release_amount <= 0 or not pays_merchant(book.head.status):
                return
            order = _release_order(file, book, standing, way, parts.sealer)
            await cut_queries.insert_orders(tx, [order])


def standing_of(book: LockedBook, held: Held) -> Standing:
    """Read from a locked book what bounds an order, with what holds keep back."""
    custody_amount = book.balance(AccountType.CUSTODY)
    in_transit_amount = Fen(
        book.balance(AccountType.RELEASE_IN_TRANSIT) + book.balance(AccountType.REFUND_IN_TRANSIT)
    )
    payable_amount = book.balance(AccountType.MERCHANT_PAYABLE)
    return Standing(
        payable_amount=payable_amount,
        waiting_reversal_amount=book.head.waiting_reversal_amount,
        held_amount=held.of_payable(payable_amount),
        bank_claim_amount=book.balance(AccountType.BANK_CLAIM),
        custody_amount=custody_amount,
        in_transit_amount=in_transit_amount,
        held_custody_amount=held.of_custody(custody_amount - in_transit_amount),
    )


def _release_order(
    file: FileRow, book: LockedBook, standing: Standing, way: WayToPay, sealer: Sealer
) -> OrderRow:
    order_id = ids.new_id(book.head.merchant_no)
    # What cannot be opened must break here, at its merchant: in the seal it would stop the file.
    sealer.open(way.account_number)
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
            if await closure_queries.keeps_refunds(tx, merchant_no):
                return False
            custody_account = await cut_queries.custody_account_of(tx, merchant_no)
            held = await held_of(tx, merchant_no, book.at)
            decided = [
                *await cut_queries.decided_refunds(tx, merchant_no, book.at, STEP_MAX),
                *await cut_queries.held_refunds(tx, merchant_no, book.at),
            ]
            covered = covered_refunds(decided, standing_of(book, held).coverable_amount)
            for refund in covered:
                # As for a release: what cannot be opened must break here, at its merchant.
                parts.sealer.open(refund.payee_name)
                parts.sealer.open(refund.payee_account_number)
            orders = [
                _refund_order(file, book, custody_account, refund, held) for refund in covered
            ]
            await cut_queries.insert_orders(tx, orders)
            await cut_queries.put_refunds_in_transit(
                tx, merchant_no, [refund.refund_id for refund in covered]
            )
    return len(covered) == STEP_MAX


def covered_refunds(decided: list[DecidedRefund], coverable_amount: int) -> list[DecidedRefund]:
    """Take refunds, oldest first and whole, until one is not covered: none overtakes an older.

    One whose card is held keeps its place and its money, and is not taken.
    """
    covered: list[DecidedRefund] = []
    for refund in sorted(decided, key=lambda refund: (refund.decided_at, refund.refund_id)):
        coverable_amount -= refund.amount
        if coverable_amount < 0:
            break
        if not refund.on_hold:
            covered.append(refund)
    return covered


def _refund_order(
    file: FileRow, book: LockedBook, custody_account: str, refund: DecidedRefund, held: Held
) -> OrderRow:
    order_id = ids.new_id(book.head.merchant_no)
    standing = standing_of(book, held)
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
