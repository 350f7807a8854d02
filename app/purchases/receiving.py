"""Use cases of money received: book it as the bank reports it, and read it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from app.dates import business_date
from app.errors import NotFound
from app.ids import PLATFORM_NO, merchant_no_of, new_id
from app.purchases import queries
from app.purchases.commands import RecordReceipt
from app.purchases.domain import (
    CoolingOff,
    Receipt,
    ReceiptStatus,
    SuspenseReason,
    purchase_of_reference,
)
from app.purchases.errors import BankReferenceReused
from app.purchases.facts import receipt_as_of
from app.purchases.funding import Recorded
from app.writer import requests
from app.writer.answers import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.db.engine import Database, Transaction
    from app.db.sealing import Sealer
    from app.money import Fen
    from app.purchases.service import Till
    from app.writer.requests import RequestKey

log = structlog.get_logger()

SALT_BYTES: Final = 16
"""Of the salt that hides a card's holder in the hash of its terms."""


@dataclass(frozen=True, slots=True)
class Payer:
    """Who paid: kept sealed, shown masked."""

    name: str
    account_number: str


@dataclass(frozen=True, slots=True)
class ReportedReceipt:
    """Money received, as the bank says it."""

    bank: str
    bank_reference: str
    custody_account: str
    amount: Fen
    payment_reference: str
    paid_at: datetime
    payer: Payer


async def record_receipt(
    till: Till, reported: ReportedReceipt, *, request: RequestKey | None
) -> Answered[Recorded]:
    """Book a receipt as the bank reports it; the same report again gives the same receipt.

    For a custody account that nobody has at this bank it is kept at bank level, with an alert.

    Raises:
        BankReferenceReused: The reference was reported with other facts.
    """
    async with till.db.at_once() as tx:
        now = await tx.now()
        account = await queries.find_custody_account(tx, reported.custody_account)
        # What was a stray then is one for a retry too, though somebody has the account by now.
        was_stray = await requests.look_up(tx, PLATFORM_NO, request) is not None
    if was_stray or account is None or account.bank != reported.bank:
        stray = _receipt(till.sealer, reported, PLATFORM_NO, now)
        return await _record_stray(till.db, stray, request)
    receipt = _receipt(till.sealer, reported, account.merchant_no, now)
    command = RecordReceipt(
        merchant_no=account.merchant_no,
        request=request,
        receipt=receipt,
        purchase_id=_purchase_id(reported.payment_reference, account.merchant_no),
        card_id=new_id(account.merchant_no),
        holder_salt=secrets.token_bytes(SALT_BYTES),
        cooling_off=await cooling_off_of(till, account.district, reported.paid_at),
    )
    outcome = await till.writer.submit(command)
    if outcome.replayed is not None:
        known = await replayed_receipt(till.db, command.merchant_no, outcome.replayed)
        return Answered(known, replayed=True)
    recorded: Recorded = outcome.result
    log.info(
        "receipt.recorded",
        receipt_id=str(recorded.receipt.receipt_id),
        status=str(recorded.receipt.status),
        reason=recorded.receipt.suspense_reason,
        amount=recorded.receipt.amount,
    )
    return Answered(recorded)


async def list_receipts(
    db: Database, status: ReceiptStatus | None, *, before: UUID | None, count: int
) -> Sequence[Receipt]:
    """Read a page of receipts over all merchants, newest first."""
    async with db.at_once() as tx:
        return await queries.list_receipts(tx, status, before=before, count=count)


async def replayed_receipt(
    db: Database, merchant_no: int, stored: requests.StoredRequest
) -> Recorded:
    """Give a receipt as it was when a request was answered.

    Raises:
        StoredRefusal: The request was refused.
    """
    stored.raise_refusal()
    assert stored.subject_id is not None, "an accepted command names its receipt"
    async with db.at_once() as tx:
        found = await queries.find_receipt(tx, merchant_no, stored.subject_id)
    assert found is not None, "receipts are never deleted"
    facts = stored.read_facts()
    return Recorded(receipt_as_of(found, facts), created=bool(facts["created"]))


async def _record_stray(
    db: Database, stray: Receipt, request: RequestKey | None
) -> Answered[Recorded]:
    async with db.transaction() as tx:
        stored = await requests.claim(tx, PLATFORM_NO, request)
        known = await queries.find_stray(tx, stray)
        if stored is not None:
            assert known is not None, "receipts are never deleted"
            return Answered(Recorded(known, created=bool(stored["created"])), replayed=True)
        if known is None or known.says_the_same_as(stray):
            recorded = await _keep_stray(tx, stray, known)
            await requests.keep(
                tx,
                PLATFORM_NO,
                request,
                command="RecordStray",
                subject_id=recorded.receipt.receipt_id,
                answer={"created": recorded.created},
            )
            return Answered(recorded)
        refused = BankReferenceReused(known.receipt_id)
        await requests.keep_refusal(tx, PLATFORM_NO, request, command="RecordStray", error=refused)
    # After the commit: the refusal is kept.
    raise refused


async def _keep_stray(tx: Transaction, receipt: Receipt, known: Receipt | None) -> Recorded:
    if known is not None:
        return Recorded(known, created=False)
    kept = receipt._replace(suspense_reason=SuspenseReason.UNKNOWN_CUSTODY_ACCOUNT)
    await queries.keep_stray(tx, kept)
    return Recorded(kept, created=True)


async def cooling_off_of(
    till: Till, district: str, paid_at: datetime, *, tx: Transaction | None = None
) -> CoolingOff:
    """Give the period of the merchant's district on the day of payment, from which it counts.

    The calendar may not cover its end yet.
    """
    policies = await till.policies.policies_in(district, business_date(paid_at), tx=tx)
    days = policies.cooling_off_days
    calendar = await till.calendar.get()
    return CoolingOff(days, calendar.cooling_off_end(paid_at, days))


def _receipt(sealer: Sealer, reported: ReportedReceipt, merchant_no: int, now: datetime) -> Receipt:
    payer = reported.payer
    return Receipt(
        merchant_no=merchant_no,
        receipt_id=new_id(merchant_no),
        status=ReceiptStatus.SUSPENSE,
        suspense_reason=None,
        bank=reported.bank,
        bank_reference=reported.bank_reference,
        custody_account=reported.custody_account,
        amount=reported.amount,
        payment_reference=reported.payment_reference,
        payer_name=sealer.seal(payer.name),
        payer_account_number=sealer.seal(payer.account_number),
        payer_index=sealer.index(f"{payer.name}\n{payer.account_number}"),
        purchase_id=None,
        card_id=None,
        refund_id=None,
        paid_at=reported.paid_at,
        received_at=now,
    )


def _purchase_id(payment_reference: str, merchant_no: int) -> UUID | None:
    """Read which purchase a payer meant; None where the reference is none of this merchant's."""
    try:
        purchase_id = purchase_of_reference(payment_reference)
    except NotFound:
        return None
    return purchase_id if merchant_no_of(purchase_id) == merchant_no else None
