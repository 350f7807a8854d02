"""Two web processes on one database: books are locked, requests stored, nothing is twice."""

import asyncio
from collections import Counter
from random import Random

import pytest

from tests.faults.checker import ask_again, check, prove
from tests.faults.client import Client, new_key
from tests.faults.crowd import Customer, a_crowd
from tests.faults.history import Answer, Asked, Body, Kind
from tests.faults.processes import Start
from tests.faults.rounds import Rounds
from tests.faults.world import World

pytestmark = pytest.mark.faults

_CLIENTS = 64
_EQUAL = 50
_FACE = 600_00


async def test_two_web_processes_share_the_books(world: World, start: Start) -> None:
    """64 clients over both, half of them at one shop; then one card, and one request."""
    webs = await asyncio.gather(start(), start())
    rounds = Rounds("two web processes")
    bases = [web.base_url for web in webs]
    async with a_crowd(world, bases, seed=Rounds.seed, clients=_CLIENTS, walks_away=0) as crowd:
        for random in rounds:
            async with crowd.acting():
                await asyncio.sleep(random.uniform(0.5, 1.0))
            hot = Customer(world, crowd.client, random, crowd.customers[0].shop, _token(world))
            await hot.buy()
            await _one_card(hot)
            await _one_request(hot)
            await _one_confirmation(hot)
            rounds.land(landed=True)
            await check(world, crowd.history)
            await ask_again(crowd.client, random)
        await check(world, crowd.history)
        entries = await prove(world)

    assert crowd.client.timeouts == 0
    rounds.close(f"{entries} entries. {crowd.history.summary()}")


def _token(world: World) -> str:
    return world.token(f"hot-{new_key()}")


async def _one_card(hot: Customer) -> None:
    """64 at once on one card: as many as its face covers, to the fen, and not one more."""
    amount = _FACE // (_CLIENTS - 4)
    before = len(hot.client.history.asked)
    codes = await asyncio.gather(
        *(hot.client.mint(hot.token, hot.shop["merchant_id"]) for _ in range(_CLIENTS))
    )
    answers = await asyncio.gather(
        *(_place(hot, {"consumer_code": code, "amount": amount}) for code in codes)
    )

    verdicts = Counter(answer.code or "ok" for answer in answers)
    assert verdicts == {"ok": _CLIENTS - 4, "insufficient_balance": 4}
    assert len(hot.client.history.asked) == before + _CLIENTS


async def _one_request(hot: Customer) -> None:
    """The same request 50 times at once: one effect, one answer."""
    await hot.buy()
    body = _use(hot, {"card_id": hot.cards[-1], "amount": 100})
    asked = Asked(
        Kind.PLACE,
        "/v1/charges",
        hot.shop["merchant_key"],
        new_key(),
        body,
        hot.shop["merchant_id"],
    )
    answers = await _all_at_once(hot.client, asked)

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert sum(answer.replayed for answer in answers) == _EQUAL - 1
    assert all(answer.body == answers[0].body for answer in answers)


async def _one_confirmation(hot: Customer) -> None:
    """64 confirms of one charge at once, each under a key of its own: one confirmation."""
    placed = await _place(hot, {"card_id": hot.cards[-1], "amount": 200})
    echo = {"store_id": hot.shop["store_id"], "amount": 200}
    path = f"/v1/me/charges/{placed.body['id']}/confirm"
    answers = await asyncio.gather(
        *(
            hot.client.ask(
                Asked(Kind.CONFIRM, path, hot.token, new_key(), echo, hot.shop["merchant_id"])
            )
            for _ in range(_CLIENTS)
        )
    )

    assert {answer.status for answer in answers if answer} == {200}
    assert len({answer.body["confirmation"]["id"] for answer in answers if answer}) == 1


async def _all_at_once(client: Client, asked: Asked) -> list[Answer]:
    client.history.add(asked)
    tried = await asyncio.gather(*(client.attempt(asked) for _ in range(_EQUAL)))
    # Equal requests at the same time may be told to come again.
    answers = [answer or await _told(client, asked) for answer in tried]
    asked.answer = answers[0]
    return answers


async def _told(client: Client, asked: Asked) -> Answer:
    while True:
        answer = await client.attempt(asked)
        if answer is not None:
            return answer
        await asyncio.sleep(Random().uniform(0.01, 0.1))


async def _place(hot: Customer, source: Body) -> Answer:
    asked = Asked(
        Kind.PLACE,
        "/v1/charges",
        hot.shop["merchant_key"],
        new_key(),
        _use(hot, source),
        hot.shop["merchant_id"],
    )
    answer = await hot.client.ask(asked)
    assert answer is not None, "nobody walks away here"
    return answer


def _use(hot: Customer, source: Body) -> Body:
    return {**source, "store_id": hot.shop["store_id"], "client_reference": new_key()}
