"""Payee accounts: proposed by one person, approved by another, counted after a delay.

An account number is sealed as soon as it is taken in; the approval and the log show its end.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from app import ids
from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.dates import SHANGHAI, business_date
from app.db.engine import Database, Transaction
from app.db.sealing import Sealer
from app.errors import FieldError, InvalidRequest
from app.ids import Prefix
from app.merchants import payee_queries, queries
from app.merchants.domain import (
    Merchant,
    MerchantChange,
    Payee,
    PayeeStatus,
    require_same_holder,
)
from app.merchants.queries import MerchantRow
from app.policies.current import CurrentPolicies

APPROVE_PAYEE: Final = "payee_account.approve"
"""The action under which approvals of payee accounts are found and executed."""

log = structlog.stdlib.get_logger()


async def propose(
    tx: Transaction, sealer: Sealer, merchant: MerchantRow, change: MerchantChange, *, by: str
) -> tuple[Payee, Approval]:
    """Store a payee account that counts for nothing yet, and put it before a second person.

    What else the change has is done when it is approved.
    """
    details = change.payee
    assert details is not None
    payee_account_id = ids.new_id(merchant.merchant_no)
    approval = await approvals.propose(
        tx,
        APPROVE_PAYEE,
        ids.to_text(Prefix.MERCHANT, merchant.merchant_id),
        {
            "payee_account_id": payee_account_id,
            "holder_name": details.holder_name,
            "account_number": details.account_number_mask,
            "bank_code": details.bank_code,
            "changes": _own_fields(change),
        },
        by,
    )
    payee = Payee(
        merchant_no=merchant.merchant_no,
        payee_account_id=payee_account_id,
        holder_name=details.holder_name,
        account_number_mask=details.account_number_mask,
        bank_code=details.bank_code,
        status=PayeeStatus.PROPOSED,
        approval_id=approval.approval_id,
        proposed_at=await tx.now(),
        effective_from=None,
        blocked_at=None,
        blocked_reason=None,
    )
    await payee_queries.insert_payee(tx, payee, sealer.seal(details.account_number))
    return payee, approval


async def change_merchant(
    db: Database, sealer: Sealer, merchant_id: UUID, change: MerchantChange, *, by: str
) -> Merchant | Approval:
    """Change a merchant; with a payee account, all of the change waits for a second person.

    Repeating a change without a payee account changes nothing more; with one it is proposed again.

    Raises:
        InvalidRequest: The payee account would not be in the licensed name.
        NotFound: There is no such merchant.
    """
    async with db.transaction() as tx:
        row = await queries.require_merchant(tx, merchant_id, lock=True)
        changed = row._replace(**_own_fields(change))
        if change.payee is not None:
            require_same_holder(changed.name, change.payee.holder_name)
            _, approval = await propose(tx, sealer, row, change, by=by)
            return approval
        _require_name_kept(row, changed)
        await queries.update_merchant(tx, changed)
        payee = (await payee_queries.payees_to_show(tx, [row.merchant_no])).get(row.merchant_no)
    log.info("merchant.changed", merchant_no=row.merchant_no)
    return changed.with_payee(payee)


async def list_payees(db: Database, merchant_id: UUID) -> list[Payee]:
    """Give the log: every payee account ever proposed for this merchant, newest first.

    Raises:
        NotFound: There is no such merchant.
    """
    async with db.snapshot() as tx:
        row = await queries.require_merchant(tx, merchant_id)
        return await payee_queries.payees_of(tx, row.merchant_no)


def executors(policies: CurrentPolicies) -> Mapping[str, Executor]:
    """Say what approvals of this capability do, by action."""
    return {APPROVE_PAYEE: _approve_payee(policies)}


def _approve_payee(policies: CurrentPolicies) -> Executor:
    """Give what a second person's approval of a payee account does."""

    async def execute(tx: Transaction, approval: Approval) -> Execution:
        assert approval.subject_id is not None
        merchant_id = ids.parse(Prefix.MERCHANT, approval.subject_id)
        row = await queries.require_merchant(tx, merchant_id, lock=True)
        changes = approval.request["changes"]
        assert isinstance(changes, dict)
        changed = row._replace(**changes)
        # The name may have changed since the proposal, and with it whose account this is.
        require_same_holder(changed.name, str(approval.request["holder_name"]))
        await queries.update_merchant(tx, changed)
        payee_account_id = UUID(str(approval.request["payee_account_id"]))
        counts_from = await _counts_from(tx, row, policies)
        await payee_queries.approve_payee(tx, row.merchant_no, payee_account_id, counts_from)
        payee = await payee_queries.payee(tx, row.merchant_no, payee_account_id)
        return Execution(_facts(changed, payee))

    return execute


async def _counts_from(tx: Transaction, row: MerchantRow, policies: CurrentPolicies) -> datetime:
    """The first account counts at once; later ones leave time to notice a theft.

    The district is the one before this change, so that no change shortens its own delay.
    """
    now = await tx.now()
    known = await payee_queries.payees_of(tx, row.merchant_no)
    if all(payee.effective_from is None for payee in known):
        return now
    in_force = await policies.policies_in(row.district, business_date(now), tx=tx)
    return now + timedelta(days=in_force.payee_change_days)


def _facts(row: MerchantRow, payee: Payee) -> Mapping[str, object]:
    """Say a merchant in the contract's fields, with the payee account that was approved."""
    return {
        "id": ids.to_text(Prefix.MERCHANT, row.merchant_id),
        "name": row.name,
        "licence_number": row.licence_number,
        "industry": row.industry,
        "district": row.district,
        "status": row.status,
        "payee": {
            "holder_name": payee.holder_name,
            "account_number": payee.account_number_mask,
            "bank_code": payee.bank_code,
            "status": payee.status,
            "approval_id": None
            if payee.approval_id is None
            else ids.to_text(Prefix.APPROVAL, payee.approval_id),
            "proposed_at": _shown(payee.proposed_at),
            "effective_from": _shown(payee.effective_from),
            "blocked_at": _shown(payee.blocked_at),
            "blocked_reason": payee.blocked_reason,
        },
        "created_at": _shown(row.created_at),
    }


def _shown(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(SHANGHAI).isoformat(timespec="microseconds")


def _own_fields(change: MerchantChange) -> dict[str, str]:
    fields = {"name": change.name, "industry": change.industry, "district": change.district}
    return {name: str(value) for name, value in fields.items() if value is not None}


def _require_name_kept(row: MerchantRow, changed: MerchantRow) -> None:
    if changed.name != row.name:
        raise InvalidRequest(
            FieldError("/name", "Send the payee account in the new licensed name with it")
        )
