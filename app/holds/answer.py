"""A hold as the contract shows it."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.dates import SHANGHAI
from app.holds.domain import HoldStatus, HoldTarget
from app.ids import Prefix, to_text
from app.money import CURRENCY, Fen


class ShownHold(NamedTuple):
    """A hold as it stands by the clock, with what names its target."""

    merchant_no: int
    merchant_id: UUID
    hold_id: UUID
    target: HoldTarget
    target_id: UUID
    custody_account: str | None
    amount: Fen | None
    document_number: str
    reason: str
    status: HoldStatus
    placed_by: str
    placed_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None

    @property
    def as_placed(self) -> "ShownHold":
        """Give it as it was answered to whoever placed it."""
        return self._replace(status=HoldStatus.ACTIVE, ended_at=None)


def target_text(hold: ShownHold) -> str:
    """Name what is held: a card, a merchant for its payable, a custody account by its number."""
    match hold.target:
        case HoldTarget.CARD:
            return to_text(Prefix.CARD, hold.target_id)
        case HoldTarget.PAYABLE:
            return to_text(Prefix.MERCHANT, hold.merchant_id)
        case _:
            assert hold.custody_account is not None, "a custody account is never taken away"
            return hold.custody_account


def hold_answer(hold: ShownHold) -> Mapping[str, object]:
    """Show a hold."""
    return {
        "id": to_text(Prefix.HOLD, hold.hold_id),
        "target": str(hold.target),
        "target_id": target_text(hold),
        "merchant_id": to_text(Prefix.MERCHANT, hold.merchant_id),
        "amount": hold.amount,
        "currency": CURRENCY,
        "document_number": hold.document_number,
        "reason": hold.reason,
        "status": str(hold.status),
        "placed_by": hold.placed_by,
        "placed_at": _time(hold.placed_at),
        "expires_at": _time(hold.expires_at),
        "ended_at": _time(hold.ended_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(SHANGHAI).isoformat()
