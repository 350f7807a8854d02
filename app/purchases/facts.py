"""What of an answer later events may change: kept with a request, put back by its replay."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from app.purchases.domain import (
    Purchase,
    PurchaseStatus,
    Receipt,
    ReceiptStatus,
    SuspenseReason,
)


def receipt_facts(receipt: Receipt, *, created: bool) -> Mapping[str, object]:
    """Say what of a receipt's answer later events may change."""
    return {
        "status": receipt.status,
        "suspense_reason": receipt.suspense_reason,
        "purchase_id": None if receipt.purchase_id is None else str(receipt.purchase_id),
        "card_id": None if receipt.card_id is None else str(receipt.card_id),
        "created": created,
    }


def receipt_as_of(receipt: Receipt, facts: Mapping[str, object]) -> Receipt:
    """Give the receipt as it was when a request was answered."""
    reason = facts["suspense_reason"]
    return receipt._replace(
        status=ReceiptStatus(str(facts["status"])),
        suspense_reason=None if reason is None else SuspenseReason(str(reason)),
        purchase_id=_uuid(facts["purchase_id"]),
        card_id=_uuid(facts["card_id"]),
    )


def purchase_facts(purchase: Purchase, status: PurchaseStatus) -> Mapping[str, object]:
    """Say what of a purchase's answer later events may change."""
    return {
        "status": status,
        "consumer_id": purchase.consumer_id,
        "accepted_at": None if purchase.accepted_at is None else purchase.accepted_at.isoformat(),
        "card_id": None if purchase.card_id is None else str(purchase.card_id),
    }


def purchase_as_of(purchase: Purchase, facts: Mapping[str, object]) -> Purchase:
    """Give the purchase as it was when a request was answered."""
    consumer_id, accepted_at = facts["consumer_id"], facts["accepted_at"]
    return purchase._replace(
        status=PurchaseStatus(str(facts["status"])),
        consumer_id=None if consumer_id is None else str(consumer_id),
        accepted_at=None if accepted_at is None else datetime.fromisoformat(str(accepted_at)),
        card_id=_uuid(facts["card_id"]),
    )


def _uuid(text: object) -> UUID | None:
    return None if text is None else UUID(str(text))
