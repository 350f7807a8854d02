"""Use cases of holds: place, lift by two persons, read, and end what the clock has ended."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from app.access import approvals
from app.access.approvals import Approval, ApprovalStatus, Execution, Executor
from app.access.principals import OperatorPrincipal, RegulatorPrincipal
from app.holds import queries
from app.holds.answer import ShownHold, hold_answer
from app.holds.commands import LiftHold, PlaceHold
from app.holds.domain import Held, HoldStatus, held_by
from app.holds.errors import HoldNotActive
from app.holds.queries import EVERYWHERE, HoldFilter, Scope
from app.ids import Prefix, merchant_no_of, new_id, parse, to_text
from app.writer import requests
from app.writer.answers import Answered, as_facts, from_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.db.engine import Database, Transaction
    from app.holds.domain import Hold, HoldTarget
    from app.money import Fen
    from app.writer.engine import Writer
    from app.writer.requests import RequestKey

log = structlog.get_logger()

LIFT: Final = "hold.lift"
"""The action under which a second person lifts a hold."""

_SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class NewHold:
    """What is ordered; `target_id` as the contract names it, `amount` None for all."""

    target: HoldTarget
    target_id: str
    amount: Fen | None
    document_number: str
    reason: str
    expires_at: datetime | None


def scope_of(principal: OperatorPrincipal | RegulatorPrincipal) -> Scope:
    """Say which merchants an authority reaches."""
    if isinstance(principal, OperatorPrincipal):
        return EVERYWHERE
    return Scope(principal.industries, principal.districts)


async def place_hold(
    db: Database,
    writer: Writer,
    new: NewHold,
    *,
    authority: OperatorPrincipal | RegulatorPrincipal,
    request: RequestKey,
) -> Answered[ShownHold]:
    """Place a hold; it counts for every process from its commit. A retry gives the same hold.

    Raises:
        CardNotActive: The card was replaced by another.
        InvalidRequest: It would have ended already.
        NotFound: There is no such thing for this authority.
    """
    scope = scope_of(authority)
    async with db.transaction() as tx:
        found = await queries.find_target(tx, new.target, new.target_id, scope)
    command = PlaceHold(
        merchant_no=found.merchant_no,
        request=request,
        hold_id=new_id(found.merchant_no),
        target=new.target,
        target_id=found.target_id,
        amount=new.amount,
        document_number=new.document_number,
        reason=new.reason,
        text_salt=secrets.token_bytes(_SALT_BYTES),
        placed_by=authority.person_id,
        expires_at=new.expires_at,
    )
    outcome = await writer.submit(command)
    hold_id = command.hold_id
    if outcome.replayed is not None:
        outcome.replayed.raise_refusal()
        assert outcome.replayed.subject_id is not None, "an accepted command names its hold"
        hold_id = outcome.replayed.subject_id
    else:
        log.info("hold.placed", hold_id=str(hold_id), target=str(new.target), amount=new.amount)
    async with db.transaction() as tx:
        placed = await queries.find_hold(tx, hold_id, EVERYWHERE)
    return Answered(placed.as_placed, replayed=outcome.replayed is not None)


async def propose_lift(
    db: Database,
    hold_id: UUID,
    *,
    authority: OperatorPrincipal | RegulatorPrincipal,
    request: RequestKey,
) -> Answered[Approval]:
    """Put before a second person that a hold ends before its time; again gives the same proposal.

    Raises:
        HoldNotActive: Its time is over.
        NotFound: There is no such hold for this authority.
    """
    async with db.transaction() as tx:
        stored = await requests.claim(tx, merchant_no_of(hold_id), request)
        if stored is not None:
            return Answered(from_facts(Approval, stored), replayed=True)
        await queries.lock_lifting(tx, hold_id)
        hold = await queries.find_hold(tx, hold_id, scope_of(authority))
        if hold.status == HoldStatus.EXPIRED:
            raise HoldNotActive(hold.status)
        subject = to_text(Prefix.HOLD, hold_id)
        approval = await approvals.find_about(
            tx, LIFT, subject, ApprovalStatus.APPROVED, ApprovalStatus.PROPOSED
        )
        if approval is None:
            approval = await approvals.propose(
                tx, LIFT, subject, _shown_to_second(hold), authority.person_id
            )
        await requests.keep(
            tx,
            merchant_no_of(hold_id),
            request,
            command=LIFT,
            subject_id=approval.approval_id,
            answer=as_facts(approval),
        )
    return Answered(approval)


async def read_hold(
    db: Database, hold_id: UUID, authority: OperatorPrincipal | RegulatorPrincipal
) -> ShownHold:
    """Read a hold as it stands now.

    Raises:
        NotFound: There is no such hold for this authority.
    """
    async with db.snapshot() as tx:
        return await queries.find_hold(tx, hold_id, scope_of(authority))


async def list_holds(
    db: Database,
    wanted: HoldFilter,
    authority: OperatorPrincipal | RegulatorPrincipal,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[ShownHold]:
    """Read a page of the holds that an authority reaches, newest first."""
    async with db.snapshot() as tx:
        return await queries.list_holds(tx, wanted, scope_of(authority), before=before, count=count)


async def holds_in_force(tx: Transaction, merchant_no: int, at: datetime) -> Sequence[Hold]:
    """Give what stands against a merchant's payable or custody account at this time."""
    holds = await queries.holds_of_merchant(tx, merchant_no)
    return [hold for hold in holds if hold.is_active(at)]


async def held_of(tx: Transaction, merchant_no: int, at: datetime) -> Held:
    """Say what holds keep of a merchant's payable and custody; its book must be locked."""
    return held_by(await holds_in_force(tx, merchant_no, at), at)


def executors(writer: Writer) -> Mapping[str, Executor]:
    """Give what happens when a second person approves."""

    async def lift(tx: Transaction, approval: Approval) -> Execution:
        assert approval.subject_id is not None
        hold_id = parse(Prefix.HOLD, approval.subject_id)
        hold = await queries.find_hold(tx, hold_id, EVERYWHERE)
        command = LiftHold(merchant_no_of(hold_id), approval.request_key, hold_id, hold.target_id)
        await writer.submit(command)
        log.info("hold.lifted", hold_id=str(hold_id))
        # What the writer has committed meanwhile is seen by the next statement.
        return Execution(hold_answer(await queries.find_hold(tx, hold_id, EVERYWHERE)))

    return {LIFT: lift}


def _shown_to_second(hold: ShownHold) -> Mapping[str, object]:
    shown = hold_answer(hold)
    return {name: shown[name] for name in ("target", "target_id", "amount", "document_number")}
