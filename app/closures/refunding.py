"""Refund a closing merchant's cards, many in one transaction: steps that may break off.

A step locks the book, takes the next cards that nobody refunds yet, decides each with the pure
functions of refunds, and writes all of it with the closure's counters. What was done is what lies
in the rows, so that a crash neither skips nor repeats a card; two workers at once take turns.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from app.cards.domain import Card
from app.cards.statement import CardEntry
from app.closures import queries, share_queries
from app.closures import step_queries as steps
from app.closures.deciding import Decided, Step, decide
from app.closures.domain import STEP_MAX, ClosureStatus
from app.closures.levelling import share
from app.dates import business_date
from app.db.engine import BULK_PATIENCE_SECONDS
from app.db.rows import json_text
from app.ids import new_platform_id
from app.ledger.books import locked_books
from app.ledger.chart import AccountType
from app.money import Fen
from app.refunds.rows import CardRefund
from app.writer.writing import OutboxRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from app.closures.domain import Closure
    from app.db.engine import Database, Transaction
    from app.ledger.books import LockedBook

_EXECUTED: Final = frozenset(
    {ClosureStatus.REFUNDING, ClosureStatus.CLOSED, ClosureStatus.CLOSED_WITH_SHORTFALL}
)
_CARD_KEY: Final = ("merchant_no", "card_id")
_CARD_CHANGES: Final = ("status", "refunded_amount", "entry_count")


class Done(NamedTuple):
    """How many cards were refunded, and after which the next step begins; None at the end."""

    cards: int
    last: UUID | None


async def refund_cards(db: Database, closure: Closure, *, seconds_max: float) -> Done:
    """Refund card after card until none is left or the time is over; say how many, and where.

    The book is free between steps, so that bank facts and reversals get their turn.
    """
    ends_at = perf_counter() + seconds_max
    cards, last = 0, None
    while perf_counter() < ends_at:
        done = await refund_step(db, closure, after=last)
        cards += done.cards
        if done.cards < STEP_MAX:
            return Done(cards, None)
        last = done.last
    return Done(cards, last)


async def refund_step(db: Database, closure: Closure, *, after: UUID | None) -> Done:
    """Refund the next cards after this one, in one transaction."""
    no, started = closure.merchant_no, perf_counter()
    async with (
        db.transaction(patience_seconds=BULK_PATIENCE_SECONDS) as tx,
        locked_books(tx, [no]) as books,
    ):
        book = books[no]
        current = await queries.find_closure(tx, no, closure.closure_id)
        if current is None or current.status not in _EXECUTED:
            return Done(0, None)
        lacking = queries.standing_in(book).shortfall_amount
        if current.adjusting or lacking != current.shortfall_amount:
            # What custody covers is shared out first; the next round finds the shares.
            return Done(0, None)
        disputed = await steps.disputed_cards(tx, no)
        cards = await steps.cards_to_refund(tx, no, after=after, without=disputed, limit=STEP_MAX)
        if not cards:
            return Done(0, None)
        shares = await _shares_of(tx, current, cards)
        if shares is None:
            # A claim that came later, as from a case that was rejected: the next round goes on.
            await share(tx, book, current)
            return Done(0, None)
        decided = await _decide_all(tx, book, current.closure_id, cards, shares)
        await _write(tx, decided)
        refunded = sum(one.refund.amount for one in decided)
        await queries.update_closure(
            tx,
            current._replace(
                refunded_count=current.refunded_count + len(decided),
                refunded_amount=Fen(current.refunded_amount + refunded),
                run_microseconds=current.run_microseconds
                + int((perf_counter() - started) * 1_000_000),
            ),
        )
    return Done(len(cards), cards[-1].card_id)


async def _shares_of(
    tx: Transaction, closure: Closure, cards: Sequence[Card]
) -> Mapping[UUID, Fen] | None:
    """Give what each card gets, nothing where all are paid whole; None where one is not known."""
    if not closure.shortfall_amount:
        return {}
    ids = [card.card_id for card in cards]
    shares = await share_queries.shares_of(tx, closure.merchant_no, ids)
    return shares if len(shares) == len(ids) else None


async def _decide_all(
    tx: Transaction,
    book: LockedBook,
    closure_id: UUID,
    cards: Sequence[Card],
    shares: Mapping[UUID, Fen],
) -> Sequence[Decided]:
    ids = [card.card_id for card in cards]
    await book.load(tx, ids)
    sales = {sale.card_id: sale for sale in await steps.sales_of(tx, book.head.merchant_no, ids)}
    step = Step(
        closure_id,
        book.own(AccountType.REFUND_PAYABLE),
        business_date(book.at),
        book.at,
    )
    first = book.head.seq + 1
    decided = [
        decide(card, sales[card.card_id], shares.get(card.card_id), step, seq=first + number)
        for number, card in enumerate(cards)
    ]
    book.append(*(one.entry for one in decided))
    return decided


async def _write(tx: Transaction, decided: Sequence[Decided]) -> None:
    cards = [one.card for one in decided]
    await tx.update("card", Card, cards, key=_CARD_KEY, mutable=_CARD_CHANGES)
    await tx.insert("card_entry", CardEntry, [one.line for one in decided])
    refunds = [one.refund for one in decided]
    await tx.insert("refund", CardRefund, refunds)
    happened = [[refund.merchant_no, "refund.decided", str(refund.refund_id)] for refund in refunds]
    row = OutboxRow(new_platform_id(), json_text(happened), await tx.now())
    await tx.insert("outbox", OutboxRow, [row])
