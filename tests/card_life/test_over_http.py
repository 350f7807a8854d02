"""The life of cards as apps see it: over HTTP, with the sandbox's clock."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from app.evidence.keys import keys_in
from app.evidence.offline import verify_evidence
from app.evidence.verification import verify
from tests.cluster import Cluster
from tests.contract.blackbox import check, check_problem
from tests.contract.world import Headers, Side, World, open_world, unique

_DAY_SECONDS = 86_400


@pytest_asyncio.fixture
async def world(cluster: Cluster, tmp_path_factory: Any) -> AsyncIterator[World]:
    urls = await cluster.clone("card_life_http")
    async with open_world(urls, tmp_path_factory.mktemp("data")) as opened:
        yield opened
    report = await verify(urls.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
    await cluster.drop(urls.name)


async def later(world: World, days: int) -> None:
    body = {"seconds": days * _DAY_SECONDS}
    await world.made("/v1/sandbox/clock/advance", body=body, key="")


async def preview(world: World, who: Headers, card_id: str) -> httpx.Response:
    path, body = f"/v1/me/cards/{card_id}/refunds/preview", {"reason": "consumer_choice"}
    return await world.call("POST", path, who, body)


async def refunded(world: World, who: Headers, card_id: str) -> Any:
    shown = (await preview(world, who, card_id)).json()
    echo = {name: shown[name] for name in ("amount", "residue_amount", "as_of")}
    body = {"reason": "consumer_choice", **echo}
    return await world.made(f"/v1/me/cards/{card_id}/refunds", who, body)


def visit(side: Side, card_id: str) -> Mapping[str, object]:
    return {"store_id": side.store_id, "card_id": card_id, "visit": True}


def use(side: Side, card_id: str) -> Mapping[str, object]:
    return {"store_id": side.store_id, "card_id": card_id, "amount": 80_00}


async def test_the_worked_example_with_30_of_100_days_frozen(world: World) -> None:
    side = world.a
    card_id = side.cards["period"]
    path = f"/v1/me/cards/{card_id}"
    sold = check("card", await world.got(path, side.consumer), prefix="card")
    await later(world, 20)
    frozen = check("card", await world.made(f"{path}/freeze", side.consumer))
    refused = await world.call("POST", "/v1/charges", side.merchant, visit(side, card_id))
    problem = check_problem(refused, 409, "card_not_active")
    assert problem["card_status"] == frozen["status"] == "frozen"
    assert problem["retry_with"] == "new_key"
    await later(world, 30)
    running = await world.made(f"{path}/unfreeze", side.consumer)
    await later(world, 49)

    refund = await refunded(world, side.consumer, card_id)

    assert (running["status"], running["frozen_days"]) == ("active", 30)
    moved = date.fromisoformat(sold["valid_until"]) + timedelta(30)
    assert date.fromisoformat(running["valid_until"]) == moved
    assert (refund["amount"], refund["residue_amount"]) == (2950_00, 700_00)
    assert (refund["inputs"]["term_day"], refund["inputs"]["frozen_days"]) == (70, 30)
    statement = (await world.got(f"{path}/statement", side.consumer))["data"]
    kinds = [check("statement row", row)["kind"] for row in statement]
    assert kinds == ["refunded", "unfrozen", "frozen", "funded"]
    evidence = await world.call("GET", f"{path}/evidence", side.consumer)
    keys = await world.call("GET", "/.well-known/anxin-keys.json")
    verdict = verify_evidence(evidence.content, keys_in(keys.content))
    assert verdict.faults == []


async def test_without_a_frozen_day_it_is_2650(world: World) -> None:
    side = world.a
    await later(world, 99)

    refund = await refunded(world, side.consumer, side.cards["period"])

    assert (refund["amount"], refund["residue_amount"]) == (2650_00, 1000_00)


async def test_a_card_goes_to_a_friend_and_its_refund_to_an_account_of_theirs(
    world: World,
) -> None:
    side = world.a
    card_id, friend_id = side.cards["stored_value"], unique("friend")
    friend = world.token(friend_id)
    path = f"/v1/me/cards/{card_id}"
    waiting = await world.made("/v1/charges", side.merchant, use(side, card_id))
    made = await world.made("/v1/me/codes", side.consumer, {"card_id": card_id}, key="")

    answer = await world.call("POST", f"{path}/transfer", side.consumer, {"consumer_id": friend_id})
    offer = answer.json()
    seen = (await world.got("/v1/me/transfers", friend))["data"]
    taken = await world.made(f"/v1/me/transfers/{offer['id']}/accept", friend)

    assert answer.status_code == 202
    assert (offer["status"], offer["card_id"], offer["role"]) == ("offered", card_id, "giver")
    assert [(one["id"], one["role"], one["counterparty"]) for one in seen] == [
        (offer["id"], "receiver", "****er-1")
    ]
    assert seen[0]["card"]["custody_amount"] == 500_00
    assert seen[0]["card"]["face_available_amount"] == 520_00, "what waits is not given"
    assert (taken["status"], taken["card"]) == ("accepted", None)
    for gone in (path, f"{path}/statement", f"{path}/evidence"):
        check_problem(await world.call("GET", gone, side.consumer), 404, "not_found")
    card = check("card", await world.got(path, friend))
    assert (card["status"], card["custody_amount"]) == ("active", 500_00)
    assert card["face_available_amount"] == 600_00
    mine = await world.got(f"/v1/me/charges/{waiting['id']}", side.consumer)
    assert mine["status"] == "cancelled", "the giver keeps sight of what they were charged"
    body = {"store_id": side.store_id, "consumer_code": made["code"], "amount": 1}
    refused = await world.call("POST", "/v1/charges", side.merchant, body)
    check_problem(refused, 409, "code_invalid")
    too_early = check_problem(await preview(world, friend, card_id), 409, "refund_not_allowed")
    assert too_early["refundable_from"] == card["refundable_from"]
    await later(world, 3)
    refund = await refunded(world, friend, card_id)
    assert (refund["status"], refund["amount"], refund["payee"]) == ("account_needed", 500_00, None)
    account = {"holder_name": "王小明", "account_number": "6222020200110009999"}
    named = await world.call(
        "POST", f"/v1/me/refunds/{refund['id']}/payee-account", friend, account
    )
    assert named.status_code == 202, named.text


async def test_a_declined_and_a_withdrawn_card_stay_where_they_are(world: World) -> None:
    side, friend_id = world.a, unique("friend")
    friend = world.token(friend_id)
    path = f"/v1/me/cards/{side.cards['count']}"
    body = {"consumer_id": friend_id}

    first = await world.made(f"{path}/transfer", side.consumer, body)
    declined = await world.made(f"/v1/me/transfers/{first['id']}/decline", friend)
    second = await world.made(f"{path}/transfer", side.consumer, body)
    withdrawn = await world.made(f"/v1/me/transfers/{second['id']}/withdraw", side.consumer)

    assert (declined["status"], withdrawn["status"]) == ("declined", "withdrawn")
    for transfer in (first, second):
        late = await world.call("POST", f"/v1/me/transfers/{transfer['id']}/accept", friend)
        check_problem(late, 409, "transfer_not_open")
    assert (await world.got(path, side.consumer))["status"] == "active"


async def test_bad_input_is_answered_and_changes_nothing(world: World) -> None:
    side = world.a
    value, period = (f"/v1/me/cards/{side.cards[kind]}" for kind in ("stored_value", "period"))
    before = await world.digest()

    for path, body, status, code in (
        (f"{value}/freeze", None, 422, "card_kind_mismatch"),
        (f"{value}/unfreeze", None, 422, "card_kind_mismatch"),
        (f"{value}/transfer", {}, 422, "invalid_request"),
        (f"{value}/transfer", {"consumer_id": ""}, 422, "invalid_request"),
        (f"{value}/transfer", {"consumer_id": "x" * 256}, 422, "invalid_request"),
        (f"{value}/transfer", {"consumer_id": "a\u0000b"}, 400, "malformed_json"),
        (f"{value}/transfer", {"consumer_id": 7}, 422, "invalid_request"),
        (f"{value}/transfer", {"consumer_id": side.consumer_id}, 422, "invalid_request"),
        ("/v1/me/cards/card_x/freeze", None, 404, "not_found"),
        ("/v1/me/transfers/trf_x/accept", None, 404, "not_found"),
        (f"/v1/me/transfers/{side.cards['count']}/accept", None, 404, "not_found"),
        (f"{period}/melt", None, 404, "not_found"),
    ):
        check_problem(await world.call("POST", path, side.consumer, body), status, code)
    assert await world.digest() == before


async def test_a_loss_repeated_under_its_key_is_answered_as_the_first_time(world: World) -> None:
    side, key = world.a, uuid4().hex
    path = f"/v1/me/cards/{side.cards['stored_value']}"

    lost = await world.made(f"{path}/report-loss", side.consumer, key=key)
    replaced = await world.made(f"{path}/reactivate", side.consumer)
    again = await world.call("POST", f"{path}/report-loss", side.consumer, key=key)

    assert (lost["status"], replaced["status"]) == ("lost", "active")
    assert replaced["custody_amount"] == lost["custody_amount"] == 500_00
    assert again.json() == lost
    assert again.headers["idempotency-replayed"] == "true"
    assert (await world.got(path, side.consumer))["status"] == "active"


async def test_one_who_gave_a_card_away_repeats_the_request_and_learns_nothing_new(
    world: World,
) -> None:
    side, friend_id, key = world.a, unique("friend"), uuid4().hex
    friend = world.token(friend_id)
    card_id = side.cards["stored_value"]
    path, body = f"/v1/me/cards/{card_id}/transfer", {"consumer_id": friend_id}
    offer = await world.made(path, side.consumer, body, key=key)
    await world.made(f"/v1/me/transfers/{offer['id']}/accept", friend)

    again = await world.made(path, side.consumer, body, key=key)
    shown = await world.got(f"/v1/me/transfers/{offer['id']}", side.consumer)

    assert (again["status"], again["card"]) == ("offered", None)
    assert (shown["status"], shown["card"]) == ("accepted", None)
