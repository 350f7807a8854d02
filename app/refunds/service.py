"""Use cases of refunds: preview, request, offer, answer, and read."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from app.calendar.deadlines import answer_due_on
from app.cards.errors import CardOnHold
from app.cases.domain import words
from app.charges.errors import ChargeDisputed
from app.dates import business_date
from app.errors import NotFound
from app.ids import merchant_no_of, new_id
from app.refunds import payees, queries
from app.refunds.commands import (
    AnswerOffer,
    Echo,
    NamePayee,
    NewClaim,
    OfferRefund,
    RequestRefund,
    SettleRefunds,
    TakeClaimStep,
    UpholdClaim,
    WithdrawRefund,
)
from app.refunds.quoting import CLAIMS, Rules, quote_claim
from app.refunds.rows import as_of_request
from app.refunds.tables import SETTLED_MAX
from app.writer.answers import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from app.calendar.current import CurrentCalendar
    from app.cards.directory import MerchantDirectory
    from app.cards.domain import Card
    from app.cases.domain import Step
    from app.cases.rows import CaseFile
    from app.db.engine import Database
    from app.db.sealing import Sealer
    from app.policies.current import CurrentPolicies
    from app.refunds.answer import Answer
    from app.refunds.domain import RefundReason
    from app.refunds.payees import NamedAccount
    from app.refunds.quoting import Quote
    from app.refunds.rows import CardRefund
    from app.refunds.tables import CardSale
    from app.writer.engine import Writer
    from app.writer.requests import RequestKey

log = structlog.get_logger()

_SALT_BYTES: Final = 16

_EVENTS: Final = {
    RequestRefund: "refund.requested",
    OfferRefund: "refund.offered",
    AnswerOffer: "refund.answered",
    WithdrawRefund: "refund.withdrawn",
    NamePayee: "refund.payee_named",
}


@dataclass(frozen=True, slots=True)
class Counter:
    """What the use cases of refunds need of their process."""

    db: Database
    writer: Writer
    sealer: Sealer
    calendar: CurrentCalendar
    policies: CurrentPolicies
    directory: MerchantDirectory


@dataclass(frozen=True, slots=True)
class Preview:
    """What a refund would come to, and whom it would pay (masked)."""

    quote: Quote
    card_id: UUID
    payee: Answer | None


async def preview(counter: Counter, consumer: UUID, card_id: UUID, reason: RefundReason) -> Preview:
    """Say what a refund would come to today; nothing changes.

    Raises:
        DomainError: What the request would be refused for.
        NotFound: No such card, or it is another's.
    """
    no = merchant_no_of(card_id)
    async with counter.db.at_once() as tx:
        card = await queries.find_own_card(tx, no, card_id, consumer)
        sale = await queries.find_sale(tx, no, card_id)
        facts = await queries.read_facts(tx, card, sale)
    rules = await _rules_of(counter, card)
    quote = quote_claim(reason, facts, rules)
    return Preview(quote, card_id, _payee(counter, card, sale))


async def request_refund(  # noqa: PLR0913  # a request is its fields
    counter: Counter,
    consumer: UUID,
    card_id: UUID,
    reason: RefundReason,
    *,
    echo: Echo | None,
    text: str | None = None,
    request: RequestKey | None,
) -> Answered[CardRefund]:
    """Refund a card as its holder saw it in a preview; a retry gives the same refund.

    Where nothing on record bears the reason out a case opens, with `text` in it.

    Raises:
        DomainError: What the decision refuses.
        NotFound: No such card, or it is another's.
    """
    no = merchant_no_of(card_id)
    async with counter.db.at_once() as tx:
        card = await queries.find_own_card(tx, no, card_id, consumer)
        sale = await queries.find_sale(tx, no, card_id)
        today = business_date(await tx.now())
    rules = await _rules_of(counter, card)
    claim = await _claim(counter, no, today, text) if reason in CLAIMS else None
    command = RequestRefund(
        no,
        request,
        new_id(no),
        card_id,
        consumer,
        reason,
        echo,
        rules,
        _payee(counter, card, sale),
        claim,
    )
    return await carry_out(counter, command)


def conduct_claim(case: CaseFile, step: Step, request: RequestKey | None) -> TakeClaimStep:
    """Make the command that takes a step of a claim's case (`app/cases/conduct.py`)."""
    assert case.card_id is not None, "a claim is about a card"
    return TakeClaimStep(case.merchant_no, request, case.case_id, case.card_id, step)


async def answer_offer(
    counter: Counter, consumer: UUID, refund_id: UUID, *, accept: bool, request: RequestKey | None
) -> Answered[CardRefund]:
    """Take or leave a merchant's offer; the same answer again gives the same.

    Raises:
        DomainError: What the decision refuses.
        NotFound: No such refund, or it is another's.
    """
    refund = await read_own(counter.db, consumer, refund_id)
    no = refund.merchant_no
    async with counter.db.at_once() as tx:
        sale = await queries.find_sale(tx, no, refund.card_id)
    payee = (
        payees.shown(counter.sealer, sale.payer_name, sale.payer_account_number, None)
        if sale.buyer == consumer
        else None
    )
    command = AnswerOffer(no, request, refund_id, refund.card_id, consumer, accept, payee)
    return await carry_out(counter, command)


