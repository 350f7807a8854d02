"""End a closure when all that can be refunded is paid, and certify what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from app.closures import certificate_queries as ends
from app.closures import left as remains
from app.closures import queries, service
from app.closures.certificate import End, document_of, issue, says_the_same
from app.closures.domain import FINISHED, ClosureEvent, ClosureStatus, next_status
from app.closures.keeping import goes_on_waiting, keep, kept_amount
from app.closures.levelling import is_outdated
from app.closures.preparing import offset
from app.db.engine import BULK_PATIENCE_SECONDS
from app.ledger.books import locked_books
from app.ledger.posting import Entry
from app.money import Fen

if TYPE_CHECKING:
    from app.closures.domain import Closure
    from app.closures.preparing import Tools
    from app.db.engine import Transaction
    from app.ledger.books import LockedBook

log = structlog.get_logger()


async def finish(tools: Tools, closure: Closure) -> bool:
    """End a closure, or say anew how it ended where a late bank fact changed that.

    False while something is still to be paid, judged or answered; that is for the next round.
    """
    no = closure.merchant_no
    async with (
        tools.db.transaction(patience_seconds=BULK_PATIENCE_SECONDS) as tx,
        locked_books(tx, [no]) as books,
    ):
        book = books[no]
        current = await queries.find_closure(tx, no, closure.closure_id)
        if current is None or current.status not in {ClosureStatus.REFUNDING, *FINISHED}:
            return False
        waits = await ends.what_keeps(tx, no)
        ended = current if waits else await _ended(tx, book, current, tools)
        if ended is None or waits.ours:
            # There is more to do here, in the next round.
            return False
        await queries.update_closure(tx, ended._replace(seen_seq=book.head.seq))
    if ended.status != closure.status:
        log.info("closure.finished", merchant_no=no, status=str(ended.status))
    return not waits


async def _ended(
    tx: Transaction, book: LockedBook, closure: Closure, tools: Tools
) -> Closure | None:
    """Give the closure as it ended; None where something is shared out anew first."""
    if closure.adjusting:
        return None
    await _end_reversals(tx, book)
    uncovered = await remains.uncovered_reversals(tx, closure.merchant_no)
    payable = queries.standing_in(book).payable_amount
    # What is uncovered has ended: only what was set aside for it is kept from `bank_claim`.
    offset(book, closure, reserved_amount=kept_amount(uncovered, payable))
    lacking = queries.standing_in(book).shortfall_amount
    if lacking != closure.shortfall_amount or await is_outdated(tx, closure):
        # It is shared out anew first.
        return None
    standing = queries.standing_in(book)
    uncovered = keep(uncovered, standing.payable_amount)
    left = await remains.what_is_left(tx, closure.merchant_no, uncovered)
    if sum(one.amount for one in left) != standing.custody_amount + standing.bank_claim_amount:
        # Before anything is said of an end: what this transaction did until here may stay.
        log.error("closure.fen_without_a_name", merchant_no=closure.merchant_no)
        return None
    covered = closure.shortfall_amount == 0 and not uncovered
    status = ClosureStatus.CLOSED if covered else ClosureStatus.CLOSED_WITH_SHORTFALL
    if closure.status != status:
        event = ClosureEvent.FINISH if covered else ClosureEvent.FINISH_SHORT
        closure = closure._replace(
            status=next_status(ClosureStatus(closure.status), event),
            finished_at=closure.finished_at or book.at,
        )
        await service.take_effect(tx, book, closure)
    merchant = await queries.find_merchant(tx, closure.merchant_no)
    assert merchant is not None, "a closure is a merchant's"
    paid_count, paid_amount = await ends.paid_refunds(tx, closure)
    end = End(
        closure,
        merchant,
        await ends.refunded_kinds(tx, closure),
        paid_count,
        paid_amount,
        standing,
        left,
        uncovered,
    )
    await _certify(tx, book, end, tools)
    return closure


async def _certify(tx: Transaction, book: LockedBook, end: End, tools: Tools) -> None:
    """Issue a certificate, unless the last one says the same."""
    document = document_of(end)
    last = await ends.last_certificate(tx, end.closure)
    if last is not None and says_the_same(last, document):
        return
    number = 1 if last is None else last.number + 1
    certificate = issue(end.closure, document, book.head, tools.signer, number)
    await ends.insert_certificate(tx, certificate)


async def _end_reversals(tx: Transaction, book: LockedBook) -> None:
    """End the reversals that payable does not cover: claims of their holders from now on.

    Those of upheld disputes go on waiting while something is there that was set aside for them.
    """
    no = book.head.merchant_no
    if not book.head.waiting_reversal_amount:
        return
    payable = queries.standing_in(book).payable_amount
    waiting = goes_on_waiting(await remains.uncovered_reversals(tx, no), payable)
    for charge_id in await ends.end_reversals(tx, no, but=[one.charge_id for one in waiting]):
        book.append(Entry("reversal_ended", charge_id))
    still = Fen(sum(one.amount for one in waiting))
    book.head = book.head._replace(waiting_reversal_amount=still)
