"""Say a charge as the contract shows it: plain JSON values, ready to be written."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from app.cards.directory import MerchantRef
from app.charges.domain import Charge
from app.dates import SHANGHAI
from app.ids import Prefix, to_text
from app.money import CURRENCY


def charge_answer(
    charge: Charge, merchant: MerchantRef, *, to_consumer: bool
) -> Mapping[str, object]:
    """Show a charge (API.md, Charges), its status as it stands in the row.

    Consumers see by name whom they pay. `schemas.ChargeRead` is its shape in the contract.
    """
    merchant_id = to_text(Prefix.MERCHANT, merchant.merchant_id)
    confirmed_at = _time(charge.confirmed_at)
    until = charge.balance_valid_until
    answer: dict[str, object] = {
        "id": to_text(Prefix.CHARGE, charge.charge_id),
        # As plain text: of an enumeration's member the writer of JSON looks for the base each time.
        "status": str(charge.status),
        "merchant_id": merchant_id,
        "store_id": to_text(Prefix.STORE, charge.store_id),
        "kind": str(charge.kind),
        "amount": charge.amount,
        "sessions": charge.sessions,
        "visit": charge.visit,
        "list_amount": charge.list_amount,
        "currency": CURRENCY,
        "release_amount": charge.release_amount,
        "draws": [
            {
                "card_id": to_text(Prefix.CARD, draw.card_id),
                "face_amount": draw.face_amount,
                "sessions": draw.sessions,
                "release_amount": draw.release_amount,
            }
            for draw in charge.read_draws()
        ],
        "confirmation": _confirmation(charge, confirmed_at),
        "expires_at": _time(charge.expires_at),
        "balance": {
            "card_face_amount": charge.balance_face_amount,
            "sessions_left": charge.balance_sessions,
            "valid_until": None if until is None else until.isoformat(),
        },
        "reversal": _reversal(charge),
        "dispute": _dispute(charge),
        "description": charge.description,
        "client_reference": charge.client_reference,
        "created_at": _time(charge.created_at),
        "confirmed_at": confirmed_at,
    }
    if to_consumer:
        answer["merchant"] = {"id": merchant_id, "name": merchant.name}
    return answer


def _confirmation(charge: Charge, at: str | None) -> Mapping[str, object] | None:
    if charge.confirmation_id is None:
        return None
    return {
        "id": to_text(Prefix.CONFIRMATION, charge.confirmation_id),
        "method": str(charge.confirmation_method),
        "at": at,
    }


def _reversal(charge: Charge) -> Mapping[str, object] | None:
    if charge.reversal_status is None:
        return None
    return {
        "status": charge.reversal_status,
        "requested_at": _time(charge.reversal_requested_at),
        "done_at": _time(charge.reversal_done_at),
        "reason": charge.reversal_reason,
    }


def _dispute(charge: Charge) -> Mapping[str, object] | None:
    if charge.dispute_id is None or charge.dispute_case_id is None:
        return None
    return {
        "id": to_text(Prefix.DISPUTE, charge.dispute_id),
        "case_id": to_text(Prefix.CASE, charge.dispute_case_id),
        "status": charge.dispute_status,
    }


@lru_cache(maxsize=1024)  # all charges of a batch are of one moment
def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(SHANGHAI).isoformat(timespec="microseconds")
