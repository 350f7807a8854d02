"""What a merchant's closing does before anything is refunded; each part may be done again.

Pending charges are voided, offers end, files that no bank has got are cut again without the
merchant, waiting reversals are served, and then payable makes good what left custody without
instruction (DOMAIN §5, §6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from app.closures import queries, step_queries
from app.closures.commands import VoidPending
from app.closures.domain import ClosureStatus
from app.ledger.books import locked_books
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.payment_files import service as files
from app.payment_files.closure_queries import takes_refunds_back
from app.payment_files.cutting import cut
from app.payment_files.domain import FileKind, pays_merchant
from app.payment_files.errors import FileAlreadyDownloaded

if TYPE_CHECKING:
    from app.closures.domain import Closure
    from app.closures.step_queries import Recut
    from app.db.engine import Database
    from app.ledger.books import LockedBook
    from app.ledger.checkpoints import Signer
    from app.money import Fen
    from app.payment_files.parts import Parts
    from app.writer.engine import Writer

log = structlog.get_logger()

_VOIDED_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Tools:
    """The long-lived parts of a process that carries closures on."""

    writer: Writer
    files: Parts

    @property
    def db(self) -> Database:
        """Give the pool."""
        return self.files.db

    @property
    def signer(self) -> Signer:
        """Give what signs certificates."""
        return self.files.signer


async def prepare(tools: Tools, closure: Closure) -> None:
    """Bring a closing merchant's book to where its cards can be refunded; again does no harm."""
    no = closure.merchant_no
    await _void_pending(tools, no)
    await _cut_again(tools, closure)
    await tools.files.serve_reversals(no)
    async with tools.db.transaction() as tx, locked_books(tx, [no]) as books:
        current = await queries.find_closure(tx, no, closure.closure_id)
        if current is None or current.status in {ClosureStatus.NOTICE, ClosureStatus.CANCELLED}:
            return
        await step_queries.decline_offers(tx, no)
        offset(books[no], current)
        if current.status == ClosureStatus.CLOSING and not await step_queries.is_being_cut(tx, no):
            # From here two persons decide; until then only what is new is looked at.
            await queries.mark_seen(tx, current, books[no].head.seq)


def offset(book: LockedBook, closure: Closure, *, reserved_amount: Fen | None = None) -> None:
    """Let payable make good what left custody without instruction, as far as it is free.

    What waiting reversals need is not, or, where it is given, what is reserved.
    """
    standing = queries.standing_in(book)
    reserved = standing.waiting_reversal_amount if reserved_amount is None else reserved_amount
    amount = standing.offset_beyond(reserved)
    if amount > 0:
        moved = Movement(
            book.own(AccountType.MERCHANT_PAYABLE), book.own(AccountType.BANK_CLAIM), amount
        )
        book.append(Entry("bank_claim_taken", closure.closure_id, moved))


async def _void_pending(tools: Tools, no: int) -> None:
    while True:
        async with tools.db.snapshot() as tx:
            cards = await step_queries.pending_cards(tx, no, _VOIDED_MAX)
        if not cards:
            return
        voided = await tools.writer.submit(VoidPending(no, tuple(cards)))
        if not voided.result:
            return


async def _cut_again(tools: Tools, closure: Closure) -> None:
    """Take back the files that no bank has got, and cut them again without the merchant.

    Only those that would not be cut now: a closure's own refunds, and what it pays the merchant
    in the end, stay where they are. What is to be cut again is written down first: a process
    that dies between the two leaves it to the next.
    """
    no = closure.merchant_no
    async with tools.db.transaction() as tx:
        kinds: list[str] = []
        if not pays_merchant(closure.status):
            kinds.append(FileKind.RELEASE)
        if await takes_refunds_back(tx, no):
            kinds.append(FileKind.REFUND)
        await step_queries.plan_recuts(tx, await step_queries.files_to_cut_again(tx, no, kinds))
        recuts = await step_queries.waiting_recuts(tx, no)
    for recut in recuts:
        if await _cancelled(tools, recut):
            kind = FileKind(recut.kind)
            made = await cut(tools.files, kind, asked=recut.business_date, request=None)
            log.info("closure.files_cut_again", merchant_no=no, files=len(made.value))
        async with tools.db.transaction() as tx:
            await step_queries.mark_recut(tx, recut)


async def _cancelled(tools: Tools, recut: Recut) -> bool:
    """Cancel a file; False where its bank was faster, which then may pay it."""
    try:
        await files.cancel(tools.files, recut.file_id, request=None)
    except FileAlreadyDownloaded:
        return False
    return True
