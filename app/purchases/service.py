"""Use cases of sales and of money received."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.dates import business_date
from app.errors import NotFound
from app.ids import PLATFORM_NO, Prefix, merchant_no_of, new_id, parse, to_text
from app.money import CURRENCY
from app.purchases import queries
from app.purchases.commands import (
    AcceptPurchase,
    CancelPurchase,
    MatchReceipt,
    OpenPurchase,
    RecordReceipt,
    ReturnReceipt,
)
from app.purchases.domain import (
    CoolingOff,
    Purchase,
    Receipt,
    ReceiptStatus,
    SuspenseReason,
    purchase_of_reference,
)
from app.purchases.errors import BankReferenceReused, ReceiptNotInSuspense
from app.purchases.facts import purchase_as_of, receipt_as_of
from app.purchases.funding import Recorded
from app.writer import requests
from app.writer.answers import Answered, as_facts, from_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.calendar.current import CurrentCalendar
    from app.db.engine import Database, Transaction
    from app.db.sealing import Sealer
    from app.money import Fen
    from app.policies.current import CurrentPolicies
    from app.writer.engine import Writer
    from app.writer.requests import RequestKey

log = structlog.get_logger()

MATCH: Final = "receipt.match"
RETURN: Final = "receipt.return"
_SALT_BYTES: Final = 16


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


@dataclass(frozen=True, slots=True)
class Till:
    """What the use cases of this module need of the process."""

    db: Database
    writer: Writer
    sealer: Sealer
    calendar: CurrentCalendar
    policies: CurrentPolicies


async def change_purchase(
    till: Till, command: OpenPurchase | AcceptPurchase | CancelPurchase
) -> Answered[Purchase]:
    """Open, accept or cancel; a retry under the same key gives the same purchase.

    Raises:
        DomainError: What the command's decision refuses.
    """
    if not isinstance(command, CancelPurchase):
        await _remember_holder(till.db, command)
    outcome = await till.writer.submit(command)
    if outcome.replayed is None:
        purchase: Purchase = outcome.result
        log.info(
            "purchase.changed", purchase_id=str(purchase.purchase_id), status=str(purchase.status)
        )
        return Answered(purchase)
    outcome.replayed.raise_refusal()
    assert outcome.replayed.subject_id is not None, "an accepted command names its purchase"
    async with till.db.transaction() as tx:
        found = await queries.find_purchase(tx, command.merchant_no, outcome.replayed.subject_id)
    assert found is not None, "purchases are never deleted"
    return Answered(purchase_as_of(found, outcome.replayed.read_facts()), replayed=True)


async def _remember_holder(db: Database, command: OpenPurchase | AcceptPurchase) -> None:
    """Let the holder's lists reach this merchant, ahead of the purchase so that none is missed.

    What names nothing of the merchant's will be refused, and leaves nothing behind.
    """
    holder = command.holder
    if holder is None:
        return
    async with db.transaction() as tx:
        if isinstance(command, OpenPurchase):
            known = await queries.sells(tx, command.merchant_no, command.product_id)
        else:
            sale = await queries.find_purchase(tx, command.merchant_no, command.purchase_id)
            known = sale is not None and sale.consumer in {None, holder.consumer}
        if known:
            await queries.remember_consumer(tx, holder.consumer, command.merchant_no)


async def read_purchase(db: Database, purchase_id: UUID) -> Purchase:
    """Read a purchase with its status as the clock has it; whose it is, the caller checks.

    Raises:
        NotFound: No such purchase.
    """
    async with db.transaction() as tx:
        found = await queries.find_purchase(tx, merchant_no_of(purchase_id), purchase_id)
        now = await tx.now()
    if found is None:
        raise NotFound
    return found._replace(status=found.status_at(now))


async def list_purchases(
    db: Database,
    merchant_no: int,
    stores: frozenset[UUID] | None,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[Purchase]:
    """Read a page of a merchant's purchases, newest first."""
    async with db.transaction() as tx:
        rows = await queries.list_purchases(tx, merchant_no, stores, before=before, count=count)
        now = await tx.now()
    return [row._replace(status=row.status_at(now)) for row in rows]


async def record_receipt(
    till: Till, reported: ReportedReceipt, *, request: RequestKey | None
) -> Answered[Recorded]:
    """Book a receipt as the bank reports it; the same report again gives the same receipt.

    For a custody account that nobody has at this bank it is kept at bank level, with an alert.

    Raises:
        BankReferenceReused: The reference was reported with other facts.
    """
    async with till.db.transaction() as tx:
        account = await queries.find_custody_account(tx, reported.custody_account)
        if account is None or account.bank != reported.bank:
            stray = _receipt(till.sealer, reported, PLATFORM_NO, await tx.now())
            return await _record_stray(tx, stray, request)
        now = await tx.now()
    receipt = _receipt(till.sealer, reported, account.merchant_no, now)
    command = RecordReceipt(
        merchant_no=account.merchant_no,
        request=request,
        receipt=receipt,
        purchase_id=_purchase_id(reported.payment_reference, account.merchant_no),
        card_id=new_id(account.merchant_no),
        holder_salt=secrets.token_bytes(_SALT_BYTES),
        cooling_off=await _cooling_off(till, account.district, reported.paid_at),
    )
    outcome = await till.writer.submit(command)
    if outcome.replayed is not None:
        return Answered(await _replayed(till.db, command.merchant_no, outcome.replayed), True)  # noqa: FBT003  # `replayed`
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
    async with db.transaction() as tx:
        return await queries.list_receipts(tx, status, before=before, count=count)


