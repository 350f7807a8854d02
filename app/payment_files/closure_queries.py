"""What a merchant's closure keeps from being cut."""

from app.db.engine import Transaction
from app.ledger.chart import AccountType, account_id


async def keeps_refunds(tx: Transaction, merchant_no: int) -> bool:
    """Say whether a closure keeps a merchant's refunds from being cut for now.

    It does until two persons have decided that it be executed, and where custody does not cover
    all claims until it is shared out among them: who is cut first must not get more.
    """
    found = await tx.value(
        """
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
                AND (closure.status = 'closing' OR closure.adjusting
                    OR closure.shortfall_amount < claim.balance - yield.balance
                        - greatest(0, payable.balance - book.waiting_reversal_amount)))
        """,
        no=merchant_no,
        bank_claim=account_id(merchant_no, AccountType.BANK_CLAIM),
        payable=account_id(merchant_no, AccountType.MERCHANT_PAYABLE),
        custody_yield=account_id(merchant_no, AccountType.CUSTODY_YIELD),
    )
    return bool(found)
