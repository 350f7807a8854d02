"""A merchant closes: what ends at once, who is refunded, and what a crash cannot change."""

import asyncio
import json
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import pytest

from app.access import approvals
from app.card_products.domain import CardKind
from app.cards.errors import MerchantFrozen
from app.charges.domain import Use
from app.closures import executing, refunding, service
from app.closures.domain import ClosureKind, View
from app.closures.errors import ClosureState, ClosureUnderWay
from app.errors import Forbidden, IdempotencyKeyReused, NotFound
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import FileKind, FileStatus, ReportedStatus
from app.refunds.domain import RefundReason
from app.refunds.errors import ClosureInProgress
from app.writer.answers import Answered
from app.writer.requests import RequestKey
from tests.builder import APPROVER, Shop, a_consumer, a_key
from tests.card_life.conftest import Life
from tests.closures.conftest import OPERATOR, REGULATOR, Closer
from tests.payment_files.conftest import said
from tests.refunds.conftest import Refunder


class Told(NamedTuple):
    """What a batch told."""

    events: str


VALUE = Use(amount=Fen(60_00))


async def sold(closer: Closer, *, count: int = 2) -> Shop:
    """Make a merchant with cards of every kind, each used once."""
    given = closer.given
    shop = await given.shop()
    for kind, use in (
        (CardKind.STORED_VALUE, VALUE),
        (CardKind.COUNT, Use(sessions=3)),
        (CardKind.PERIOD, Use(visit=True)),
    ):
        product = await given.product(shop.merchant, kind)
        for _ in range(count):
            consumer = a_consumer()
            card = await given.card(shop, consumer, of=product)
            await given.used(shop, consumer, card, use)
    return shop


async def test_every_card_is_refunded_what_no_use_released(closer: Closer) -> None:
    shop = await sold(closer)
    # 500.00 for 600.00 of face, of which 60.00 were used; 3 of 12 sessions; one day of 365.
    wanted = 2 * ((500_00 - 50_00) + (1_200_00 - 300_00) + (3_650_00 - 10_00))

    view = await closer.closed(shop)

    closure = view.closure
    assert (view.status, closure.card_count, closure.refunded_count) == ("closed", 6, 6)
    assert (closure.refund_amount, closure.refunded_amount) == (wanted, wanted)
    # What is left is what the merchant earned.
    earned = 2 * (50_00 + 300_00 + 10_00)
    assert await closer.world.balances(shop) == {"custody": earned, "merchant_payable": earned}


async def test_a_preview_says_what_there_is_to_refund_by_kind(closer: Closer) -> None:
    shop = await sold(closer, count=1)
    closure = await closer.ordered(shop)

    preview = await closer.previewed(closure)
    approval = await closer.proposed(closure)

    assert {total.kind: (total.card_count, total.refund_amount) for total in preview.kinds} == {
        CardKind.STORED_VALUE: (1, 450_00),
        CardKind.COUNT: (1, 900_00),
        CardKind.PERIOD: (1, 3_640_00),
    }
    assert approval.request["refund_amount"] == preview.refund_amount == 4_990_00
    assert (await closer.view(closure)).closure.refund_amount == 4_990_00


async def test_on_notice_nothing_is_sold_and_cards_are_used_as_before(closer: Closer) -> None:
    given, consumer = closer.given, a_consumer()
    shop = await given.shop()
    product = await given.product(shop.merchant)
    card = await given.card(shop, consumer, of=product)

    closure = await closer.ordered(shop, ClosureKind.NOTICE)

    assert (await given.used(shop, consumer, card, VALUE)).status == "confirmed"
    with pytest.raises(MerchantFrozen):
        await given.purchase(shop, product, a_consumer())
    with pytest.raises(ClosureState):
        await closer.proposed(closure)
    cancelled = await service.cancel_closure(
        given.db, closure.closure_id, by=OPERATOR, request=a_key()
    )
    assert cancelled.value.status == "cancelled"
    assert (await given.purchase(shop, product, a_consumer())).status == "awaiting_payment"
    # What was cancelled makes room for another.
    assert (await closer.ordered(shop, ClosureKind.NOTICE)).closure_id != closure.closure_id


