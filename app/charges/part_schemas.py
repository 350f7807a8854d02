"""The parts of a charge that have fields of their own."""

from app.api.schemas import (
    Amount,
    AmountOrZero,
    BusinessDate,
    CardId,
    CaseId,
    ConfirmationId,
    Count,
    DisputeId,
    Model,
    Time,
)
from app.charges.domain import ConfirmationMethod, DisputeStatus, ReversalStatus


class DrawRead(Model):
    """What a charge takes from one card."""

    card_id: CardId
    face_amount: Amount | None
    sessions: Count | None
    release_amount: AmountOrZero | None


class ConfirmationRead(Model):
    """The consumer's proof."""

    id: ConfirmationId
    method: ConfirmationMethod
    at: Time


class BalanceAfterRead(Model):
    """What is left after the use, over the cards it may draw on."""

    card_face_amount: AmountOrZero | None
    sessions_left: Count | None
    valid_until: BusinessDate | None


class ReversalRead(Model):
    """A use taken back; `pending` waits until the merchant's payable money covers it."""

    status: ReversalStatus
    requested_at: Time
    done_at: Time | None
    reason: str | None


class DisputeRead(Model):
    """A dispute of the use; a use has at most one."""

    id: DisputeId
    case_id: CaseId
    status: DisputeStatus
