"""Two persons decide that a merchant's cards are refunded; the worker does it from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.access import approvals
from app.access.approvals import ApprovalStatus, Execution
from app.closures import queries
from app.closures.answer import closure_answer, preview_facts
from app.closures.domain import Closure, ClosureEvent, ClosureStatus, next_status
from app.closures.service import end_notice, preview_in, require_closure, take_effect, view_of
from app.errors import NotFound
from app.ids import Prefix, merchant_no_of, parse, to_text
from app.ledger.books import locked_books
from app.money import Fen
from app.writer import requests
from app.writer.answers import Answered, as_facts, from_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from app.access.approvals import Approval, Executor
    from app.access.principals import OperatorPrincipal, RegulatorPrincipal
    from app.db.engine import Database, Transaction
    from app.writer.requests import RequestKey

    Authority = OperatorPrincipal | RegulatorPrincipal

EXECUTE: Final = "closure.execute"
"""The action under which two persons decide that a merchant's cards are refunded."""


async def propose_execution(
    db: Database, closure_id: UUID, *, by: Authority, request: RequestKey
) -> Answered[Approval]:
    """Put before a second person that the cards be refunded, with the totals of now.

    A proposal that waits is given again, whoever made it.

    Raises:
        ClosureState: It is on notice, or executed or cancelled already.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: There is no such closure, or it is outside the regulator's scope.
    """
    no = merchant_no_of(closure_id)
    async with db.transaction() as tx:
        await require_closure(tx, closure_id, by)
        stored = await requests.claim(tx, no, request)
        if stored is not None:
            return Answered(from_facts(approvals.Approval, stored), replayed=True)
        # One proposal at a time: who asks at once waits for the first, and finds it.
        async with locked_books(tx, [no]) as books:
            closure = await end_notice(tx, books[no], await require_closure(tx, closure_id, by))
            next_status(ClosureStatus(closure.status), ClosureEvent.EXECUTE)
        approval = await _proposed(tx, closure, by.person_id)
        await requests.keep(
            tx,
            no,
            request,
            command="propose_closure",
            subject_id=approval.approval_id,
            answer=as_facts(approval),
        )
    return Answered(approval)


async def _proposed(tx: Transaction, closure: Closure, person_id: str) -> Approval:
    subject = to_text(Prefix.CLOSURE, closure.closure_id)
    waiting = await approvals.find_about(tx, EXECUTE, subject, ApprovalStatus.PROPOSED)
    if waiting is not None:
        return waiting
    facts = preview_facts(await preview_in(tx, closure))
    return await approvals.propose(tx, EXECUTE, subject, facts, person_id)


async def _execute(tx: Transaction, approval: Approval) -> Execution:
    """Let the worker refund every card: what is to be refunded is counted anew."""
    closure_id = parse(Prefix.CLOSURE, approval.subject_id or "")
    no = merchant_no_of(closure_id)
    async with locked_books(tx, [no]) as books:
        closure = await queries.find_closure(tx, no, closure_id)
        if closure is None:
            raise NotFound
        status = next_status(ClosureStatus(closure.status), ClosureEvent.EXECUTE)
        totals = await queries.kind_totals(tx, no)
        closure = closure._replace(
            status=status,
            started_at=books[no].at,
            card_count=sum(total.card_count for total in totals),
            refund_amount=Fen(sum(total.refund_amount for total in totals)),
        )
        await queries.update_closure(tx, closure)
        await take_effect(tx, books[no], closure)
    return Execution(closure_answer(await view_of(tx, closure), ""))


EXECUTORS: Final[Mapping[str, Executor]] = {EXECUTE: _execute}
"""What the approvals of this capability do, by action."""
