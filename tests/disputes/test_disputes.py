"""A disputed use: its money is set aside, and a case gives it back or takes the use back."""

import asyncio

import pytest

from app.card_products.domain import CardKind
from app.cases import service as cases
from app.charges.commands import DeclineCharge
from app.charges.domain import Charge, DisputeStatus, ReversalStatus, Use
from app.charges.errors import ChargeDisputed
from app.disputes.service import Complaint
from app.errors import DomainError
from app.ledger.chart import AccountType
from app.money import Fen
from tests.builder import SEALER, Trader, a_consumer, a_key
from tests.disputes.conftest import (
    AGREES,
    OBJECTS,
    REJECTED,
    SILENCE,
    UPHELD,
    Disputer,
    card_of,
)
from tests.refusals import refused

PAYABLE, DISPUTED = AccountType.MERCHANT_PAYABLE, AccountType.RELEASE_DISPUTED


async def test_a_dispute_sets_aside_what_the_use_moved(given: Trader, disputer: Disputer) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await given.used(shop, li, card_id, Use(amount=Fen(40_00)))

    disputed = await disputer.disputed(li, charge)

    assert (disputed.status, disputed.dispute_status) == ("disputed", "open")
    assert await given.balance(shop, DISPUTED) == 66_67
    assert await given.balance(shop, PAYABLE) == 33_33
    card = await given.read(card_id)
    assert (card.face_used_amount, card.released_amount) == (120_00, 100_00), "still a use"
    case, dispute = await disputer.case(charge), await disputer.dispute(charge)
    assert (case.status, case.reason, case.card_id) == ("open", None, card_id)
    assert case.stated_reason is not None
    assert SEALER.open(case.stated_reason) == "not_provided"
    assert case.answer_due_on is not None
    assert (dispute.set_aside_amount, dispute.case_id) == (66_67, case.case_id)
    assert (await disputer.entries(shop))[-2:] == ["dispute_opened", "case_open (fact)"]


