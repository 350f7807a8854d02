"""Use cases of money in suspense: two persons match or return it, or its time is over."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.bulk import BulkWork
from app.dates import business_date
from app.errors import NotFound
from app.ids import PLATFORM_NO, Prefix, merchant_no_of, new_id, parse, to_text
from app.money import CURRENCY
from app.purchases import queries
from app.purchases.commands import MatchReceipt, ReturnReceipt
from app.purchases.domain import Receipt, ReceiptStatus
from app.purchases.errors import ReceiptNotInSuspense
from app.purchases.receiving import SALT_BYTES, cooling_off_of, replayed_receipt
from app.writer import requests
from app.writer.answers import Answered, as_facts, from_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.db.engine import Database, Transaction
    from app.purchases.service import Till
    from app.writer.requests import RequestKey

log = structlog.get_logger()

MATCH: Final = "receipt.match"
RETURN: Final = "receipt.return"


async def propose_match(
    db: Database, receipt_id: UUID, purchase_id: UUID, *, by: str, request: RequestKey
) -> Answered[Approval]:
    """Put before a second person that a receipt funds a purchase after all.

    Raises:
        NotFound: No such receipt, or no such purchase at its merchant.
        ReceiptNotInSuspense: It funds a card, or went back.
    """
    return await _propose(db, _Proposal(MATCH, receipt_id, purchase_id, by), request)


async def propose_return(
    db: Database, receipt_id: UUID, *, by: str, request: RequestKey
) -> Answered[Approval]:
    """Put before a second person that a receipt goes back to its payer.

    Raises:
        NotFound: No such receipt.
        ReceiptNotInSuspense: It funds a card, or went back.
    """
    return await _propose(db, _Proposal(RETURN, receipt_id, None, by), request)


async def return_due(till: Till, *, count: int) -> int:
    """Give back what nobody matched within the days of its district; say how many receipts."""
    work = BulkWork(till.db, "return_receipts")
    found = 0
    more = True
    while more:
        due = await _due_receipts(till, count=count, except_at=list(work.failed))
        for receipt in due:
            if receipt.merchant_no not in work.failed:
                await work.step(receipt.merchant_no, partial(_return_due, till, receipt))
        found += len(due)
        broken = any(receipt.merchant_no in work.failed for receipt in due)
        # Without those at which it broke: they must not crowd out the others.
        more = len(due) == count and broken
    return found


async def _due_receipts(
    till: Till, *, count: int, except_at: Sequence[int]
) -> Sequence[queries.DueReceipt]:
    async with till.db.transaction() as tx:
        now = await tx.now()
        moments: dict[str, datetime] = {}
        for district in await queries.districts_in_suspense(tx):
            policies = await till.policies.policies_in(district, business_date(now), tx=tx)
            moments[district] = now - timedelta(days=policies.suspense_days)
        return await queries.due_receipts(
            tx, received_before=moments, count=count, except_at=except_at
        )


async def _return_due(till: Till, receipt: queries.DueReceipt) -> None:
    no = receipt.merchant_no
    command = ReturnReceipt(no, None, receipt.receipt_id, new_id(no))
    try:
        await till.writer.submit(command)
    except ReceiptNotInSuspense:
        return  # Somebody matched or returned it meanwhile.
    log.info("receipt.returned", receipt_id=str(receipt.receipt_id))


def executors(till: Till) -> Mapping[str, Executor]:
    """Give what happens when a second person approves."""

    async def match(tx: Transaction, approval: Approval) -> Execution:
        receipt_id = _subject(approval)
        receipt = await queries.find_receipt(tx, merchant_no_of(receipt_id), receipt_id)
        account = receipt and await queries.find_custody_account(tx, receipt.custody_account)
        if receipt is None or account is None:
            raise NotFound
        command = MatchReceipt(
            merchant_no=receipt.merchant_no,
            request=approval.request_key,
            receipt_id=receipt_id,
            purchase_id=parse(Prefix.PURCHASE, str(approval.request["purchase_id"])),
            card_id=new_id(receipt.merchant_no),
            holder_salt=secrets.token_bytes(SALT_BYTES),
            cooling_off=await cooling_off_of(till, account.district, receipt.paid_at, tx=tx),
        )
        return await _executed(till, command)

    async def give_back(_: Transaction, approval: Approval) -> Execution:
        receipt_id = _subject(approval)
        no = merchant_no_of(receipt_id)
        return await _executed(
            till, ReturnReceipt(no, approval.request_key, receipt_id, new_id(no))
        )

    return {MATCH: match, RETURN: give_back}


async def _executed(till: Till, command: MatchReceipt | ReturnReceipt) -> Execution:
    outcome = await till.writer.submit(command)
    recorded = (
        await replayed_receipt(till.db, command.merchant_no, outcome.replayed)
        if outcome.replayed is not None
        else outcome.result
    )
    return Execution(receipt_result(recorded.receipt))


def receipt_result(receipt: Receipt) -> Mapping[str, object]:
    """Say a receipt as the contract's object, for the result of an approval."""
    purchase, card, refund = receipt.purchase_id, receipt.card_id, receipt.refund_id
    return {
        "id": to_text(Prefix.RECEIPT, receipt.receipt_id),
        "status": str(receipt.status),
        "suspense_reason": receipt.suspense_reason,
        "bank_reference": receipt.bank_reference,
        "custody_account": receipt.custody_account,
        "amount": receipt.amount,
        "currency": CURRENCY,
        "payment_reference": receipt.payment_reference,
        "purchase_id": None if purchase is None else to_text(Prefix.PURCHASE, purchase),
        "card_id": None if card is None else to_text(Prefix.CARD, card),
        "refund_id": None if refund is None else to_text(Prefix.REFUND, refund),
        "paid_at": receipt.paid_at,
    }


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What is put before a second person about a receipt, and by whom."""

    action: str
    receipt_id: UUID
    purchase_id: UUID | None
    by: str


async def _propose(db: Database, proposal: _Proposal, request: RequestKey) -> Answered[Approval]:
    action, receipt_id, purchase_id = proposal.action, proposal.receipt_id, proposal.purchase_id
    no = merchant_no_of(receipt_id)
    async with db.transaction() as tx:
        stored = await requests.claim(tx, no, request)
        if stored is not None:
            return Answered(from_facts(Approval, stored), replayed=True)
        receipt = await queries.find_receipt(tx, no, receipt_id)
        if receipt is None or no == PLATFORM_NO:
            raise NotFound
        if receipt.status != ReceiptStatus.SUSPENSE:
            raise ReceiptNotInSuspense(receipt.status)
        facts: dict[str, str] = {}
        if purchase_id is not None:
            facts["purchase_id"] = to_text(Prefix.PURCHASE, purchase_id)
            if await queries.find_purchase(tx, receipt.merchant_no, purchase_id) is None:
                raise NotFound
        subject = to_text(Prefix.RECEIPT, receipt_id)
        approval = await approvals.propose(tx, action, subject, facts, proposal.by)
        await requests.keep(
            tx,
            no,
            request,
            command=action,
            subject_id=approval.approval_id,
            answer=as_facts(approval),
        )
    return Answered(approval)


def _subject(approval: Approval) -> UUID:
    return parse(Prefix.RECEIPT, approval.subject_id or "")
