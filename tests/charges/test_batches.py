"""Batches: a retry says the same, and one merchant's do not crowd out the others."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.access.limits import FailureLimit
from app.api.problems import problem_of
from app.card_products.domain import CardKind
from app.charges.batches import Batch, BatchShare, Placing, place_batch
from app.charges.commands import PlaceCharge
from app.charges.domain import Use
from app.errors import DomainError, NotFound, Overloaded
from app.money import Fen
from app.registry import REGISTRY
from app.writer.engine import Writer, WriterLimits
from tests.builder import Shop, Trader, a_consumer, a_key, unique

QUEUE_MAX = 64
ONE_YUAN = Use(amount=Fen(1_00))


def placing(given: Trader, queue_max: int = 8192) -> Placing:
    return Placing(given.writer, given.db, FailureLimit(100), BatchShare(queue_max))


def items(
    given: Trader, shop: Shop, *uses: tuple[Use, Any]
) -> list[tuple[str, PlaceCharge | DomainError]]:
    named = [(unique("item"), use, card_id) for use, card_id in uses]
    return [
        (reference, given.use(shop, use, card_id=card_id, client_reference=reference))
        for reference, use, card_id in named
    ]


def _said(verdicts: Sequence[Any]) -> list[object]:
    return [
        problem_of(verdict.outcome, "/")
        if isinstance(verdict.outcome, DomainError)
        else verdict.outcome.value.charge_id
        for verdict in verdicts
    ]


async def test_what_an_item_was_refused_for_it_is_refused_for_again(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    batch = Batch(
        shop.merchant_no,
        a_key(),
        items(given, shop, (Use(sessions=1), card_id), (ONE_YUAN, card_id)),
    )
    first, _ = await place_batch(placing(given), batch)
    assert [one["code"] for one in _said(first)[:1] if isinstance(one, dict)] == [
        "charge_kind_mismatch"
    ]

    # Now there is a card that the refused item fits: a late retry must not use it.
    sessions = await given.card(shop, li, CardKind.COUNT)
    again, replayed = await place_batch(placing(given), batch)

    assert replayed
    assert _said(again) == _said(first)
    assert (await given.read(sessions)).sessions_held == 0


async def test_what_was_not_there_for_one_credential_stays_so_for_another(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    whole = Batch(shop.merchant_no, a_key(), items(given, shop, (ONE_YUAN, card_id)))
    narrowed = replace(whole, items=[(whole.items[0][0], NotFound())])

    first, _ = await place_batch(placing(given), narrowed)
    again, _ = await place_batch(placing(given), whole)

    assert _said(again) == _said(first)
    assert (await given.read(card_id)).face_held_amount == 0


async def test_batches_of_one_merchant_leave_room_for_the_others(
    given: Trader, database_url: str
) -> None:
    big, small, li = await given.shop(), await given.shop(), a_consumer()
    many, one = await given.card(big, li), await given.card(small, li)
    writer = Writer(database_url, REGISTRY, limits=WriterLimits(queue_max=QUEUE_MAX))
    crowded = replace(given, writer=writer)
    used = placing(crowded, QUEUE_MAX)
    at_once = replace(given.use(big, ONE_YUAN).limits, pending_per_card=10 * QUEUE_MAX)
    batch = Batch(
        big.merchant_no,
        a_key(),
        [
            (reference, replace(item, limits=at_once))
            for reference, item in items(given, big, *[(ONE_YUAN, many)] * 2 * QUEUE_MAX)
            if isinstance(item, PlaceCharge)
        ],
    )

    # The lanes are not there yet, so that nothing is taken from the queue.
    writer._open = True
    placed = asyncio.create_task(place_batch(used, batch))
    await asyncio.wait([placed], timeout=0.5)
    other = asyncio.create_task(crowded.waiting(small, one, ONE_YUAN))
    await asyncio.wait([other], timeout=0.1)
    await writer.start()

    assert (await other).merchant_no == small.merchant_no
    verdicts, _ = await placed
    assert not [one for one in verdicts if isinstance(one.outcome, DomainError)]
    await writer.stop()


async def test_a_merchant_with_as_much_waiting_as_the_queue_takes_is_refused_at_once(
    given: Trader,
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    used = placing(given, 10)
    batches = [
        Batch(shop.merchant_no, a_key(), items(given, shop, *[(ONE_YUAN, card_id)] * 6))
        for _ in range(2)
    ]

    done = await asyncio.gather(
        *(place_batch(used, batch) for batch in batches), return_exceptions=True
    )

    assert [isinstance(one, Overloaded) for one in done] == [False, True]
    again, replayed = await place_batch(used, batches[1])
    assert (len(again), replayed) == (6, False)


@pytest.mark.parametrize("many", [1, 12])
async def test_a_batch_larger_than_the_share_is_placed_whole(given: Trader, many: int) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    batch = Batch(shop.merchant_no, a_key(), items(given, shop, *[(ONE_YUAN, card_id)] * many))

    verdicts, _ = await place_batch(placing(given, 10), batch)

    assert [verdict.index for verdict in verdicts] == list(range(many))
