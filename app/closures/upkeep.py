"""What the worker does for closures: end notices, prepare, refund card by card, finish."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from app.bulk import BulkWork
from app.closures import queries, service
from app.closures.domain import ClosureStatus
from app.closures.finishing import finish
from app.closures.levelling import level
from app.closures.preparing import Tools, prepare
from app.closures.refunding import refund_cards
from app.closures.returning import return_receipts
from app.errors import DomainError
from app.ledger.books import locked_books
from app.refunds.service import uphold_claims

if TYPE_CHECKING:
    from app.closures.domain import Closure

log = structlog.get_logger()

SECONDS_MAX: Final = 20.0
"""Of refunding at a time, so that a worker keeps its lease and other closures get their turn."""


async def carry_on(tools: Tools, *, every: bool = False) -> None:
    """Carry closures as far as they go now; safe to break off, and to run twice at once.

    Only those are looked at whose books went on; with `every`, all that have not ended.
    """
    async with tools.db.snapshot() as tx:
        closures = await queries.closures_to_carry_on(tx, every=every)
    work = BulkWork(tools.db, "carry_closure_on")
    for closure in closures:
        await work.step(closure.merchant_no, partial(_carry_on_or_put_off, tools, closure))


async def _carry_on_or_put_off(tools: Tools, closure: Closure) -> None:
    try:
        await _carry_on(tools, closure)
    except DomainError as refused:
        # The others go on; this one is tried again in the next round.
        log.warning("closure.put_off", merchant_no=closure.merchant_no, code=refused.code)


async def _carry_on(tools: Tools, closure: Closure) -> None:
    no = closure.merchant_no
    if closure.status == ClosureStatus.NOTICE:
        async with tools.db.transaction() as tx, locked_books(tx, [no]) as books:
            found = await queries.find_closure(tx, no, closure.closure_id)
            assert found is not None, "closures are never deleted"
            closure = await service.end_notice(tx, books[no], found)
    if closure.status in {ClosureStatus.NOTICE, ClosureStatus.CANCELLED}:
        return
    await prepare(tools, closure)
    if closure.status == ClosureStatus.CLOSING:
        return
    await uphold_claims(tools.db, tools.writer, no)
    closure = await level(tools.db, closure)
    await return_receipts(tools, closure)
    refunded = await refund_cards(tools.db, closure, seconds_max=SECONDS_MAX)
    if refunded.cards:
        log.info("closure.refunded", merchant_no=no, cards=refunded.cards)
    if refunded.last is None:
        await finish(tools, closure)
