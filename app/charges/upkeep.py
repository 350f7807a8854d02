"""What the worker does for charges: free what expired ones hold, and forget old codes."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from app.bulk import BulkWork
from app.charges import queries
from app.charges.commands import ExpireCharges

if TYPE_CHECKING:
    from uuid import UUID

    from app.db.engine import Database
    from app.writer.engine import Writer

_DUE_MAX: Final = 1000
_CODES_KEPT: Final = timedelta(days=1)
"""So long an expired code is answered as expired; after that as unknown."""


async def expire_charges(db: Database, writer: Writer) -> int:
    """End in the books what the clock has ended; say how many charges were found.

    Nothing waits for it: every decision and every read goes by the clock.
    """
    work = BulkWork(db, "expire_charges")
    found = 0
    more = True
    while more:
        async with db.transaction() as tx:
            # Without those at which it broke: they must not crowd out the others.
            due = await queries.due_charges(tx, count=_DUE_MAX, except_at=list(work.failed))
        by_book: dict[int, list[UUID]] = defaultdict(list)
        for charge in due:
            by_book[charge.merchant_no].append(charge.charge_id)
        for merchant_no, charge_ids in by_book.items():
            command = ExpireCharges(merchant_no, tuple(charge_ids))
            await work.step(merchant_no, partial(writer.submit, command))
        found += len(due)
        more = len(due) == _DUE_MAX and not work.failed.keys().isdisjoint(by_book)
    return found


async def forget_codes(db: Database) -> int:
    """Drop codes that expired long ago; say how many."""
    async with db.transaction() as tx:
        return await queries.forget_codes(tx, expired_before=await tx.now() - _CODES_KEPT)
