"""A held card refuses charges and refunds, says why, and only for as long as it is held."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import pytest

from app.card_products.domain import CardKind
from app.cards import service as cards
from app.cards.errors import CardOnHold
from app.charges.codes import CodeRequest, issue_code
from app.charges.commands import CancelCharge, DeclineCharge
from app.charges.domain import Charge, ChargeStatus, Use
from app.charges.errors import InsufficientBalance
from app.errors import DomainError, NotFound
from app.holds import standing
from app.ids import new_id
from app.money import Fen
from app.refunds.domain import RefundReason
from app.writer.book import Book
from app.writer.tables import Need
from tests.builder import Trader, a_consumer
from tests.holds.conftest import Bailiff
from tests.refunds.conftest import Refunder
from tests.refusals import refused

ONE_YUAN = Use(amount=Fen(1_00))
CHOICE = RefundReason.CONSUMER_CHOICE


@pytest.fixture
def refunder(given: Trader) -> Refunder:
    return Refunder(given)


def said(error: DomainError) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", error.members)


async def test_a_held_card_refuses_a_charge_and_says_by_which_document_and_why(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    ends = await bailiff.ends_in(3600)
    hold = await bailiff.held_card(card_id, reason="涉嫌诈骗", expires_at=ends)

    async with refused(given, shop, "card_on_hold"):
        await given.waiting(shop, card_id, ONE_YUAN)
    with pytest.raises(CardOnHold) as refusal:
        await given.waiting(shop, card_id, ONE_YUAN)

    shown = said(refusal.value)
    assert shown["document_number"] == hold.document_number
    assert shown["reason"] == "涉嫌诈骗"
    assert shown["expires_at"].endswith("+08:00")
    assert [one["document_number"] for one in shown["holds"]] == [hold.document_number]


async def test_a_code_draws_on_the_other_cards_and_a_code_for_the_held_one_is_not_made(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    held, free = await given.card(shop, consumer), await given.card(shop, consumer)
    shown_before = await given.code(shop, consumer, card_id=held)
    await bailiff.held_card(held)

    used = await given.used_by_code(shop, consumer, ONE_YUAN)

    assert [draw.card_id for draw in used.read_draws()] == [free]
    assert used.balance_face_amount == 599_00
    with pytest.raises(CardOnHold) as refusal:
        await given.done(given.use(shop, ONE_YUAN, code_hash=shown_before))
    assert said(refusal.value)["reason"] == "法院财产保全"
    wanted = CodeRequest(shop.merchant_no, held, None, None, None)
    with pytest.raises(CardOnHold) as refusal:
        await issue_code(given.db, consumer, wanted, lifetime_seconds=60)
    assert said(refusal.value)["reason"] == "法院财产保全"
    await bailiff.held_card(free)
    with pytest.raises(InsufficientBalance):
        await given.used_by_code(shop, consumer, ONE_YUAN)


async def test_what_waits_on_a_held_card_is_not_confirmed_but_can_be_declined_or_cancelled(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    waiting = [await given.waiting(shop, card_id, ONE_YUAN) for _ in range(2)]
    await bailiff.held_card(card_id)

    with pytest.raises(CardOnHold) as refusal:
        await given.done(given.confirming(shop, consumer, waiting[0]))
    assert said(refusal.value)["document_number"] is not None
    no = shop.merchant_no
    ended = [
        await given.done(DeclineCharge(no, None, waiting[0].charge_id, consumer.consumer)),
        await given.done(CancelCharge(no, None, waiting[1].charge_id, None)),
    ]

    assert [charge.status for charge in ended] == ["declined", "cancelled"]
    card = await given.read(card_id)
    assert (card.face_held_amount, card.on_hold) == (0, True)


async def test_a_use_of_a_held_card_can_still_be_taken_back(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    charge = await given.used(shop, consumer, card_id, ONE_YUAN)
    await bailiff.held_card(card_id)

    reversed_ = await given.reversed(charge)

    assert reversed_.status == "reversed"
    assert (await given.read(card_id)).face_used_amount == 0


async def test_a_held_card_is_not_refunded_and_its_preview_says_why(
    given: Trader, bailiff: Bailiff, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    echo = await refunder.echo(consumer, card_id, CHOICE)
    offer = await refunder.offered(shop, await given.card(shop, consumer), 100_00)
    hold = await bailiff.held_card(card_id)
    await bailiff.held_card(offer.card_id)

    for asked in (
        refunder.preview(consumer, card_id, CHOICE),
        refunder.asked(consumer, card_id, CHOICE, echo),
        refunder.offered(shop, card_id, 1_00),
        refunder.answered(consumer, offer.refund_id, accept=True),
    ):
        before = await given.rows(shop)
        with pytest.raises(CardOnHold) as refusal:
            await asked
        assert said(refusal.value)["reason"] == hold.reason
        assert await given.rows(shop) == before


async def test_holder_and_merchant_see_what_holds_a_card(given: Trader, bailiff: Bailiff) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id, free = await given.card(shop, consumer), await given.card(shop, consumer)
    first = await bailiff.held_card(card_id, amount=Fen(10_00))
    second = await bailiff.held_card(card_id, reason="税务机关")

    own = await cards.cards_of_consumer(given.db, consumer.consumer, before=None, count=10)
    sold = await cards.card_of_merchant(given.db, shop.merchant_no, card_id)

    for seen in (own, sold):
        assert [hold.document_number for hold in seen.holds[card_id]] == [
            first.document_number,
            second.document_number,
        ]
    assert {card.card_id: card.on_hold for card in own.cards} == {card_id: True, free: False}
    assert free not in own.holds


async def test_a_card_stays_held_until_its_last_hold_has_ended(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    holds = [
        await bailiff.held_card(card_id),
        await bailiff.held_card(card_id, expires_at=await bailiff.ends_in(600)),
        await bailiff.held_card(card_id, amount=Fen(1)),
    ]

    await bailiff.lifted(holds[0])
    with pytest.raises(CardOnHold) as refusal:
        await given.waiting(shop, card_id, ONE_YUAN)
    assert len(said(refusal.value)["holds"]) == 2
    await bailiff.wait(601)
    with pytest.raises(CardOnHold) as refusal:
        await given.waiting(shop, card_id, ONE_YUAN)
    assert [one["document_number"] for one in said(refusal.value)["holds"]] == [
        holds[2].document_number
    ]
    await bailiff.lifted(holds[2])

    assert (await given.waiting(shop, card_id, ONE_YUAN)).status == "pending_confirmation"
    assert not (await given.read(card_id)).on_hold


async def test_a_hold_ends_by_the_clock_before_the_worker_has_been_there(
    given: Trader, bailiff: Bailiff, refunder: Refunder
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    waiting = await given.waiting(shop, card_id, ONE_YUAN)
    hold = await bailiff.held_card(card_id, expires_at=await bailiff.ends_in(60))
    with pytest.raises(CardOnHold):
        await given.done(given.confirming(shop, consumer, waiting))

    await bailiff.wait(61)

    assert await bailiff.row_status(hold) == "active"
    assert (await bailiff.read(hold)).status == "expired"
    assert not (await given.read(card_id)).on_hold
    confirmed = await given.done(given.confirming(shop, consumer, waiting))
    assert confirmed.balance_face_amount == 599_00
    assert (await given.used_by_code(shop, consumer, ONE_YUAN)).status == "confirmed"
    assert (await refunder.refunded(consumer, card_id, CHOICE)).amount == 498_00


async def test_the_worker_ends_a_hold_once_and_frees_its_card(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, CardKind.COUNT)
    hold = await bailiff.held_card(card_id, expires_at=await bailiff.ends_in(60))
    stays = await bailiff.held_card(card_id, expires_at=await bailiff.ends_in(6000))
    await bailiff.wait(61)

    await asyncio.gather(*(bailiff.swept() for _ in range(3)))

    assert await bailiff.row_status(hold) == "expired"
    assert await bailiff.row_status(stays) == "active"
    assert (await given.read(card_id)).on_hold
    assert await bailiff.entries(hold) == ["hold_placed", "hold_expired"]
    assert (await bailiff.read(hold)).ended_at == hold.expires_at


async def test_a_hold_and_a_confirmation_at_once_come_in_one_order(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    for _ in range(8):
        card_id = await given.card(shop, consumer)
        waiting = await given.waiting(shop, card_id, ONE_YUAN)

        confirmed, hold = await asyncio.gather(
            given.done(given.confirming(shop, consumer, waiting)),
            bailiff.held_card(card_id),
            return_exceptions=True,
        )

        assert not isinstance(hold, BaseException)
        card = await given.read(card_id)
        assert card.on_hold
        if isinstance(confirmed, Charge):
            assert (confirmed.status, card.face_used_amount) == (ChargeStatus.CONFIRMED, 1_00)
        else:
            assert isinstance(confirmed, CardOnHold)
            assert (card.face_used_amount, card.face_held_amount) == (0, 1_00)


async def test_a_charge_in_the_batch_of_the_hold_sees_it(given: Trader, bailiff: Bailiff) -> None:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)

    outcomes = await asyncio.gather(
        bailiff.held_card(card_id),
        *(given.waiting(shop, card_id, ONE_YUAN) for _ in range(3)),
        return_exceptions=True,
    )

    placed = [charge for charge in outcomes[1:] if not isinstance(charge, BaseException)]
    assert all(isinstance(charge, CardOnHold) for charge in outcomes[1:] if charge not in placed)
    assert (await given.read(card_id)).pending_count == len(placed)


async def test_a_use_of_cards_that_nothing_holds_asks_for_nothing_more(
    given: Trader, bailiff: Bailiff, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, consumer, other = await given.shop(), a_consumer(), a_consumer()
    for _ in range(2):
        await given.card(shop, consumer)
    await bailiff.held_card(await given.card(shop, other))
    asked: list[object] = []

    def count(book: Book, holder: UUID) -> Sequence[Need]:
        needs = standing.needs_of_held(book, holder)
        asked.extend(needs)
        return needs

    monkeypatch.setattr("app.charges.placing.needs_of_held", count)

    await given.used_by_code(shop, consumer, ONE_YUAN)
    assert asked == []
    with pytest.raises(InsufficientBalance):
        await given.used_by_code(shop, other, ONE_YUAN)
    assert len(asked) == 1


async def test_another_merchants_card_of_the_same_person_is_free(
    given: Trader, bailiff: Bailiff
) -> None:
    consumer = a_consumer()
    shop, other = await given.shop(), await given.shop()
    await bailiff.held_card(await given.card(shop, consumer))
    card_id = await given.card(other, consumer)

    assert (await given.used(other, consumer, card_id, ONE_YUAN)).status == "confirmed"


async def test_nobody_holds_a_card_that_is_not_there(given: Trader, bailiff: Bailiff) -> None:
    shop = await given.shop()
    for number in (shop.merchant_no, 0, 2**31 - 1, 2**32 - 1):
        with pytest.raises(NotFound):
            await bailiff.held_card(new_id(number))
