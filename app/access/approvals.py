"""What needs two persons: one proposes, another decides, and then it happens at once."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, cast
from uuid import UUID

import structlog

from app.access import queries
from app.access.errors import ApprovalDecided, OwnProposal
from app.access.principals import is_same_person
from app.dates import SHANGHAI
from app.db.engine import Database, Transaction
from app.errors import NotFound
from app.ids import PLATFORM_NO, new_platform_id
from app.writer import requests
from app.writer.answers import Answered
from app.writer.requests import RequestKey

_log = structlog.stdlib.get_logger()

Facts = Mapping[str, object]

SERVICE: Final = "anxin"
"""Who decided what no person did: a proposal whose time was over."""


class ApprovalStatus(StrEnum):
    """Proposed, or decided for good."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Approval:
    """A proposal and its decision; `result` is what came of it."""

    approval_id: UUID
    action: str
    subject_id: str | None
    request: Facts
    status: ApprovalStatus
    proposed_by: str
    decided_by: str | None
    result: Facts | None
    created_at: datetime

    @property
    def as_proposed(self) -> "Approval":
        """Give it as it was answered to whoever proposed it."""
        return replace(self, status=ApprovalStatus.PROPOSED, decided_by=None, result=None)

    @property
    def request_key(self) -> RequestKey:
        """The key under which an executor submits to the writer.

        The writer commits by itself. Should this approval's own commit be lost after it, the
        approval is approved again and finds under this key what the writer did. What the writer
        refused stays proposed, and may be approved when nothing is against it any more.
        """
        return RequestKey(self.approval_id, self.approval_id.bytes, keeps_refusals=False)


@dataclass(frozen=True, slots=True)
class Execution:
    """What executing made: facts that are kept, and secrets that are shown once."""

    result: Facts
    shown_once: Facts = field(default_factory=dict[str, object])


Executor = Callable[[Transaction, Approval], Awaitable[Execution]]
"""Does what was proposed, in the transaction that marks it approved.

It may submit to the writer with `approval.request_key`: the approval row is locked above all
books, so the order of locks holds.
"""


async def propose(
    tx: Transaction, action: str, subject_id: str | None, request: Facts, person_id: str
) -> Approval:
    """Put something before a second person; nothing else happens yet.

    `request` is shown to whoever decides, so it has no secrets and no unmasked account numbers.
    """
    approval_id = new_platform_id()
    content = {
        "action": action,
        "subject_id": subject_id,
        "request": json.dumps(request, default=_said),
        "proposed_by": person_id,
    }
    await queries.insert_approval(tx, approval_id, content)
    row = await queries.find_approval(tx, approval_id)
    assert row is not None
    return read(row)


async def approve(
    db: Database,
    executors: Mapping[str, Executor],
    approval_id: UUID,
    *,
    person_id: str,
    request: RequestKey | None,
) -> Answered[Approval]:
    """Decide for a proposal and do it. Approving again gives the same, without its secrets.

    Raises:
        ApprovalDecided: It was rejected before.
        DomainError: What was proposed is refused now; it stays proposed.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: No such proposal.
        OwnProposal: The same person proposed it, under whichever key.
    """
    async with db.transaction() as tx:
        stored = await requests.claim(tx, PLATFORM_NO, request)
        approval = await _lock(tx, approval_id)
        if approval.status is ApprovalStatus.APPROVED:
            return Answered(approval, replayed=stored is not None)
        if is_same_person(approval.proposed_by, person_id):
            raise OwnProposal
        _require_open(approval)
        execution = await executors[approval.action](tx, approval)
        await _decide(tx, approval, ApprovalStatus.APPROVED, person_id, execution.result)
        await _keep(tx, request, approval)
        decided = await _lock(tx, approval_id)
    _log.info("approval.approved", approval_id=str(approval_id), action=approval.action)
    # What is shown once is said as what is kept is: its times as text.
    once = cast("Facts", json.loads(json.dumps(execution.shown_once, default=_said)))
    return Answered(replace(decided, result={**(decided.result or {}), **once}))