async def test_a_dismissed_dispute_gives_the_money_back_to_the_merchant(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    await disputer.disputed(li, charge)

    dismissed = await disputer.decided(charge, REJECTED)

    assert (dismissed.status, dismissed.dispute_status) == ("confirmed", "dismissed")
    assert dismissed.reversal_status is None
    assert await given.balance(shop, DISPUTED) == 0
    assert await given.balance(shop, PAYABLE) == 66_67


@pytest.mark.parametrize("how", ["agreed", "two persons"])
async def test_an_upheld_dispute_reverses_the_use_at_once(
    given: Trader, disputer: Disputer, how: str
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await disputer.disputed(li, charge)

    if how == "agreed":
        await disputer.step(charge, AGREES)
    else:
        await disputer.decided(charge, UPHELD)

    back = await disputer.read(charge)
    assert (back.status, back.dispute_status) == ("reversed", "upheld")
    assert (back.reversal_status, back.reversal_reason) == ("done", "dispute upheld")
    assert await given.balance(shop, DISPUTED) == await given.balance(shop, PAYABLE) == 0
    card = await given.read(card_id)
    assert (card.face_used_amount, card.custody_amount) == (0, 500_00)
    assert (await disputer.entries(shop))[-3:] == [
        "dispute_upheld",
        "use_reversed",
        "case_decided (fact)",
    ]


async def test_silence_of_the_merchant_upholds(later: Disputer) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    await later.disputed(li, charge)
    assert (await later.step(charge, SILENCE)).status == "open", "there is time left"
    await later.days_pass(40)

    with pytest.raises(DomainError) as late:
        await later.step(charge, OBJECTS)
    assert late.value.code == "deadline_passed"
    assert (await later.step(charge, SILENCE)).decided_by == "silence"
    assert (await later.read(charge)).status == "reversed"


async def test_the_worker_upholds_what_the_merchant_let_go_by(later: Disputer) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    silent, objected = [
        await given.used(shop, li, card_id, Use(amount=Fen(12_00))) for _ in range(2)
    ]
    for charge in (silent, objected):
        await later.disputed(li, charge)
    await later.step(objected, OBJECTS)
    assert await cases.decide_silent(later.court) == 0
    await later.days_pass(40)

    assert await cases.decide_silent(later.court) == 1
    assert await cases.decide_silent(later.court) == 0

    assert (await later.read(silent)).status == "reversed"
    assert (await later.read(objected)).status == "disputed", "two persons have all the time"
    assert await given.balance(shop, DISPUTED) == 10_00


async def test_a_word_of_a_dispute_is_not_a_reason_of_a_claim(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(12_00)))
    await disputer.disputed(li, charge, complaint=Complaint("minor", None))

    assert (await disputer.decided(charge, UPHELD)).status == "reversed"


async def test_what_was_paid_out_is_not_set_aside_and_upheld_it_waits_first_in_line(
    given: Trader, disputer: Disputer
) -> None:
    shop, li, wang = await given.shop(), a_consumer(), a_consumer()
    first = await given.card(shop, li, bonus_amount=Fen(0))
    second = await given.card(shop, wang, bonus_amount=Fen(0))
    older = await given.used(shop, wang, second, Use(amount=Fen(10_00)))
    charge = await given.used(shop, li, first, Use(amount=Fen(50_00)))
    await given.paid_out(shop)
    assert (await given.reversed(older)).reversal_status == "pending"
    await disputer.disputed(li, charge)
    assert (await disputer.dispute(charge)).set_aside_amount == 0

    waits = await disputer.decided(charge, UPHELD)
    assert (waits.status, waits.reversal_status) == ("disputed", ReversalStatus.PENDING)
    assert waits.dispute_status == DisputeStatus.UPHELD
    assert await disputer.waiting_amount(shop) == 60_00

    await given.used(shop, wang, second, Use(amount=Fen(49_99)))
    assert (await disputer.read(older)).reversal_status == "pending", "not ahead of the upheld one"
    await given.used(shop, wang, second, Use(amount=Fen(1)))
    assert (await disputer.read(charge)).status == "reversed"
    assert (await disputer.read(older)).reversal_status == "pending"
    assert await given.balance(shop, PAYABLE) == 0
    await given.used(shop, wang, second, Use(amount=Fen(10_00)))
    assert (await disputer.read(older)).status == "reversed"
    assert await disputer.waiting_amount(shop) == 0


async def test_an_upheld_dispute_takes_what_waiting_reversals_had_reserved(
    given: Trader, disputer: Disputer
) -> None:
    shop, li, wang = await given.shop(), a_consumer(), a_consumer()
    first = await given.card(shop, li, bonus_amount=Fen(0))
    second = await given.card(shop, wang, bonus_amount=Fen(0))
    older = await given.used(shop, wang, second, Use(amount=Fen(40_00)))
    charge = await given.used(shop, li, first, Use(amount=Fen(30_00)))
    await given.paid_out(shop)
    await given.used(shop, wang, second, Use(amount=Fen(35_00)))
    await given.reversed(older)  # 40.00 wait on 35.00

    await disputer.disputed(li, charge)
    assert (await disputer.dispute(charge)).set_aside_amount == 0, "35.00 are not free"
    assert (await disputer.decided(charge, UPHELD)).status == "reversed"

    assert await given.balance(shop, PAYABLE) == 5_00
    assert await disputer.waiting_amount(shop) == 40_00


async def test_what_was_set_aside_and_is_given_back_serves_waiting_reversals(
    given: Trader, disputer: Disputer
) -> None:
    shop, li, wang = await given.shop(), a_consumer(), a_consumer()
    first = await given.card(shop, li, bonus_amount=Fen(0))
    second = await given.card(shop, wang, bonus_amount=Fen(0))
    older = await given.used(shop, wang, second, Use(amount=Fen(20_00)))
    await given.paid_out(shop)
    charge = await given.used(shop, li, first, Use(amount=Fen(30_00)))
    await disputer.disputed(li, charge)
    assert (await given.reversed(older)).reversal_status == "pending"

    await disputer.decided(charge, REJECTED)

    assert (await disputer.read(older)).status == "reversed"
    assert await given.balance(shop, PAYABLE) == 10_00
    assert await given.balance(shop, DISPUTED) == 0


async def test_with_nothing_set_aside_later_money_stays_the_merchants_until_the_decision(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await given.paid_out(shop)
    await disputer.disputed(li, charge)
    await given.used(shop, li, card_id, Use(amount=Fen(120_00)))

    assert await given.balance(shop, DISPUTED) == 0
    assert await given.balance(shop, PAYABLE) == 100_00
    assert (await disputer.decided(charge, REJECTED)).status == "confirmed"
    assert await given.balance(shop, PAYABLE) == 100_00


async def test_a_use_over_several_cards_is_disputed_whole(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    cards = [
        await given.card(shop, li, price_amount=Fen(50_00), bonus_amount=Fen(1)) for _ in range(2)
    ]
    charge = await given.used(shop, li, cards[0], Use(amount=Fen(80_00)))
    await disputer.disputed(li, charge)
    assert (await disputer.case(charge)).card_id is None
    assert (await disputer.dispute(charge)).set_aside_amount == charge.release_amount

    assert (await disputer.decided(charge, UPHELD)).balance_face_amount == 100_02

    for card_id in cards:
        card = await given.read(card_id)
        assert (card.face_used_amount, card.custody_amount, card.status) == (0, 50_00, "active")


async def test_a_use_that_moved_nothing_is_disputed_by_facts_alone(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(1), bonus_amount=Fen(100_00))
    charge = await given.used(shop, li, card_id, Use(amount=Fen(10_00)))
    assert charge.release_amount == 0
    await disputer.disputed(li, charge)

    back = await disputer.decided(charge, UPHELD)

    assert (back.status, back.reversal_amount) == ("reversed", 0)
    assert (await given.read(card_id)).face_used_amount == 0
    kinds = await disputer.entries(shop)
    assert {"dispute_opened (fact)", "dispute_upheld (fact)", "use_reversed (fact)"} <= set(kinds)


async def test_the_last_visit_of_a_period_card_is_disputed_and_the_earlier_one_reversed(
    later: Disputer,
) -> None:
    """What the reversal takes by then is more than what was set aside: the visit moved 20.00."""
    given = later.given
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, CardKind.PERIOD)  # 10.00 a day
    await later.days_pass(4)
    fifth = await given.used(shop, li, card_id, Use(visit=True))
    await later.days_pass(2)
    seventh = await given.used(shop, li, card_id, Use(visit=True))
    await later.disputed(li, seventh)
    assert await given.balance(shop, DISPUTED) == 20_00
    assert (await given.reversed(fifth)).status == "reversed", "it moves nothing"
    await given.paid_out(shop)

    waits = await later.decided(seventh, UPHELD)

    assert (waits.status, waits.reversal_amount) == ("disputed", 70_00)
    assert await given.balance(shop, PAYABLE) == 20_00, "the cut leaves it"
    value = await given.card(shop, li, bonus_amount=Fen(0))
    await given.used(shop, li, value, Use(amount=Fen(50_00)))
    assert (await later.read(seventh)).status == "reversed"
    assert (await given.read(card_id)).released_amount == 0


async def test_a_use_can_be_disputed_for_ninety_days(later: Disputer) -> None:
    given = later.given
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    first, second = [await given.used(shop, li, card_id, Use(amount=Fen(1_00))) for _ in range(2)]
    await later.days_pass(90, seconds=-60)
    assert (await later.disputed(li, first)).status == "disputed"
    await later.days_pass(0, seconds=61)
    async with refused(given, shop, "deadline_passed"):
        await later.disputed(li, second)
    assert (await later.disputed(li, first)).status == "disputed", "what is done is asked again"


async def test_of_ten_disputes_at_once_one_is_opened(given: Trader, disputer: Disputer) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))

    made = await asyncio.gather(*(disputer.disputed(li, charge) for _ in range(10)))

    assert len({one.dispute_id for one in made}) == 1
    assert await given.balance(shop, DISPUTED) == 66_67


