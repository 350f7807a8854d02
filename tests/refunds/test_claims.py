"""Claims that people judge: what each step does to refund, card and case, and what refuses it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from app.calendar.service import load_official_years
from app.card_life.commands import FreezeCard
from app.card_products.domain import CardKind
from app.cards.errors import CardInRefund
from app.cases import service as cases
from app.cases.domain import Scheduling
from app.cases.rows import CaseDecision
from app.charges.domain import Use
from app.db.engine import Database
from app.errors import DomainError, InvalidRequest
from app.ledger.chart import AccountType
from app.money import Fen
from app.refunds import service
from app.refunds.domain import RefundClass, RefundReason, RefundStatus
from app.refunds.rows import CardRefund
from tests.builder import SEALER, Shop, Trader, a_consumer, a_key, writing
from tests.cluster import DatabaseUrls
from tests.disputes.conftest import AGREES, Disputer
from tests.refunds.claiming import DENIES, Claimant
from tests.refunds.conftest import Refunder
from tests.refusals import refused

HEALTH, MINOR, CHOICE = RefundReason.HEALTH, RefundReason.MINOR, RefundReason.CONSUMER_CHOICE
UPHELD, REJECTED = CaseDecision.UPHELD, CaseDecision.REJECTED
COUNT = CardKind.COUNT


@pytest_asyncio.fixture(loop_scope="session")
async def claimant(given: Trader, refunder: Refunder) -> Claimant:
    await load_official_years(given.db, provisional=True)
    return Claimant(refunder)


@pytest_asyncio.fixture(loop_scope="session")
async def later(fresh_database: DatabaseUrls) -> AsyncIterator[Claimant]:
    """Give a database of its own, whose clock a test may move."""
    db = Database.connect(fresh_database.database_url)
    try:
        await load_official_years(db, provisional=True)
        async with writing(fresh_database.database_url) as writer:
            yield Claimant(Refunder(Trader(db, writer=writer)))
    finally:
        await db.close()


async def set_book(given: Trader, shop: Shop, status: str) -> None:
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE book SET status = :status WHERE merchant_no = :no",
            status=status,
            no=shop.merchant_no,
        )


async def test_a_claim_opens_a_case_and_its_card_waits(given: Trader, claimant: Claimant) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    charge = await given.waiting(shop, card_id, Use(amount=Fen(1_00)))

    refund = await claimant.claimed(li, card_id, HEALTH, text="医生不建议运动")

    assert (refund.refund_class, refund.amount) == (RefundClass.MERCHANT_FAULT, 450_00)
    case = await claimant.case(refund)
    assert (case.status, case.reason, case.refund_id) == ("open", "health", refund.refund_id)
    assert case.answer_due_on is not None
    assert case.text is not None
    assert SEALER.open(case.text) == "医生不建议运动"
    card = await given.read(card_id)
    assert (card.status, card.face_held_amount, card.pending_count) == ("refunding", 0, 0)
    assert await given.balance(shop, card_id) == 450_00, "nothing moves before the decision"
    async with given.db.snapshot() as tx:
        status = await tx.value(
            "SELECT status FROM charge WHERE merchant_no = :no AND charge_id = :id",
            no=shop.merchant_no,
            id=charge.charge_id,
        )
    assert status == "cancelled"
    async with refused(given, shop, "card_in_refund"):
        await given.waiting(shop, card_id, Use(amount=Fen(1_00)))
    async with refused(given, shop, "refund_in_progress"):
        await claimant.claimed(li, card_id)


async def test_a_claim_needs_no_echo_but_a_wrong_one_is_refused(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    refunder = claimant.refunder
    preview = await refunder.preview(li, card_id, HEALTH)
    echo = await refunder.echo(li, card_id, HEALTH)
    assert preview.quote.needs_case
    await given.used(shop, li, card_id, Use(amount=Fen(60_00)))

    async with refused(given, shop, "refund_changed"):
        await refunder.asked(li, card_id, HEALTH, echo)
    assert (await refunder.refunded(li, card_id, HEALTH)).status == RefundStatus.CASE_OPEN


async def test_the_merchants_agreement_refunds_all_that_is_left(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, COUNT)
    await given.used(shop, li, card_id, Use(sessions=5))
    refund = await claimant.claimed(li, card_id)

    case = await claimant.answered(refund, agree=True)

    assert (case.status, case.decision, case.decided_by) == ("decided", "upheld", "merchant")
    done = await claimant.refund(refund)
    assert (done.status, done.refund_class) == (RefundStatus.DECIDED, RefundClass.MERCHANT_FAULT)
    assert (done.amount, done.residue_amount) == (700_00, 0)
    assert done.payee_name is not None
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == 700_00
    assert (await given.read(card_id)).status == "refunding"


async def test_two_persons_uphold_after_the_merchant_disagreed_with_the_figures_of_that_day(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    refund = await claimant.claimed(li, card_id)
    assert (await claimant.answered(refund, agree=False, text=DENIES)).status == "answered"
    await given.reversed(charge)

    done = await claimant.ruled(refund, UPHELD)

    assert refund.amount == 450_00
    assert (done.status, done.amount) == (RefundStatus.DECIDED, 500_00)
    case = await claimant.case(refund)
    assert (case.decision, case.decided_by) == ("upheld", "two_persons")
    assert case.approval_id is not None


async def test_a_rejected_claim_gives_the_card_back_as_it_was(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    before = await given.read(card_id)
    refund = await claimant.claimed(li, card_id)
    await claimant.answered(refund, agree=False)

    done = await claimant.ruled(refund, REJECTED)

    assert done.status == RefundStatus.REJECTED
    assert await given.read(card_id) == before
    await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    assert (await claimant.refunder.refunded(li, card_id, CHOICE)).status == RefundStatus.DECIDED


async def test_a_withdrawn_claim_gives_the_card_back_and_again_gives_the_same(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    before = await given.read(card_id)
    refund = await claimant.claimed(li, card_id)
    request = a_key()

    assert (await claimant.withdrawn(li, refund, request)).status == RefundStatus.WITHDRAWN

    before_again = await given.rows(shop)
    for key in (None, request):
        assert (await claimant.withdrawn(li, refund, key)).status == RefundStatus.WITHDRAWN
    assert await given.rows(shop) == before_again
    case = await claimant.case(refund)
    assert (case.decision, case.decided_by) == ("withdrawn", "consumer")
    assert await given.read(card_id) == before
    async with refused(given, shop, "case_state"):
        await claimant.answered(refund, agree=True)
    assert (await claimant.claimed(li, card_id)).refund_id != refund.refund_id


async def test_who_is_not_the_claimant_withdraws_nothing(given: Trader, claimant: Claimant) -> None:
    shop, li = await given.shop(), a_consumer()
    refund = await claimant.claimed(li, await given.card(shop, li))

    async with refused(given, shop, "not_found"):
        await claimant.withdrawn(a_consumer(), refund)


async def test_a_card_used_up_before_is_active_again_where_a_use_was_taken_back_meanwhile(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, bonus_amount=Fen(0))
    await given.used(shop, li, card_id, Use(amount=Fen(100_00)))
    charge = await given.used(shop, li, card_id, Use(amount=Fen(399_00)))
    refund = await claimant.claimed(li, card_id)
    await given.reversed(charge)

    await claimant.withdrawn(li, refund)

    card = await given.read(card_id)
    assert (card.status, card.custody_amount) == ("active", 400_00)


@pytest.mark.parametrize(
    ("used_amount", "amount", "residue"),
    [(0, 450_00, 0), (120_00, 380_00, 70_00), (900_00, 0, 450_00)],
)
async def test_a_minors_claim_counts_what_the_decision_states_was_used(
    given: Trader, claimant: Claimant, used_amount: int, amount: int, residue: int
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    refund = await claimant.claimed(li, card_id, MINOR)
    await claimant.answered(refund, agree=False)

    done = await claimant.ruled(refund, UPHELD, used_amount)

    assert (done.refund_class, done.formula) == (RefundClass.AGREED, "paid_less_used")
    assert (done.amount, done.residue_amount) == (amount, residue)
    assert done.status == (RefundStatus.DECIDED if amount else RefundStatus.PAID)
    assert (await claimant.case(refund)).used_amount == used_amount


async def test_a_merchant_who_agrees_to_a_minors_claim_states_no_use(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    refund = await claimant.claimed(li, card_id, MINOR)

    await claimant.answered(refund, agree=True)

    done = await claimant.refund(refund)
    assert (done.refund_class, done.amount, done.residue_amount) == ("agreed", 450_00, 0)


@pytest.mark.parametrize(
    ("reason", "decision", "used_amount"),
    [(MINOR, UPHELD, None), (MINOR, REJECTED, 1), (HEALTH, UPHELD, 0)],
)
async def test_what_was_used_is_stated_where_a_minors_claim_is_upheld_and_only_there(
    given: Trader,
    claimant: Claimant,
    reason: RefundReason,
    decision: CaseDecision,
    used_amount: int | None,
) -> None:
    shop, li = await given.shop(), a_consumer()
    refund = await claimant.claimed(li, await given.card(shop, li), reason)

    with pytest.raises(InvalidRequest) as wrong:
        await claimant.proposed(refund, decision, used_amount)
    assert [error.pointer for error in wrong.value.errors] == ["/used_amount"]


async def test_who_proposed_a_decision_does_not_approve_it(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    refund = await claimant.claimed(li, await given.card(shop, li))
    approval = await claimant.proposed(refund, UPHELD)

    async with refused(given, shop, "own_proposal"):
        await claimant.approved(approval, by="li.na")


async def test_of_two_decisions_the_first_counts_and_a_retry_gives_its_result(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    refund = await claimant.claimed(li, await given.card(shop, li))
    rejects, upholds = [await claimant.proposed(refund, said) for said in (REJECTED, UPHELD)]

    first = await claimant.approved(rejects)

    async with refused(given, shop, "case_state"):
        await claimant.approved(upholds)
    assert first.result is not None
    assert first.result["status"] == "decided"
    again = await claimant.approved(rejects)
    assert again.result is not None
    assert {**again.result, "decision": None} == {**first.result, "decision": None}
    with pytest.raises(DomainError) as late:
        await claimant.proposed(refund, UPHELD)
    assert late.value.code == "case_state"


async def test_the_same_answer_again_changes_nothing_and_another_is_refused(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    refund = await claimant.claimed(li, await given.card(shop, li))
    first = await claimant.answered(refund, agree=False, text=DENIES, request=a_key())
    before = await given.rows(shop)

    assert await claimant.answered(refund, agree=False, text=DENIES) == first
    assert await given.rows(shop) == before
    for agree, text in ((True, DENIES), (False, "别的说法"), (False, None)):
        async with refused(given, shop, "case_state"):
            await claimant.answered(refund, agree=agree, text=text)


async def test_an_answer_is_repeated_as_it_was_given_though_the_case_went_on(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    refund = await claimant.claimed(li, await given.card(shop, li))
    request = a_key()
    first = await claimant.answered(refund, agree=False, text=DENIES, request=request)
    await claimant.ruled(refund, UPHELD)

    assert await claimant.answered(refund, agree=False, text=DENIES, request=request) == first


async def test_a_claim_is_repeated_as_it_was_made_though_it_was_upheld(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    request = a_key()
    refunder = claimant.refunder
    first = await refunder.asked(li, card_id, MINOR, None, request=request)
    await given.reversed(charge)
    await claimant.ruled(first, UPHELD, 10_00)

    again = await refunder.asked(li, card_id, MINOR, None, request=request)

    shown = ("status", "refund_class", "formula", "amount", "residue_amount", "payee_name")
    assert [getattr(again, name) for name in shown] == [getattr(first, name) for name in shown]


@pytest.mark.parametrize("status", ["notice", "closing"])
async def test_from_notice_on_a_minors_claim_is_the_merchants_fault_and_closing_decides_it(
    given: Trader, claimant: Claimant, status: str
) -> None:
    shop, li = await given.shop(), a_consumer()
    refund = await claimant.claimed(li, await given.card(shop, li), MINOR)
    await set_book(given, shop, status)

    if status == "closing":
        async with refused(given, shop, "closure_in_progress"):
            await claimant.answered(refund, agree=True)
        async with refused(given, shop, "closure_in_progress"):
            await claimant.withdrawn(li, refund)
        await set_book(given, shop, "open")
        await claimant.withdrawn(li, refund)
        return
    done = await claimant.ruled(refund, UPHELD, 100_00)
    assert (done.refund_class, done.amount) == (RefundClass.MERCHANT_FAULT, 500_00)
    await set_book(given, shop, "open")


async def test_a_closure_upholds_every_open_claim_once_the_held_one_later(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    cards = [await given.card(shop, li) for _ in range(3)]
    claims = [await claimant.claimed(li, card_id, MINOR) for card_id in cards]
    await claimant.answered(claims[1], agree=False)
    await claimant.held(cards[2])
    assert await service.uphold_claims(given.db, given.writer, shop.merchant_no) == 0
    await set_book(given, shop, "refunding")

    upheld = [
        await service.uphold_claims(given.db, given.writer, shop.merchant_no) for _ in range(2)
    ]

    assert upheld == [2, 0]
    for claim in claims[:2]:
        done, case = await claimant.refund(claim), await claimant.case(claim)
        assert (done.status, done.refund_class, done.amount) == (
            RefundStatus.DECIDED,
            RefundClass.MERCHANT_FAULT,
            500_00,
        )
        assert (case.decision, case.decided_by) == ("upheld", "closure")
    assert (await claimant.refund(claims[2])).status == RefundStatus.CASE_OPEN
    await set_book(given, shop, "open")


async def test_a_claim_waits_for_the_dispute_of_a_use_of_its_card(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
    refund = await claimant.claimed(li, card_id)
    disputer = Disputer(given)
    await disputer.disputed(li, charge)

    async with refused(given, shop, "charge_disputed"):
        await claimant.answered(refund, agree=True)
    await disputer.step(charge, AGREES)
    await claimant.answered(refund, agree=True)

    done = await claimant.refund(refund)
    assert (done.status, done.amount) == (RefundStatus.DECIDED, 500_00)
    async with refused(given, shop, "refund_in_progress"):
        await claimant.claimed(li, card_id)


async def test_a_held_cards_claim_is_not_upheld_and_may_be_rejected(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    refund = await claimant.claimed(li, card_id)
    await claimant.answered(refund, agree=False)
    upholds, rejects = [await claimant.proposed(refund, said) for said in (UPHELD, REJECTED)]
    await claimant.held(card_id)

    async with refused(given, shop, "card_on_hold"):
        await claimant.approved(upholds)

    await claimant.approved(rejects)
    assert (await claimant.refund(refund)).status == RefundStatus.REJECTED


async def test_an_offer_waits_while_a_claim_is_judged(given: Trader, claimant: Claimant) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    refunder = claimant.refunder
    offer = await refunder.offered(shop, card_id, 100_00)
    refund = await claimant.claimed(li, card_id)

    async with refused(given, shop, "refund_in_progress"):
        await refunder.answered(li, offer.refund_id, accept=True)
    async with refused(given, shop, "refund_in_progress"):
        await refunder.offered(shop, card_id, 100_00)

    await claimant.ruled(refund, REJECTED)
    assert (await refunder.answered(li, offer.refund_id, accept=True)).amount == 100_00


async def test_an_upheld_claim_ends_an_offer(given: Trader, claimant: Claimant) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    offer = await claimant.refunder.offered(shop, card_id, 100_00)
    refund = await claimant.claimed(li, card_id)

    await claimant.answered(refund, agree=True)

    assert (await claimant.refund(offer)).status == RefundStatus.DECLINED


async def test_what_is_asked_of_a_case_at_once_is_decided_once(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    refund = await claimant.claimed(li, card_id)
    approvals_ = [await claimant.proposed(refund, said) for said in (UPHELD, REJECTED)]

    results = await asyncio.gather(
        claimant.withdrawn(li, refund),
        claimant.answered(refund, agree=True),
        *(claimant.approved(approval) for approval in approvals_),
        return_exceptions=True,
    )

    refusals = [result for result in results if isinstance(result, BaseException)]
    assert len(refusals) == 3
    assert all(isinstance(refusal, DomainError) for refusal in refusals)
    case, done = await claimant.case(refund), await claimant.refund(refund)
    assert case.status == "decided"
    ends = {"withdrawn": "withdrawn", "rejected": "rejected", "upheld": "decided"}
    assert done.status == ends[str(case.decision)]


async def test_a_charge_at_the_moment_of_a_claim_is_taken_or_refused_whole(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)

    results = await asyncio.gather(
        given.waiting(shop, card_id, Use(amount=Fen(60_00))),
        claimant.claimed(li, card_id),
        return_exceptions=True,
    )

    assert all(
        isinstance(result, CardInRefund) or not isinstance(result, BaseException)
        for result in results
    )
    card = await given.read(card_id)
    assert (card.status, card.face_held_amount) == ("refunding", 0)


async def test_silence_is_agreement_by_the_clock_whoever_looks_first(later: Claimant) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    refund = await later.claimed(li, await given.card(shop, li))
    proposal = await later.proposed(refund, REJECTED)
    assert (await later.kept_silent(refund)).status == "open", "there is time left"
    await later.days_pass(40)

    async with refused(given, shop, "deadline_passed"):
        await later.answered(refund, agree=False)
    async with refused(given, shop, "deadline_passed"):
        await later.answered(refund, agree=True)
    async with refused(given, shop, "case_state"):
        await later.withdrawn(li, refund)
    async with refused(given, shop, "case_state"):
        await later.approved(proposal)
    with pytest.raises(DomainError) as late:
        await later.proposed(refund, REJECTED)
    assert late.value.code == "case_state"

    assert await cases.decide_silent(later.desk) == 1
    assert await cases.decide_silent(later.desk) == 0

    case, done = await later.case(refund), await later.refund(refund)
    assert (case.decision, case.decided_by, case.answer_agree) == ("upheld", "silence", None)
    assert (done.status, done.amount) == (RefundStatus.DECIDED, 500_00)
    async with refused(given, shop, "deadline_passed"):
        await later.answered(refund, agree=False)


async def test_an_answer_on_the_last_day_is_in_time(later: Claimant) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    refund = await later.claimed(li, await given.card(shop, li))
    due = (await later.case(refund)).answer_due_on
    assert due is not None
    await later.days_pass((due - refund.created_at.date()).days - 1)

    assert (await later.answered(refund, agree=False)).status == "answered"
    await later.days_pass(40)
    assert await cases.decide_silent(later.desk) == 0, "an answer is no silence"
    assert (await later.ruled(refund, UPHELD)).status == RefundStatus.DECIDED


async def test_silence_of_a_held_cards_merchant_waits_for_the_hold(later: Claimant) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    refund = await later.claimed(li, card_id)
    hold_id = await later.held(card_id, until=await given.now() + timedelta(days=50))
    await later.days_pass(40)

    assert await cases.decide_silent(later.desk) == 0
    await later.days_pass(20)
    await later.holds_ended(card_id, hold_id)
    assert await cases.decide_silent(later.desk) == 1
    assert (await later.refund(refund)).status == RefundStatus.DECIDED


async def test_the_term_of_a_card_may_end_while_its_claim_is_judged(later: Claimant) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, CardKind.PERIOD, term_days=10)
    refund = await later.claimed(li, card_id)
    await later.answered(refund, agree=False)
    await later.days_pass(40)

    done = await later.ruled(refund, UPHELD)

    assert (done.status, done.amount) == (RefundStatus.DECIDED, refund.amount)


async def test_the_days_in_which_a_claim_was_judged_do_not_count(later: Claimant) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, CardKind.PERIOD, term_days=100)
    before = await given.read(card_id)
    refund = await later.claimed(li, card_id)
    assert (await given.read(card_id)).frozen_on == before.activated_on
    await later.answered(refund, agree=False)
    await later.days_pass(40)

    await later.ruled(refund, REJECTED)

    card = await given.read(card_id)
    assert (card.status, card.frozen_on, card.frozen_days) == ("active", None, 40)
    assert before.valid_until is not None
    assert card.valid_until == before.valid_until + timedelta(days=40)
    await given.used_by_code(shop, li, Use(visit=True))
    assert (await given.read(card_id)).last_visit_day == 1


async def test_a_card_that_was_frozen_before_its_claim_stays_frozen_after_it(
    later: Claimant,
) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, CardKind.PERIOD, term_days=100)
    await given.writer.submit(FreezeCard(shop.merchant_no, None, card_id, li.consumer))
    before = await given.read(card_id)
    await later.days_pass(3)
    refund = await later.claimed(li, card_id)
    await later.days_pass(2)

    await later.withdrawn(li, refund)

    assert await given.read(card_id) == before


async def test_an_upheld_claim_of_a_period_card_leaves_its_term_stopped(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, CardKind.PERIOD)
    refund = await claimant.claimed(li, card_id)

    await claimant.answered(refund, agree=True)

    done, card = await claimant.refund(refund), await given.read(card_id)
    assert (done.amount, card.status) == (card.paid_amount, "refunding")
    assert card.frozen_on is not None


async def test_beyond_the_calendar_a_case_waits_until_the_year_is_loaded(
    fresh_database: DatabaseUrls,
) -> None:
    db = Database.connect(fresh_database.database_url)
    try:
        async with writing(fresh_database.database_url) as writer:
            claimant = Claimant(Refunder(Trader(db, writer=writer)))
            given = claimant.given
            shop, li = await given.shop(), a_consumer()
            refund = await claimant.claimed(li, await given.card(shop, li))
            assert (await claimant.case(refund)).answer_due_on is None
            await claimant.days_pass(400)
            assert await cases.decide_silent(claimant.desk) == 0
            today = (await given.now()).date()

            async def due_on(merchant_no: int, _: object) -> object:
                assert merchant_no == shop.merchant_no
                return today

            assert await cases.schedule(claimant.desk, due_on) == 1  # pyright: ignore[reportArgumentType]  # a date
            assert await cases.schedule(claimant.desk, due_on) == 0  # pyright: ignore[reportArgumentType]  # a date
            case = await claimant.scheduled(refund, Scheduling(today))
            assert case.answer_due_on == today
            await claimant.days_pass(2)
            assert await cases.decide_silent(claimant.desk) == 1
    finally:
        await db.close()


async def test_upheld_claims_are_computed_again_from_their_inputs(
    given: Trader, claimant: Claimant
) -> None:
    shop, li = await given.shop(), a_consumer()
    done: list[CardRefund] = []
    for reason, stated in ((HEALTH, None), (MINOR, 30_00)):
        card_id = await given.card(shop, li)
        await given.used(shop, li, card_id, Use(amount=Fen(60_00)))
        refund = await claimant.claimed(li, card_id, reason)
        done.append(await claimant.ruled(refund, UPHELD, stated))

    assert [one.read_inputs().used_amount for one in done] == [None, 30_00]
    assert [one.amount for one in done] == [450_00, 450_00]
    assert all(one.case_id is not None for one in done)
