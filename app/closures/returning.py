"""Give back what lies in a closing merchant's suspense: nobody can buy with it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.closures import certificate_queries, queries
from app.closures.domain import ClosureStatus
from app.ids import new_id
from app.purchases.commands import ReturnReceipt

if TYPE_CHECKING:
    from app.closures.domain import Closure
    from app.closures.preparing import Tools

_STEP_MAX = 100


async def return_receipts(tools: Tools, closure: Closure) -> None:
    """Decide that receipts in suspense go back to their payers, while custody covers all.

    What comes after the end waits its days as any other, and then goes back too.
    """
    no = closure.merchant_no
    if closure.status != ClosureStatus.REFUNDING:
        return
    while True:
        async with tools.db.snapshot() as tx:
            standing = await queries.standing_of(tx, no)
            receipts = await certificate_queries.receipts_to_return(tx, no, _STEP_MAX)
        if not receipts or standing.shortfall_amount or closure.shortfall_amount:
            # Where something lacks they rank equal with cards, and get their share with them.
            return
        for receipt_id in receipts:
            await tools.writer.submit(ReturnReceipt(no, None, receipt_id, new_id(no)))