async def test_a_retry_says_what_was_said_also_after_the_decision(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    key = a_key()
    first = await disputer.disputed(li, charge, request=key)
    await disputer.decided(charge, UPHELD)

    again = await disputer.disputed(li, charge, request=key)

    assert again == first._replace(
        reversal_requested_at=again.reversal_requested_at,
        reversal_amount=again.reversal_amount,
        reversal_reason=again.reversal_reason,
        ended_at=again.ended_at,
    )
    assert (again.status, again.dispute_status, again.reversal_status) == ("disputed", "open", None)


async def test_a_retried_use_does_not_show_the_dispute_that_came_later(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    command = given.confirming(
        shop, li, await given.waiting(shop, card_id, Use(amount=Fen(1_00))), request=a_key()
    )
    charge = await given.done(command)
    await disputer.disputed(li, charge)

    again = await given.done(command)

    assert (again.status, again.dispute_id, again.dispute_status) == ("confirmed", None, None)


async def test_a_dismissed_use_is_not_disputed_again(given: Trader, disputer: Disputer) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    await disputer.disputed(li, charge)
    await disputer.decided(charge, REJECTED)

    async with refused(given, shop, "charge_disputed"):
        await disputer.disputed(li, charge)
    assert (await given.reversed(charge)).status == "reversed", "the merchant still may"


async def test_a_reversed_use_and_one_being_reversed_are_not_disputed(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    first, second = [await given.used(shop, li, card_id, Use(amount=Fen(1_00))) for _ in range(2)]
    await given.reversed(first)
    await given.paid_out(shop)
    await given.reversed(second)

    for charge in (first, second):
        async with refused(given, shop, "charge_not_confirmed"):
            await disputer.disputed(li, charge)


@pytest.mark.parametrize("status", ["pending_confirmation", "declined"])
async def test_what_was_not_confirmed_is_not_disputed(
    given: Trader, disputer: Disputer, status: str
) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.waiting(shop, await given.card(shop, li), Use(amount=Fen(1_00)))
    if status == "declined":
        await given.done(DeclineCharge(shop.merchant_no, None, charge.charge_id, li.consumer))

    async with refused(given, shop, "charge_not_confirmed"):
        await disputer.disputed(li, charge)


async def test_anothers_use_is_not_there_to_be_disputed(given: Trader, disputer: Disputer) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(1_00)))

    async with refused(given, shop, "not_found"):
        await disputer.disputed(a_consumer(), charge)


async def test_a_disputed_use_is_neither_reversed_nor_confirmed_declined_or_cancelled(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(1_00)))
    await disputer.disputed(li, charge)

    async with refused(given, shop, "charge_disputed"):
        await given.reversed(charge)
    async with refused(given, shop, "charge_not_pending"):
        await given.done(given.confirming(shop, li, charge))
    async with refused(given, shop, "charge_not_pending"):
        await given.done(DeclineCharge(shop.merchant_no, None, charge.charge_id, li.consumer))