async def reject(
    db: Database, approval_id: UUID, *, person_id: str, request: RequestKey | None
) -> Answered[Approval]:
    """Decide against a proposal, or take one's own back; rejecting again gives the same.

    Raises:
        ApprovalDecided: It was approved before.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: No such proposal.
    """
    async with db.transaction() as tx:
        stored = await requests.claim(tx, PLATFORM_NO, request)
        approval = await _lock(tx, approval_id)
        if approval.status is ApprovalStatus.REJECTED:
            return Answered(approval, replayed=stored is not None)
        _require_open(approval)
        if await queries.was_executed(tx, approval.request_key.request_id):
            # Its approval was lost after the writer had committed; approving again completes it.
            raise ApprovalDecided(ApprovalStatus.APPROVED)
        await _decide(tx, approval, ApprovalStatus.REJECTED, person_id, None)
        await _keep(tx, request, approval)
        decided = await _lock(tx, approval_id)
    _log.info("approval.rejected", approval_id=str(approval_id), action=approval.action)
    return Answered(decided)


async def overtake(db: Database, approval_id: UUID) -> bool:
    """End a proposal as rejected because what it is about was decided otherwise meanwhile.

    False where a person was faster. The caller knows that the writer did not carry it out.
    """
    async with db.transaction() as tx:
        approval = await _lock(tx, approval_id)
        if approval.status is not ApprovalStatus.PROPOSED:
            return False
        await _decide(tx, approval, ApprovalStatus.REJECTED, SERVICE, None)
    _log.info("approval.overtaken", approval_id=str(approval_id), action=approval.action)
    return True


async def list_approvals(
    db: Database, *, limit: int, after: UUID | None, status: ApprovalStatus | None
) -> list[Approval]:
    """List approvals, newest first."""
    async with db.snapshot() as tx:
        rows = await queries.list_approvals(tx, limit=limit, after=after, status=status)
    return [read(row) for row in rows]


async def list_waiting(tx: Transaction, action: str) -> list[Approval]:
    """List the proposals of an action that nobody has decided."""
    return [read(row) for row in await queries.list_waiting(tx, action)]


async def find(db: Database, approval_id: UUID) -> Approval:
    """Find an approval.

    Raises:
        NotFound: No such approval.
    """
    async with db.snapshot() as tx:
        return await find_in(tx, approval_id)


async def find_about(
    tx: Transaction, action: str, subject_id: str, *statuses: ApprovalStatus
) -> Approval | None:
    """Find what was proposed about a thing, and has one of these statuses, the first before."""
    row = await queries.find_about(tx, action, subject_id, statuses)
    return None if row is None else read(row)


async def find_in(tx: Transaction, approval_id: UUID) -> Approval:
    """Find an approval as this transaction sees it.

    Raises:
        NotFound: No such approval.
    """
    row = await queries.find_approval(tx, approval_id)
    if row is None:
        raise NotFound
    return read(row)


def read(row: queries.ApprovalRow) -> Approval:
    """Read an approval from its row."""
    return Approval(
        row.approval_id,
        row.action,
        row.subject_id,
        cast("Facts", json.loads(row.request)),
        ApprovalStatus(row.status),
        row.proposed_by,
        row.decided_by,
        None if row.result is None else cast("Facts", json.loads(row.result)),
        row.created_at,
    )


def _require_open(approval: Approval) -> None:
    if approval.status is not ApprovalStatus.PROPOSED:
        raise ApprovalDecided(approval.status)


async def _lock(tx: Transaction, approval_id: UUID) -> Approval:
    row = await queries.lock_approval(tx, approval_id)
    if row is None:
        raise NotFound
    return read(row)


async def _decide(
    tx: Transaction,
    approval: Approval,
    status: ApprovalStatus,
    person_id: str,
    result: Facts | None,
) -> None:
    await queries.decide_approval(
        tx,
        approval.approval_id,
        status=status,
        decided_by=person_id,
        result=None if result is None else json.dumps(result, default=_said),
    )


def _said(value: object) -> str:
    """Say in JSON what JSON has no type for; times as all answers say them."""
    return value.astimezone(SHANGHAI).isoformat() if isinstance(value, datetime) else str(value)


async def _keep(tx: Transaction, request: RequestKey | None, approval: Approval) -> None:
    await requests.keep(
        tx,
        PLATFORM_NO,
        request,
        command="decide_approval",
        subject_id=approval.approval_id,
        answer={},
    )
