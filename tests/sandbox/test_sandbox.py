import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.access.tokens import LocalIssuer, TokenVerifier
from app.main import create_api, create_app
from app.sandbox import service
from app.sandbox.files import SANDBOX_FILE
from app.settings import Mode, Settings
from tests.api.serving import sandbox_settings, served
from tests.cluster import Cluster, DatabaseUrls

FIELDS = {
    "base_url", "operator_key", "operator2_key", "merchant_key", "bank_key", "regulator_key",
    "wallet_key", "bank", "merchant_id", "store_id", "custody_account", "products",
    "consumer_id", "consumer_token",
}  # fmt: skip


@pytest.fixture
def settings(fresh_database: DatabaseUrls, tmp_path: Path) -> Settings:
    return sandbox_settings(fresh_database.database_url, tmp_path)


@pytest_asyncio.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(settings)) as running:
        yield running.client


def read(settings: Settings) -> dict[str, object]:
    return json.loads((settings.data / SANDBOX_FILE).read_text())


async def test_seeding_again_gives_the_same_and_its_file_is_private(settings: Settings) -> None:
    await service.seed(settings)
    first = read(settings)
    await service.seed(settings)
    second = read(settings)

    assert first.keys() == FIELDS
    assert {**first, "consumer_token": ""} == {**second, "consumer_token": ""}
    assert stat.S_IMODE((settings.data / SANDBOX_FILE).stat().st_mode) == 0o600
    assert "/v1" not in str(first["base_url"])


async def test_the_same_keys_open_another_database(settings: Settings, cluster: Cluster) -> None:
    first = await service.seed(settings)

    empty = await cluster.clone("other")
    other = await service.seed(settings.model_copy(update={"database_url": empty.database_url}))

    assert other.keys == first.keys
    assert other.merchant.merchant_id != first.merchant.merchant_id
    await cluster.drop(empty.name)


async def test_every_seeded_principal_is_known(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    seeded = (await service.seed(settings)).keys
    for key in (seeded.operator_key, seeded.operator2_key):
        answer = await client.get("/v1/merchants", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200
    for key in (seeded.bank_key, seeded.regulator_key, seeded.wallet_key, seeded.merchant_key):
        answer = await client.get("/v1/merchants", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 403


async def test_the_seeded_merchant_sells_the_three_products(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    sandbox = await service.seed(settings)

    products = (
        await client.get(
            "/v1/card-products", headers={"authorization": f"Bearer {sandbox.keys.merchant_key}"}
        )
    ).json()["data"]

    by_kind = {product["kind"]: product for product in products}
    assert {kind: product["id"] for kind, product in by_kind.items()} == sandbox.merchant.products
    stored_value, count, period = (by_kind[kind] for kind in ("stored_value", "count", "period"))
    assert (stored_value["price_amount"], stored_value["bonus_amount"]) == (500_00, 100_00)
    assert (count["price_amount"], count["sessions"], count["gift_sessions"]) == (1_200_00, 10, 2)
    assert count["list_price_amount"] == 150_00
    assert (period["price_amount"], period["term_days"]) == (3_650_00, 365)


async def test_another_merchant_is_ready_and_has_its_own_key(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    seeded = await service.seed(settings)

    plain = await client.post("/v1/sandbox/merchants")
    wished = await client.post(
        "/v1/sandbox/merchants",
        json={"name": "美容院", "industry": "beauty", "district": "320102", "bank": "ICBC"},
    )

    assert (plain.status_code, wished.status_code) == (201, 201)
    assert plain.json().keys() == wished.json().keys() == FIELDS
    assert plain.json()["bank_key"] == seeded.keys.bank_key
    assert wished.json()["bank"] == "ICBC"
    assert wished.json()["bank_key"] != seeded.keys.bank_key
    operator = {"authorization": f"Bearer {seeded.keys.operator_key}"}
    merchant = (
        await client.get(f"/v1/merchants/{wished.json()['merchant_id']}", headers=operator)
    ).json()
    assert (merchant["name"], merchant["industry"]) == ("美容院", "beauty")
    assert merchant["payee"]["status"] == "approved"
    for made in (plain.json(), wished.json()):
        page = (await client.get(f"/v1/public/stores/{made['store_id']}")).json()
        assert page["in_scheme"]
        assert page["merchant"]["id"] == made["merchant_id"]
        own = {"authorization": f"Bearer {made['merchant_key']}"}
        products = (await client.get("/v1/card-products", headers=own)).json()["data"]
        assert {p["kind"]: p["id"] for p in products} == made["products"]


async def test_a_token_names_the_consumer_that_was_asked_for(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    made = await client.post("/v1/sandbox/consumer-tokens", json={"consumer_id": "张三-7"})

    verifier = TokenVerifier((LocalIssuer.of(settings.data).issuer,))
    assert made.status_code == 201
    assert verifier.authenticate(made.json()["token"]).consumer_id == "张三-7"
    for refused in ("", "a\nb", "x" * 256):
        answer = await client.post("/v1/sandbox/consumer-tokens", json={"consumer_id": refused})
        assert answer.status_code == 422


async def test_time_passes_and_never_backwards(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/sandbox/clock/advance", json={"seconds": 0})
    second = await client.post("/v1/sandbox/clock/advance", json={"seconds": 86_400})

    assert first.status_code == second.status_code == 200
    assert second.json()["now"][:10] > first.json()["now"][:10]
    for seconds in (-1, 1.5, "1", True, None, 10**12):
        answer = await client.post("/v1/sandbox/clock/advance", json={"seconds": seconds})
        assert answer.status_code == 422


def test_production_has_no_route_of_the_sandbox(settings: Settings) -> None:
    def paths(mode: Mode) -> set[str]:
        api = create_api(settings.model_copy(update={"mode": mode}))
        return {path for path in api.openapi()["paths"] if path.startswith("/v1/sandbox")}

    assert paths(Mode.SANDBOX)
    assert not paths(Mode.PRODUCTION)
