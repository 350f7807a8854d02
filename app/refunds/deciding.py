"""Decide what becomes of a refund: asked for, offered, answered, paid. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.cards.tables import CARDS
from app.charges.using import serve_waiting
from app.errors import NotFound
from app.ids import Prefix, to_text
from app.ledger.chart import AccountType, account_id
from app.refunds.answer import preview_answer
from app.refunds.claims import decide_closing, decide_step, decide_withdraw, open_claim
from app.refunds.commands import (
    AnswerOffer,
    Echo,
    NamePayee,
    OfferRefund,
    RequestRefund,
    SettleRefunds,
    TakeClaimStep,
    UpholdClaim,
    VerifyPayee,
    WithdrawRefund,
)
from app.refunds.domain import RefundStatus
from app.refunds.enacting import enact, settle
from app.refunds.errors import RefundChanged, RefundInProgress, RefundNotAllowed
from app.refunds.finding import MOVES_NOTHING, facts_in, needs_of_card
from app.refunds.quoting import quote_agreed, quote_claim
from app.refunds.rows import CardRefund, facts_of, new_refund
from app.refunds.tables import (
    ACCOUNTS_TO_SETTLE,
    CARDS_TO_SETTLE,
    REFUND_BY_ID,
    REFUNDS,
    REFUNDS_BESIDE,
    REFUNDS_BY_SETTLEMENT,
    REFUNDS_OF_CARD,
    REFUNDS_TO_SETTLE,
)
from app.writer.book import ACCOUNT_BY_ID, ACCOUNTS
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.refunds.quoting import Quote
    from app.writer.book import Book
    from app.writer.tables import Need


def decide_request(command: RequestRefund, book: Book, at: datetime) -> Decision[CardRefund]:
    """Refund a card as its holder asks, if it comes to what the holder saw.

    Where people must judge the reason a case opens; what it comes to need not be echoed then.

    Raises:
        CardNotActive, CardOnHold: Nothing can be refunded from the card.
        ChargeDisputed: A use of it is disputed, which is decided first.
        ClosureInProgress: The closure refunds it.
        CoolingOffOver: There is no cooling-off period, or it is over.
        NotFound: No such card, or it is another's.
        RefundChanged: It comes to something else than the echoed preview.
        RefundInProgress: It is being refunded, or was.
        RefundNotAllowed: Nothing is left.
    """
    card = _own_card(book, command.card_id, command.consumer)
    quote = quote_claim(command.reason, facts_in(book, card, at), command.rules)
    if command.echo is not None or not quote.needs_case:
        _check_echo(command.echo, quote, card, command.payee)
    if quote.needs_case:
        return open_claim(command, quote, card, book, at)
    refund = new_refund(quote, card, refund_id=command.refund_id, at=at)
    return enact(refund, book, at)


def decide_offer(command: OfferRefund, book: Book, at: datetime) -> Decision[CardRefund]:
    """Put a merchant's offer before the card's holder; nothing moves, the card stays usable.

    Raises:
        CardNotActive, CardOnHold, ChargeDisputed, ClosureInProgress: As for a request.
        NotFound: No such card.
        RefundInProgress: The card is being refunded, or an offer waits for its answer.
        RefundNotAllowed: It is more than is left.
    """
    card = book.find(CARDS, command.card_id)
    if card is None:
        raise NotFound
    for other in book.group(REFUNDS_OF_CARD, card.card_id):
        if other.status == RefundStatus.OFFERED:
            raise RefundInProgress(other.refund_id)
    quote = quote_agreed(facts_in(book, card, at), command.amount)
    refund = new_refund(quote, card, refund_id=command.refund_id, at=at)
    return _changed(refund._replace(status=RefundStatus.OFFERED), "refund.offered")


def decide_answer(command: AnswerOffer, book: Book, at: datetime) -> Decision[CardRefund]:
    """Take or leave an offer; the same answer again gives the same.

    Raises:
        CardNotActive, CardOnHold, ChargeDisputed, ClosureInProgress: As for a request.
        NotFound: No such refund, or it is another's.
        RefundChanged: Less is left by now than was offered.
        RefundInProgress: The card is being refunded otherwise.
        RefundNotAllowed: It was answered otherwise before, or is no offer.
    """
    refund = _own_refund(book, command.refund_id, command.consumer)
    if refund.status != RefundStatus.OFFERED:
        accepted = refund.agreed_amount is not None and refund.status not in MOVES_NOTHING
        declined = refund.status == RefundStatus.DECLINED
        if accepted if command.accept else declined:
            return _unchanged(refund)
        raise RefundNotAllowed(f"The refund is {refund.status}.", refund_status=str(refund.status))
    if not command.accept:
        return _changed(refund._replace(status=RefundStatus.DECLINED), "refund.declined")
    card = _own_card(book, refund.card_id, command.consumer)
    facts = facts_in(book, card, at)
    quote = quote_agreed(facts, min(refund.amount, card.custody_amount))
    if quote.figures.amount != refund.amount:
        raise RefundChanged(
            preview_answer(quote, to_text(Prefix.CARD, card.card_id), command.payee)
        )
    return enact(refund.quoted(quote)._replace(former_status=str(card.status)), book, at)


def decide_name_payee(command: NamePayee, book: Book, at: datetime) -> Decision[CardRefund]:
    """Keep the account that the holder names, until it is verified.

    Raises:
        NotFound: No such refund, or it is another's.
        RefundNotAllowed: It needs no account.
    """
    del at
    refund = _own_refund(book, command.refund_id, command.consumer)
    _check_account_needed(refund)
    named = refund._replace(
        new_payee_name=command.name,
        new_payee_account_number=command.account_number,
        new_payee_bank_code=command.bank_code,
    )
    return _changed(named, "refund.payee_named")


def decide_verify_payee(command: VerifyPayee, book: Book, at: datetime) -> Decision[CardRefund]:
    """Pay the refund to the account that was named and verified, in the next file.

    Raises:
        NotFound: No such refund.
        RefundNotAllowed: It needs no account any more, or another one was named since.
    """
    del at
    refund = book.find(REFUNDS, command.refund_id)
    if refund is None:
        raise NotFound
    _check_account_needed(refund)
    if refund.new_payee_account_number != command.account_number:
        raise RefundNotAllowed("Another account was named since; verify that one.")
    verified = refund._replace(
        status=RefundStatus.DECIDED,
        payee_name=refund.new_payee_name,
        payee_account_number=refund.new_payee_account_number,
        payee_bank_code=refund.new_payee_bank_code,
        new_payee_name=None,
        new_payee_account_number=None,
        new_payee_bank_code=None,
    )
    return _changed(verified, "refund.payee_verified")


def decide_settle(command: SettleRefunds, book: Book, at: datetime) -> Decision[int]:
    """Finish the cards of refunds that were paid; say how many there were."""
    del command
    due = sorted(
        book.group(REFUNDS_BY_SETTLEMENT, (RefundStatus.PAID, None)),
        key=lambda refund: refund.refund_id,
    )
    cards: dict[UUID, Card] = {}
    rows: list[Any] = []
    entries: list[Any] = []
    settled: list[CardRefund] = []
    for refund in due:
        card = cards.get(refund.card_id) or book.find(CARDS, refund.card_id)
        if card is None or book.find(ACCOUNTS, refund.card_id) is None:
            # Not of this command's rows: the caller goes on until none is left.
            continue
        seq = book.next_seq + len(entries)
        also = [one.refund_id for one in settled]
        done, card, adjusted = settle(refund, card, book, seq=seq, at=at, also=also)
        cards[refund.card_id] = card
        settled.append(done)
        if adjusted is not None:
            rows.append(adjusted.line)
            entries.append(adjusted.entry)
    return Decision(
        len(settled),
        rows=(*cards.values(), *rows, *settled),
        entries=entries,
        events=[Event("refund.paid", refund.refund_id) for refund in settled],
        # Also where no rest moved: a reversal on such a card may need less from now on.
        then=serve_waiting(book) if settled else None,
    )


def _check_echo(
    echo: Echo | None, quote: Quote, card: Card, payee: Mapping[str, object] | None
) -> None:
    figures = quote.figures
    if echo != Echo(figures.amount, figures.residue_amount, quote.as_of):
        raise RefundChanged(preview_answer(quote, to_text(Prefix.CARD, card.card_id), payee))


def _check_account_needed(refund: CardRefund) -> None:
    if refund.status != RefundStatus.ACCOUNT_NEEDED:
        raise RefundNotAllowed(
            f"The refund is {refund.status}; it needs no other account.",
            refund_status=str(refund.status),
        )


def _own_card(book: Book, card_id: UUID, consumer: UUID) -> Card:
    card = book.find(CARDS, card_id)
    if card is None or card.consumer != consumer:
        raise NotFound
    return card


def _own_refund(book: Book, refund_id: UUID, consumer: UUID) -> CardRefund:
    refund = book.find(REFUNDS, refund_id)
    if refund is None or refund.consumer != consumer:
        raise NotFound
    return refund


def _unchanged(refund: CardRefund) -> Decision[CardRefund]:
    return Decision(refund, subject_id=refund.refund_id, facts=facts_of(refund))


def _changed(refund: CardRefund, event: str) -> Decision[CardRefund]:
    return Decision(
        refund,
        rows=(refund,),
        events=(Event(event, refund.refund_id),),
        subject_id=refund.refund_id,
        facts=facts_of(refund),
    )


def _of_card(
    command: RequestRefund
    | OfferRefund
    | AnswerOffer
    | WithdrawRefund
    | TakeClaimStep
    | UpholdClaim,
) -> tuple[Need, ...]:
    return needs_of_card(command.merchant_no, command.card_id)


def _of_refund(command: NamePayee | VerifyPayee) -> tuple[Need, ...]:
    return (REFUND_BY_ID(command.refund_id),)


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(RequestRefund, _of_card, decide_request),
    Plan(OfferRefund, _of_card, decide_offer),
    Plan(AnswerOffer, _of_card, decide_answer),
    Plan(WithdrawRefund, _of_card, decide_withdraw),
    Plan(TakeClaimStep, _of_card, decide_step),
    Plan(UpholdClaim, _of_card, decide_closing),
    Plan(NamePayee, _of_refund, decide_name_payee),
    Plan(VerifyPayee, _of_refund, decide_verify_payee),
    Plan(
        SettleRefunds,
        lambda command: (
            REFUNDS_TO_SETTLE(),
            REFUNDS_BESIDE(),
            CARDS_TO_SETTLE(),
            ACCOUNTS_TO_SETTLE(),
            ACCOUNT_BY_ID(account_id(command.merchant_no, AccountType.MERCHANT_PAYABLE)),
        ),
        decide_settle,
    ),
)
