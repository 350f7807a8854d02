"""Holds as operators, regulators, merchants and consumers meet them over HTTP."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.access.principals import Role
from tests.cluster import Cluster
from tests.contract.blackbox import check
from tests.contract.world import Headers, Side, World, open_world, unique


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Give a world of this module's own: its clock is moved."""
    made = await cluster.clone("holds")
    data: Path = tmp_path_factory.mktemp("holds")
    async with open_world(made, data) as opened:
        yield opened
    await cluster.drop(made.name)


def order(target: str, target_id: str, **fields: object) -> dict[str, object]:
    return {
        "target": target,
        "target_id": target_id,
        "document_number": unique("(2026)浙0106执"),
        "reason": "法院财产保全",
        **fields,
    }


async def held(
    world: World, target: str, target_id: str, who: Headers | None = None, **fields: object
) -> Any:
    return await world.made("/v1/holds", who or world.operator, order(target, target_id, **fields))


async def lifted(world: World, hold: Mapping[str, Any]) -> Any:
    """Let two persons lift a hold."""
    proposal = await world.made(f"/v1/holds/{hold['id']}/lift", world.operator)
    assert proposal["status"] == "proposed"
    return await world.made(f"/v1/approvals/{proposal['id']}/approve", world.operator2)


def _later(now: str, *, seconds: int) -> str:
    return (datetime.fromisoformat(now) + timedelta(seconds=seconds)).isoformat()


async def charge(world: World, side: Side, card_id: str) -> Any:
    body = {"store_id": side.store_id, "card_id": card_id, "amount": 100}
    return await world.call("POST", "/v1/charges", side.merchant, body)


async def test_a_card_is_held_refused_with_the_reason_shown_and_freed_by_two(
    world: World,
) -> None:
    # Of one who has no other card, on which the charge would draw first.
    consumer = world.token(unique("consumer"))
    side = replace(world.a, consumer=consumer)
    card_id = await world.card(side)
    waiting = (await charge(world, side, card_id)).json()
    made = await world.call(
        "POST", "/v1/holds", world.operator, order("card", card_id, amount=1000)
    )
    hold = made.json()
    assert made.status_code == 201
    check("hold", hold, prefix="hold")
    assert (hold["target_id"], hold["amount"], hold["status"]) == (card_id, 1000, "active")
    assert (hold["merchant_id"], hold["expires_at"]) == (side.merchant_id, None)

    path = f"/v1/me/cards/{card_id}"
    echo = {"store_id": side.store_id, "amount": 100}
    refusals = [
        await charge(world, side, card_id),
        await world.call("POST", f"/v1/me/charges/{waiting['id']}/confirm", side.consumer, echo),
        await world.call("POST", "/v1/me/codes", side.consumer, {"card_id": card_id}, key=""),
        await world.call(
            "POST", f"{path}/refunds/preview", side.consumer, {"reason": "consumer_choice"}
        ),
        await world.call(
            "POST", f"/v1/cards/{card_id}/refund-offers", side.merchant, {"amount": 100}
        ),
    ]
    for refusal in refusals:
        problem = refusal.json()
        assert refusal.status_code == 409, problem
        assert (refusal.status_code, problem["code"]) == (409, "card_on_hold"), problem
        assert problem["document_number"] == hold["document_number"]
        assert (problem["reason"], problem["expires_at"]) == ("法院财产保全", None)
        assert problem["card_id"] == card_id
    assert refusals[0].json()["retry_with"] == "new_key"
    shown = {
        "document_number": hold["document_number"], "reason": "法院财产保全", "expires_at": None,
    }  # fmt: skip
    for seen in (
        await world.got(path, side.consumer),
        await world.got(f"/v1/cards/{card_id}", side.merchant),
        next(
            one
            for one in (await world.got("/v1/me/cards?limit=200", side.consumer))["data"]
            if one["id"] == card_id
        ),
    ):
        assert (seen["on_hold"], seen["holds"]) == (True, [shown])

    approved = await lifted(world, hold)

    assert approved["result"]["status"] == "lifted"
    assert approved["result"] == await world.got(f"/v1/holds/{hold['id']}", world.operator)
    after = await world.got(path, side.consumer)
    assert (after["on_hold"], after["holds"]) == (False, [])
    confirmed = await world.made(f"/v1/me/charges/{waiting['id']}/confirm", side.consumer, echo)
    assert confirmed["status"] == "confirmed"


