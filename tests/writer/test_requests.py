"""One key under calls of two kinds at once: a command, and a call that owns its transaction."""

import asyncio

import asyncpg
import pytest

from app.charges.domain import Use
from app.errors import IdempotencyKeyReused
from app.money import Fen
from app.writer import requests
from tests.builder import Trader, a_consumer, a_key


async def test_a_call_learns_that_a_command_took_its_key_meanwhile(given: Trader) -> None:
    shop, li, request = await given.shop(), a_consumer(), a_key(fingerprint=b"call" * 8)
    charging = given.use(
        shop,
        Use(amount=Fen(1_00)),
        card_id=await given.card(shop, li),
        request=requests.RequestKey(request.request_id, b"cmd " * 8),
    )

    async with given.db.transaction() as tx:
        assert await requests.claim(tx, shop.merchant_no, request) is None
        charge = await given.done(charging)
        with pytest.raises(IdempotencyKeyReused):
            await requests.keep(
                tx, shop.merchant_no, request, command="a_call", subject_id=None, answer={}
            )

    assert await given.done(charging) == charge


async def test_a_command_learns_that_a_call_took_its_key_meanwhile(
    given: Trader, database_url: str
) -> None:
    shop, li, request = await given.shop(), a_consumer(), a_key(fingerprint=b"call" * 8)
    card_id = await given.card(shop, li)
    charging = given.use(
        shop,
        Use(amount=Fen(1_00)),
        card_id=card_id,
        request=requests.RequestKey(request.request_id, b"cmd " * 8),
    )

    async with given.db.transaction() as tx:
        await requests.claim(tx, shop.merchant_no, request)
        await requests.keep(
            tx, shop.merchant_no, request, command="a_call", subject_id=None, answer={}
        )
        command = asyncio.create_task(given.done(charging))
        await _somebody_waits(database_url)

    with pytest.raises(IdempotencyKeyReused):
        await command
    assert (await given.read(card_id)).face_held_amount == 0


async def _somebody_waits(database_url: str) -> None:
    """Wait until a batch waits for the transaction that holds the key."""
    watcher = await asyncpg.connect(database_url)
    try:
        while not await watcher.fetchval(  # noqa: ASYNC110  # the database sets no event
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND wait_event = 'transactionid'"
        ):
            await asyncio.sleep(0.01)
    finally:
        await watcher.close()
