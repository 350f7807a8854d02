"""A case as it lies in the database, and what of it enters the hash chain."""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.ledger import chain
from app.money import Fen


class CaseKind(StrEnum):
    """What a case is about."""

    REFUND_CLAIM = "refund_claim"
    DISPUTE = "dispute"


class CaseStatus(StrEnum):
    """Where a case is in its life."""

    OPEN = "open"
    ANSWERED = "answered"
    DECIDED = "decided"


class CaseDecision(StrEnum):
    """What came of a case."""

    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class DecidedBy(StrEnum):
    """Who decided a case; silence is the merchant's, after the day on which it was to answer."""

    TWO_PERSONS = "two_persons"
    MERCHANT = "merchant"
    SILENCE = "silence"
    CONSUMER = "consumer"
    CLOSURE = "closure"


class CaseFile(NamedTuple):
    """Something people must judge. What people wrote is sealed, beside its commitment."""

    merchant_no: int
    case_id: UUID
    kind: CaseKind
    status: CaseStatus
    consumer: UUID
    card_id: UUID | None
    charge_id: UUID | None
    refund_id: UUID | None
    reason: str | None
    """The reason of a claim, a word of the contract; a dispute's is stated in words."""
    stated_reason: bytes | None
    stated_reason_commitment: bytes | None
    salt: bytes | None
    text: bytes | None
    text_commitment: bytes | None
    answer_due_on: date | None
    answer_agree: bool | None
    answer_text: bytes | None
    answer_text_commitment: bytes | None
    answered_at: datetime | None
    answered_by: str | None
    decision: CaseDecision | None
    decision_reason: bytes | None
    decision_reason_commitment: bytes | None
    used_amount: Fen | None
    decided_at: datetime | None
    decided_by: DecidedBy | None
    approval_id: UUID | None
    created_at: datetime

    def content_hash(self) -> bytes:
        """Hash the case as it stands: each of its steps carries this into the chain.

        Texts enter as their commitments, so that salt and texts can be erased.
        """
        return chain.content_hash(
            (
                self.case_id,
                str(self.kind),
                str(self.status),
                self.consumer,
                self.card_id,
                self.charge_id,
                self.refund_id,
                self.reason,
                self.stated_reason_commitment,
                self.text_commitment,
                self.answer_due_on,
                self.answer_agree,
                self.answer_text_commitment,
                self.answered_at,
                self.decision,
                self.decision_reason_commitment,
                self.used_amount,
                self.decided_at,
                self.decided_by,
                self.approval_id,
                self.created_at,
            )
        )
