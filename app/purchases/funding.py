"""Decide what money received does: fund a card, lie in suspense, be matched, go back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from app.cards.errors import MerchantFrozen
from app.cards.statement import CardEntryKind, Line, enter
from app.errors import NotFound
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
from app.ledger.rows import Account
from app.purchases.commands import MatchReceipt, RecordReceipt, ReturnReceipt
from app.purchases.domain import (
    CardIssue,
    Purchase,
    PurchaseStatus,
    Receipt,
    ReceiptStatus,
    new_card,
    why_not_funded,
)
from app.purchases.errors import (
    BankReferenceReused,
    PurchaseNotAwaitingPayment,
    ReceiptNotInSuspense,
)
from app.purchases.facts import receipt_facts
from app.purchases.selling import OPEN
from app.purchases.tables import (
    PRODUCT_OF_PURCHASE,
    PRODUCTS,
    PURCHASE_BY_ID,
    PURCHASES,
    RECEIPT_BY_ID,
    RECEIPT_BY_REFERENCE,
    RECEIPTS,
    RECEIPTS_BY_REFERENCE,
    SuspenseRefund,
)
from app.writer.book import ACCOUNT_BY_ID
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from datetime import datetime

    from app.writer.book import Book
    from app.writer.tables import Need


@dataclass(frozen=True, slots=True)
class Recorded:
    """A receipt as it stands, and whether this report made it."""

    receipt: Receipt
    created: bool


@dataclass(frozen=True, slots=True)
class _Payment:
    """Money that funds a purchase, and the account in which it lies so far."""

    receipt: Receipt
    source: AccountType


def decide_record(command: RecordReceipt, book: Book, at: datetime) -> Decision[Recorded]:
    """Book a receipt once: the same report again gives the same receipt.

    A bank's fact is never refused for a state: what funds nothing lies in suspense.

    Raises:
        BankReferenceReused: The reference was reported with other facts.
    """
    reported = command.receipt
    reference = (reported.custody_account, reported.bank_reference)
    for known in book.group(RECEIPTS_BY_REFERENCE, reference):
        if not known.says_the_same_as(reported):
            raise BankReferenceReused(known.receipt_id)
        return _unchanged(known)
    purchase = book.find(PURCHASES, command.purchase_id) if command.purchase_id else None
    product = book.find(PRODUCTS, purchase.product_id) if purchase else None
    selling = book.head.status == OPEN and product is not None and product.on_sale
    reason = why_not_funded(reported, purchase, selling=selling)
    if reason is not None:
        suspended = reported._replace(
            status=ReceiptStatus.SUSPENSE,
            suspense_reason=reason,
            purchase_id=purchase.purchase_id if purchase else None,
            received_at=at,
        )
        return _suspended(suspended, book)
    assert purchase is not None, "a receipt without a purchase lies in suspense"
    issue = CardIssue(command.card_id, command.holder_salt, command.cooling_off)
    payment = _Payment(reported._replace(received_at=at), AccountType.CUSTODY)
    return _fund(purchase, payment, issue, book, at)


def decide_match(command: MatchReceipt, book: Book, at: datetime) -> Decision[Recorded]:
    """Fund a purchase from suspense; doing it again gives the same receipt.

    Raises:
        MerchantFrozen: The merchant is closing.
        NotFound: No such receipt or purchase at this merchant.
        PurchaseNotAwaitingPayment: It was not accepted, is paid or cancelled, or costs another
            amount.
        ReceiptNotInSuspense: It funds another purchase, or went back.
    """
    receipt = book.find(RECEIPTS, command.receipt_id)
    purchase = book.find(PURCHASES, command.purchase_id)
    if receipt is None or purchase is None:
        raise NotFound
    if receipt.status == ReceiptStatus.MATCHED and receipt.purchase_id == purchase.purchase_id:
        return _unchanged(receipt)
    if receipt.status != ReceiptStatus.SUSPENSE:
        raise ReceiptNotInSuspense(receipt.status)
    if book.head.status != OPEN:
        raise MerchantFrozen
    if purchase.status != PurchaseStatus.AWAITING_PAYMENT:
        raise PurchaseNotAwaitingPayment(purchase.status)
    if purchase.accepted_at is None or purchase.amount != receipt.amount:
        raise PurchaseNotAwaitingPayment("not accepted, or of another amount")
    issue = CardIssue(command.card_id, command.holder_salt, command.cooling_off)
    return _fund(purchase, _Payment(receipt, AccountType.SUSPENSE), issue, book, at)


def decide_return(command: ReturnReceipt, book: Book, at: datetime) -> Decision[Recorded]:
    """Decide that money in suspense goes back to its payer; doing it again changes nothing.

    Raises:
        NotFound: No such receipt.
        ReceiptNotInSuspense: It funds a card.
    """
    receipt = book.find(RECEIPTS, command.receipt_id)
    if receipt is None:
        raise NotFound
    if receipt.status == ReceiptStatus.RETURNED:
        return _unchanged(receipt)
    if receipt.status != ReceiptStatus.SUSPENSE:
        raise ReceiptNotInSuspense(receipt.status)
    refund = SuspenseRefund(
        receipt.merchant_no,
        command.refund_id,
        receipt.receipt_id,
        None,
        "decided",
        receipt.amount,
        receipt.payer_name,
        receipt.payer_account_number,
        None,
        0,
        at,
    )
    returned = receipt._replace(status=ReceiptStatus.RETURNED, refund_id=refund.refund_id)
    entry = Entry(
        "receipt_given_back",
        receipt.receipt_id,
        Movement(
            book.own(AccountType.SUSPENSE), book.own(AccountType.REFUND_PAYABLE), receipt.amount
        ),
    )
    return Decision(
        Recorded(returned, created=False),
        facts=receipt_facts(returned, created=False),
        rows=(returned, refund),
        entries=(entry,),
        events=(Event("receipt.returned", receipt.receipt_id),),
        subject_id=receipt.receipt_id,
    )


def _unchanged(receipt: Receipt) -> Decision[Recorded]:
    return Decision(
        Recorded(receipt, created=False),
        subject_id=receipt.receipt_id,
        facts=receipt_facts(receipt, created=False),
    )


def _suspended(receipt: Receipt, book: Book) -> Decision[Recorded]:
    entry = Entry(
        "receipt_suspended",
        receipt.receipt_id,
        Movement(book.own(AccountType.CUSTODY), book.own(AccountType.SUSPENSE), receipt.amount),
        effective_at=receipt.paid_at,
    )
    return Decision(
        Recorded(receipt, created=True),
        facts=receipt_facts(receipt, created=True),
        rows=(receipt,),
        entries=(entry,),
        events=(Event("receipt.suspended", receipt.receipt_id),),
        subject_id=receipt.receipt_id,
    )


def _fund(
    purchase: Purchase, payment: _Payment, issue: CardIssue, book: Book, at: datetime
) -> Decision[Recorded]:
    """Make the card that the money buys, and put the money on it."""
    receipt, created = payment.receipt, payment.source is AccountType.CUSTODY
    product = book.find(PRODUCTS, purchase.product_id)
    assert product is not None, "a purchase has a product"
    card = new_card(purchase, product, issue, paid_at=receipt.paid_at, at=at)
    told = Line(CardEntryKind.FUNDED, receipt.receipt_id, purchase.store_id, card.terms_hash)
    card, line = enter(card, told, seq=book.next_seq, at=at)
    account = Account(card.merchant_no, card.card_id, AccountType.CARD)
    matched = receipt._replace(
        status=ReceiptStatus.MATCHED, purchase_id=purchase.purchase_id, card_id=card.card_id
    )
    funded = purchase._replace(status=PurchaseStatus.FUNDED, card_id=card.card_id)
    entry = Entry(
        "purchase_funded" if created else "receipt_matched",
        receipt.receipt_id,
        Movement(book.own(payment.source), card.card_id, receipt.amount),
        line.content_hash(),
        effective_at=receipt.paid_at,
    )
    return Decision(
        Recorded(matched, created=created),
        facts=receipt_facts(matched, created=created),
        rows=(account, card, line, matched, funded),
        entries=(entry,),
        events=(
            Event("receipt.matched", receipt.receipt_id),
            Event("purchase.funded", purchase.purchase_id),
        ),
        subject_id=receipt.receipt_id,
    )


def _accounts(merchant_no: int, *kinds: AccountType) -> tuple[Need, ...]:
    return tuple(ACCOUNT_BY_ID(account_id(merchant_no, kind)) for kind in kinds)


def _needs_of_record(command: RecordReceipt) -> tuple[Need, ...]:
    receipt = command.receipt
    of_purchase = (
        ()
        if command.purchase_id is None
        else (PURCHASE_BY_ID(command.purchase_id), PRODUCT_OF_PURCHASE(command.purchase_id))
    )
    return (
        RECEIPT_BY_REFERENCE(receipt.custody_account, receipt.bank_reference),
        *of_purchase,
        *_accounts(command.merchant_no, AccountType.CUSTODY, AccountType.SUSPENSE),
    )


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(RecordReceipt, _needs_of_record, decide_record),
    Plan(
        MatchReceipt,
        lambda command: (
            RECEIPT_BY_ID(command.receipt_id),
            PURCHASE_BY_ID(command.purchase_id),
            PRODUCT_OF_PURCHASE(command.purchase_id),
            *_accounts(command.merchant_no, AccountType.SUSPENSE),
        ),
        decide_match,
    ),
    Plan(
        ReturnReceipt,
        lambda command: (
            RECEIPT_BY_ID(command.receipt_id),
            *_accounts(command.merchant_no, AccountType.SUSPENSE, AccountType.REFUND_PAYABLE),
        ),
        decide_return,
    ),
)
