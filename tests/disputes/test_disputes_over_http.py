"""Disputes as consumers, merchants and operators see them: over HTTP, with two persons."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.evidence.keys import keys_in
from app.evidence.offline import verify_evidence
from app.evidence.verification import verify
from tests.cluster import Cluster
from tests.contract.world import Side, World, open_world, unique


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    urls = await cluster.clone("disputes")
    async with open_world(urls, tmp_path_factory.mktemp("data")) as opened:
        yield opened
    report = await verify(urls.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
    await cluster.drop(urls.name)


COMPLAINT = {"reason": "not_provided", "text": "当天没有剪发"}


async def disputed(world: World, side: Side, amount: int = 80_00) -> Any:
    charge = await world.confirmed(side, amount)
    path = f"/v1/me/charges/{charge['id']}/dispute"
    return await world.made(path, side.consumer, COMPLAINT)


async def balance(world: World, side: Side) -> Any:
    return await world.got("/v1/balance", side.merchant)


async def answered(world: World, side: Side, charge: Any, *, agree: bool) -> Any:
    path = f"/v1/cases/{charge['dispute']['case_id']}/answers"
    return await world.made(path, side.merchant, {"agree": agree, "text": "已提供服务"})


async def decided(world: World, charge: Any, decision: str) -> Any:
    path = f"/v1/cases/{charge['dispute']['case_id']}/decisions"
    proposed = await world.made(path, world.operator, {"decision": decision, "reason": "门店录像"})
    approve = f"/v1/approvals/{proposed['id']}/approve"
    assert (await world.call("POST", approve, world.operator)).json()["code"] == "own_proposal"
    return await world.made(approve, world.operator2)


async def test_a_dispute_is_shown_with_its_charge_and_its_money_set_aside(world: World) -> None:
    side = world.a
    before = await balance(world, side)

    charge = await disputed(world, side)

    assert charge["status"] == "disputed"
    assert charge["dispute"]["status"] == "open"
    assert charge["dispute"]["id"].startswith("disp_")
    after = await balance(world, side)
    moved = charge["release_amount"]
    assert after["disputed_amount"] - before["disputed_amount"] == moved > 0
    assert after["payable_amount"] == before["payable_amount"]
    shown = await world.got(f"/v1/charges/{charge['id']}", side.merchant)
    assert shown["dispute"] == charge["dispute"]
    listed = await world.got("/v1/charges?status=disputed", side.merchant)
    assert charge["id"] in [row["id"] for row in listed["data"]]
    own = await world.got("/v1/me/charges?status=disputed", side.consumer)
    assert charge["id"] in [row["id"] for row in own["data"]]
    case = await world.got(f"/v1/cases/{charge['dispute']['case_id']}", side.merchant)
    assert (case["kind"], case["status"], case["charge_id"]) == ("dispute", "open", charge["id"])
    assert (case["reason"], case["text"]) == (COMPLAINT["reason"], COMPLAINT["text"])
    trial = await world.got("/v1/ledger/trial-balance", world.operator)
    assert trial["balanced"]


async def test_the_merchants_agreement_reverses_the_use(world: World) -> None:
    side = world.a
    charge = await disputed(world, side)
    aside = (await balance(world, side))["disputed_amount"]

    case = await answered(world, side, charge, agree=True)

    assert (case["status"], case["decision"]["decision"]) == ("decided", "upheld")
    back = await world.got(f"/v1/me/charges/{charge['id']}", side.consumer)
    assert (back["status"], back["dispute"]["status"]) == ("reversed", "upheld")
    assert back["reversal"]["status"] == "done"
    after = await balance(world, side)
    assert aside - after["disputed_amount"] == charge["release_amount"]
    card = back["draws"][0]["card_id"]
    rows = (await world.got(f"/v1/me/cards/{card}/statement", side.consumer))["data"]
    assert (rows[0]["kind"], rows[0]["charge_id"]) == ("reversed", charge["id"])


@pytest.mark.parametrize(
    ("decision", "status", "outcome"),
    [("upheld", "reversed", "upheld"), ("rejected", "confirmed", "dismissed")],
)
async def test_two_persons_decide_where_the_merchant_objects(
    world: World, decision: str, status: str, outcome: str
) -> None:
    side = world.b
    charge = await disputed(world, side)
    assert (await answered(world, side, charge, agree=False))["status"] == "answered"

    approval = await decided(world, charge, decision)

    assert approval["result"]["status"] == "decided"
    shown = await world.got(f"/v1/charges/{charge['id']}", side.merchant)
    assert (shown["status"], shown["dispute"]["status"]) == (status, outcome)


async def test_a_disputed_use_is_not_reversed_by_its_merchant(world: World) -> None:
    side = world.a
    charge = await disputed(world, side)

    refused = await world.call("POST", f"/v1/charges/{charge['id']}/reverse", side.merchant)

    assert (refused.status_code, refused.json()["code"]) == (409, "charge_disputed")


async def test_a_repeated_key_gives_the_same_and_another_body_is_refused(world: World) -> None:
    side = world.a
    charge = await world.confirmed(side, 80_00)
    path, key = f"/v1/me/charges/{charge['id']}/dispute", unique("key")
    first = await world.call("POST", path, side.consumer, COMPLAINT, key=key)

    again = await world.call("POST", path, side.consumer, COMPLAINT, key=key)
    other = await world.call("POST", path, side.consumer, {"reason": "other"}, key=key)
    anew = await world.call("POST", path, side.consumer, {"reason": "other"})

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json() == anew.json()
    assert other.json()["code"] == "idempotency_key_reused"


async def test_a_settlement_says_what_a_dispute_took_and_gave_back(world: World) -> None:
    side = world.b
    await world.file(side)  # takes what was before
    charge = await disputed(world, side)
    await answered(world, side, charge, agree=False)
    await decided(world, charge, "rejected")

    await world.file(side)
    (settlement, *_) = (await world.got("/v1/settlements", side.merchant))["data"]
    path = f"/v1/settlements/{settlement['id']}/items"
    items = (await world.got(path, side.merchant))["data"]

    of_charge = [item for item in items if item["charge_id"] == charge["id"]]
    assert [item["kind"] for item in of_charge] == [
        "dispute_dismissed",
        "dispute_opened",
        "use_confirmed",
    ]
    sums = {"credit": 0, "debit": 0}
    for item in items:
        sums[item["direction"]] += item["amount"]
    assert sums["credit"] - sums["debit"] == settlement["amount"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": ""},
        {"reason": None},
        {"reason": 1},
        {"reason": "x" * 65},
        {"reason": "x", "text": ""},
        {"reason": "x", "text": "x" * 2001},
        {"reason": "x", "amount": 1},
        [],
        None,
    ],
)
async def test_a_malformed_dispute_is_refused(world: World, body: object) -> None:
    charge = await world.confirmed(world.a)
    path = f"/v1/me/charges/{charge['id']}/dispute"

    refused = await world.call("POST", path, world.a.consumer, body)

    assert refused.status_code == 422, refused.text
    shown = await world.got(f"/v1/me/charges/{charge['id']}", world.a.consumer)
    assert shown["status"] == "confirmed"


@pytest.mark.parametrize("charge_id", ["chg_01h455vb4pex5vsknk084sn02q", "chg_1", "card_x"])
async def test_what_is_not_there_is_not_disputed(world: World, charge_id: str) -> None:
    path = f"/v1/me/charges/{charge_id}/dispute"
    refused = await world.call("POST", path, world.a.consumer, COMPLAINT)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


async def test_a_dispute_stands_in_the_way_of_a_refund_until_it_is_decided(world: World) -> None:
    side, holder = world.a, world.token(unique("holder"))
    card = await world.card(side, consumer=holder)
    charge = await world.pending_on(side, card, amount=80_00)
    echo = {"store_id": side.store_id, "amount": 80_00}
    await world.made(f"/v1/me/charges/{charge['id']}/confirm", holder, echo)
    path = f"/v1/me/charges/{charge['id']}/dispute"
    charge = await world.made(path, holder, COMPLAINT)
    preview, claim = f"/v1/me/cards/{card}/refunds/preview", {"reason": "service_unavailable"}

    refused = await world.call("POST", preview, holder, claim)
    assert (refused.status_code, refused.json()["code"]) == (409, "charge_disputed")

    await answered(world, side, charge, agree=True)
    shown = await world.made(preview, holder, claim)
    assert (shown["class"], shown["amount"]) == ("merchant_fault", 500_00)
    body = {**claim, **{name: shown[name] for name in ("amount", "residue_amount", "as_of")}}
    refund = await world.made(f"/v1/me/cards/{card}/refunds", holder, body)
    assert (refund["status"], refund["class"]) == ("decided", "merchant_fault")


async def test_the_evidence_of_a_card_with_disputed_uses_is_true_offline(world: World) -> None:
    side, holder = world.b, world.token(unique("holder"))
    card = await world.card(side, consumer=holder)
    uses: list[Any] = []
    for amount in (10_00, 20_00, 30_00):
        charge = await world.pending_on(side, card, amount=amount)
        echo = {"store_id": side.store_id, "amount": amount}
        await world.made(f"/v1/me/charges/{charge['id']}/confirm", holder, echo)
        uses.append(charge)
    await world.file(side)  # so that payable covers none of them
    for number, charge in enumerate(uses[:2]):
        path = f"/v1/me/charges/{charge['id']}/dispute"
        uses[number] = await world.made(path, holder, COMPLAINT)
    await answered(world, side, uses[0], agree=True)
    waits = await world.got(f"/v1/me/charges/{uses[0]['id']}", holder)
    assert (waits["status"], waits["reversal"]["status"]) == ("disputed", "pending")
    keys = keys_in((await world.call("GET", "/.well-known/anxin-keys.json")).content)

    waiting = await world.call("GET", f"/v1/me/cards/{card}/evidence", holder)
    await world.confirmed(side, 50_00)
    served = await world.call("GET", f"/v1/me/cards/{card}/evidence", holder)

    for answer in (waiting, served):
        assert verify_evidence(answer.content, keys).faults == []
    back = await world.got(f"/v1/me/charges/{uses[0]['id']}", holder)
    assert (back["status"], back["dispute"]["status"]) == ("reversed", "upheld")
