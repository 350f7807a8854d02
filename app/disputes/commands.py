"""What can be asked of disputes. Every new id and every random byte is in the command."""

from dataclasses import dataclass
from uuid import UUID

from app.cases.domain import Opening, Step
from app.writer.requests import RequestKey


@dataclass(frozen=True, slots=True)
class OpenDispute:
    """Contest a use as its consumer; `opening` is what its case starts from."""

    merchant_no: int
    request: RequestKey | None
    dispute_id: UUID
    charge_id: UUID
    consumer: UUID
    opening: Opening
    reversal_days: int


@dataclass(frozen=True, slots=True)
class StepDispute:
    """Take a step of a dispute's case: an answer, silence, a ruling."""

    merchant_no: int
    request: RequestKey | None
    case_id: UUID
    charge_id: UUID
    step: Step
