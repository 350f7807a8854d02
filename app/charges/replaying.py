"""Give a charge as it was when a request about it was first answered."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, cast

from app.charges.domain import Charge, ChargeStatus, DisputeStatus, ReversalStatus, write_draws

if TYPE_CHECKING:
    from app.money import Fen
    from app.writer.requests import StoredRequest


def as_of(charge: Charge, stored: StoredRequest) -> Charge:
    """Give the charge as it was when a request was answered, from the charge as it is now."""
    facts = stored.read_facts()
    face, sessions, until = cast("list[int | str | None]", facts["balance"])
    status = ChargeStatus(str(facts["status"]))
    then = charge._replace(
        status=status,
        balance_face_amount=cast("Fen | None", face),
        balance_sessions=cast("int | None", sessions),
        balance_valid_until=None if until is None else date.fromisoformat(str(until)),
        reversal_status=None,
        reversal_done_at=None,
    )
    if "dispute" in facts:
        then = then._replace(dispute_status=DisputeStatus(str(facts["dispute"])))
    else:
        then = then._replace(dispute_id=None, dispute_case_id=None, dispute_status=None)
    if "reversal" in facts:
        reversal, done_at = cast("list[str | None]", facts["reversal"])
        then = then._replace(
            reversal_status=ReversalStatus(str(reversal)),
            reversal_done_at=None if done_at is None else datetime.fromisoformat(done_at),
        )
    if status == ChargeStatus.PENDING_CONFIRMATION:
        then = then._replace(
            release_amount=None,
            draws=write_draws([draw._replace(release_amount=None) for draw in charge.read_draws()]),
            confirmation_id=None,
            confirmation_method=None,
            confirmed_at=None,
        )
    return then
