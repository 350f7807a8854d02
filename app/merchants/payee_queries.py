"""Rows of payee accounts: the log of where merchants wanted their money."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.db.engine import Transaction
from app.merchants.domain import Payee, PayeeBlock, PayeeStatus

# What two persons turned down stays in the log as such, without a second write.
_PAYEES = """
SELECT merchant_no, payee_account_id, holder_name, account_number_mask, bank_code,
       CASE WHEN approval.status = 'rejected' THEN 'rejected' ELSE payee_account.status END
           AS status,
       approval_id, proposed_at, effective_from, blocked_at, blocked_reason
FROM payee_account LEFT JOIN approval USING (approval_id)
"""


class PayeeRow(NamedTuple):
    """A payee account as it lies in the table, without its number."""

    merchant_no: int
    payee_account_id: UUID
    holder_name: str
    account_number_mask: str
    bank_code: str
    status: str
    approval_id: UUID | None
    proposed_at: datetime
    effective_from: datetime | None
    blocked_at: datetime | None
    blocked_reason: str | None

    def payee(self) -> Payee:
        """Give it in the domain's types."""
        return Payee(
            merchant_no=self.merchant_no,
            payee_account_id=self.payee_account_id,
            holder_name=self.holder_name,
            account_number_mask=self.account_number_mask,
            bank_code=self.bank_code,
            status=PayeeStatus(self.status),
            approval_id=self.approval_id,
            proposed_at=self.proposed_at,
            effective_from=self.effective_from,
            blocked_at=self.blocked_at,
            blocked_reason=None if self.blocked_reason is None else PayeeBlock(self.blocked_reason),
        )


async def insert_payee(tx: Transaction, payee: Payee, sealed_account_number: bytes) -> None:
    """Propose a payee account."""
    await tx.execute(
        """
        INSERT INTO payee_account
            (merchant_no, payee_account_id, holder_name, account_number, account_number_mask,
             bank_code, status, approval_id, proposed_at)
        VALUES (:no, :id, :holder_name, :sealed, :mask, :bank_code, 'proposed', :approval_id, :at)
        """,
        no=payee.merchant_no,
        id=payee.payee_account_id,
        holder_name=payee.holder_name,
        sealed=sealed_account_number,
        mask=payee.account_number_mask,
        bank_code=payee.bank_code,
        approval_id=payee.approval_id,
        at=payee.proposed_at,
    )


async def approve_payee(
    tx: Transaction, merchant_no: int, payee_account_id: UUID, effective_from: datetime
) -> None:
    """Let a proposed payee account count from a moment on."""
    await tx.execute(
        """
        UPDATE payee_account SET status = 'approved', effective_from = :effective_from
        WHERE merchant_no = :no AND payee_account_id = :id AND status = 'proposed'
        """,
        no=merchant_no,
        id=payee_account_id,
        effective_from=effective_from,
    )


async def payee(tx: Transaction, merchant_no: int, payee_account_id: UUID) -> Payee:
    """Give a payee account that is known to be there."""
    row = await tx.fetch_one(
        PayeeRow,
        f"{_PAYEES} WHERE merchant_no = :no AND payee_account_id = :id",
        no=merchant_no,
        id=payee_account_id,
    )
    assert row is not None
    return row.payee()


async def payees_of(tx: Transaction, merchant_no: int) -> list[Payee]:
    """Give every payee account that was ever proposed, newest first: the log."""
    rows = await tx.fetch(
        PayeeRow,
        f"{_PAYEES} WHERE merchant_no = :no ORDER BY proposed_at DESC, payee_account_id DESC",
        no=merchant_no,
    )
    return [row.payee() for row in rows]


async def payees_to_show(tx: Transaction, merchant_nos: list[int]) -> dict[int, Payee]:
    """Give, per merchant, the payee account that counts now, else the one proposed first."""
    rows = await tx.fetch(
        PayeeRow,
        f"""
        SELECT DISTINCT ON (merchant_no) * FROM ({_PAYEES}) AS payee
        WHERE merchant_no = ANY(CAST(:nos AS integer[]))
        ORDER BY merchant_no, effective_from <= anxin_now() DESC NULLS LAST,
                 CASE WHEN effective_from <= anxin_now() THEN effective_from END DESC,
                 status = 'rejected', proposed_at
        """,  # noqa: S608  # put together from our own texts
        nos=merchant_nos,
    )
    return {row.merchant_no: row.payee() for row in rows}
