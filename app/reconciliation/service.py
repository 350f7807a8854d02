"""Read the ledger as a whole, and account by account."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Database
from app.errors import NotFound
from app.ids import merchant_no_of
from app.ledger.chart import ASSETS, MERCHANT_ACCOUNT_TYPES, AccountType, account_id
from app.money import Fen
from app.reconciliation.domain import AccountLine, OwnAccount, TrialBalance, trial_balance

_NOW: Final = """
SELECT type, CAST(sum(balance) AS bigint) AS balance FROM account GROUP BY type
"""
# Debits less credits by type, over every transfer up to then.
_THEN: Final = """
SELECT type, CAST(sum(change) AS bigint) AS balance FROM (
    SELECT type, sum(amount) AS change
    FROM transfer JOIN account
        ON account.merchant_no = transfer.merchant_no AND account_id = debit_account_id
    WHERE recorded_at <= :as_of GROUP BY type
    UNION ALL
    SELECT type, -sum(amount)
    FROM transfer JOIN account
        ON account.merchant_no = transfer.merchant_no AND account_id = credit_account_id
    WHERE recorded_at <= :as_of GROUP BY type
) AS moved GROUP BY type
"""


class _BalanceRow(NamedTuple):
    type: str
    balance: Fen


async def read_trial_balance(db: Database, as_of: datetime | None) -> TrialBalance:
    """Give the trial balance of now, or of a past moment."""
    async with db.snapshot() as tx:
        now = await tx.now()
        if as_of is None or as_of >= now:
            rows = await tx.fetch(_BalanceRow, _NOW)
            balances = {AccountType(row.type): row.balance for row in rows}
        else:
            rows = await tx.fetch(_BalanceRow, _THEN, as_of=as_of)
            balances = {
                kind: Fen(row.balance if kind in ASSETS else -row.balance)
                for row in rows
                for kind in [AccountType(row.type)]
            }
    return trial_balance(balances, as_of or now)


async def list_transfers(
    db: Database, id_: UUID, *, before: int | None, limit: int
) -> list[AccountLine]:
    """Give what moved on an account, newest first, below a `seq`.

    Raises:
        NotFound: There is no such account.
    """
    merchant_no = merchant_no_of(id_)
    async with db.snapshot() as tx:
        known = await tx.value(
            "SELECT 1 FROM account WHERE merchant_no = :no AND account_id = :id",
            no=merchant_no,
            id=id_,
        )
        if known is None:
            raise NotFound
        return await tx.fetch(
            AccountLine,
            """
            SELECT seq, kind, debit_account_id, credit_account_id, amount, debit_balance,
                   credit_balance, subject_id, corrects_seq, effective_at, recorded_at
            FROM transfer
            WHERE merchant_no = :no AND (debit_account_id = :id OR credit_account_id = :id)
              AND (CAST(:before AS bigint) IS NULL OR seq < CAST(:before AS bigint))
            ORDER BY seq DESC LIMIT :limit
            """,
            no=merchant_no,
            id=id_,
            before=before,
            limit=limit,
        )


async def list_own_accounts(db: Database, merchant_id: UUID) -> list[OwnAccount]:
    """Give a merchant's own accounts, which are all but its cards'.

    Raises:
        NotFound: There is no such merchant.
    """
    merchant_no = merchant_no_of(merchant_id)
    async with db.snapshot() as tx:
        found = await tx.value(
            "SELECT 1 FROM merchant WHERE merchant_no = :no AND merchant_id = :id",
            no=merchant_no,
            id=merchant_id,
        )
        if found is None:
            raise NotFound
        return await tx.fetch(
            OwnAccount,
            """
            SELECT account_id, type, balance, version FROM account
            WHERE merchant_no = :no AND account_id = ANY(CAST(:ids AS uuid[]))
            ORDER BY account_id
            """,
            no=merchant_no,
            ids=[account_id(merchant_no, kind) for kind in MERCHANT_ACCOUNT_TYPES],
        )
