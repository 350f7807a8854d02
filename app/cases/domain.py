"""The life of a case: opened, answered by the merchant, decided. Pure.

    (open) --merchant disagrees--> answered --two persons--> decided
       |---merchant agrees, or keeps silent ---------------> decided (upheld)
       '---two persons, the consumer withdraws, a closure--> decided

Deadlines hold by the clock: from the day after `answer_due_on` an unanswered case is agreed to,
whether or not a process has written that down yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.cases.errors import CaseState
from app.cases.rows import CaseDecision, CaseFile, CaseKind, CaseStatus, DecidedBy
from app.dates import business_date
from app.errors import DeadlinePassed
from app.ledger import chain
from app.ledger.posting import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from uuid import UUID

    from app.money import Fen
    from app.writer.requests import StoredRequest


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody wrote: sealed, and the commitment that stands for it in the chain."""

    sealed: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a case starts from: a claim's `reason`, or what a dispute states as one.

    `salt` is what its words are committed to with.
    """

    merchant_no: int
    case_id: UUID
    kind: CaseKind
    consumer: UUID
    reason: str | None = None
    stated_reason: Words | None = None
    salt: bytes
    text: Words | None = None
    answer_due_on: date | None
    """The last day on which the merchant can answer; None where the calendar does not reach."""
    card_id: UUID | None = None
    charge_id: UUID | None = None
    refund_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The merchant's answer."""

    agree: bool
    text: Words | None
    by: str
    """The person whose key it came with."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What ends a case otherwise than by the merchant: two persons, the consumer, a closure."""

    decision: CaseDecision
    by: DecidedBy
    reason: Words | None = None
    used_amount: Fen | None = None
    approval_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """The day on which the merchant was to answer is over."""


@dataclass(frozen=True, slots=True)
class Scheduling:
    """The calendar reaches far enough by now to say when the merchant must answer."""

    answer_due_on: date


Step = Answer | Ruling | Silence | Scheduling
"""What can happen to a case after it was opened."""

WITHDRAWAL: Final = Ruling(CaseDecision.WITHDRAWN, DecidedBy.CONSUMER)
BY_CLOSURE: Final = Ruling(CaseDecision.UPHELD, DecidedBy.CLOSURE)
"""From notice on every refund is the merchant's fault, so that every open claim is founded."""


def words(sealed: bytes, text: str, salt: bytes) -> Words:
    """Commit to a text: the same text of the same case gives the same commitment."""
    return Words(sealed, chain.commitment(salt, text))


def open_case(opening: Opening, at: datetime) -> CaseFile:
    """Put something before the merchant and, if it disagrees, before two persons."""
    text, stated = opening.text, opening.stated_reason
    return CaseFile(
        merchant_no=opening.merchant_no,
        case_id=opening.case_id,
        kind=opening.kind,
        status=CaseStatus.OPEN,
        consumer=opening.consumer,
        card_id=opening.card_id,
        charge_id=opening.charge_id,
        refund_id=opening.refund_id,
        reason=opening.reason,
        stated_reason=None if stated is None else stated.sealed,
        stated_reason_commitment=None if stated is None else stated.commitment,
        salt=opening.salt,
        text=None if text is None else text.sealed,
        text_commitment=None if text is None else text.commitment,
        answer_due_on=opening.answer_due_on,
        answer_agree=None,
        answer_text=None,
        answer_text_commitment=None,
        answered_at=None,
        answered_by=None,
        decision=None,
        decision_reason=None,
        decision_reason_commitment=None,
        used_amount=None,
        decided_at=None,
        decided_by=None,
        approval_id=None,
        created_at=at,
    )


def after(case: CaseFile, step: Step, at: datetime) -> CaseFile:
    """Take a step; give the case itself where the step changes nothing.

    Raises:
        CaseState: It was answered or decided otherwise before.
        DeadlinePassed: The merchant answers too late.
    """
    match step:
        case Answer():
            return answered(case, step, at)
        case Ruling():
            return decided(case, step, at)
        case Silence():
            return silent(case, at)
        case Scheduling():
            return scheduled(case, step)


