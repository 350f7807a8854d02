"""What the worker does for holds: end in the books what the clock has ended."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final

from app.bulk import BulkWork
from app.holds import queries
from app.holds.commands import ExpireHolds

if TYPE_CHECKING:
    from app.db.engine import Database
    from app.holds.queries import DueHold
    from app.writer.engine import Writer

_DUE_MAX: Final = 500


async def expire_holds(db: Database, writer: Writer) -> int:
    """End holds whose time is over and free what they alone held; say how many were found.

    Nothing waits for it: every decision and every read goes by the clock.
    """
    work = BulkWork(db, "expire_holds")
    found = 0
    more = True
    while more:
        async with db.transaction() as tx:
            # Without those at which it broke: they must not crowd out the others.
            due = await queries.due_holds(tx, count=_DUE_MAX, except_at=list(work.failed))
        by_book: dict[int, list[DueHold]] = defaultdict(list)
        for hold in due:
            by_book[hold.merchant_no].append(hold)
        for merchant_no, holds in by_book.items():
            hold_ids = tuple(hold.hold_id for hold in holds)
            target_ids = tuple(hold.target_id for hold in holds)
            command = ExpireHolds(merchant_no, hold_ids, target_ids)
            await work.step(merchant_no, partial(writer.submit, command))
        found += len(due)
        more = len(due) == _DUE_MAX
    return found
