"""A closure as the contract shows it, and what executing it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.dates import SHANGHAI
from app.ids import Prefix, to_text
from app.money import CURRENCY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from app.closures.domain import Preview, View


def closure_answer(view: View, base_url: str) -> Mapping[str, object]:
    """Show a closure with its progress."""
    closure = view.closure
    closure_id = to_text(Prefix.CLOSURE, closure.closure_id)
    url = f"{base_url}/v1/closures/{closure_id}/certificate"
    return {
        "id": closure_id,
        "merchant_id": to_text(Prefix.MERCHANT, view.merchant_id),
        "kind": str(closure.kind),
        "reason": closure.reason,
        "status": str(view.status),
        "card_count": closure.card_count,
        "refund_amount": closure.refund_amount,
        "refunded_count": closure.refunded_count,
        "refunded_amount": closure.refunded_amount,
        "shortfall_amount": closure.shortfall_amount,
        "currency": CURRENCY,
        "rate_per_second": closure.rate_per_second,
        "seconds_left": closure.seconds_left,
        "created_at": shown(closure.created_at),
        "notice_ends_at": shown(closure.notice_ends_at),
        "closing_at": shown(closure.closing_at),
        "started_at": shown(closure.started_at),
        "finished_at": shown(closure.finished_at),
        "certificate_url": url if view.certificates else None,
    }


def preview_facts(preview: Preview) -> Mapping[str, object]:
    """Say what executing would do, in total and per kind of card."""
    standing = preview.standing
    return {
        "closure_id": to_text(Prefix.CLOSURE, preview.closure.closure_id),
        "as_of": shown(preview.at),
        "card_count": preview.card_count,
        "refund_amount": preview.refund_amount,
        "currency": CURRENCY,
        "kinds": [
            {
                "kind": str(total.kind),
                "card_count": total.card_count,
                "refund_amount": total.refund_amount,
            }
            for total in preview.kinds
        ],
        "disputed_count": preview.disputed_count,
        "held_count": preview.held_count,
        "custody_amount": standing.custody_amount,
        "in_transit_amount": standing.in_transit_amount,
        "refund_payable_amount": standing.refund_payable_amount,
        "suspense_amount": standing.suspense_amount,
        "disputed_amount": standing.disputed_amount,
        "payable_amount": standing.payable_amount,
        "waiting_reversal_amount": standing.waiting_reversal_amount,
        "bank_claim_amount": standing.bank_claim_amount,
        "shortfall_amount": standing.shortfall_amount,
    }


def shown(at: datetime | None) -> str | None:
    """Show a moment as answers do: with microseconds and +08:00."""
    return None if at is None else at.astimezone(SHANGHAI).isoformat(timespec="microseconds")
