"""The contract's calls, and a decision of a district that has a rule of its own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from app.access.principals import Role
from app.dates import business_date
from app.db.engine import Database
from app.main import create_app
from app.policies.domain import POLICY_KEYS, REGIONAL_DEFAULTS
from tests.api.serving import given_key, sandbox_settings, served
from tests.builder import APPROVER, PROPOSER
from tests.cluster import DatabaseUrls


@pytest_asyncio.fixture(loop_scope="session")
async def client(fresh_database: DatabaseUrls, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = sandbox_settings(fresh_database.database_url, tmp_path)
    async with served(create_app(settings)) as running:
        yield running.client


class Operators:
    """Two persons, and what they do together."""

    def __init__(
        self, client: httpx.AsyncClient, first: dict[str, str], second: dict[str, str]
    ) -> None:
        self.client, self.first, self.second = client, first, second

    async def propose(self, **body: Any) -> httpx.Response:
        return await self.client.put("/v1/policies", json=body, headers=self.first)

    async def approve(self, approval: dict[str, Any]) -> httpx.Response:
        headers = {**self.second, "idempotency-key": str(uuid4())}
        return await self.client.post(f"/v1/approvals/{approval['id']}/approve", headers=headers)

    async def add(self, **body: Any) -> dict[str, Any]:
        proposed = await self.propose(**body)
        assert proposed.status_code == 202, proposed.text
        approved = await self.approve(proposed.json())
        assert approved.status_code == 200, approved.text
        return approved.json()["result"]

    async def list(self, query: str = "") -> dict[str, Any]:
        listed = await self.client.get(f"/v1/policies{query}", headers=self.first)
        assert listed.status_code == 200, listed.text
        return listed.json()


@pytest.fixture
async def operators(client: httpx.AsyncClient, empty_db: Database) -> Operators:
    return Operators(
        client,
        await given_key(empty_db, person_id=PROPOSER),
        await given_key(empty_db, person_id=APPROVER),
    )


async def today(db: Database) -> date:
    async with db.snapshot() as tx:
        return business_date(await tx.now())


async def test_a_policy_is_proposed_approved_and_listed(
    operators: Operators, empty_db: Database
) -> None:
    start = await today(empty_db) + timedelta(days=3)

    proposed = await operators.propose(key="cut_time", value="21:30", valid_from=start.isoformat())
    approved = await operators.approve(proposed.json())

    assert proposed.status_code == 202
    assert proposed.json()["request"]["value"] == "21:30"
    policy = approved.json()["result"]
    assert policy["id"].startswith("pol_")
    assert {**policy, "id": None} == {
        "id": None,
        "key": "cut_time",
        "region": "",
        "value": "21:30",
        "valid_from": start.isoformat(),
        "valid_to": None,
        "version": 1,
    }
    listed = await operators.list("?key=cut_time")
    assert listed["data"][0] == policy
    assert [entry["valid_to"] for entry in listed["data"]] == [None, start.isoformat()]
    assert listed["data"][1]["value"] == "22:00"


async def test_the_list_is_paged_and_filtered_by_key_region_and_day(
    operators: Operators, empty_db: Database
) -> None:
    start = await today(empty_db)
    for days in range(5):
        await operators.add(
            key="suspense_days",
            region="33",
            value=days,
            valid_from=(start + timedelta(days=days)).isoformat(),
        )

    whole = (await operators.list("?limit=200"))["data"]
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await operators.list(f"?limit=4{cursor}")
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert found == whole
    assert len(whole) == 5 + len(POLICY_KEYS) + len(REGIONAL_DEFAULTS)
    on = (start + timedelta(days=2)).isoformat()
    counting = await operators.list(f"?key=suspense_days&region=33&on={on}")
    assert [entry["value"] for entry in counting["data"]] == [2]
    everywhere = await operators.list("?key=cooling_off_days&region=")
    assert [entry["value"] for entry in everywhere["data"]] == [7]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"key": "no_such_policy"}, "/key"),
        ({"value": "10"}, "/value"),
        ({"value": 367}, "/value"),
        ({"value": {"days": 10}}, "/value"),
        ({"key": "term_end_release", "value": True}, "/value"),
        ({"key": "automatic_confirmation", "value": True}, "/value"),
        ({"region": "Jiangsu"}, "/region"),
        ({"region": "321"}, "/region"),
        ({"valid_from": "2020-01-01"}, "/valid_from"),
        ({"valid_from": None}, "/valid_from"),
        ({"valid_to": "2101-01-01"}, "/valid_to"),
        ({"version": 7}, "/version"),
    ],
)
async def test_a_wrong_field_is_named(
    operators: Operators, fields: dict[str, Any], pointer: str
) -> None:
    body = {"key": "cooling_off_days", "region": "32", "value": 10, "valid_from": "2100-01-01"}

    refused = await operators.propose(**{**body, **fields})

    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid_request"
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_an_overlap_is_a_conflict_that_names_the_version(operators: Operators) -> None:
    body = {"key": "cooling_off_days", "region": "32", "value": 10, "valid_from": "2100-01-01"}
    await operators.add(**body)

    refused = await operators.propose(**body)

    assert refused.status_code == 409
    problem = refused.json()
    assert problem["code"] == "policy_overlaps"
    assert (problem["version"], problem["valid_from"]) == (1, "2100-01-01")


async def test_policies_are_for_operators_only(
    client: httpx.AsyncClient, empty_db: Database
) -> None:
    bank = await given_key(empty_db, Role.BANK)

    assert (await client.get("/v1/policies")).status_code == 401
    assert (await client.get("/v1/policies", headers=bank)).status_code == 403
    assert (await client.put("/v1/policies", json={}, headers=bank)).status_code == 403


class Shop:
    """A sandbox merchant of a district, as its POS and its bank use the service."""

    def __init__(self, client: httpx.AsyncClient, sandbox: dict[str, Any]) -> None:
        self.client, self.sandbox = client, sandbox

    async def post(self, path: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "authorization": f"Bearer {self.sandbox[key]}",
            "idempotency-key": str(uuid4()),
        }
        answer = await self.client.post(path, json=body, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    async def purchase(self) -> dict[str, Any]:
        body = {
            "product_id": self.sandbox["products"]["stored_value"],
            "store_id": self.sandbox["store_id"],
        }
        return await self.post("/v1/purchases", "merchant_key", body)

    async def charge_by_code(self, amount: int) -> dict[str, Any]:
        body = {"merchant_id": self.sandbox["merchant_id"]}
        code = (await self.post("/v1/me/codes", "consumer_token", body))["code"]
        body = {"store_id": self.sandbox["store_id"], "consumer_code": code, "amount": amount}
        return await self.post("/v1/charges", "merchant_key", body)


async def shop_in(client: httpx.AsyncClient, district: str) -> Shop:
    made = await client.post("/v1/sandbox/merchants", json={"district": district})
    assert made.status_code == 201, made.text
    return Shop(client, made.json())


async def test_within_a_second_a_district_is_decided_by_its_own_rule(
    client: httpx.AsyncClient, operators: Operators, empty_db: Database
) -> None:
    near, far = await shop_in(client, "440106"), await shop_in(client, "330106")
    for shop in (near, far):
        purchase = await shop.purchase()
        assert seconds(purchase) == 1_800
        reference = purchase["payment_reference"]
        paid = {"payment_reference": reference, "amount": purchase["amount"]}
        await client.post("/v1/sandbox/bank/pay", json=paid)
    start = (await today(empty_db)).isoformat()

    await operators.add(key="purchase_lifetime_seconds", region="4401", value=600, valid_from=start)
    await operators.add(key="code_use_amount", region="44", value=50_00, valid_from=start)
    await asyncio.sleep(1.05)

    assert [seconds(await shop.purchase()) for shop in (near, far)] == [600, 1_800]
    statuses = [(await shop.charge_by_code(80_00))["status"] for shop in (near, far)]
    assert statuses == ["pending_confirmation", "confirmed"]


def seconds(purchase: dict[str, Any]) -> float:
    times = (datetime.fromisoformat(purchase[name]) for name in ("expires_at", "created_at"))
    ends, begins = times
    return (ends - begins).total_seconds()