async def test_reversing_an_upheld_use_that_waits_gives_its_reversal(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    await given.paid_out(shop)
    await disputer.disputed(li, charge)
    waits = await disputer.decided(charge, UPHELD)

    assert await given.reversed(charge) == waits
    assert await disputer.disputed(li, charge) == waits


async def test_a_dispute_and_a_reversal_at_once_take_the_use_back_at_most_once(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(5_000_00), bonus_amount=Fen(0))
    uses = [await given.used(shop, li, card_id, Use(amount=Fen(10_00))) for _ in range(12)]

    async def attempt(number: int) -> list[Charge | BaseException]:
        both = [given.reversed(uses[number]), disputer.disputed(li, uses[number])]
        return await asyncio.gather(*(both if number % 2 else both[::-1]), return_exceptions=True)

    for number in range(12):
        outcomes = await attempt(number)
        refusals = [one for one in outcomes if isinstance(one, Exception)]
        assert len(refusals) == 1, outcomes
        assert all(
            isinstance(one, ChargeDisputed) or getattr(one, "code", "") == "charge_not_confirmed"
            for one in refusals
        )

    disputed = [one for one in uses if (await disputer.read(one)).status == "disputed"]
    assert await given.balance(shop, DISPUTED) == len(disputed) * 10_00
    assert await given.balance(shop, card_id) == 5_000_00 - len(disputed) * 10_00


async def test_of_many_decisions_at_once_the_first_decides(
    given: Trader, disputer: Disputer
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    charge = await given.used(shop, li, card_id, Use(amount=Fen(80_00)))
    await disputer.disputed(li, charge)
    proposed = [await disputer.proposed(charge, one) for one in (UPHELD, REJECTED, UPHELD)]

    outcomes = await asyncio.gather(
        disputer.step(charge, AGREES),
        *(disputer.approved(approval_id) for approval_id in proposed),
        *(disputer.step(charge, step) for step in (OBJECTS, SILENCE, AGREES)),
        return_exceptions=True,
    )

    after = await disputer.read(charge)
    assert after.dispute_status in ("upheld", "dismissed")
    assert all(
        not isinstance(one, BaseException) or getattr(one, "code", "") == "case_state"
        for one in outcomes
    )
    assert await given.balance(shop, DISPUTED) == 0
    left = 0 if after.dispute_status == "upheld" else 66_67
    assert await given.balance(shop, PAYABLE) == left
    assert (await given.read(card_of(charge))).released_amount == left


async def test_the_same_step_again_changes_nothing(given: Trader, disputer: Disputer) -> None:
    shop, li = await given.shop(), a_consumer()
    charge = await given.used(shop, li, await given.card(shop, li), Use(amount=Fen(80_00)))
    await disputer.disputed(li, charge)
    key = a_key()
    await disputer.step(charge, AGREES, request=key)
    before = await given.rows(shop)

    assert (await disputer.step(charge, AGREES, request=key)).decision == "upheld"
    assert (await disputer.step(charge, AGREES)).decision == "upheld"
    assert await given.rows(shop) == before
