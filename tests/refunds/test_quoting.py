"""By which class a card is refunded, on recorded facts alone, and what refuses it."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.cards.domain import CardStatus
from app.cards.errors import CardNotActive, CardOnHold
from app.charges.errors import ChargeDisputed
from app.errors import DomainError
from app.ids import new_id
from app.refunds.domain import RefundClass, RefundReason
from app.refunds.errors import (
    ClosureInProgress,
    CoolingOffOver,
    RefundInProgress,
    RefundNotAllowed,
)
from app.refunds.quoting import Facts, Rules, quote_agreed, quote_claim, quote_upheld
from tests.refunds.test_figures import a_card, face, used

ENDS_ON = date(2026, 1, 8)
RULES = Rules(ENDS_ON, unused_only=False, policy_version=3)
CLAIMS = frozenset(RefundReason) - {RefundReason.MERCHANT_OFFER, RefundReason.CLOSURE}


def facts(card: dict[str, Any] | None = None, **fields: Any) -> Facts:
    """Say that nothing stands in the way of a refund on the last day of cooling-off."""
    said: dict[str, Any] = {
        "card": a_card(paid_amount=1000_00)._replace(**(card or {})),
        "day": ENDS_ON,
        "book_status": "open",
        "store_status": "open",
        "used_before": False,
        "disputed": False,
        "dispute_upheld": False,
        "refund_id": None,
        **fields,
    }
    return Facts(**said)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (facts(refund_id=new_id(1)), RefundInProgress),
        (facts({"status": CardStatus.REFUNDED}), RefundInProgress),
        (facts({"on_hold": True}), CardOnHold),
        (facts({"status": CardStatus.REPLACED}), CardNotActive),
        (facts({"status": CardStatus.RECALLED}), CardNotActive),
        (facts(book_status="closing"), ClosureInProgress),
        (facts(disputed=True), ChargeDisputed),
        (facts({"released_amount": 1000_00}), RefundNotAllowed),
    ],
)
@pytest.mark.parametrize("reason", RefundReason)
def test_what_stands_in_the_way_refuses_every_reason(
    reason: RefundReason, refused: Facts, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        quote_claim(reason, refused, RULES)
    with pytest.raises(error):
        quote_agreed(refused, 1)


@pytest.mark.parametrize(
    "status",
    [CardStatus.ACTIVE, CardStatus.FROZEN, CardStatus.LOST, CardStatus.EXPIRED],
)
def test_a_card_that_cannot_be_used_can_still_be_refunded(status: CardStatus) -> None:
    quote = quote_claim(RefundReason.CONSUMER_CHOICE, facts({"status": status}), RULES)

    assert (quote.figures.amount, quote.policy_version) == (1000_00, 3)


def test_cooling_off_counts_its_last_day_and_not_the_one_after() -> None:
    open_, over = facts(), facts(day=date(2026, 1, 9))

    quote = quote_claim(RefundReason.COOLING_OFF, open_, RULES)
    assert (quote.refund_class, quote.figures.amount) == (RefundClass.COOLING_OFF, 1000_00)
    with pytest.raises(CoolingOffOver) as refused:
        quote_claim(RefundReason.COOLING_OFF, over, RULES)
    assert refused.value.members == {"cooling_off_ends_on": "2026-01-08"}
    uncovered = replace(RULES, cooling_off_ends_on=None)
    assert quote_claim(RefundReason.COOLING_OFF, over, uncovered).figures.amount == 1000_00


def test_where_cooling_off_is_for_unused_cards_a_use_ends_it() -> None:
    strict = replace(RULES, unused_only=True)
    touched = replace(facts(), card=used(a_card(paid_amount=1000_00), face(1)))

    assert quote_claim(RefundReason.COOLING_OFF, facts(), strict).figures.amount == 1000_00
    assert quote_claim(RefundReason.COOLING_OFF, touched, RULES).figures.residue_amount == 0
    with pytest.raises(CoolingOffOver):
        quote_claim(RefundReason.COOLING_OFF, touched, strict)


@pytest.mark.parametrize("reason", sorted(CLAIMS))
def test_from_notice_on_every_refund_is_the_merchants_fault(reason: RefundReason) -> None:
    quote = quote_claim(reason, facts(book_status="notice", used_before=True), RULES)

    assert quote.refund_class == RefundClass.MERCHANT_FAULT


@pytest.mark.parametrize(
    "reason", sorted(CLAIMS - {RefundReason.COOLING_OFF, RefundReason.CONSUMER_CHOICE})
)
def test_what_nothing_on_record_bears_out_needs_a_case(reason: RefundReason) -> None:
    quote = quote_claim(reason, facts(), RULES)

    assert quote.needs_case
    assert (quote.figures.amount, quote.figures.residue_amount) == (1000_00, 0), "if upheld"


@pytest.mark.parametrize("status", ["moved", "closed"])
def test_a_store_on_record_as_gone_bears_that_claim_out_alone(status: str) -> None:
    gone = facts(store_status=status)

    moved = quote_claim(RefundReason.STORE_MOVED, gone, RULES)
    assert (moved.refund_class, moved.needs_case) == (RefundClass.MERCHANT_FAULT, False)
    assert quote_claim(RefundReason.HEALTH, gone, RULES).needs_case


def test_an_upheld_dispute_bears_out_that_the_service_is_not_given() -> None:
    judged = facts(dispute_upheld=True)

    unavailable = quote_claim(RefundReason.SERVICE_UNAVAILABLE, judged, RULES)
    assert (unavailable.refund_class, unavailable.needs_case) == (
        RefundClass.MERCHANT_FAULT,
        False,
    )
    assert quote_claim(RefundReason.MINOR, judged, RULES).needs_case


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (facts({"on_hold": True}), CardOnHold),
        (facts({"status": CardStatus.RECALLED}), CardNotActive),
        (facts(book_status="closing"), ClosureInProgress),
        (facts(disputed=True), ChargeDisputed),
    ],
)
def test_what_stands_in_the_way_of_upholding_a_claim(
    refused: Facts, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        quote_upheld(RefundReason.HEALTH, refused, policy_version=0, used_amount=None)


def test_a_closure_upholds_claims_while_it_closes_and_a_minors_as_its_own_fault() -> None:
    closing = facts({"status": CardStatus.REFUNDING}, book_status="closing")

    quote = quote_upheld(
        RefundReason.MINOR, closing, policy_version=0, used_amount=None, closing=True
    )

    assert (quote.refund_class, quote.figures.amount) == (RefundClass.MERCHANT_FAULT, 1000_00)