async def name_payee(
    counter: Counter, consumer: UUID, refund_id: UUID, account: NamedAccount, request: RequestKey
) -> Answered[CardRefund]:
    """Name another account after a payment came back; a person verifies it before it counts.

    Raises:
        InvalidRequest: The account is in another name.
        NotFound: No such refund, or it is another's.
        RefundNotAllowed: The refund needs no account.
    """
    refund = await read_own(counter.db, consumer, refund_id)
    command = payees.naming(counter.sealer, refund, account, consumer=consumer, request=request)
    done = await carry_out(counter, command)
    # Also on a retry: a crash may have come between the command and this.
    await payees.propose(counter.db, counter.sealer, done.value)
    return done


async def carry_out(
    counter: Counter,
    command: RequestRefund | OfferRefund | AnswerOffer | WithdrawRefund | NamePayee,
) -> Answered[CardRefund]:
    """Run a command on a refund; a retry under the same key gives the same answer.

    Raises:
        DomainError: What the command's decision refuses.
    """
    outcome = await counter.writer.submit(command)
    if outcome.replayed is not None:
        outcome.replayed.raise_refusal()
        assert outcome.replayed.subject_id is not None, "an accepted command names its refund"
        async with counter.db.at_once() as tx:
            refund = await queries.find_refund(tx, command.merchant_no, outcome.replayed.subject_id)
        assert refund is not None, "refunds are never deleted"
        return Answered(as_of_request(refund, outcome.replayed), replayed=True)
    done: CardRefund = outcome.result
    log.info(
        _EVENTS[type(command)],
        refund_id=str(done.refund_id),
        merchant_no=done.merchant_no,
        status=str(done.status),
        amount=done.amount,
        residue_amount=done.residue_amount,
    )
    return Answered(done)


async def settle_paid(writer: Writer, merchant_no: int) -> None:
    """Finish the cards of all refunds that were paid; the rest of their custody is payable."""
    settled = SETTLED_MAX
    while settled >= SETTLED_MAX:
        settled = (await writer.submit(SettleRefunds(merchant_no))).result


async def uphold_claims(db: Database, writer: Writer, merchant_no: int) -> int:
    """Uphold the open claims of a merchant that closes; say how many. Again does no harm.

    One whose card is held, or has a disputed use, waits for a later call.
    """
    async with db.snapshot() as tx:
        cards = await queries.cards_with_claims(tx, merchant_no)
    upheld = 0
    for card_id in cards:
        try:
            upheld += (await writer.submit(UpholdClaim(merchant_no, card_id))).result
        except (CardOnHold, ChargeDisputed) as refused:
            log.info("claim.put_off", card_id=str(card_id), code=refused.code)
    return upheld


async def read_own(db: Database, consumer: UUID, refund_id: UUID) -> CardRefund:
    """Read a refund of the consumer.

    Raises:
        NotFound: No such refund, or it is another's.
    """
    async with db.at_once() as tx:
        refund = await queries.find_refund(tx, merchant_no_of(refund_id), refund_id)
    if refund is None or refund.consumer != consumer:
        raise NotFound
    return refund


async def list_own(
    db: Database, consumer: UUID, *, before: UUID | None, count: int
) -> Sequence[CardRefund]:
    """Read a page of the consumer's refunds and offers, newest first."""
    async with db.at_once() as tx:
        return await queries.list_of_consumer(tx, consumer, before=before, count=count)


async def _rules_of(counter: Counter, card: Card) -> Rules:
    """Give what the policies of the day of payment say; the calendar may reach further by now.

    What is remembered is read on connections of its own: hold none while asking.
    """
    district = await counter.directory.district_of(card.merchant_no)
    policies = await counter.policies.policies_in(district, business_date(card.paid_at))
    ends_on = card.cooling_off_ends_on
    if ends_on is None:
        calendar = await counter.calendar.get()
        ends_on = calendar.cooling_off_end(card.paid_at, card.cooling_off_days)
    return Rules(ends_on, policies.cooling_off_unused_only, policies.version)


async def _claim(counter: Counter, merchant_no: int, today: date, text: str | None) -> NewClaim:
    due = await answer_due_on(
        counter.calendar, counter.policies, counter.directory, merchant_no, today
    )
    salt = secrets.token_bytes(_SALT_BYTES)
    said = None if text is None else words(counter.sealer.seal(text), text, salt)
    return NewClaim(new_id(merchant_no), salt, said, due)


def _payee(counter: Counter, card: Card, sale: CardSale) -> Answer | None:
    if sale.buyer != card.consumer:
        return None
    return payees.shown(counter.sealer, sale.payer_name, sale.payer_account_number, None)
