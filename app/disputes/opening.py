"""Decide whether a use is disputed: its money is set aside, its case opened. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from app.cases.domain import entry_of, event_of, open_case
from app.charges.domain import (
    Charge,
    ChargeStatus,
    DisputeStatus,
    facts_of,
    reversal_deadline,
)
from app.charges.errors import ChargeNotConfirmed, DeadlinePassed
from app.charges.tables import CHARGE_BY_ID, CHARGES
from app.disputes.commands import OpenDispute
from app.disputes.errors import ChargeBeingReversed, DisputeDecided
from app.disputes.rows import Dispute
from app.errors import NotFound
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.refunds.errors import ClosureInProgress
from app.writer.book import ACCOUNT_BY_ID
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.writer.book import Book

_CLOSED: Final = frozenset({"closed", "closed_with_shortfall"})


def decide_open(command: OpenDispute, book: Book, at: datetime) -> Decision[Charge]:
    """Contest a use; while it is disputed, asking again gives the same.

    What the use moved is set aside where payable, less what waiting reversals need, covers it
    whole; else nothing is, also not later (DOMAIN §5). The dispute keeps which.

    Raises:
        ChargeBeingReversed: The merchant takes it back already, or did in vain.
        ChargeNotConfirmed: It was never confirmed, or is reversed.
        ClosureInProgress: The merchant's books are closed.
        DeadlinePassed: The use is too long ago.
        DisputeDecided: It was disputed before, and that was dismissed.
        NotFound: No such charge, or it is another's.
    """
    charge = book.find(CHARGES, command.charge_id)
    if charge is None or charge.consumer != command.consumer:
        raise NotFound
    if charge.status == ChargeStatus.DISPUTED:
        return Decision(charge, subject_id=charge.charge_id, facts=facts_of(charge))
    _check_disputable(charge, command.reversal_days, at)
    if book.head.status in _CLOSED:
        raise ClosureInProgress
    cards = {draw.card_id for draw in charge.read_draws()}
    only_card = cards.pop() if len(cards) == 1 else None
    opening = replace(command.opening, charge_id=charge.charge_id, card_id=only_card)
    case = open_case(opening, at)
    dispute = _dispute_of(charge, command.dispute_id, case.case_id, book, at)
    disputed = charge._replace(
        status=ChargeStatus.DISPUTED,
        dispute_id=dispute.dispute_id,
        dispute_case_id=dispute.case_id,
        dispute_status=DisputeStatus.OPEN,
    )
    return Decision(
        disputed,
        rows=(disputed, dispute, case),
        entries=(_entry_of(dispute, book), entry_of(case)),
        events=(
            Event("dispute.opened", dispute.dispute_id),
            Event(event_of(case), case.case_id),
        ),
        subject_id=charge.charge_id,
        facts=facts_of(disputed),
    )


def _dispute_of(
    charge: Charge, dispute_id: UUID, case_id: UUID, book: Book, at: datetime
) -> Dispute:
    return Dispute(
        merchant_no=book.merchant_no,
        dispute_id=dispute_id,
        charge_id=charge.charge_id,
        case_id=case_id,
        status=DisputeStatus.OPEN,
        set_aside_amount=_to_set_aside(charge, book),
        opened_at=at,
        decided_at=None,
    )


def _check_disputable(charge: Charge, reversal_days: int, at: datetime) -> None:
    """Refuse what cannot be contested, or not any more."""
    if charge.status != ChargeStatus.CONFIRMED or charge.confirmed_at is None:
        raise ChargeNotConfirmed(charge.status_at(at))
    if charge.dispute_status is not None:
        raise DisputeDecided(charge.dispute_status)
    if charge.reversal_status is not None:
        # Of a confirmed use it waits, or has ended: while all is shared out anew after that, the
        # merchant is not closed yet.
        raise ChargeBeingReversed(charge.status, charge.reversal_status)
    deadline = reversal_deadline(charge.confirmed_at, reversal_days)
    if at > deadline:
        raise DeadlinePassed(deadline)


def _to_set_aside(charge: Charge, book: Book) -> Fen:
    """Give what the use moved where payable covers it beside the waiting reversals, else 0."""
    moved = charge.release_amount or Fen(0)
    payable = book.balance(book.own(AccountType.MERCHANT_PAYABLE))
    return moved if moved <= payable - book.head.waiting_reversal_amount else Fen(0)


def _entry_of(dispute: Dispute, book: Book) -> Entry:
    amount = dispute.set_aside_amount
    payable, disputed = (
        book.own(AccountType.MERCHANT_PAYABLE),
        book.own(AccountType.RELEASE_DISPUTED),
    )
    movement = Movement(payable, disputed, amount) if amount > 0 else None
    return Entry("dispute_opened", dispute.dispute_id, movement, dispute.content_hash())


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        OpenDispute,
        lambda command: (
            CHARGE_BY_ID(command.charge_id),
            ACCOUNT_BY_ID(account_id(command.merchant_no, AccountType.MERCHANT_PAYABLE)),
            ACCOUNT_BY_ID(account_id(command.merchant_no, AccountType.RELEASE_DISPUTED)),
        ),
        decide_open,
    ),
)