async def propose_match(
    db: Database, receipt_id: UUID, purchase_id: UUID, *, by: str, request: RequestKey
) -> Answered[Approval]:
    """Put before a second person that a receipt funds a purchase after all.

    Raises:
        NotFound: No such receipt, or no such purchase at its merchant.
        ReceiptNotInSuspense: It funds a card, or went back.
    """
    facts = {"purchase_id": to_text(Prefix.PURCHASE, purchase_id)}
    return await _propose(db, MATCH, receipt_id, facts, by=by, request=request)


async def propose_return(
    db: Database, receipt_id: UUID, *, by: str, request: RequestKey
) -> Answered[Approval]:
    """Put before a second person that a receipt goes back to its payer.

    Raises:
        NotFound: No such receipt.
        ReceiptNotInSuspense: It funds a card, or went back.
    """
    return await _propose(db, RETURN, receipt_id, {}, by=by, request=request)


async def return_due(till: Till, *, count: int) -> int:
    """Give back what nobody matched within the days of its district; say how many receipts."""
    async with till.db.transaction() as tx:
        now = await tx.now()
        moments: dict[str, datetime] = {}
        for district in await queries.districts_in_suspense(tx):
            policies = await till.policies.policies_in(district, business_date(now), tx=tx)
            moments[district] = now - timedelta(days=policies.suspense_days)
        due = await queries.due_receipts(tx, received_before=moments, count=count)
    for receipt in due:
        refund_id = new_id(receipt.merchant_no)
        await till.writer.submit(
            ReturnReceipt(receipt.merchant_no, None, receipt.receipt_id, refund_id)
        )
        log.info("receipt.returned", receipt_id=str(receipt.receipt_id))
    return len(due)


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
            holder_salt=secrets.token_bytes(_SALT_BYTES),
            cooling_off=await _cooling_off(till, account.district, receipt.paid_at, tx=tx),
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
        await _replayed(till.db, command.merchant_no, outcome.replayed)
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


async def _propose(
    db: Database,
    action: str,
    receipt_id: UUID,
    facts: Mapping[str, Any],
    *,
    by: str,
    request: RequestKey,
) -> Answered[Approval]:
    async with db.transaction() as tx:
        stored = await requests.claim(tx, PLATFORM_NO, request)
        if stored is not None:
            return Answered(from_facts(Approval, stored), replayed=True)
        receipt = await queries.find_receipt(tx, merchant_no_of(receipt_id), receipt_id)
        if receipt is None or receipt.merchant_no == PLATFORM_NO:
            raise NotFound
        if receipt.status != ReceiptStatus.SUSPENSE:
            raise ReceiptNotInSuspense(receipt.status)
        if "purchase_id" in facts:
            purchase_id = parse(Prefix.PURCHASE, str(facts["purchase_id"]))
            if await queries.find_purchase(tx, receipt.merchant_no, purchase_id) is None:
                raise NotFound
        subject = to_text(Prefix.RECEIPT, receipt_id)
        approval = await approvals.propose(tx, action, subject, facts, by)
        await requests.keep(
            tx,
            PLATFORM_NO,
            request,
            command=action,
            subject_id=approval.approval_id,
            answer=as_facts(approval),
        )
    return Answered(approval)


async def _replayed(db: Database, merchant_no: int, stored: requests.StoredRequest) -> Recorded:
    stored.raise_refusal()
    assert stored.subject_id is not None, "an accepted command names its receipt"
    async with db.transaction() as tx:
        found = await queries.find_receipt(tx, merchant_no, stored.subject_id)
    assert found is not None, "receipts are never deleted"
    facts = stored.read_facts()
    return Recorded(receipt_as_of(found, facts), created=bool(facts["created"]))


async def _record_stray(
    tx: Transaction, stray: Receipt, request: RequestKey | None
) -> Answered[Recorded]:
    stored = await requests.claim(tx, PLATFORM_NO, request)
    if stored is not None:
        known = await queries.find_stray(tx, stray)
        assert known is not None, "receipts are never deleted"
        return Answered(Recorded(known, created=bool(stored["created"])), replayed=True)
    recorded = await _keep_stray(tx, stray)
    await requests.keep(
        tx,
        PLATFORM_NO,
        request,
        command="RecordStray",
        subject_id=recorded.receipt.receipt_id,
        answer={"created": recorded.created},
    )
    return Answered(recorded)


async def _keep_stray(tx: Transaction, receipt: Receipt) -> Recorded:
    known = await queries.find_stray(tx, receipt)
    if known is not None:
        if not known.says_the_same_as(receipt):
            raise BankReferenceReused(known.receipt_id)
        return Recorded(known, created=False)
    kept = receipt._replace(suspense_reason=SuspenseReason.UNKNOWN_CUSTODY_ACCOUNT)
    await queries.keep_stray(tx, kept)
    return Recorded(kept, created=True)


async def _cooling_off(
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


def _subject(approval: Approval) -> UUID:
    return parse(Prefix.RECEIPT, approval.subject_id or "")