async def test_a_notice_ends_by_the_clock(closer: Closer) -> None:
    given, consumer = closer.given, a_consumer()
    shop = await given.shop()
    card = await given.card(shop, consumer)
    closure = await closer.ordered(shop, ClosureKind.NOTICE)
    await closer.worked()
    assert (await closer.view(closure)).status == "notice"

    await closer.world.advance(timedelta(days=30))

    assert (await closer.view(closure)).status == "closing"
    with pytest.raises(ClosureState):
        await service.cancel_closure(given.db, closure.closure_id, by=OPERATOR, request=a_key())
    await closer.worked()
    with pytest.raises(MerchantFrozen):
        await given.waiting(shop, card, VALUE)
    await closer.approved(await closer.proposed(closure))
    await closer.worked()
    assert (await given.read(card)).status == "refunding"


async def test_a_notice_that_is_over_can_be_executed_before_the_worker_was_there(
    closer: Closer,
) -> None:
    shop = await sold(closer, count=1)
    closure = await closer.ordered(shop, ClosureKind.NOTICE)
    await closer.world.advance(timedelta(days=30))

    await closer.approved(await closer.proposed(closure))

    assert (await closer.view(closure)).status == "refunding"


async def test_a_regulator_alone_says_that_a_merchant_absconded(closer: Closer) -> None:
    given, consumer = closer.given, a_consumer()
    shop = await given.shop()
    card = await given.card(shop, consumer)
    waiting = await given.waiting(shop, card, VALUE)
    with pytest.raises(Forbidden):
        await closer.ordered(shop, ClosureKind.ABSCONDED)

    closure = await closer.ordered(shop, ClosureKind.ABSCONDED, REGULATOR)

    assert closure.status == "closing"
    with pytest.raises(MerchantFrozen):
        await given.waiting(shop, card, VALUE)
    with pytest.raises(MerchantFrozen):
        await given.done(given.confirming(shop, consumer, waiting))
    await closer.worked()
    card_now = await given.read(card)
    assert (card_now.face_held_amount, card_now.pending_count) == (0, 0)


async def test_a_regulator_closes_only_what_lies_in_its_scope(closer: Closer) -> None:
    shop = await closer.given.shop()
    elsewhere = REGULATOR.__class__(REGULATOR.key_id, "he.lan", None, frozenset({"110000"}))
    catering = REGULATOR.__class__(
        REGULATOR.key_id, "he.lan", frozenset({"catering"}), frozenset({"330106"})
    )

    for stranger in (elsewhere, catering):
        with pytest.raises(NotFound):
            await closer.ordered(shop, ClosureKind.ABSCONDED, stranger)
    closure = await closer.ordered(shop, ClosureKind.ABSCONDED, REGULATOR)
    for stranger in (elsewhere, catering):
        with pytest.raises(NotFound):
            await service.read_closure(closer.given.db, closure.closure_id, by=stranger)
        with pytest.raises(NotFound):
            await executing.propose_execution(
                closer.given.db, closure.closure_id, by=stranger, request=a_key()
            )


