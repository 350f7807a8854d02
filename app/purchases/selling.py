"""Decide a purchase: open, accept, cancel. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from app.cards.errors import MerchantFrozen
from app.cards.tables import STORE_BY_ID, STORES
from app.errors import NotFound
from app.purchases.ceilings import check_sale, needs_of_ceilings
from app.purchases.commands import AcceptPurchase, CancelPurchase, OpenPurchase
from app.purchases.domain import Product, Purchase, PurchaseStatus
from app.purchases.errors import ContractChanged, ProductNotOnSale, PurchaseNotAwaitingPayment
from app.purchases.facts import purchase_facts
from app.purchases.tables import (
    PRODUCT_BY_ID,
    PRODUCT_OF_PURCHASE,
    PRODUCTS,
    PURCHASE_BY_ID,
    PURCHASES,
)
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from datetime import datetime

    from app.writer.book import Book
    from app.writer.tables import Need

OPEN: Final = "open"
"""The status of a book in which everything goes on."""


def decide_open(command: OpenPurchase, book: Book, at: datetime) -> Decision[Purchase]:
    """Start a sale of a product as it is now.

    Raises:
        CeilingExceeded: It is more than its consumer, where that is known, may have prepaid here.
        ContractChanged: The consumer accepted another text than the product's.
        MerchantFrozen: The merchant sells nothing now.
        NotFound: No such product or store.
        ProductNotOnSale: The product is not sold, or not in this store.
    """
    product = book.find(PRODUCTS, command.product_id)
    store = book.find(STORES, command.store_id)
    if product is None or store is None:
        raise NotFound
    if book.head.status != OPEN:
        raise MerchantFrozen
    if not product.on_sale or store.status != OPEN:
        raise ProductNotOnSale
    accepted = command.accepted_sha256
    if accepted is not None and accepted != product.contract_sha256:
        raise ContractChanged(product.contract_sha256)
    if command.holder is not None:
        check_sale(command.ceilings, product, book, command.holder.consumer, at)
    return _kept(_opened(command, product, at), "purchase.opened")


def _opened(command: OpenPurchase, product: Product, at: datetime) -> Purchase:
    holder = command.holder
    return Purchase(
        merchant_no=command.merchant_no,
        purchase_id=command.purchase_id,
        product_id=product.product_id,
        store_id=command.store_id,
        status=PurchaseStatus.AWAITING_PAYMENT,
        amount=product.price_amount,
        consumer=holder.consumer if holder else None,
        consumer_id=holder.consumer_id if holder else None,
        issuer=holder.issuer if holder else None,
        contract_version=product.contract_version,
        contract_sha256=product.contract_sha256,
        accepted_at=at if command.accepted_sha256 is not None else None,
        card_id=None,
        expires_at=at + timedelta(seconds=command.lifetime_seconds),
        created_at=at,
    )


def decide_accept(command: AcceptPurchase, book: Book, at: datetime) -> Decision[Purchase]:
    """Take a purchase for its first acceptor; accepting again gives the same purchase.

    Raises:
        CeilingExceeded: It is more than its consumer may have prepaid here.
        ContractChanged: Another text was accepted than the one sold.
        NotFound: No such purchase, or it is another consumer's.
        PurchaseNotAwaitingPayment: It was cancelled or has expired.
    """
    purchase = book.find(PURCHASES, command.purchase_id)
    holder = command.holder
    if purchase is None or purchase.consumer not in (None, holder.consumer):
        raise NotFound
    if command.contract_sha256 != purchase.contract_sha256:
        raise ContractChanged(purchase.contract_sha256)
    if purchase.accepted_at is not None:
        return _unchanged(purchase, at)
    if (status := purchase.status_at(at)) != PurchaseStatus.AWAITING_PAYMENT:
        raise PurchaseNotAwaitingPayment(status)
    product = book.find(PRODUCTS, purchase.product_id)
    assert product is not None, "a purchase has a product"
    check_sale(command.ceilings, product, book, holder.consumer, at)
    accepted = purchase._replace(
        consumer=holder.consumer,
        consumer_id=holder.consumer_id,
        issuer=holder.issuer,
        accepted_at=at,
    )
    return _kept(accepted, "purchase.accepted")


def decide_cancel(command: CancelPurchase, book: Book, at: datetime) -> Decision[Purchase]:
    """Give up a sale that was not paid; cancelling again gives the same purchase.

    Raises:
        NotFound: No such purchase.
        PurchaseNotAwaitingPayment: It was funded, or has expired.
    """
    purchase = book.find(PURCHASES, command.purchase_id)
    stores = command.store_ids
    if purchase is None or (stores is not None and purchase.store_id not in stores):
        raise NotFound
    status = purchase.status_at(at)
    if status == PurchaseStatus.CANCELLED:
        return _unchanged(purchase, at)
    if status != PurchaseStatus.AWAITING_PAYMENT:
        raise PurchaseNotAwaitingPayment(status)
    return _kept(purchase._replace(status=PurchaseStatus.CANCELLED), "purchase.cancelled")


def _kept(purchase: Purchase, event: str) -> Decision[Purchase]:
    return Decision(
        purchase,
        rows=(purchase,),
        events=(Event(event, purchase.purchase_id),),
        subject_id=purchase.purchase_id,
        facts=purchase_facts(purchase, purchase.status),
    )


def _unchanged(purchase: Purchase, at: datetime) -> Decision[Purchase]:
    facts = purchase_facts(purchase, purchase.status_at(at))
    return Decision(purchase, subject_id=purchase.purchase_id, facts=facts)


def _prepaid(command: OpenPurchase | AcceptPurchase) -> tuple[Need, ...]:
    """Ask for what the consumer has prepaid, where a ceiling may bind."""
    if command.ceilings is None or command.holder is None:
        return ()
    return needs_of_ceilings(command.holder.consumer)


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        OpenPurchase,
        lambda command: (
            PRODUCT_BY_ID(command.product_id),
            STORE_BY_ID(command.store_id),
            *_prepaid(command),
        ),
        decide_open,
    ),
    Plan(
        AcceptPurchase,
        lambda command: (
            PURCHASE_BY_ID(command.purchase_id),
            PRODUCT_OF_PURCHASE(command.purchase_id),
            *_prepaid(command),
        ),
        decide_accept,
    ),
    Plan(CancelPurchase, lambda command: (PURCHASE_BY_ID(command.purchase_id),), decide_cancel),
)
