"""Which receipt funds which purchase: the full table."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from app.errors import NotFound
from app.ids import new_id
from app.money import Fen
from app.purchases.domain import (
    Purchase,
    PurchaseStatus,
    Receipt,
    ReceiptStatus,
    SuspenseReason,
    purchase_of_reference,
    why_not_funded,
)

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def a_purchase(**fields: Any) -> Purchase:
    return Purchase(
        merchant_no=1,
        purchase_id=UUID(int=1),
        product_id=UUID(int=2),
        store_id=UUID(int=3),
        status=PurchaseStatus.AWAITING_PAYMENT,
        amount=Fen(500_00),
        consumer=UUID(int=4),
        consumer_id="li.na",
        issuer="https://wallet.example",
        contract_version=1,
        contract_sha256=bytes(32),
        accepted_at=NOW - timedelta(minutes=5),
        card_id=None,
        expires_at=NOW,
        created_at=NOW - timedelta(minutes=30),
    )._replace(**fields)


def a_receipt(**fields: Any) -> Receipt:
    return Receipt(
        merchant_no=1,
        receipt_id=UUID(int=5),
        status=ReceiptStatus.SUSPENSE,
        suspense_reason=None,
        bank="HZCB",
        bank_reference="R1",
        custody_account="330104",
        amount=Fen(500_00),
        payment_reference="AX",
        payer_name=b"",
        payer_account_number=b"",
        payer_index=b"index",
        purchase_id=None,
        card_id=None,
        refund_id=None,
        paid_at=NOW,
        received_at=NOW + timedelta(days=2),
    )._replace(**fields)


# What is wrong, in the order in which it counts.
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], SuspenseReason]] = {
    "funded": ({"status": PurchaseStatus.FUNDED}, {}, SuspenseReason.ALREADY_FUNDED),
    "cancelled": ({"status": PurchaseStatus.CANCELLED}, {}, SuspenseReason.PURCHASE_CANCELLED),
    "not accepted": ({"accepted_at": None}, {}, SuspenseReason.CONTRACT_NOT_ACCEPTED),
    "late": ({}, {"paid_at": NOW + MICROSECOND}, SuspenseReason.PURCHASE_EXPIRED),
    "a fen short": ({}, {"amount": Fen(499_99)}, SuspenseReason.UNDERPAID),
    "a fen over": ({}, {"amount": Fen(500_01)}, SuspenseReason.OVERPAID),
}


@pytest.mark.parametrize("selling", [True, False])
@pytest.mark.parametrize("wrongs", list(product([None, *WRONG], repeat=2)), ids=str)
def test_only_the_exact_amount_for_an_accepted_purchase_in_time_funds_it(
    wrongs: tuple[str | None, ...], *, selling: bool
) -> None:
    purchase, receipt = a_purchase(), a_receipt()
    for wrong in wrongs:
        if wrong is not None:
            of_purchase, of_receipt, _ = WRONG[wrong]
            purchase = purchase._replace(**of_purchase)
            receipt = receipt._replace(**of_receipt)

    reason = why_not_funded(receipt, purchase, selling=selling)

    # The later of two wrongs of one kind stands; of different kinds, the first of the table.
    named = {wrong for wrong in wrongs if wrong is not None}
    if named in ({"funded", "cancelled"}, {"a fen short", "a fen over"}):
        named = {str(wrongs[1])}
    expected = next((WRONG[wrong][2] for wrong in WRONG if wrong in named), None)
    if expected is None and not selling:
        expected = SuspenseReason.MERCHANT_NOT_SELLING
    assert reason == expected


def test_money_for_no_purchase_has_an_unknown_reference() -> None:
    assert why_not_funded(a_receipt(), None, selling=True) == SuspenseReason.UNKNOWN_REFERENCE


def test_a_late_report_of_a_payment_in_time_funds_an_expired_purchase() -> None:
    purchase = a_purchase()
    assert purchase.status_at(NOW + timedelta(days=2)) == PurchaseStatus.EXPIRED
    assert why_not_funded(a_receipt(paid_at=NOW), purchase, selling=True) is None


@pytest.mark.parametrize("status", PurchaseStatus)
@pytest.mark.parametrize(("seconds", "past"), [(-1, False), (0, True), (1, True)])
def test_only_a_purchase_that_awaits_payment_expires(
    status: PurchaseStatus, seconds: int, *, past: bool
) -> None:
    seen = a_purchase(status=status).status_at(NOW + timedelta(seconds=seconds))
    awaits = status is PurchaseStatus.AWAITING_PAYMENT
    assert seen == (PurchaseStatus.EXPIRED if awaits and past else status)


def test_a_payment_reference_leads_back_whatever_the_payer_typed() -> None:
    purchase = a_purchase(purchase_id=new_id(7))
    reference = purchase.payment_reference
    assert len(reference) == 28
    for typed in (reference, reference.lower(), f" {reference[:10]} {reference[10:]} "):
        assert purchase_of_reference(typed) == purchase.purchase_id
    for wrong in ("", "AX", reference[:-1], f"{reference}0", "工资", "AX" + "u" * 26):
        with pytest.raises(NotFound):
            purchase_of_reference(wrong)


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({}, True),
        ({"receipt_id": UUID(int=9), "received_at": NOW, "payer_name": b"sealed anew"}, True),
        ({"amount": Fen(1)}, False),
        ({"payment_reference": "AY"}, False),
        ({"paid_at": NOW + MICROSECOND}, False),
        ({"payer_index": b"another"}, False),
        ({"bank": "ICBC"}, False),
    ],
)
def test_which_facts_make_a_receipt_the_same(fields: dict[str, Any], *, same: bool) -> None:
    assert a_receipt().says_the_same_as(a_receipt(**fields)) == same
