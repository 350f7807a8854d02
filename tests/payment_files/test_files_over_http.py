"""The calls about files, as operator, bank, merchant and a passer-by make them."""

import csv
import io
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import SecretStr

from app import ids
from app.access.principals import Role
from app.db.engine import Database
from app.ids import Prefix
from app.main import create_app
from app.payment_files.routes import parts_of
from tests.api.serving import given_key, sandbox_settings, served
from tests.builder import Builder, Shop
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World


@dataclass
class Http:
    """The service with a credential for each who calls."""

    client: httpx.AsyncClient
    db: Database
    world: World
    operator: dict[str, str]
    bank: dict[str, str]
    other_bank: dict[str, str]

    async def get(self, who: dict[str, str], path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={**who, **headers})

    async def post(
        self, who: dict[str, str], path: str, body: object = None, key: str | None = None
    ) -> httpx.Response:
        headers = {**who, "idempotency-key": key or str(uuid4())}
        return await self.client.post(path, json=body, headers=headers)

    async def cut(self, kind: str = "release") -> Any:
        made = await self.post(self.operator, "/v1/payment-files/cut", {"kind": kind})
        assert made.status_code == 201, made.text
        (file,) = made.json()["data"]
        return file

    async def merchant(self, shop: Shop, **narrowing: Any) -> dict[str, str]:
        return await given_key(
            self.db, Role.MERCHANT, merchant_id=shop.merchant.merchant_id, **narrowing
        )


@pytest_asyncio.fixture
async def http(fresh_database: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Http]:
    # The builder seals with this key too.
    data_key = SecretStr(b64encode(bytes(32)).decode())
    settings = sandbox_settings(fresh_database.database_url, tmp_path).model_copy(
        update={"data_key": data_key}
    )
    async with served(create_app(settings)) as running:
        services = running.services
        yield Http(
            running.client,
            services.db,
            World(parts_of(services), Builder(services.db)),
            await given_key(services.db),
            await given_key(services.db, Role.BANK),
            await given_key(services.db, Role.BANK, bank="ICBC"),
        )


async def test_a_file_from_its_cut_to_its_results(http: Http) -> None:
    shop = await http.world.given.shop()
    await http.world.earned(shop, 66_67)

    file = await http.cut()

    assert file["id"].startswith("file_")
    assert {name: file[name] for name in ("kind", "bank", "sequence", "status")} == {
        "kind": "release",
        "bank": "HZCB",
        "sequence": 1,
        "status": "ready",
    }
    assert (file["order_count"], file["total_amount"]) == (1, 66_67)
    path = f"/v1/bank/files/{file['id']}"
    listed = await http.get(http.bank, "/v1/bank/files?kind=release&status=ready")
    assert listed.json() == {"data": [file], "next_cursor": None}
    assert (await http.get(http.bank, path)).json() == file

    taken = await http.post(
        http.bank,
        f"{path}/acknowledge",
        {"sha256": file["sha256"], "order_count": 1, "total_amount": 66_67},
    )
    assert (taken.status_code, taken.json()["status"]) == (200, "acknowledged")
    (order,) = (await http.get(http.bank, f"{path}/orders")).json()["data"]
    assert (order["amount"], order["payee_account_number"]) == (66_67, "6222021234567890")
    told = await http.post(
        http.bank, f"{path}/results", {"results": [{"order_id": order["id"], "status": "paid"}]}
    )
    assert told.status_code == 200
    assert told.json()["file"]["status"] == "completed"
    assert told.json()["results"] == [
        {"order_id": order["id"], "status": "paid", "outcome": "applied"}
    ]


async def test_a_downloaded_file_can_be_checked_with_the_published_keys(http: Http) -> None:
    shop = await http.world.given.shop()
    await http.world.earned(shop, 10_00)
    file = await http.cut()
    path = f"/v1/bank/files/{file['id']}"

    got = await http.get(http.bank, f"{path}/content", accept="text/csv")

    assert got.headers["content-type"].startswith("text/csv")
    digest = sha256(got.content).hexdigest()
    assert digest == file["sha256"]
    assert got.headers["etag"] == f'"{digest}"'
    rows = list(csv.DictReader(io.StringIO(got.text, newline="")))
    assert [row["record_type"] for row in rows] == ["file", "order", "total"]
    signed = (await http.get(http.bank, f"{path}/signature")).json()
    assert signed["algorithm"] == "Ed25519"
    keys = (await http.client.get("/.well-known/anxin-keys.json")).json()["keys"]
    (x,) = [key["x"] for key in keys if key["kid"] == signed["key_id"]]
    key = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(x + "="))
    key.verify(b64decode(signed["signature"]), got.content)
    again = await http.get(http.bank, f"{path}/content")
    assert again.content == got.content


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/csv", 200),
        ("*/*", 200),
        ("application/xml;q=1, text/*", 200),
        ("application/xml", 406),
    ],
)
async def test_a_file_is_offered_as_csv(http: Http, accept: str, status: int) -> None:
    shop = await http.world.given.shop()
    await http.world.earned(shop, 10_00)
    file = await http.cut()

    got = await http.get(http.bank, f"/v1/bank/files/{file['id']}/content", accept=accept)

    assert got.status_code == status
    if status == 406:
        assert got.json()["code"] == "not_acceptable"
        cancelled = await http.post(http.operator, f"/v1/payment-files/{file['id']}/cancel")
        assert cancelled.json()["status"] == "cancelled"


async def test_nothing_payable_makes_no_file(http: Http) -> None:
    made = await http.post(http.operator, "/v1/payment-files/cut", {"kind": "refund"})

    assert (made.status_code, made.json()) == (201, {"data": []})