async def test_a_merchant_closes_once(closer: Closer) -> None:
    shop = await sold(closer, count=1)

    orders = await asyncio.gather(*(closer.ordered(shop) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(order, ClosureUnderWay) for order in orders) == 4
    (closure,) = [order for order in orders if not isinstance(order, BaseException)]
    with pytest.raises(ClosureState):
        await service.cancel_closure(
            closer.given.db, closure.closure_id, by=OPERATOR, request=a_key()
        )
    first, second = await closer.proposed(closure), await closer.proposed(closure)
    assert first.approval_id == second.approval_id
    await closer.approved(first)
    with pytest.raises(ClosureState):
        await closer.proposed(closure)


async def test_a_retry_of_an_order_gives_the_same_closure(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    key = a_key()

    async def order(kind: ClosureKind, request: RequestKey) -> Answered[View]:
        return await service.order_closure(
            given.db, shop.merchant.merchant_id, kind, "x", by=OPERATOR, request=request
        )

    first = await order(ClosureKind.NOTICE, key)
    again = await order(ClosureKind.NOTICE, key)

    assert (again.value, again.replayed) == (first.value, True)
    other = key.__class__(key.request_id, bytes([1]) * 32)
    with pytest.raises(IdempotencyKeyReused):
        await order(ClosureKind.IMMEDIATE, other)


async def test_while_a_merchant_closes_nobody_else_decides_a_refund(closer: Closer) -> None:
    given, consumer = closer.given, a_consumer()
    shop = await given.shop()
    card = await given.card(shop, consumer)
    refunder = Refunder(given)
    echo = await refunder.echo(consumer, card, RefundReason.CONSUMER_CHOICE)
    offer = await refunder.offered(shop, card, 100_00)

    closure = await closer.executed(shop)

    with pytest.raises(ClosureInProgress):
        await refunder.asked(consumer, card, RefundReason.CONSUMER_CHOICE, echo)
    with pytest.raises(ClosureInProgress):
        await refunder.answered(consumer, offer.refund_id, accept=True)
    await closer.worked()
    assert (await closer.view(closure)).closure.refunded_amount == 500_00
    assert (await refunder.answered(consumer, offer.refund_id, accept=False)).status == "declined"


async def test_cards_of_every_state_are_refunded_what_is_left(closer: Closer) -> None:
    given, shop = closer.given, await closer.given.shop()
    cards: dict[str, UUID] = {}
    life = Life(given)
    for state, kind in (
        ("active", CardKind.STORED_VALUE),
        ("lost", CardKind.STORED_VALUE),
        ("frozen", CardKind.PERIOD),
    ):
        holder = a_consumer()
        cards[state] = await given.card(shop, holder, kind)
        if state == "lost":
            await life.lost(holder, cards[state])
        if state == "frozen":
            await life.frozen(holder, cards[state])
    cards["expired"] = await given.card(shop, a_consumer(), CardKind.COUNT, term_days=30)
    await closer.world.advance(timedelta(days=40))
    consumer = a_consumer()
    cards["used_up"] = await given.card(shop, consumer)
    await given.used(shop, consumer, cards["used_up"], Use(amount=Fen(600_00)))

    view = await closer.closed(shop)

    assert (view.closure.card_count, view.closure.refunded_amount) == (
        4,
        2 * 500_00 + 3_650_00 + 1_200_00,
    )
    after = {state: (await given.read(card)).status for state, card in cards.items()}
    assert after == {
        **dict.fromkeys(("active", "frozen", "lost", "expired"), "refunded"),
        "used_up": "used_up",
    }


async def test_a_closure_that_breaks_off_anywhere_refunds_each_card_once(
    closer: Closer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await closer.given.shop()
    product = await closer.given.product(shop.merchant)
    cards = [await closer.given.card(shop, a_consumer(), of=product) for _ in range(7)]
    closure = await closer.executed(shop)
    monkeypatch.setattr(refunding, "STEP_MAX", 2)

    # Two workers at once, and one that began anew after each step.
    await asyncio.gather(
        refunding.refund_cards(closer.given.db, closure, seconds_max=10),
        refunding.refund_cards(closer.given.db, closure, seconds_max=10),
        refunding.refund_step(closer.given.db, closure, after=None),
    )
    await closer.worked()

    done = (await closer.view(closure)).closure
    assert (done.refunded_count, done.refunded_amount) == (7, 7 * 500_00)
    for card in cards:
        assert (await closer.given.read(card)).refunded_amount == 500_00
    assert done.rate_per_second is not None


async def test_files_that_no_bank_has_got_are_cut_again_without_the_merchant(
    closer: Closer,
) -> None:
    given, world = closer.given, closer.world
    shop, other = await sold(closer, count=1), await sold(closer, count=1)
    earned = await given.balance(shop, AccountType.MERCHANT_PAYABLE)
    file = await world.one_file(FileKind.RELEASE)
    assert file.order_count == 2

    await closer.ordered(shop)
    await closer.worked()

    assert await world.file_status(file) is FileStatus.CANCELLED
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == earned
    assert await given.balance(other, AccountType.MERCHANT_PAYABLE) == 0
    # Nothing is left to be done, and doing it again does nothing.
    await closer.worked()
    assert await world.count("payment_file") == 2
    assert await world.cut(FileKind.RELEASE) == []


async def test_a_file_with_what_a_closure_pays_waits_for_its_bank(closer: Closer) -> None:
    given, world = closer.given, closer.world
    shop = await sold(closer, count=1)
    closure = await closer.executed(shop)
    await closer.worked()

    refunds = await world.one_file(FileKind.REFUND)
    await closer.worked()
    assert await world.file_status(refunds) is FileStatus.READY
    orders = await world.orders(refunds)
    paid = [said(order.order_id, ReportedStatus.PAID) for order in orders]
    await world.report(refunds, *paid)
    await closer.worked()
    assert (await closer.view(closure)).status == "closed"

    # What the merchant earned is paid after its end, by a file that waits as any does.
    release = await world.one_file(FileKind.RELEASE)
    await closer.worked()
    assert await world.file_status(release) is FileStatus.READY
    assert await world.count("payment_file") == 2
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 0


async def test_what_its_bank_has_got_is_paid_while_a_merchant_closes(closer: Closer) -> None:
    world = closer.world
    shop = await sold(closer, count=1)
    file = await world.one_file(FileKind.RELEASE)
    await world.content(file)
    order = await world.only_order(file)

    closure = await closer.executed(shop)
    await closer.worked()
    assert (await closer.view(closure)).status == "refunding"
    await world.report(file, said(order.order_id, ReportedStatus.PAID))
    await closer.paid()
    await closer.worked()

    assert (await closer.view(closure)).status == "closed"
    assert await world.balances(shop) == {}


async def test_what_changes_after_the_proposal_is_counted_when_it_is_executed(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    consumer = a_consumer()
    card = await given.card(shop, consumer, CardKind.COUNT)
    charge = await given.used(shop, consumer, card, Use(sessions=3))
    closure = await closer.ordered(shop)
    proposal = await closer.proposed(closure)
    assert proposal.request["refund_amount"] == 900_00

    await given.reversed(charge)
    await closer.approved(proposal)
    await closer.worked()

    done = (await closer.view(closure)).closure
    assert (done.refund_amount, done.refunded_amount) == (1_200_00, 1_200_00)


async def test_a_rejected_proposal_leaves_the_merchant_closing_and_can_be_made_again(
    closer: Closer,
) -> None:
    given, shop = closer.given, await closer.given.shop()
    closure = await closer.ordered(shop)
    first = await closer.proposed(closure)

    await approvals.reject(given.db, first.approval_id, person_id=APPROVER, request=None)

    assert (await closer.view(closure)).status == "closing"
    second = await closer.proposed(closure)
    assert second.approval_id != first.approval_id
    await closer.approved(second)
    assert (await closer.view(closure)).status == "refunding"


async def test_every_step_of_a_closure_is_told_to_those_who_follow(closer: Closer) -> None:
    shop = await closer.given.shop()
    card = await closer.given.card(shop, a_consumer())
    view = await closer.closed(shop)

    async with closer.given.db.snapshot() as tx:
        told = [
            (name, subject)
            for row in await tx.fetch(Told, "SELECT CAST(events AS text) AS events FROM outbox")
            for _, name, subject in json.loads(row.events)
            if name.startswith(("closure.", "refund."))
        ]

    closure_id = str(view.closure.closure_id)
    assert {name for name, subject in told if subject == closure_id} == {
        "closure.begun", "closure.executed", "closure.finished",
    }  # fmt: skip
    assert "refund.decided" in {name for name, _ in told}
    assert (await closer.given.read(card)).status == "refunded"
