"""What cards come to be owed after custody was shared out, and after a closure has ended."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from app.access import approvals
from app.calendar.service import load_official_years
from app.card_products.domain import CardKind
from app.cases.rows import CaseDecision
from app.charges.domain import Use
from app.closures import service
from app.closures.domain import Closure, ClosureKind
from app.holds import service as holds
from app.holds.domain import HoldTarget
from app.holds.service import NewHold
from app.ids import Prefix, to_text
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import FileKind
from app.refunds.domain import RefundReason
from app.refunds.errors import RefundNotAllowed
from tests.builder import APPROVER, a_consumer, a_key
from tests.closures.conftest import OPERATOR, Closer
from tests.closures.test_shortfall import cards_of, taken
from tests.disputes.conftest import Disputer
from tests.refunds.conftest import Refunder

SESSIONS = Use(sessions=3)


@pytest_asyncio.fixture
async def disputer(closer: Closer) -> AsyncIterator[Disputer]:
    await load_official_years(closer.given.db, provisional=True)
    yield Disputer(closer.given)


async def held(closer: Closer, card: UUID) -> UUID:
    hold = NewHold(HoldTarget.CARD, to_text(Prefix.CARD, card), None, "执1号", "执行", None)
    given = closer.given
    done = await holds.place_hold(given.db, given.writer, hold, authority=OPERATOR, request=a_key())
    return done.value.hold_id


async def lifted(closer: Closer, hold_id: UUID) -> None:
    given = closer.given
    proposed = await holds.propose_lift(given.db, hold_id, authority=OPERATOR, request=a_key())
    await approvals.approve(
        given.db,
        holds.executors(given.writer),
        proposed.value.approval_id,
        person_id=APPROVER,
        request=None,
    )


async def gone_on(closer: Closer) -> None:
    """Let worker and bank come round until nothing moves any more."""
    for _ in range(3):
        await closer.worked()
        await closer.paid()
    await closer.worked()


async def uncovered(closer: Closer, closure: Closure) -> list[int]:
    found = await service.read_certificate(closer.given.db, closure.closure_id, by=OPERATOR)
    return [one["amount"] for one in found.read()["uncovered_reversals"]]


async def test_what_an_upheld_dispute_gives_back_is_shared_out_too(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    charge = await given.used(shop, consumer, card, SESSIONS)
    (other,) = await cards_of(closer, shop, 900_00)
    await disputer.disputed(consumer, charge)
    await taken(closer, shop, 900_00)
    closure = await closer.executed(shop)
    await gone_on(closer)
    assert (await given.read(other)).refunded_amount == 450_00

    await disputer.decided(charge, CaseDecision.UPHELD)
    await gone_on(closer)

    # 1,200.00 are there for claims of 1,200.00 and 900.00; nothing of it stays with the bank.
    assert (await closer.view(closure)).status == "closed_with_shortfall"
    refunded = [(await given.read(one)).refunded_amount for one in (card, other)]
    assert refunded == [685_71, 514_29]
    assert await closer.world.balances(shop) == {"bank_claim": 900_00}


async def test_a_claim_upheld_after_all_was_shared_out_gets_its_share(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    assert disputer.given is given
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    (other,) = await cards_of(closer, shop, 1_200_00)
    await Refunder(given).asked(consumer, card, RefundReason.SERVICE_UNAVAILABLE, None)
    hold_id = await held(closer, card)
    await taken(closer, shop, 1_200_00)
    closure = await closer.executed(shop)
    await gone_on(closer)
    assert (await given.read(other)).refunded_amount == 600_00

    await lifted(closer, hold_id)
    await gone_on(closer)

    assert (await closer.view(closure)).status == "closed_with_shortfall"
    refunded = [(await given.read(one)).refunded_amount for one in (card, other)]
    assert refunded == [600_00, 600_00]
    assert await closer.world.balances(shop) == {"bank_claim": 1_200_00}


async def test_a_use_taken_back_after_the_end_is_named_where_nothing_covers_it(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    charge = await given.used(shop, consumer, card, SESSIONS)
    await given.paid_out(shop)
    view = await closer.closed(shop)
    assert (view.status, view.certificates) == ("closed", 1)

    assert (await given.reversed(charge)).reversal_status == "pending"
    await closer.worked()

    done = await closer.view(view.closure)
    assert (done.status, done.certificates) == ("closed_with_shortfall", 2)
    assert await uncovered(closer, view.closure) == [300_00]
    assert (await given.reversed(charge)).reversal_status == "failed"


async def test_an_upheld_dispute_that_needs_more_than_was_set_aside_waits_and_is_named_whole(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    charge = await given.used(shop, consumer, card, Use(sessions=5))
    await Refunder(given).refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    await closer.paid()
    await disputer.disputed(consumer, charge)
    # The rest of the refund is paid to the merchant; what the use moved is set aside.
    await given.paid_out(shop)
    assert await closer.world.balances(shop) == {"custody": 500_00, "release_disputed": 500_00}
    closure = await closer.executed(shop)
    await disputer.decided(charge, CaseDecision.UPHELD)

    await gone_on(closer)

    # The use's 500.00 and the rest's 250.00 go back in one movement or not at all (DOMAIN §6).
    assert (await closer.view(closure)).status == "closed_with_shortfall"
    assert await uncovered(closer, closure) == [750_00]
    assert (await given.read(card)).refunded_amount == 450_00
    assert await closer.world.cut(FileKind.RELEASE) == []
    assert await closer.world.balances(shop) == {"custody": 500_00, "merchant_payable": 500_00}


async def test_never_is_more_refunded_than_there_is_to_refund(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    charge = await given.used(shop, consumer, card, SESSIONS)
    await disputer.disputed(consumer, charge)
    executed = (await closer.view(await closer.executed(shop))).closure
    assert (executed.card_count, executed.refund_amount) == (1, 900_00)

    await disputer.decided(charge, CaseDecision.UPHELD)
    await gone_on(closer)

    ended = (await closer.view(executed)).closure
    assert (ended.refunded_count, ended.refunded_amount) == (1, 1_200_00)
    assert (ended.card_count, ended.refund_amount) == (1, 1_200_00)


async def test_from_notice_on_nobody_settles_for_less_than_all_that_is_left(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    refunder, consumer = Refunder(given), a_consumer()
    card, other = await given.card(shop, consumer), await given.card(shop, a_consumer())
    offer = await refunder.offered(shop, card, 100_00)
    await closer.ordered(shop, ClosureKind.NOTICE)

    with pytest.raises(RefundNotAllowed):
        await refunder.answered(consumer, offer.refund_id, accept=True)
    with pytest.raises(RefundNotAllowed):
        await refunder.offered(shop, other, 100_00)

    refund = await refunder.refunded(consumer, card, RefundReason.CONSUMER_CHOICE)
    assert (refund.refund_class, refund.amount) == ("merchant_fault", Fen(500_00))


async def test_while_a_fen_has_no_name_nothing_says_that_the_closure_has_ended(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    await given.card(shop, a_consumer())
    closure = await closer.executed(shop)
    await closer.world.posted(shop, AccountType.CUSTODY, AccountType.REFUND_PAYABLE, 12_34)
    await gone_on(closer)

    async with given.db.snapshot() as tx:
        status = await tx.value(
            "SELECT status FROM book WHERE merchant_no = :no", no=shop.merchant_no
        )
    assert (status, (await closer.view(closure)).status) == ("refunding", "refunding")

    await closer.world.posted(shop, AccountType.REFUND_PAYABLE, AccountType.CUSTODY, 12_34)
    await gone_on(closer)
    assert (await closer.view(closure)).status == "closed"
