"""What a closure waits for, and what it goes on without: disputes, claims, holds, transfers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest_asyncio

from app.access.principals import OperatorPrincipal
from app.calendar.service import load_official_years
from app.card_products.domain import CardKind
from app.cases.rows import CaseDecision
from app.charges.domain import Charge, Use
from app.closures import service
from app.closures.domain import Closure
from app.holds import service as holds
from app.holds.domain import HoldTarget
from app.holds.service import NewHold
from app.ids import Prefix, to_text
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import FileKind, ReportedStatus
from app.refunds.domain import RefundReason
from tests.builder import Shop, a_consumer, a_key
from tests.card_life.conftest import Life
from tests.closures.conftest import OPERATOR, Closer
from tests.disputes.conftest import Disputer
from tests.payment_files.conftest import said
from tests.refunds.conftest import Refunder

SESSIONS = Use(sessions=3)


@pytest_asyncio.fixture
async def disputer(closer: Closer) -> AsyncIterator[Disputer]:
    await load_official_years(closer.given.db, provisional=True)
    yield Disputer(closer.given)


async def used(closer: Closer, shop: Shop) -> tuple[UUID, Charge, object]:
    """Sell a card of 1,200.00 and use 300.00 of it."""
    given, consumer = closer.given, a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    return card, await given.used(shop, consumer, card, SESSIONS), consumer


async def named(closer: Closer, closure: Closure) -> list[tuple[str, str, int]]:
    """Say what the last certificate names."""
    found = await service.read_certificate(closer.given.db, closure.closure_id, by=OPERATOR)
    return [(one["account"], one["why"], one["amount"]) for one in found.read()["left"]]


async def test_only_a_disputed_card_waits_and_for_its_dispute_alone(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    disputed = await given.card(shop, consumer, CardKind.COUNT)
    charge = await given.used(shop, consumer, disputed, SESSIONS)
    other = await given.card(shop, a_consumer(), CardKind.COUNT)
    await disputer.disputed(consumer, charge)
    closure = await closer.executed(shop)

    await closer.worked()
    await closer.paid()
    await closer.worked()

    assert (await given.read(other)).status == "refunded"
    assert (await given.read(disputed)).status == "active"
    assert (await closer.view(closure)).status == "refunding"
    assert await closer.world.cut(FileKind.RELEASE) == []

    await disputer.decided(charge, CaseDecision.UPHELD)
    await closer.worked()
    await closer.paid()
    await closer.worked()

    assert (await given.read(disputed)).refunded_amount == 1_200_00
    assert (await closer.view(closure)).status == "closed"
    assert await closer.world.balances(shop) == {}


async def test_a_dismissed_dispute_leaves_the_merchant_what_it_earned(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    charge = await given.used(shop, consumer, card, SESSIONS)
    await disputer.disputed(consumer, charge)
    closure = await closer.executed(shop)
    await closer.worked()

    await disputer.decided(charge, CaseDecision.REJECTED)
    await closer.worked()
    await closer.paid()
    await closer.worked()

    assert (await given.read(card)).refunded_amount == 900_00
    assert (await closer.view(closure)).status == "closed"
    assert await named(closer, closure) == [("merchant_payable", "earned", 300_00)]
    # It is paid to the merchant now.
    (file,) = await closer.world.cut(FileKind.RELEASE)
    assert file.total_amount == 300_00


async def test_a_claim_that_is_still_judged_is_upheld_by_the_closure(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    await load_official_years(given.db, provisional=True)
    consumer, refunder = a_consumer(), Refunder(given)
    card = await given.card(shop, consumer, CardKind.COUNT)
    await given.used(shop, consumer, card, SESSIONS)
    claim = await refunder.asked(consumer, card, RefundReason.SERVICE_UNAVAILABLE, None)
    assert claim.status == "case_open"

    view = await closer.closed(shop)

    assert view.status == "closed"
    after = await given.read(card)
    assert (after.status, after.refunded_amount) == ("refunded", 900_00)


async def test_a_held_card_is_not_refunded_and_the_certificate_says_so(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    held = await given.card(shop, a_consumer(), CardKind.COUNT)
    other = await given.card(shop, a_consumer(), CardKind.COUNT)
    now = await given.now()
    hold = NewHold(
        HoldTarget.CARD,
        to_text(Prefix.CARD, held),
        None,
        "(2026)浙01执1号",
        "执行",
        now + timedelta(days=60),
    )
    authority = OperatorPrincipal(uuid4(), "hu.lan")
    await holds.place_hold(given.db, given.writer, hold, authority=authority, request=a_key())

    view = await closer.closed(shop)

    assert (await closer.previewed(view.closure)).held_count == 1
    assert (view.status, view.closure.refunded_count) == ("closed", 1)
    assert (await given.read(other)).status == "refunded"
    assert (await given.read(held)).refunded_amount == 0
    assert await named(closer, view.closure) == [("card", "hold", 1_200_00)]


async def test_a_given_away_card_waits_for_its_holders_account_and_is_named(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    giver, receiver = a_consumer(), a_consumer()
    card = await given.card(shop, giver, CardKind.COUNT)
    await Life(given).transferred(giver, card, receiver)

    view = await closer.closed(shop)

    assert view.status == "closed"
    assert (await given.read(card)).status == "refunding"
    assert await named(closer, view.closure) == [("refund_payable", "account_needed", 1_200_00)]


async def test_a_use_taken_back_that_nothing_covers_ends_as_a_claim(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    card, charge, _ = await used(closer, shop)
    await given.paid_out(shop)
    waiting = await given.reversed(charge)
    assert waiting.reversal_status == "pending"

    view = await closer.closed(shop)

    assert view.status == "closed_with_shortfall"
    assert (await given.read(card)).refunded_amount == 900_00
    found = await service.read_certificate(given.db, view.closure.closure_id, by=OPERATOR)
    (uncovered,) = found.read()["uncovered_reversals"]
    assert uncovered["amount"] == 300_00
    assert found.read()["left"] == []


async def test_a_use_taken_back_is_served_before_the_merchant_is_paid(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    card, charge, _ = await used(closer, shop)
    await given.paid_out(shop)
    await given.reversed(charge)
    # Another consumer's use earns what the reversal waits for.
    await used(closer, shop)

    view = await closer.closed(shop)

    assert view.status == "closed"
    assert (await given.read(card)).refunded_amount == 1_200_00


async def test_a_closed_book_takes_a_late_return_and_a_late_receipt(closer: Closer) -> None:
    given, shop, world = closer.given, await closer.given.shop(), closer.world
    await used(closer, shop)
    closure = await closer.executed(shop)
    await closer.worked()
    (file,) = await world.cut(FileKind.REFUND)
    order = await world.only_order(file)
    await world.report(file, said(order.order_id, ReportedStatus.PAID))
    await closer.worked()
    assert (await closer.view(closure)).status == "closed"

    await world.report(file, said(order.order_id, ReportedStatus.RETURNED))
    late = await given.received(given.report(shop, 70_00, "late", paid_at=await given.now()))
    await closer.worked()

    assert late.value.receipt.status == "suspense"
    done = await closer.view(closure)
    assert (done.status, done.certificates) == ("closed", 2)
    assert await named(closer, done.closure) == [
        ("merchant_payable", "earned", 300_00),
        ("refund_payable", "account_needed", 900_00),
        ("suspense", "funds_nothing", 70_00),
    ]
    assert await given.balance(shop, AccountType.CUSTODY) == 1_270_00


async def test_a_charge_at_the_moment_of_the_freeze_is_whole_or_refused(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumers = [a_consumer() for _ in range(6)]
    product = await given.product(shop.merchant)
    cards = [await given.card(shop, one, of=product) for one in consumers]
    codes = [await given.code(shop, one) for one in consumers]

    closure, *uses = await asyncio.gather(
        closer.executed(shop),
        *(given.done(given.use(shop, Use(amount=Fen(60_00)), code_hash=code)) for code in codes),
        return_exceptions=True,
    )
    await closer.worked()
    await closer.paid()
    await closer.worked()

    assert isinstance(closure, Closure), closure
    for card, use in zip(cards, uses, strict=True):
        taken = 50_00 if isinstance(use, Charge) else 0
        after = await given.read(card)
        assert (after.released_amount, after.refunded_amount) == (taken, 500_00 - taken)
    assert (await closer.view(closure)).status == "closed"


async def test_money_in_suspense_that_no_receipt_brought_is_named_too(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    await given.card(shop, a_consumer())
    # As where a refund comes back that the bank had made good otherwise.
    await closer.world.posted(shop, AccountType.CUSTODY, AccountType.SUSPENSE, 12_34)

    view = await closer.closed(shop)

    assert view.status == "closed"
    assert await named(closer, view.closure) == [("suspense", "without_a_receipt", 12_34)]


async def test_a_use_taken_back_after_the_end_is_a_claim_in_the_next_certificate(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    _, charge, _ = await used(closer, shop)
    await given.paid_out(shop)
    view = await closer.closed(shop)
    assert (view.status, view.certificates) == ("closed", 1)

    await given.reversed(charge)
    await closer.worked()

    done = await closer.view(view.closure)
    assert (done.status, done.certificates) == ("closed_with_shortfall", 2)
