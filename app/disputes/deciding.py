"""Decide what a step of its case does to a disputed use: it stays, or is taken back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.cases.domain import after, case_facts, entry_of, event_of
from app.cases.rows import CaseDecision, CaseFile, CaseStatus
from app.cases.tables import CASE_BY_ID, CASES
from app.charges.domain import ChargeStatus, DisputeStatus
from app.charges.reversing import needs_of_reversal, take_back, visits_of
from app.charges.tables import CHARGES
from app.charges.using import serve_waiting
from app.disputes.commands import StepDispute
from app.disputes.tables import DISPUTE_OF_CHARGE, DISPUTES
from app.errors import NotFound
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
from app.writer.book import ACCOUNT_BY_ID
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from datetime import datetime

    from app.charges.domain import Charge
    from app.disputes.rows import Dispute
    from app.writer.book import Book
    from app.writer.requests import RequestKey

UPHELD_REASON: Final = "dispute upheld"
"""What the reversal of an upheld use gives as its reason."""


def conduct(case: CaseFile, step: Any, request: RequestKey | None) -> StepDispute:
    """Make the command that takes a step of a dispute's case (`cases.conduct`)."""
    assert case.charge_id is not None, "a dispute's case names its charge"
    return StepDispute(case.merchant_no, request, case.case_id, case.charge_id, step)


def decide_step(command: StepDispute, book: Book, at: datetime) -> Decision[CaseFile]:
    """Take a step of a dispute's case, and do what a decision of it means; again is the same.

    Dismissed, what was set aside is the merchant's again. Upheld, the use is reversed in the same
    transaction, ahead of all waiting reversals; where payable does not cover that, it waits, as
    the first of them (DOMAIN §5).

    Raises:
        CaseState: The case was answered or decided otherwise before.
        DeadlinePassed: The merchant answers too late.
        NotFound: No such case.
    """
    case = book.find(CASES, command.case_id)
    if case is None:
        raise NotFound
    taken = after(case, command.step, at)
    if taken is case:
        return Decision(case, subject_id=case.case_id, facts=case_facts(case))
    told = () if taken.status == case.status else (Event(event_of(taken), taken.case_id),)
    if taken.status != CaseStatus.DECIDED:
        return Decision(
            taken,
            rows=(taken,),
            entries=(entry_of(taken),),
            events=told,
            subject_id=case.case_id,
            facts=case_facts(taken),
        )
    done = _decided(taken, book, at)
    return Decision(
        taken,
        rows=(*done.rows, taken),
        entries=(*done.entries, entry_of(taken)),
        events=(*told, *done.events),
        subject_id=case.case_id,
        facts=case_facts(taken),
        then=done.then,
    )


def _decided(case: CaseFile, book: Book, at: datetime) -> Decision[Charge]:
    charge = book.find(CHARGES, case.charge_id)
    assert charge is not None, "a dispute's charge is loaded with its case"
    dispute = book.find(DISPUTES, charge.dispute_id)
    assert dispute is not None, "a disputed charge's dispute is loaded with it"
    upheld = case.decision == CaseDecision.UPHELD
    status = DisputeStatus.UPHELD if upheld else DisputeStatus.DISMISSED
    dispute = dispute._replace(status=status, decided_at=at)
    follows = _upheld if upheld else _dismissed
    return follows(charge._replace(dispute_status=status), dispute, book, at)


def _dismissed(charge: Charge, dispute: Dispute, book: Book, at: datetime) -> Decision[Charge]:
    del at
    confirmed = charge._replace(status=ChargeStatus.CONFIRMED)
    return Decision(
        confirmed,
        rows=(confirmed, dispute),
        entries=(_given_back(dispute, book),),
        events=(Event("dispute.dismissed", dispute.dispute_id),),
        then=serve_waiting(book) if dispute.set_aside_amount else None,
    )


def _upheld(charge: Charge, dispute: Dispute, book: Book, at: datetime) -> Decision[Charge]:
    payable = book.balance(book.own(AccountType.MERCHANT_PAYABLE)) + dispute.set_aside_amount
    back = take_back(
        charge, book, at, reason=UPHELD_REASON, covered_amount=payable, entries_before=1
    )
    left = serve_waiting(book) if dispute.set_aside_amount else None
    return Decision(
        back.result,
        rows=(*back.rows, dispute),
        entries=(_given_back(dispute, book), *back.entries),
        events=(Event("dispute.upheld", dispute.dispute_id), *back.events),
        # What was set aside may be more than the reversal took: rounding, and visits since.
        then=back.then or left,
    )


def _given_back(dispute: Dispute, book: Book) -> Entry:
    amount = dispute.set_aside_amount
    disputed, payable = (
        book.own(AccountType.RELEASE_DISPUTED),
        book.own(AccountType.MERCHANT_PAYABLE),
    )
    movement = Movement(disputed, payable, amount) if amount > 0 else None
    kind = f"dispute_{dispute.status}"
    return Entry(kind, dispute.dispute_id, movement, dispute.content_hash())


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        StepDispute,
        lambda command: (
            CASE_BY_ID(command.case_id),
            DISPUTE_OF_CHARGE(command.charge_id),
            *needs_of_reversal(command.merchant_no, command.charge_id),
            ACCOUNT_BY_ID(account_id(command.merchant_no, AccountType.RELEASE_DISPUTED)),
        ),
        decide_step,
        lambda command, book: visits_of(command.charge_id, book),
    ),
)
