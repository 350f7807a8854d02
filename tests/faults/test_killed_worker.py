"""`kill -9` of the worker in the middle of a cut: the file holds every release once."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from uuid import UUID

import asyncpg
import pytest

from tests.faults.checker import check, prove
from tests.faults.client import Client, new_key
from tests.faults.crowd import Customer
from tests.faults.history import Asked, Body, History, Kind
from tests.faults.processes import Process, Start
from tests.faults.rounds import Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults

_SHOPS = 40
_CUT_SECONDS_MAX = 180

_EVE = """
INSERT INTO sandbox_clock (offset_seconds)
SELECT extract(epoch FROM eve - clock_timestamp())::bigint FROM (
    SELECT min((day - 1 + time '22:00:05') AT TIME ZONE 'Asia/Shanghai') AS eve
    FROM business_day
    WHERE banking AND (day - 1 + time '22:00') AT TIME ZONE 'Asia/Shanghai' > anxin_now()
) AS next
ON CONFLICT (only_row) DO UPDATE SET offset_seconds = excluded.offset_seconds
"""
"""Let time pass until files are cut: the eve of the next banking day."""

_HOLD_NEXT = """
SELECT FROM book WHERE merchant_no = (
    SELECT merchant_no FROM account WHERE type = 'merchant_payable' AND balance > 0
    ORDER BY merchant_no OFFSET $1 LIMIT 1)
FOR UPDATE
"""
"""Keep the cut, which takes merchants in this order, from going past so many."""

_BEING_CUT = """
SELECT (SELECT count(*) FROM payment_order AS o WHERE o.file_id = f.file_id)
FROM payment_file AS f WHERE status = 'cutting'
"""


async def test_a_cut_that_was_broken_off_is_finished_once(world: World, start: Start) -> None:
    rounds = Rounds("kill -9 worker in a cut")
    shops = await world.more_shops(_SHOPS)
    web = await start()
    worker = await start("worker")
    client = Client(History(), Random(Rounds.seed), [web.base_url])
    customers = await _customers(world, client, shops)
    try:
        async with world.witness() as connection:
            for random in rounds:
                earned = await _use(customers)
                aimed = rounds.aims(random)
                rounds.land(landed=await _cut_off(world, connection, worker, random, aimed=aimed))
                await _finished(connection, earned)
                await check(world, client.history)
        entries = await prove(world)
    finally:
        client.close()
    rounds.close(f"{entries} entries over {_SHOPS} shops")


async def _customers(world: World, client: Client, shops: Sequence[Body]) -> list[Customer]:
    """Give each shop a customer with a card."""
    seen = [await world.contract_of(client, shop) for shop in shops]
    token = world.token("cut")
    customers = [Customer(world, client, client.random, shop, token) for shop in seen]
    await asyncio.gather(*(customer.buy() for customer in customers))
    return customers


async def _use(customers: Sequence[Customer]) -> Mapping[str, int]:
    """Let each use its card; give what each shop has earned by that."""
    charges = await asyncio.gather(*(_use_one(customer) for customer in customers))
    return {charge["merchant_id"]: charge["release_amount"] for charge in charges}


async def _use_one(customer: Customer) -> Body:
    shop = customer.shop
    use = {"store_id": shop["store_id"], "amount": customer.random.randint(1, 1_000)}
    placed = await _ask(
        customer,
        Kind.PLACE,
        "/v1/charges",
        shop["merchant_key"],
        {**use, "card_id": customer.cards[0], "client_reference": new_key()},
    )
    path = f"/v1/me/charges/{placed['id']}/confirm"
    return await _ask(customer, Kind.CONFIRM, path, customer.token, use)


async def _ask(customer: Customer, kind: Kind, path: str, credential: str, body: Body) -> Body:
    asked = Asked(kind, path, credential, new_key(), body, customer.shop["merchant_id"])
    answer = await customer.client.ask(asked)
    assert answer is not None
    assert answer.accepted, answer
    return answer.body


async def _cut_off(
    world: World,
    connection: asyncpg.Connection,
    worker: Process,
    random: Random,
    *,
    aimed: bool,
) -> bool:
    """Kill the worker when some of the orders are there, start another; say whether it was so.

    With `aimed` the next merchant's book is held meanwhile, so that the worker cannot be faster
    than we look.
    """
    enough = random.randint(1, _SHOPS - 5)
    async with world.witness() as holder, holder.transaction():
        if aimed:
            await holder.execute(_HOLD_NEXT, enough)
        await connection.execute(_EVE)
        async with asyncio.timeout(_CUT_SECONDS_MAX):
            while True:
                cutting = await _being_cut(connection)
                if cutting is not None and cutting >= enough:
                    break
                if cutting is None and await _all_sealed(connection):
                    break  # it was faster than we looked
                assert worker.is_running, worker.tail()
                await asyncio.sleep(0.001)
        worker.pause()
        cutting = await _being_cut(connection)
        worker.kill()
    # The lease of a dead worker runs out by itself, after longer than a test should wait.
    await connection.execute("UPDATE job SET leased_until = clock_timestamp()")
    await worker.started()
    return cutting is not None and 0 < cutting < _SHOPS


async def _being_cut(connection: asyncpg.Connection) -> int | None:
    """Count the orders of the file that is being cut; None where there is none."""
    found: int | None = await connection.fetchval(_BEING_CUT)
    return found


async def _all_sealed(connection: asyncpg.Connection) -> bool:
    """Say whether nothing is payable any more."""
    left = await connection.fetchval(
        "SELECT sum(balance) FROM account WHERE type = 'merchant_payable'"
    )
    return left == 0


async def _finished(connection: asyncpg.Connection, earned: Mapping[str, int]) -> None:
    """Wait for the seal; the newest file must hold what each shop has earned, once."""
    async with asyncio.timeout(_CUT_SECONDS_MAX):
        while await _being_cut(connection) is not None or not await _all_sealed(connection):
            await asyncio.sleep(0.05)
    newest: UUID = await connection.fetchval(
        "SELECT file_id FROM payment_file WHERE kind = 'release' ORDER BY sequence DESC LIMIT 1"
    )
    orders = await connection.fetch(
        "SELECT amount FROM payment_order WHERE file_id = $1 ORDER BY amount", newest
    )
    # A use of a fen may release none, and what nobody has earned is no order.
    assert [row["amount"] for row in orders] == sorted(filter(None, earned.values()))
    assert await connection.fetchval(
        "SELECT count(*) = max(sequence) FROM payment_file WHERE kind = 'release'"
    ), "the file's numbers have a gap"
