"""Where custody does not cover all claims: share it out, and bring what was decided to it.

The shares are kept as rows, so that every step pays by the same sum. They are made anew when
what lacks changes: more of it left without instruction, or the bank made good what lacked. So
they are when a card comes to be owed something else: by an upheld dispute, or an upheld claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from app.cards.domain import Card
from app.cards.statement import CardEntry
from app.closures import queries
from app.closures import share_queries as shares
from app.closures.domain import FINISHED, STEP_MAX, ClosureStatus
from app.closures.keeping import kept_amount
from app.closures.left import uncovered_reversals
from app.closures.resizing import Moment, resize
from app.closures.sharing import share_out
from app.db.engine import BULK_PATIENCE_SECONDS
from app.ids import new_id
from app.ledger.books import locked_books
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.purchases.tables import SuspenseRefund
from app.refunds.rows import CardRefund

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from app.closures.domain import Closure
    from app.closures.share_queries import Receipt
    from app.db.engine import Database, Transaction
    from app.ledger.books import LockedBook

log = structlog.get_logger()

_CARD_KEY: Final = ("merchant_no", "card_id")
_CARD_CHANGES: Final = ("status", "refunded_amount", "entry_count")
_REFUND_KEY: Final = ("merchant_no", "refund_id")
_REFUND_CHANGES: Final = ("status", "amount", "unpaid_amount")


async def level(db: Database, closure: Closure) -> Closure:
    """Bring all that is decided to what custody covers; give the closure as it is then.

    Two workers at once do the same steps in turn. Where one of them finds that the other has
    shared anew, it begins again, with the newer shares.
    """
    current = await share_where_due(db, closure)
    while current.adjusting:
        last = await adjust_step(db, current, after=None)
        while last is not None:
            last = await adjust_step(db, current, after=last)
        async with db.snapshot() as tx:
            current = await _read(tx, closure)
    return current


async def share_where_due(db: Database, closure: Closure) -> Closure:
    """Share out what custody covers where that was not done, or is not right any more."""
    no = closure.merchant_no
    async with (
        db.transaction(patience_seconds=BULK_PATIENCE_SECONDS) as tx,
        locked_books(tx, [no]) as books,
    ):
        current = await _read(tx, closure)
        if current.status not in {ClosureStatus.REFUNDING, *FINISHED}:
            return current
        standing = queries.standing_in(books[no])
        if standing.shortfall_amount != current.shortfall_amount or await is_outdated(tx, current):
            current = await share(tx, books[no], current)
        return current


async def is_outdated(tx: Transaction, closure: Closure) -> bool:
    """Say whether what was shared out is not what cards are owed any more."""
    if not closure.shortfall_amount:
        return False
    return await shares.claims_have_changed(tx, closure.merchant_no)


async def share(tx: Transaction, book: LockedBook, closure: Closure) -> Closure:
    """Share out what custody has beyond what banks were told to pay, and what is disputed.

    What was set aside for a dispute that was upheld and waits is kept back as if it still were.
    """
    standing = queries.standing_in(book)
    claims = await shares.claims_of(tx, closure.merchant_no)
    cash = standing.custody_amount - standing.in_transit_amount - standing.disputed_amount
    if standing.waiting_reversal_amount > 0:
        uncovered = await uncovered_reversals(tx, closure.merchant_no)
        cash -= kept_amount(uncovered, standing.payable_amount)
    shared = share_out(claims, cash)
    rows = [
        shares.Share(
            closure.merchant_no,
            claim.claim_id,
            closure.closure_id,
            claim.amount,
            shared[claim.claim_id],
        )
        for claim in claims
        if claim.amount > 0
    ]
    await shares.keep_shares(tx, closure, rows)
    seq = book.append(Entry("closure_shared_out", closure.closure_id, None, closure.content_hash()))
    changed = closure._replace(
        shortfall_amount=standing.shortfall_amount, adjusting=True, shared_seq=seq
    )
    await queries.update_closure(tx, changed)
    if changed.shortfall_amount > closure.shortfall_amount:
        await shares.raise_shortfall(tx, changed)
    log.info(
        "closure.shared_out",
        merchant_no=closure.merchant_no,
        claims=len(rows),
        shortfall_amount=changed.shortfall_amount,
    )
    return changed


async def adjust_step(db: Database, closure: Closure, *, after: UUID | None) -> UUID | None:
    """Bring some of the refunds decided before to their shares; say after which card to go on.

    None where none is left, and refunds may be cut again; or where another has shared anew since
    this closure was read: then nothing is done, and who shared has its own steps to take.
    """
    no = closure.merchant_no
    async with (
        db.transaction(patience_seconds=BULK_PATIENCE_SECONDS) as tx,
        locked_books(tx, [no]) as books,
    ):
        book = books[no]
        if (await _read(tx, closure)).shared_seq != closure.shared_seq:
            return None
        if after is None:
            for receipt in await shares.receipts_off_their_share(tx, no):
                await _resize_receipt(tx, book, receipt)
        cards = await shares.cards_off_their_share(tx, no, after=after, limit=STEP_MAX)
        if cards:
            await _resize_cards(tx, book, closure, cards)
        if len(cards) == STEP_MAX:
            return cards[-1].card_id
        # In the step's own transaction: no newer shares can come between.
        await shares.mark_levelled(tx, closure)
    return None


async def _read(tx: Transaction, closure: Closure) -> Closure:
    found = await queries.find_closure(tx, closure.merchant_no, closure.closure_id)
    assert found is not None, "closures are never deleted"
    return found


async def _resize_cards(
    tx: Transaction, book: LockedBook, closure: Closure, cards: Sequence[Card]
) -> None:
    ids = [card.card_id for card in cards]
    await book.load(tx, ids)
    refunds = await shares.decided_refunds(tx, closure.merchant_no, ids)
    wanted = await shares.shares_of(tx, closure.merchant_no, ids)
    payable = book.own(AccountType.REFUND_PAYABLE)
    after: list[Card] = []
    lines: list[CardEntry] = []
    changed: list[CardRefund] = []
    added: list[CardRefund] = []
    for card in cards:
        moment = Moment(closure.closure_id, payable, book.at, book.head.seq + 1)
        resized = resize(card, refunds.get(card.card_id, []), wanted[card.card_id], moment)
        if resized is None or not resized.entries:
            # A claim that is still judged has its share when it is decided.
            continue
        book.append(*resized.entries)
        after.append(resized.card)
        lines += resized.lines
        changed += resized.changed
        added += resized.added
    await tx.update("card", Card, after, key=_CARD_KEY, mutable=_CARD_CHANGES)
    await tx.insert("card_entry", CardEntry, lines)
    await tx.update("refund", CardRefund, changed, key=_REFUND_KEY, mutable=_REFUND_CHANGES)
    await tx.insert("refund", CardRefund, added)
    await shares.recount(tx, closure)


async def _resize_receipt(tx: Transaction, book: LockedBook, receipt: Receipt) -> None:
    """Give money without a card back at its share; the rest stays in suspense."""
    suspense, payable = book.own(AccountType.SUSPENSE), book.own(AccountType.REFUND_PAYABLE)
    no, share_, was = book.head.merchant_no, receipt.share, receipt.refund_amount or Fen(0)
    unpaid = Fen(receipt.amount - share_)
    if share_ > was:
        moved = Movement(suspense, payable, Fen(share_ - was))
        book.append(Entry("receipt_given_back", receipt.receipt_id, moved))
    else:
        moved = Movement(payable, suspense, Fen(was - share_))
        book.append(Entry("receipt_withheld", receipt.receipt_id, moved))
    if receipt.refund_id is not None:
        await shares.resize_refund(tx, no, receipt.refund_id, amount=share_, unpaid=unpaid)
        return
    refund = SuspenseRefund(
        no,
        new_id(no),
        receipt.receipt_id,
        None,
        "decided",
        share_,
        receipt.payer_name,
        receipt.payer_account_number,
        None,
        0,
        book.at,
    )
    await tx.insert("refund", SuspenseRefund, [refund])
    await shares.resize_refund(tx, no, refund.refund_id, amount=share_, unpaid=unpaid)
    await shares.return_receipt(tx, no, receipt.receipt_id, refund.refund_id)