async def test_a_hold_ends_when_its_time_is_over(world: World) -> None:
    side = world.a
    card_id = await world.card(side)
    now = (await world.made("/v1/sandbox/clock/advance", body={"seconds": 0}, key=""))["now"]
    hold = await held(world, "card", card_id, expires_at=_later(now, seconds=60))
    await world.made("/v1/sandbox/clock/advance", body={"seconds": 61}, key="")

    assert (await charge(world, side, card_id)).status_code == 201
    assert (await world.got(f"/v1/me/cards/{card_id}", side.consumer))["holds"] == []
    read = await world.got(f"/v1/holds/{hold['id']}", world.operator)
    assert (read["status"], read["ended_at"]) == ("expired", read["expires_at"])
    late = await world.call("POST", f"/v1/holds/{hold['id']}/lift", world.operator)
    assert (late.status_code, late.json()["code"]) == (409, "hold_not_active")
    assert late.json()["hold_status"] == "expired"
    active = await world.got("/v1/holds?status=active&limit=200", world.operator)
    assert hold["id"] not in {one["id"] for one in active["data"]}


async def test_a_merchant_sees_what_is_held_of_its_money(world: World) -> None:
    side = world.b
    await world.confirmed(side, 600)
    before = await world.got("/v1/balance", side.merchant)
    assert (before["held_amount"], before["held_custody_amount"], before["holds"]) == (0, 0, [])

    part = await held(world, "payable", side.merchant_id, amount=100)
    whole = await held(world, "custody_account", side.custody_account)

    after = await world.got("/v1/balance", side.merchant)
    assert after["held_amount"] == 100
    assert after["held_custody_amount"] == after["custody_amount"]
    assert [(one["target"], one["amount"]) for one in after["holds"]] == [
        ("payable", 100),
        ("custody_account", None),
    ]
    assert after["holds"][0]["reason"] == "法院财产保全"
    cut = await world.made("/v1/payment-files/cut", world.operator, {"kind": "release"})
    assert side.bank_name not in {file["bank"] for file in cut["data"]}
    await lifted(world, whole)
    await world.made("/v1/payment-files/cut", world.operator, {"kind": "release"})
    settled = await world.got("/v1/settlements", side.merchant)
    deductions = settled["data"][0]["deductions"]
    assert (deductions["held_amount"], deductions["held_custody_amount"]) == (100, 0)
    assert (await world.got("/v1/balance", side.merchant))["payable_amount"] == 100
    await lifted(world, part)


async def test_lifting_twice_is_one_proposal_and_then_the_same_result(world: World) -> None:
    hold = await held(world, "payable", world.a.merchant_id, amount=1)
    path = f"/v1/holds/{hold['id']}/lift"
    first = await world.made(path, world.operator)
    own = await world.call("POST", f"/v1/approvals/{first['id']}/approve", world.operator)
    assert (own.status_code, own.json()["code"]) == (409, "own_proposal")
    assert (await world.made(path, world.operator2))["id"] == first["id"]

    await world.made(f"/v1/approvals/{first['id']}/approve", world.operator2)

    again = await world.call("POST", path, world.operator)
    assert (again.status_code, again.json()["status"]) == (202, "approved")
    assert again.json()["result"]["status"] == "lifted"


async def test_a_rejected_proposal_leaves_the_hold_and_another_may_be_made(world: World) -> None:
    hold = await held(world, "payable", world.a.merchant_id, amount=1)
    path = f"/v1/holds/{hold['id']}/lift"
    first = await world.made(path, world.operator)
    await world.made(f"/v1/approvals/{first['id']}/reject", world.operator2)

    assert (await world.got(f"/v1/holds/{hold['id']}", world.operator))["status"] == "active"
    approved = await lifted(world, hold)
    assert approved["id"] != first["id"]


async def test_a_regulator_holds_in_its_scope_and_sees_nothing_else(world: World) -> None:
    of_fitness = await world.key(Role.REGULATOR, industries=("fitness",))
    elsewhere = await world.key(Role.REGULATOR, districts=("310101",))
    industry = (await world.got(f"/v1/merchants/{world.a.merchant_id}", world.operator))["industry"]
    inside = await world.key(Role.REGULATOR, industries=(industry,))
    hold = await held(world, "payable", world.a.merchant_id, inside, amount=1)

    path = f"/v1/holds/{hold['id']}"
    strangers = [elsewhere] if industry == "fitness" else [elsewhere, of_fitness]
    for stranger in strangers:
        for method, where, body in (
            ("GET", path, None),
            ("POST", f"{path}/lift", None),
            ("POST", "/v1/holds", order("payable", world.a.merchant_id)),
        ):
            answer = await world.call(method, where, stranger, body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await world.got("/v1/holds", stranger))["data"] == []
    assert (await world.got(path, inside))["id"] == hold["id"]
    assert (await world.got(path, world.regulator))["id"] == hold["id"]
    proposal = await world.made(f"{path}/lift", inside)
    await world.made(f"/v1/approvals/{proposal['id']}/approve", world.operator)
    assert (await world.got(path, inside))["status"] == "lifted"


