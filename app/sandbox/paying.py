"""Pay for a purchase as a consumer and a bank would, in one call."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.access.principals import consumer_of
from app.cards.ceilings import Ceilings
from app.cards.errors import CeilingExceeded
from app.db.engine import Database, Transaction
from app.errors import NotFound
from app.money import Fen
from app.purchases.commands import AcceptPurchase, Holder
from app.purchases.domain import Purchase, purchase_of_reference
from app.purchases.errors import PurchaseNotAwaitingPayment
from app.purchases.funding import Recorded
from app.purchases.receiving import Payer, ReportedReceipt, record_receipt
from app.purchases.service import Till, change_purchase, read_purchase
from app.sandbox.domain import BANK, CONSUMER_ID
from app.settings import SANDBOX_ISSUER
from app.writer.answers import Answered

_PAYER: Final = Payer("张三", "6217000010001234567")


@dataclass(frozen=True, slots=True)
class Payment:
    """What to pay; what is None is chosen."""

    payment_reference: str
    amount: Fen
    bank_reference: str | None
    paid_at: datetime | None
    custody_account: str | None


@dataclass(frozen=True, slots=True)
class _Account:
    """A custody account and where it is."""

    account_number: str
    bank: str


CeilingsOf = Callable[[int], Awaitable[Ceilings | None]]
"""Gives what one consumer may have prepaid at a merchant, by its number."""


async def pay(till: Till, payment: Payment, ceilings_of: CeilingsOf) -> Answered[Recorded]:
    """Accept the contract for the purchase's holder, then report the money as the bank does.

    A purchase that nobody claimed becomes the seeded consumer's. One that cannot be accepted any
    more is paid all the same: the money lies in suspense, as it would in life. The same
    `bank_reference` again, with the same facts, is the same receipt.

    Raises:
        BankReferenceReused: The reference was reported with other facts.
    """
    purchase = await _find_purchase(till.db, payment.payment_reference)
    async with till.db.snapshot() as tx:
        account = await _find_account(tx, payment, purchase)
        paid_at = payment.paid_at or await _paid_before(tx, account, payment)
    if purchase is not None and purchase.accepted_at is None:
        await _accept(till, purchase, await ceilings_of(purchase.merchant_no))
    if paid_at is None:
        async with till.db.at_once() as tx:
            paid_at = await tx.now()
    reported = ReportedReceipt(
        bank=account.bank,
        bank_reference=payment.bank_reference or f"SB{secrets.token_hex(12)}",
        custody_account=account.account_number,
        amount=payment.amount,
        payment_reference=payment.payment_reference,
        paid_at=paid_at,
        payer=_PAYER,
    )
    return await record_receipt(till, reported, request=None)


async def _accept(till: Till, purchase: Purchase, ceilings: Ceilings | None) -> None:
    holder = Holder(consumer_of(SANDBOX_ISSUER, CONSUMER_ID), CONSUMER_ID, SANDBOX_ISSUER)
    if purchase.consumer is not None:
        assert purchase.consumer_id is not None
        assert purchase.issuer is not None
        holder = Holder(purchase.consumer, purchase.consumer_id, purchase.issuer)
    command = AcceptPurchase(
        merchant_no=purchase.merchant_no,
        request=None,
        purchase_id=purchase.purchase_id,
        holder=holder,
        contract_sha256=purchase.contract_sha256,
        ceilings=ceilings,
    )
    try:
        await change_purchase(till, command)
    except (CeilingExceeded, PurchaseNotAwaitingPayment, NotFound):
        # Too much for its consumer, expired or cancelled meanwhile, or somebody else was first:
        # the money decides itself.
        return


async def _find_purchase(db: Database, payment_reference: str) -> Purchase | None:
    try:
        return await read_purchase(db, purchase_of_reference(payment_reference))
    except NotFound:
        return None


async def _find_account(tx: Transaction, payment: Payment, purchase: Purchase | None) -> _Account:
    """Give the account that was named, else the purchase's merchant's, else the seeded one's."""
    found = await tx.fetch_one(
        _Account,
        """
        SELECT account_number, bank FROM custody_account
        WHERE account_number = CAST(:number AS text)
           OR (CAST(:number AS text) IS NULL
               AND merchant_no = coalesce(
                   CAST(:merchant_no AS bigint), (SELECT min(merchant_no) FROM custody_account)))
        """,
        number=payment.custody_account,
        merchant_no=None if purchase is None else purchase.merchant_no,
    )
    return found or _Account(payment.custody_account or "", BANK)


async def _paid_before(tx: Transaction, account: _Account, payment: Payment) -> datetime | None:
    """Give when the same receipt was paid, so that naming it again states the same facts."""
    at = await tx.value(
        """
        SELECT paid_at FROM receipt
        WHERE custody_account = :account AND bank_reference = CAST(:reference AS text)
        """,
        account=account.account_number,
        reference=payment.bank_reference,
    )
    assert at is None or isinstance(at, datetime)
    return at
