"""Two persons decide a case: one proposes, another approves, and then it happens at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.cases import queries, service
from app.cases.answer import case_answer, without_words
from app.cases.domain import Ruling, is_silent
from app.cases.errors import CaseState
from app.cases.rows import CaseDecision, CaseKind, CaseStatus, DecidedBy
from app.errors import FieldError, InvalidRequest, NotFound
from app.ids import Prefix, merchant_no_of, parse, to_text
from app.writer import requests
from app.writer.answers import Answered, as_facts, from_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from app.cases.rows import CaseFile
    from app.cases.service import Desk
    from app.db.engine import Database, Transaction
    from app.money import Fen
    from app.writer.requests import RequestKey

DECIDE: Final = "case.decision"

_NEEDS_USED_AMOUNT: Final = "minor"
"""The reason whose figures rest on what a decision states was used (DOMAIN §4)."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one person proposes, and who."""

    decision: CaseDecision
    reason: str
    used_amount: Fen | None
    by: str


async def propose(
    db: Database, case_id: UUID, proposal: Proposal, request: RequestKey
) -> Answered[Approval]:
    """Put a decision before a second person; nothing else happens yet.

    Raises:
        CaseState: It is decided, or was agreed to by silence.
        InvalidRequest: `used_amount` is missing, or has no place here.
        NotFound: There is no such case.
    """
    no = merchant_no_of(case_id)
    async with db.transaction() as tx:
        stored = await requests.claim(tx, no, request)
        if stored is not None:
            return Answered(from_facts(Approval, stored), replayed=True)
        case = await queries.find_case(tx, no, case_id)
        if case is None:
            raise NotFound
        _check_used_amount(case, proposal)
        if case.status == CaseStatus.DECIDED:
            raise CaseState(case.status, case.decided_by)
        if is_silent(case, await tx.now()):
            raise CaseState(CaseStatus.DECIDED, DecidedBy.SILENCE)
        facts = {
            "decision": str(proposal.decision),
            "reason": proposal.reason,
            "used_amount": proposal.used_amount,
        }
        subject = to_text(Prefix.CASE, case_id)
        approval = await approvals.propose(tx, DECIDE, subject, facts, proposal.by)
        await requests.keep(
            tx,
            no,
            request,
            command=DECIDE,
            subject_id=approval.approval_id,
            answer=as_facts(approval),
        )
    return Answered(approval)


async def end_overtaken(db: Database) -> int:
    """End the proposals about cases that were decided otherwise meanwhile; say how many.

    By the merchant's agreement or silence, by a withdrawal, a closure, or by another proposal.
    """
    async with db.snapshot() as tx:
        waiting = await approvals.list_waiting(tx, DECIDE)
        about = {one.approval_id: parse(Prefix.CASE, one.subject_id or "") for one in waiting}
        decided = await queries.list_decided(tx, list(about.values())) if about else ()
    by_id = {case.case_id: case for case in decided}
    overtaken = [
        approval_id
        for approval_id, case_id in about.items()
        # What this approval decided itself is carried out; approving again completes it.
        if case_id in by_id and by_id[case_id].approval_id != approval_id
    ]
    return sum([await approvals.overtake(db, approval_id) for approval_id in overtaken])


def executors(desk: Desk) -> Mapping[str, Executor]:
    """Give what happens when a second person approves."""

    async def decide(tx: Transaction, approval: Approval) -> Execution:
        case_id = parse(Prefix.CASE, approval.subject_id or "")
        case = await queries.find_case(tx, merchant_no_of(case_id), case_id)
        if case is None:
            raise NotFound
        ruling = Ruling(
            CaseDecision(str(approval.request["decision"])),
            DecidedBy.TWO_PERSONS,
            service.said(desk.sealer, case, str(approval.request["reason"])),
            cast("Fen | None", approval.request["used_amount"]),
            approval.approval_id,
        )
        done = (await service.take_step(desk, case, ruling, approval.request_key)).value
        merchant = await desk.directory.find(done.merchant_no)
        told = case_answer(done, merchant.merchant_id, desk.sealer, named=True)
        return Execution(without_words(told), told)

    return {DECIDE: decide}


def _check_used_amount(case: CaseFile, proposal: Proposal) -> None:
    upholds = proposal.decision == CaseDecision.UPHELD
    of_minor = case.kind == CaseKind.REFUND_CLAIM and case.reason == _NEEDS_USED_AMOUNT
    needed = upholds and of_minor
    if needed and proposal.used_amount is None:
        raise InvalidRequest(
            FieldError("/used_amount", "Say what of a minor's card was used, 0 if nothing")
        )
    if not needed and proposal.used_amount is not None:
        raise InvalidRequest(
            FieldError("/used_amount", "It goes with upholding a minor's claim alone")
        )