async def test_a_regulators_key_names_one_request_and_not_another_regulators(
    world: World,
) -> None:
    first = await world.key(Role.REGULATOR, person_id="wu.lei")
    second = await world.key(Role.REGULATOR, person_id="zhao.min")
    body, key = order("payable", world.a.merchant_id, amount=1), unique("key")

    made = await world.call("POST", "/v1/holds", first, body, key=key)
    again = await world.call("POST", "/v1/holds", first, body, key=key)
    others = await world.call("POST", "/v1/holds", second, body, key=key)
    changed = await world.call("POST", "/v1/holds", first, {**body, "amount": 2}, key=key)

    assert (made.status_code, again.json()) == (201, made.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert others.status_code == 201
    assert others.json()["id"] != made.json()["id"]
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")
    for hold in (made.json(), others.json()):
        await lifted(world, hold)


async def test_lists_are_paged_and_filtered(world: World) -> None:
    card_id = await world.card(world.a)
    holds = [await held(world, "card", card_id) for _ in range(3)]
    path = f"/v1/holds?target_id={card_id}&status=active&target=card"

    first = await world.call("GET", f"{path}&limit=2", world.operator)
    second = await world.got(f"{path}&limit=2&cursor={first.json()['next_cursor']}", world.operator)

    assert [one["id"] for one in first.json()["data"]] == [holds[2]["id"], holds[1]["id"]]
    assert [one["id"] for one in second["data"]] == [holds[0]["id"]]
    assert second["next_cursor"] is None
    assert 'rel="next"' in first.headers["link"]
    of_merchant = await world.got(
        f"/v1/holds?merchant_id={world.b.merchant_id}&target=card", world.operator
    )
    assert of_merchant["data"] == []


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"amount": 0}, "/amount"),
        ({"amount": -1}, "/amount"),
        ({"amount": 2**53}, "/amount"),
        ({"amount": "100"}, "/amount"),
        ({"amount": True}, "/amount"),
        ({"amount": 1.5}, "/amount"),
        ({"target": "merchant"}, "/target"),
        ({"target": None}, "/target"),
        ({"target_id": None}, "/target_id"),
        ({"target_id": ""}, "/target_id"),
        ({"target_id": "x" * 65}, "/target_id"),
        ({"document_number": ""}, "/document_number"),
        ({"document_number": "x" * 101}, "/document_number"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"expires_at": "2020-01-01T00:00:00+08:00"}, "/expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "2027-01-01"}, "/expires_at"),
        ({"expires_at": "9999-01-01T00:00:00+08:00"}, "/expires_at"),
        ({"expires_at": 1_800_000_000}, "/expires_at"),
        ({"status": "lifted"}, "/status"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named_and_nothing_is_held(
    world: World, wrong: dict[str, object], pointer: str
) -> None:
    before = await world.got("/v1/holds?limit=1", world.operator)

    body = {**order("payable", world.a.merchant_id), **wrong}
    answer = await world.call("POST", "/v1/holds", world.operator, body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}
    assert await world.got("/v1/holds?limit=1", world.operator) == before


async def test_what_is_not_there_is_not_held(world: World) -> None:
    for target, target_id in (
        ("card", "card_01h455vb4pex5vsknk084sn02q"),
        ("card", world.a.merchant_id),
        ("payable", world.a.custody_account),
        ("payable", "mch_01h455vb4pex5vsknk084sn02q"),
        ("custody_account", "没有"),
    ):
        answer = await world.call("POST", "/v1/holds", world.operator, order(target, target_id))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for query in ("target_id=card_x", "merchant_id=nonsense"):
        listed = await world.call("GET", f"/v1/holds?{query}", world.operator)
        assert listed.status_code == 404


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u3000"])
@pytest.mark.parametrize("field", ["document_number", "reason"])
async def test_nothing_is_held_for_an_order_that_says_nothing(
    world: World, field: str, blank: str
) -> None:
    body = order("payable", world.a.merchant_id, **{field: blank})

    answer = await world.call("POST", "/v1/holds", world.operator, body)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]
