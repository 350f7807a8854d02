"""What a merchant's closure keeps from being cut."""

from typing import Final

from app.db.engine import Transaction
from app.ledger.chart import AccountType, account_id

_UNDECIDED: Final = """
    closure.status = 'closing' OR closure.adjusting
    OR closure.shortfall_amount < claim.balance - yield.balance
        - greatest(0, payable.balance - book.waiting_reversal_amount)
"""
# Looked for among the few that others than the closure decided (`refund_grown_in_closure`): what
# it decides itself is at its share, or `adjusting` says that it is not yet.
_GROWN: Final = """
    closure.shortfall_amount > 0 AND EXISTS (
        SELECT FROM refund
        JOIN card ON card.merchant_no = refund.merchant_no AND card.card_id = refund.card_id
        LEFT JOIN closure_share AS share
            ON share.merchant_no = refund.merchant_no AND share.claim_id = refund.card_id
        WHERE refund.merchant_no = :no AND refund.status = 'decided'
            AND refund.closure_id IS NULL AND refund.card_id IS NOT NULL
            AND card.refunded_amount > coalesce(share.amount, -1))
"""


async def keeps_refunds(tx: Transaction, merchant_no: int) -> bool:
    """Say whether a closure keeps a merchant's refunds from being cut for now.

    It does until two persons have decided that it be executed, and where custody does not cover
    all claims until it is shared out among them: who is cut first must not get more. The book
    must be locked: then a refund that grew since by an upheld dispute or claim is seen, whoever
    let it grow, and none is cut before all are at their shares again.
    """
    return await _keeps(tx, merchant_no, f"{_UNDECIDED} OR {_GROWN}")


async def takes_refunds_back(tx: Transaction, merchant_no: int) -> bool:
    """Say whether files with a merchant's refunds that no bank has got are cut again without it.

    A refund that grew is no reason: those that were cut before it did got what they were to get.
    """
    return await _keeps(tx, merchant_no, _UNDECIDED)


async def _keeps(tx: Transaction, merchant_no: int, condition: str) -> bool:
    found = await tx.value(
        f"""
        SELECT EXISTS (
            SELECT FROM closure
            JOIN book USING (merchant_no)
            JOIN account AS claim ON claim.merchant_no = closure.merchant_no
                AND claim.account_id = :bank_claim
            JOIN account AS payable ON payable.merchant_no = closure.merchant_no
                AND payable.account_id = :payable
            JOIN account AS yield ON yield.merchant_no = closure.merchant_no
                AND yield.account_id = :custody_yield
            WHERE closure.merchant_no = :no
                AND closure.status NOT IN ('notice', 'cancelled')
                AND ({condition}))
        """,  # noqa: S608  # our own conditions
        no=merchant_no,
        bank_claim=account_id(merchant_no, AccountType.BANK_CLAIM),
        payable=account_id(merchant_no, AccountType.MERCHANT_PAYABLE),
        custody_yield=account_id(merchant_no, AccountType.CUSTODY_YIELD),
    )
    return bool(found)