def answered(case: CaseFile, answer: Answer, at: datetime) -> CaseFile:
    """Take the merchant's answer: agreement decides, the same answer again changes nothing.

    Raises:
        CaseState: It was answered or decided otherwise before.
        DeadlinePassed: The day on which it was to answer is over.
    """
    commitment = None if answer.text is None else answer.text.commitment
    if (case.answer_agree, case.answer_text_commitment) == (answer.agree, commitment):
        return case
    if is_silent(case, at) or case.decided_by == DecidedBy.SILENCE:
        raise DeadlinePassed(
            "The merchant did not answer in time, which counts as agreement.",
            deadline=str(case.answer_due_on),
        )
    if case.status != CaseStatus.OPEN:
        raise CaseState(case.status, case.decided_by)
    told = case._replace(
        status=CaseStatus.ANSWERED,
        answer_agree=answer.agree,
        answer_text=None if answer.text is None else answer.text.sealed,
        answer_text_commitment=commitment,
        answered_at=at,
        answered_by=answer.by,
    )
    return _upheld(told, DecidedBy.MERCHANT, at) if answer.agree else told


def decided(case: CaseFile, ruling: Ruling, at: datetime) -> CaseFile:
    """End a case; what a closure decides stands as it was, if it was decided before.

    Raises:
        CaseState: It is decided, or was agreed to by silence.
    """
    by_closure = ruling.by == DecidedBy.CLOSURE
    if case.status == CaseStatus.DECIDED:
        if by_closure:
            return case
        raise CaseState(case.status, case.decided_by)
    if is_silent(case, at) and not by_closure:
        raise CaseState(CaseStatus.DECIDED, DecidedBy.SILENCE)
    reason = ruling.reason
    return case._replace(
        status=CaseStatus.DECIDED,
        decision=ruling.decision,
        decision_reason=None if reason is None else reason.sealed,
        decision_reason_commitment=None if reason is None else reason.commitment,
        used_amount=ruling.used_amount,
        decided_at=at,
        decided_by=ruling.by,
        approval_id=ruling.approval_id,
    )


def silent(case: CaseFile, at: datetime) -> CaseFile:
    """Uphold a case whose merchant kept silent; any other stays as it is."""
    return _upheld(case, DecidedBy.SILENCE, at) if is_silent(case, at) else case


def scheduled(case: CaseFile, step: Scheduling) -> CaseFile:
    """Say when the merchant must answer, where that was not known when the case was opened."""
    if case.status != CaseStatus.OPEN or case.answer_due_on is not None:
        return case
    return case._replace(answer_due_on=step.answer_due_on)


def is_silent(case: CaseFile, at: datetime) -> bool:
    """Say whether the merchant has let the day go by on which it was to answer."""
    due = case.answer_due_on
    return case.status == CaseStatus.OPEN and due is not None and business_date(at) > due


def case_facts(case: CaseFile) -> Mapping[str, object]:
    """Say what of a case's answer later steps may change."""
    return {"status": str(case.status)}


def as_of_request(case: CaseFile, stored: StoredRequest) -> CaseFile:
    """Give a case as it was when a request was answered, from the case as it is now."""
    if stored.read_facts()["status"] == CaseStatus.DECIDED or case.status != CaseStatus.DECIDED:
        return case
    return case._replace(
        status=CaseStatus.ANSWERED,
        decision=None,
        decision_reason=None,
        decision_reason_commitment=None,
        used_amount=None,
        decided_at=None,
        decided_by=None,
        approval_id=None,
    )


def entry_of(case: CaseFile) -> Entry:
    """Give the chain's entry for a case as it stands after a step, or after it was opened."""
    return Entry(f"case_{case.status}", case.case_id, None, case.content_hash())


def event_of(case: CaseFile) -> str:
    """Name what has happened to a case."""
    return "case.opened" if case.status == CaseStatus.OPEN else f"case.{case.status}"


def _upheld(case: CaseFile, by: DecidedBy, at: datetime) -> CaseFile:
    return case._replace(
        status=CaseStatus.DECIDED, decision=CaseDecision.UPHELD, decided_at=at, decided_by=by
    )