async def test_a_cut_repeated_with_its_key_gives_the_same_file(http: Http) -> None:
    shop = await http.world.given.shop()
    await http.world.earned(shop, 10_00)
    body, key = {"kind": "release"}, str(uuid4())
    first = await http.post(http.operator, "/v1/payment-files/cut", body, key)
    await http.world.earned(shop, 10_00)

    again = await http.post(http.operator, "/v1/payment-files/cut", body, key)
    other = await http.post(http.operator, "/v1/payment-files/cut", {"kind": "refund"}, key)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_refusals_of_the_contract(http: Http) -> None:
    shop = await http.world.given.shop()
    await http.world.earned(shop, 10_00)
    file = await http.cut()
    path = f"/v1/bank/files/{file['id']}"
    stranger = ids.to_text(Prefix.ORDER, ids.new_id(1))

    async def refused(who: dict[str, str], at: str, body: object) -> tuple[int, str]:
        answer = await http.post(who, at, body)
        return answer.status_code, answer.json()["code"]

    paid = {"order_id": stranger, "status": "paid"}
    nonsense = {"order_id": "nonsense", "status": "paid"}
    results = f"{path}/results"
    assert await refused(http.bank, results, {"results": [paid]}) == (422, "order_not_in_file")
    assert await refused(http.bank, results, {"results": [nonsense]}) == (422, "order_not_in_file")
    assert await refused(http.bank, results, {"results": []}) == (422, "invalid_request")
    assert await refused(http.other_bank, results, {"results": [paid]}) == (404, "not_found")
    assert await refused(http.bank, f"{path}/acknowledge", {"order_count": 2}) == (
        409,
        "file_mismatch",
    )
    assert await refused(
        http.operator, "/v1/payment-files/cut", {"kind": "release", "business_date": "2099-01-01"}
    ) == (409, "calendar_not_covered")
    assert await refused(http.bank, "/v1/payment-files/cut", {"kind": "release"}) == (
        403,
        "forbidden",
    )
    await http.get(http.bank, f"{path}/orders")
    assert await refused(http.operator, f"/v1/payment-files/{file['id']}/cancel", None) == (
        409,
        "file_already_downloaded",
    )
    for part in ("", "/content", "/signature", "/orders"):
        assert (await http.get(http.other_bank, path + part)).status_code == 404


async def test_a_merchant_sees_its_balance_and_what_each_settlement_is_for(http: Http) -> None:
    shop = await http.world.given.shop()
    await http.world.earned(shop, 66_67)
    await http.world.earned(shop, 33_33)
    file = await http.cut()
    await http.world.earned(shop, 5_00)
    merchant = await http.merchant(shop)

    balance = (await http.get(merchant, "/v1/balance")).json()
    (settlement,) = (await http.get(merchant, "/v1/settlements")).json()["data"]

    assert (balance["custody_amount"], balance["payable_amount"]) == (105_00, 5_00)
    assert balance["release_in_transit_amount"] == 100_00
    assert balance["card_amount"] == balance["pending_reversal_amount"] == 0
    assert (settlement["file_id"], settlement["amount"]) == (file["id"], 100_00)
    assert settlement["business_date"] == file["business_date"]
    assert settlement["deductions"]["payable_amount"] == 100_00
    assert settlement["item_count"] == 2
    assert [item["amount"] for item in settlement["items"]] == [66_67, 33_33]
    items = f"/v1/settlements/{settlement['id']}/items"
    page = (await http.get(merchant, f"{items}?limit=1")).json()
    rest = (await http.get(merchant, f"{items}?limit=1&cursor={page['next_cursor']}")).json()
    assert [item["amount"] for item in page["data"] + rest["data"]] == [33_33, 66_67]
    await http.cut()
    newest, _ = (await http.get(merchant, "/v1/settlements")).json()["data"]
    assert (newest["amount"], [item["amount"] for item in newest["items"]]) == (5_00, [5_00])


async def test_a_key_of_one_store_does_not_see_the_whole_merchants_money(http: Http) -> None:
    shop = await http.world.given.shop()
    clerk = await http.merchant(shop, store_ids=(shop.store.store_id,))

    for path in ("/v1/balance", "/v1/settlements"):
        assert (await http.get(clerk, path)).status_code == 403


async def test_an_operator_reads_the_ledger(http: Http) -> None:
    shop = await http.world.given.shop()
    await http.world.earned(shop, 100_00)
    before = (await http.get(http.operator, "/v1/ledger/trial-balance")).json()
    await http.cut()

    after = (await http.get(http.operator, "/v1/ledger/trial-balance")).json()
    past = await http.client.get(
        "/v1/ledger/trial-balance", params={"as_of": before["as_of"]}, headers=http.operator
    )

    assert (before["balanced"], after["balanced"]) == (True, True)
    sides = {row["type"]: (row["debit_amount"], row["credit_amount"]) for row in after["accounts"]}
    assert sides["custody"] == (100_00, 0)
    assert sides["release_in_transit"] == (0, 100_00)
    assert sides["merchant_payable"] == (0, 0)
    assert past.json()["accounts"] == before["accounts"]
    merchant_id = ids.to_text(Prefix.MERCHANT, shop.merchant.merchant_id)
    accounts = (
        await http.get(http.operator, f"/v1/ledger/accounts?merchant_id={merchant_id}")
    ).json()["data"]
    (payable,) = [account for account in accounts if account["type"] == "merchant_payable"]
    moved = (await http.get(http.operator, f"/v1/ledger/accounts/{payable['id']}/transfers")).json()
    assert [(row["kind"], row["amount"]) for row in moved["data"]] == [
        ("release_cut", 100_00),
        ("interest_allotted", 100_00),
    ]
