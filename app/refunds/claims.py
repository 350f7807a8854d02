"""Claims that people judge: opened as a case, and decided with it in one transaction. Pure.

    (claim) -> case_open --merchant agrees, or keeps silent; two persons; a closure--> decided
                    |-----two persons------> rejected   (the card is as it was before)
                    '-----the holder-------> withdrawn  (the same)

The card waits meanwhile: it is `refunding`, and what it was is kept with the refund.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.cards.domain import CardStatus
from app.cards.tables import CARDS
from app.cases.domain import (
    BY_CLOSURE,
    WITHDRAWAL,
    Opening,
    after,
    case_facts,
    entry_of,
    event_of,
    open_case,
)
from app.cases.rows import CaseDecision, CaseFile, CaseKind
from app.cases.tables import CASES, CASES_OF_REFUND
from app.charges.voiding import void_pending
from app.errors import NotFound
from app.refunds.domain import RefundStatus
from app.refunds.enacting import enact
from app.refunds.errors import ClosureInProgress, RefundNotAllowed
from app.refunds.finding import facts_in
from app.refunds.pausing import pause, resume
from app.refunds.quoting import is_closing, quote_upheld
from app.refunds.rows import CardRefund, facts_of, new_refund
from app.refunds.tables import REFUNDS, REFUNDS_OF_CARD
from app.writer.commands import Decision, Event

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.refunds.commands import (
        NewClaim,
        RequestRefund,
        TakeClaimStep,
        UpholdClaim,
        WithdrawRefund,
    )
    from app.refunds.quoting import Quote
    from app.writer.book import Book

_ENDED: Final = {
    CaseDecision.REJECTED: RefundStatus.REJECTED,
    CaseDecision.WITHDRAWN: RefundStatus.WITHDRAWN,
}


def open_claim(
    command: RequestRefund, quote: Quote, card: Card, book: Book, at: datetime
) -> Decision[CardRefund]:
    """Put a claim before the merchant; its card cannot be used until it is decided (DOMAIN §6).

    The figures are those of a claim upheld today; they are computed anew when it is.
    """
    claim = command.claim
    assert claim is not None, "who asks for such a reason brings what a case needs"
    case = open_case(_opening(command, claim, card), at)
    refund = new_refund(quote, card, refund_id=command.refund_id, at=at)._replace(
        status=RefundStatus.CASE_OPEN, case_id=case.case_id
    )
    voided = void_pending(book, [card.card_id], at)
    stopped = pause(voided.cards.get(card.card_id, card), seq=book.next_seq, at=at)
    waits = stopped.card._replace(status=CardStatus.REFUNDING)
    return Decision(
        refund,
        rows=(
            *({**voided.cards, waits.card_id: waits}).values(),
            *stopped.rows,
            *voided.charges,
            refund,
            case,
        ),
        entries=(*stopped.entries, entry_of(case)),
        events=(
            *voided.events,
            Event("refund.case_opened", refund.refund_id),
            Event(event_of(case), case.case_id),
        ),
        subject_id=refund.refund_id,
        facts=facts_of(refund),
    )


def decide_step(command: TakeClaimStep, book: Book, at: datetime) -> Decision[CaseFile]:
    """Take a step of a claim's case, with what follows from it for refund and card.

    Raises:
        CardNotActive, CardOnHold, ChargeDisputed: It cannot be upheld as the card stands now.
        CaseState: The case was answered or decided otherwise before.
        ClosureInProgress: The closure decides it.
        DeadlinePassed: The merchant answers too late.
        NotFound: There is no such case.
    """
    case = book.find(CASES, command.case_id)
    if case is None or case.refund_id is None:
        raise NotFound
    told = after(case, command.step, at)
    if told is case:
        return Decision(case, subject_id=case.case_id, facts=case_facts(case))
    refund = book.find(REFUNDS, case.refund_id)
    assert refund is not None, "a claim's refund is loaded with its case"
    if is_closing(book.head.status):
        raise ClosureInProgress
    if told.decision is None:
        done = _with_case(Decision(refund), told)
    elif told.decision == CaseDecision.UPHELD:
        done = _uphold(refund, told, book, at)
    else:
        done = _ended(refund, told, book, at)
    return done._replace(result=told, subject_id=told.case_id, facts=case_facts(told))  # pyright: ignore[reportReturnType]  # the same decision, told of its case


def decide_withdraw(command: WithdrawRefund, book: Book, at: datetime) -> Decision[CardRefund]:
    """Take a claim back while its case is open; again gives the same.

    Raises:
        CaseState: The merchant kept silent: the claim is upheld already, by the clock.
        ClosureInProgress: The closure refunds the card.
        NotFound: No such refund, or it is another's.
        RefundNotAllowed: It is decided, or was never a claim.
    """
    refund = book.find(REFUNDS, command.refund_id)
    if refund is None or refund.consumer != command.consumer:
        raise NotFound
    if refund.status == RefundStatus.WITHDRAWN:
        return Decision(refund, subject_id=refund.refund_id, facts=facts_of(refund))
    if refund.status != RefundStatus.CASE_OPEN:
        raise RefundNotAllowed(
            f"The refund is {refund.status}; only a claim whose case is open can be withdrawn.",
            refund_status=str(refund.status),
        )
    if is_closing(book.head.status):
        raise ClosureInProgress
    return _ended(refund, after(_case_of(refund, book), WITHDRAWAL, at), book, at)


def uphold_by_closure(book: Book, card_id: UUID, at: datetime) -> Decision[CardRefund] | None:
    """Decide a card's open claim because its merchant closes: the merchant's fault, all of it.

    None where the card has no open claim. The command must have asked for what deciding a
    refund of the card needs (`finding.needs_of_card`).

    Raises:
        CardOnHold, ChargeDisputed: The claim waits for that.
    """
    for refund in book.group(REFUNDS_OF_CARD, card_id):
        if refund.status == RefundStatus.CASE_OPEN:
            told = after(_case_of(refund, book), BY_CLOSURE, at)
            return _uphold(refund, told, book, at, closing=True)
    return None


def decide_closing(command: UpholdClaim, book: Book, at: datetime) -> Decision[bool]:
    """Uphold a card's open claim where its merchant closes; False where there is none to uphold.

    Raises:
        CardOnHold, ChargeDisputed: The claim waits for that.
    """
    upheld = uphold_by_closure(book, command.card_id, at) if is_closing(book.head.status) else None
    if upheld is None:
        return Decision(result=False)
    return upheld._replace(result=True)  # pyright: ignore[reportReturnType]  # the same decision, told as a bool


def _opening(command: RequestRefund, claim: NewClaim, card: Card) -> Opening:
    return Opening(
        merchant_no=command.merchant_no,
        case_id=claim.case_id,
        kind=CaseKind.REFUND_CLAIM,
        consumer=card.consumer,
        reason=str(command.reason),
        salt=claim.salt,
        text=claim.text,
        answer_due_on=claim.answer_due_on,
        card_id=card.card_id,
        refund_id=command.refund_id,
    )


def _uphold(
    refund: CardRefund, told: CaseFile, book: Book, at: datetime, *, closing: bool = False
) -> Decision[CardRefund]:
    """Refund the card with the figures of this day: what was previewed was an estimate."""
    card = book.find(CARDS, refund.card_id)
    assert card is not None, "a claim's card is loaded with it"
    quote = quote_upheld(
        refund.reason,
        facts_in(book, card, at),
        policy_version=refund.policy_version,
        used_amount=told.used_amount,
        closing=closing,
    )
    return _with_case(enact(refund.quoted(quote), book, at), told)


def _ended(refund: CardRefund, told: CaseFile, book: Book, at: datetime) -> Decision[CardRefund]:
    """End a claim that nothing comes of: the card is again what it was."""
    assert told.decision is not None, "only a decision ends a claim"
    card = book.find(CARDS, refund.card_id)
    assert card is not None, "a claim's card is loaded with it"
    ended = refund._replace(status=_ENDED[told.decision])
    running = resume(_as_before(card, refund), seq=book.next_seq, at=at)
    return _with_case(
        Decision(
            ended,
            rows=(running.card, *running.rows, ended),
            entries=running.entries,
            events=(Event(f"refund.{ended.status}", ended.refund_id),),
            subject_id=ended.refund_id,
            facts=facts_of(ended),
        ),
        told,
    )


def _as_before(card: Card, refund: CardRefund) -> Card:
    """Give the card its former status; uses taken back meanwhile may have made it active."""
    assert refund.former_status is not None, "a claim keeps what its card was"
    return card._replace(status=CardStatus(refund.former_status)).settled()


def _case_of(refund: CardRefund, book: Book) -> CaseFile:
    (case,) = book.group(CASES_OF_REFUND, refund.refund_id)
    return case


def _with_case(decision: Decision[CardRefund], told: CaseFile) -> Decision[CardRefund]:
    """Add a case's step to what follows from it; its entry comes last, as lines count on theirs."""
    return decision._replace(
        rows=(*decision.rows, told),
        entries=(*decision.entries, entry_of(told)),
        events=(*decision.events, Event(event_of(told), told.case_id)),
    )
