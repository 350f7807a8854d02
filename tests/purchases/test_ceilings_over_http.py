"""The ceilings where a region has them: at the till, in the app, by policy, and exempt."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from app.access.principals import Role
from app.dates import business_date
from app.db.engine import Database
from app.main import create_app
from tests.api.serving import given_key, sandbox_settings, served
from tests.builder import APPROVER, PROPOSER
from tests.cluster import DatabaseUrls

ELSEWHERE = "310101"
"""A district of Shanghai: no region there is exempt."""


class Town:
    """A sandbox merchant, its consumer, and two operators."""

    def __init__(self, client: httpx.AsyncClient, seeded: dict[str, Any]) -> None:
        self.client, self.seeded = client, seeded
        self.merchant = {"authorization": f"Bearer {seeded['merchant_key']}"}
        self.consumer = {"authorization": f"Bearer {seeded['consumer_token']}"}
        self.operators: list[dict[str, str]] = []

    async def post(self, path: str, who: dict[str, str], body: Any) -> httpx.Response:
        headers = {**who, "idempotency-key": str(uuid4())}
        return await self.client.post(path, json=body, headers=headers)

    async def product(self, price_amount: int, **fields: object) -> dict[str, Any]:
        made = await self.post(
            "/v1/card-products",
            self.merchant,
            {"name": "卡", "kind": "stored_value", "price_amount": price_amount, **fields},
        )
        assert made.status_code == 201, made.text
        return made.json()

    async def buys(self, product: dict[str, Any]) -> httpx.Response:
        return await self.post(
            "/v1/me/purchases",
            self.consumer,
            {
                "product_id": product["id"],
                "store_id": self.seeded["store_id"],
                "contract_sha256": product["contract"]["sha256"],
            },
        )

    async def approved(self, action: str) -> dict[str, Any]:
        listed = await self.client.get("/v1/approvals", headers=self.operators[0])
        (waiting,) = [
            one
            for one in listed.json()["data"]
            if one["action"] == action and one["status"] == "proposed"
        ]
        done = await self.post(f"/v1/approvals/{waiting['id']}/approve", self.operators[1], {})
        assert done.status_code == 200, done.text
        return done.json()


@pytest_asyncio.fixture
async def client(fresh_database: DatabaseUrls, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = sandbox_settings(fresh_database.database_url, tmp_path)
    async with served(create_app(settings)) as running:
        yield running.client


@pytest_asyncio.fixture
async def empty_db(fresh_database: DatabaseUrls) -> AsyncIterator[Database]:
    pool = Database.connect(fresh_database.database_url)
    yield pool
    await pool.close()


async def town(client: httpx.AsyncClient, db: Database, **wish: str) -> Town:
    made = await client.post("/v1/sandbox/merchants", json=wish)
    assert made.status_code == 201, made.text
    seeded = made.json()
    if "consumer_token" not in seeded:
        seeded["consumer_token"] = ""
    found = Town(client, seeded)
    found.operators = [
        await given_key(db, role=Role.OPERATOR, person_id=person) for person in (PROPOSER, APPROVER)
    ]
    return found


async def test_the_ceiling_holds_in_the_app_at_the_till_and_at_the_acceptance(
    client: httpx.AsyncClient, empty_db: Database
) -> None:
    here = await town(client, empty_db, district=ELSEWHERE)
    product = await here.product(3_000_00)
    first = await here.buys(product)
    assert first.status_code == 201, first.text

    refused = await here.buys(product)

    assert refused.status_code == 422
    problem = refused.json()
    assert problem["code"] == "ceiling_exceeded"
    members = ("ceiling_amount", "live_amount", "available_amount")
    assert [problem[name] for name in members] == [5_000_00, 3_000_00, 2_000_00]
    sale = {"product_id": product["id"], "store_id": here.seeded["store_id"]}
    named = {**sale, "consumer_id": here.seeded["consumer_id"]}
    assert (await here.post("/v1/purchases", here.merchant, named)).status_code == 422
    unnamed = (await here.post("/v1/purchases", here.merchant, sale)).json()
    echo = {"contract_sha256": unnamed["contract"]["sha256"]}
    path = f"/v1/me/purchases/{unnamed['id']}/accept"
    assert (await here.post(path, here.consumer, echo)).json()["code"] == "ceiling_exceeded"
    # Paid all the same, the money funds nothing.
    paid = {"payment_reference": unnamed["payment_reference"], "amount": 3_000_00}
    receipt = (await client.post("/v1/sandbox/bank/pay", json=paid)).json()
    assert (receipt["status"], receipt["suspense_reason"]) == ("suspense", "contract_not_accepted")


async def test_a_region_without_a_ceiling_gets_one_by_a_policy(
    client: httpx.AsyncClient, empty_db: Database
) -> None:
    here = await town(client, empty_db)
    dear = await here.product(6_000_00)
    assert (await here.buys(dear)).status_code == 201
    async with empty_db.snapshot() as tx:
        today = business_date(await tx.now())
    row = {
        "key": "ceiling_amount",
        "region": "330106",
        "value": 1_000_00,
        "valid_from": (today + timedelta(days=1)).isoformat(),
    }
    proposed = await client.put("/v1/policies", json=row, headers=here.operators[0])
    assert proposed.status_code == 202, proposed.text
    await here.approved(proposed.json()["action"])
    assert (await here.buys(dear)).status_code == 201
    await client.post("/v1/sandbox/clock/advance", json={"seconds": 86_400})
    # What is remembered of policies, the day among it, is a second old at most.
    await asyncio.sleep(1.1)

    refused = await here.buys(dear)

    # What expired unpaid is not live; the ceiling of the day counts.
    assert refused.json()["code"] == "ceiling_exceeded"
    assert (refused.json()["ceiling_amount"], refused.json()["live_amount"]) == (1_000_00, 0)


async def test_an_exemption_counts_when_a_second_person_has_granted_it(
    client: httpx.AsyncClient, empty_db: Database
) -> None:
    here = await town(client, empty_db, district=ELSEWHERE, industry="training")
    basis = {"legal_basis": "《单用途预付卡管理规定》第 9 条", "document_number": "沪商 2026-7"}
    product = await here.product(6_000_00, ceiling_exemption=basis)
    assert product["ceiling_exemption"] == basis
    assert product["ceiling_exempted_at"] is None
    assert (await here.buys(product)).json()["code"] == "ceiling_exceeded"

    granted = await here.approved("card_product.ceiling_exemption")

    assert granted["result"]["ceiling_exemption"] == basis
    path = f"/v1/card-products/{product['id']}"
    shown = (await client.get(path, headers=here.merchant)).json()
    assert shown["ceiling_exempted_at"] == granted["result"]["ceiling_exempted_at"]
    assert (await here.buys(product)).status_code == 201


async def test_training_may_not_sell_more_than_sixty_lessons_or_three_months(
    client: httpx.AsyncClient, empty_db: Database
) -> None:
    here = await town(client, empty_db, district=ELSEWHERE, industry="training")
    lessons = await here.product(1_000_00, kind="count", sessions=61)
    term = await here.product(1_000_00, kind="period", term_days=93)

    refused = [(await here.buys(one)).json() for one in (lessons, term)]

    assert [one["code"] for one in refused] == ["ceiling_exceeded"] * 2
    assert (refused[0]["ceiling_sessions"], refused[0]["available_sessions"]) == (60, 60)
    assert (refused[1]["ceiling_days"], refused[1]["term_days"]) == (92, 93)


async def test_a_refusal_may_be_asked_again_under_its_key_when_there_is_room(
    client: httpx.AsyncClient, empty_db: Database
) -> None:
    here = await town(client, empty_db, district=ELSEWHERE)
    product = await here.product(3_000_00)
    first = (await here.buys(product)).json()
    key = {**here.consumer, "idempotency-key": str(uuid4())}
    body = {
        "product_id": product["id"],
        "store_id": here.seeded["store_id"],
        "contract_sha256": product["contract"]["sha256"],
    }
    assert (await client.post("/v1/me/purchases", json=body, headers=key)).status_code == 422
    path = f"/v1/purchases/{first['id']}/cancel"
    assert (await here.post(path, here.merchant, {})).status_code == 200

    again = await client.post("/v1/me/purchases", json=body, headers=key)

    assert again.status_code == 201
    assert date.fromisoformat(again.json()["created_at"][:10])
