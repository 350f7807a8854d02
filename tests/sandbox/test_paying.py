from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from app.main import create_app
from app.sandbox.domain import CONSUMER_ID
from tests.api.serving import sandbox_settings, served

Facts = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(database_url: str, tmp_path_factory: Any) -> AsyncIterator[httpx.AsyncClient]:
    data: Path = tmp_path_factory.mktemp("data")
    async with served(create_app(sandbox_settings(database_url, data))) as running:
        yield running.client


@pytest_asyncio.fixture(loop_scope="session")
async def shop(client: httpx.AsyncClient) -> Facts:
    return (await client.post("/v1/sandbox/merchants")).json()


async def given_purchase(
    client: httpx.AsyncClient, shop: Facts, kind: str = "stored_value", **fields: str
) -> Facts:
    made = await client.post(
        "/v1/purchases",
        json={"product_id": shop["products"][kind], "store_id": shop["store_id"], **fields},
        headers={
            "authorization": f"Bearer {shop['merchant_key']}",
            "idempotency-key": str(uuid4()),
        },
    )
    assert made.status_code == 201, made.text
    return made.json()


async def read(client: httpx.AsyncClient, shop: Facts, purchase: Facts) -> Facts:
    headers = {"authorization": f"Bearer {shop['merchant_key']}"}
    return (await client.get(f"/v1/purchases/{purchase['id']}", headers=headers)).json()


async def pay(client: httpx.AsyncClient, purchase: Facts, **fields: object) -> httpx.Response:
    body = {
        "payment_reference": purchase["payment_reference"],
        "amount": purchase["amount"],
        **fields,
    }
    return await client.post("/v1/sandbox/bank/pay", json=body)


async def test_paying_an_unclaimed_purchase_makes_it_the_seeded_consumers(
    client: httpx.AsyncClient, shop: Facts
) -> None:
    for kind in ("stored_value", "count", "period"):
        purchase = await given_purchase(client, shop, kind)

        paid = await pay(client, purchase)

        assert (paid.status_code, paid.json()["status"]) == (201, "matched")
        assert paid.json()["custody_account"] == shop["custody_account"]
        funded = await read(client, shop, purchase)
        assert (funded["status"], funded["consumer_id"]) == ("funded", CONSUMER_ID)
        assert funded["card_id"] == paid.json()["card_id"]
        assert funded["accepted_at"] is not None


async def test_a_purchase_for_a_consumer_stays_that_consumers(
    client: httpx.AsyncClient, shop: Facts
) -> None:
    purchase = await given_purchase(client, shop, consumer_id="consumer-9")

    assert (await pay(client, purchase)).json()["status"] == "matched"
    assert (await read(client, shop, purchase))["consumer_id"] == "consumer-9"


async def test_a_wrong_amount_and_an_unknown_reference_lie_in_suspense(
    client: httpx.AsyncClient, shop: Facts
) -> None:
    purchase = await given_purchase(client, shop)

    short = await pay(client, purchase, amount=1)
    unknown = await pay(
        client, purchase, payment_reference="nonsense", custody_account=shop["custody_account"]
    )
    nobody = await pay(client, purchase, custody_account="0000")

    assert (short.status_code, short.json()["suspense_reason"]) == (201, "underpaid")
    assert unknown.json()["suspense_reason"] == "unknown_reference"
    assert nobody.json()["suspense_reason"] == "unknown_custody_account"


async def test_the_same_bank_reference_is_the_same_receipt(
    client: httpx.AsyncClient, shop: Facts
) -> None:
    purchase = await given_purchase(client, shop)

    first = await pay(client, purchase, bank_reference="20261122-1")
    again = await pay(client, purchase, bank_reference="20261122-1")
    other = await pay(client, purchase, bank_reference="20261122-1", amount=7)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (409, "bank_reference_reused")


async def test_money_for_a_cancelled_purchase_funds_nothing(
    client: httpx.AsyncClient, shop: Facts
) -> None:
    purchase = await given_purchase(client, shop)
    await client.post(
        f"/v1/purchases/{purchase['id']}/cancel",
        headers={
            "authorization": f"Bearer {shop['merchant_key']}",
            "idempotency-key": str(uuid4()),
        },
    )

    paid = await pay(client, purchase)

    assert paid.json()["suspense_reason"] == "purchase_cancelled"
