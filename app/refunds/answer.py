"""A refund as the contract shows it; a preview is one without an id."""

import json
from collections.abc import Mapping

from app.ids import Prefix, to_text
from app.money import CURRENCY
from app.refunds.domain import RefundReason, RefundStatus
from app.refunds.quoting import Quote
from app.refunds.rows import CardRefund

Answer = Mapping[str, object]


def preview_answer(quote: Quote, card_id: str, payee: Answer | None) -> Answer:
    """Show what a refund would come to."""
    return {
        "id": None,
        "card_id": card_id,
        "reason": str(quote.reason),
        "class": str(quote.refund_class),
        "status": None,
        "amount": quote.figures.amount,
        "unpaid_amount": 0,
        "residue_amount": quote.figures.residue_amount,
        "interest_claim_amount": quote.figures.interest_claim_amount,
        "currency": CURRENCY,
        "formula": str(quote.formula),
        "formula_version": quote.formula_version,
        "inputs": json.loads(quote.inputs.to_json()),
        "as_of": quote.as_of.isoformat(),
        "policy_version": quote.policy_version,
        "case_id": None,
        "needs_case": quote.needs_case,
        "alternative": None,
        "supplements": None,
        "payee": payee,
    }


def refund_answer(refund: CardRefund, payee: Answer | None) -> Answer:
    """Show a refund."""
    supplements = refund.supplements
    return {
        "id": to_text(Prefix.REFUND, refund.refund_id),
        "card_id": to_text(Prefix.CARD, refund.card_id),
        "reason": str(refund.reason),
        "class": str(refund.refund_class),
        "status": str(refund.status),
        "amount": refund.amount,
        "unpaid_amount": refund.unpaid_amount,
        "residue_amount": refund.residue_amount,
        "interest_claim_amount": refund.interest_claim_amount,
        "currency": CURRENCY,
        "formula": str(refund.formula),
        "formula_version": refund.formula_version,
        "inputs": json.loads(refund.read_inputs().to_json()),
        "as_of": refund.as_of.isoformat(),
        "policy_version": refund.policy_version,
        "case_id": None if refund.case_id is None else to_text(Prefix.CASE, refund.case_id),
        "needs_case": refund.case_id is not None,
        # A rejected claim leaves the way that needs no ground (DOMAIN §4).
        "alternative": (
            str(RefundReason.CONSUMER_CHOICE) if refund.status == RefundStatus.REJECTED else None
        ),
        "supplements": None if supplements is None else to_text(Prefix.REFUND, supplements),
        "payee": payee,
    }
