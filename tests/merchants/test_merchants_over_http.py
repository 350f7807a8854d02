"""The contract's calls of this capability, as an operator and a passer-by make them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from app import ids
from app.access.principals import Role
from app.db.engine import Database
from app.ids import Prefix
from app.main import create_app
from tests.api.serving import given_key, sandbox_settings, served
from tests.builder import unique

PAYEE = {"holder_name": "安心健身", "account_number": "6222021234567890", "bank_code": "1023"}


def merchant_body(**fields: Any) -> dict[str, Any]:
    return {
        "name": "安心健身",
        "licence_number": unique("91330106"),
        "industry": "fitness",
        "district": "330106",
        "payee": PAYEE,
        **fields,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    data: Path = tmp_path_factory.mktemp("data")
    async with served(create_app(sandbox_settings(database_url, data))) as running:
        yield running.client


class Caller:
    """A client with a credential and a new idempotency key each time."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers

    async def post(self, path: str, body: object = None, key: str | None = None) -> httpx.Response:
        headers = {**self.headers, "idempotency-key": key or str(uuid4())}
        return await self.client.post(path, json=body, headers=headers)

    async def patch(self, path: str, body: object) -> httpx.Response:
        return await self.client.patch(path, json=body, headers=self.headers)

    async def put(self, path: str, body: object) -> httpx.Response:
        return await self.client.put(path, json=body, headers=self.headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers=self.headers)


@pytest_asyncio.fixture(loop_scope="session")
async def operator(client: httpx.AsyncClient, db: Database) -> Caller:
    return Caller(client, await given_key(db, person_id="li.na"))


@pytest_asyncio.fixture(loop_scope="session")
async def second(client: httpx.AsyncClient, db: Database) -> Caller:
    return Caller(client, await given_key(db, person_id="wang.wei"))


async def test_onboarding_from_licence_to_shop_code(
    operator: Caller, second: Caller, client: httpx.AsyncClient
) -> None:
    made = await operator.post("/v1/merchants", merchant_body())
    merchant = made.json()
    path = f"/v1/merchants/{merchant['id']}"
    assert made.status_code == 201
    assert merchant["status"] == "open"
    assert merchant["payee"]["account_number"] == "****7890"
    assert merchant["payee"]["status"] == "proposed"

    approve = f"/v1/approvals/{merchant['payee']['approval_id']}/approve"
    own = await operator.post(approve)
    assert (own.status_code, own.json()["code"]) == (409, "own_proposal")
    approved = await second.post(approve)
    assert approved.status_code == 200
    assert approved.json()["result"] == (await operator.get(path)).json()
    assert approved.json()["result"]["payee"]["status"] == "approved"

    store = (await operator.post(f"{path}/stores", {"name": "西湖店"})).json()
    page = await client.get(f"/v1/public/stores/{store['id']}")
    assert page.json()["in_scheme"] is False
    number = unique("33010401").replace("-", " ")
    custody = await operator.post(
        f"{path}/custody-accounts",
        {"bank": "HZCB", "account_number": number, "holder_name": "安心健身托管户"},
    )
    assert custody.status_code == 201
    assert (await client.get(f"/v1/public/stores/{store['id']}")).json() == {
        "store": {"id": store["id"], "name": "西湖店", "address": None, "status": "open"},
        "merchant": {
            "id": merchant["id"],
            "name": "安心健身",
            "licence_number": merchant["licence_number"],
            "status": "open",
        },
        "in_scheme": True,
        "products": [],
    }
    drawn = await client.get(f"/v1/public/stores/{store['id']}/qr")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert b"<svg" in drawn.content
    moved = await operator.patch(f"/v1/stores/{store['id']}", {"status": "moved"})
    assert (moved.status_code, moved.json()["status"]) == (200, "moved")
    assert moved.json()["merchant_id"] == merchant["id"]


async def test_a_retry_gives_the_same_merchant_and_says_so(operator: Caller) -> None:
    body, key = merchant_body(), str(uuid4())

    first = await operator.post("/v1/merchants", body, key)
    again = await operator.post("/v1/merchants", body, key)
    other = await operator.post("/v1/merchants", merchant_body(), key)

    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json()) == (201, first.json())
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"industry": "banking"}, "/industry"),
        ({"name": ""}, "/name"),
        ({"name": "安心\n健身"}, "/name"),
        ({"payee": {**PAYEE, "holder_name": "张三"}}, "/payee/holder_name"),
        ({"payee": {**PAYEE, "account_number": "=1+1"}}, "/payee/account_number"),
        ({"payee": None}, "/payee"),
        ({"nonsense": 1}, "/nonsense"),
    ],
)
async def test_a_wrong_field_is_named_and_not_repeated(
    operator: Caller, fields: dict[str, Any], pointer: str
) -> None:
    answer = await operator.post("/v1/merchants", merchant_body(**fields))

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_payee_account_in_a_patch_is_proposed(operator: Caller) -> None:
    merchant = (await operator.post("/v1/merchants", merchant_body())).json()
    path = f"/v1/merchants/{merchant['id']}"

    changed = await operator.patch(path, {"district": "320102"})
    proposed = await operator.patch(path, {"payee": {**PAYEE, "account_number": "6217001111"}})

    assert (changed.status_code, changed.json()["district"]) == (200, "320102")
    assert (proposed.status_code, proposed.json()["status"]) == (202, "proposed")
    assert proposed.json()["request"]["account_number"] == "****1111"
    log = (await operator.get(f"{path}/payee-accounts")).json()["data"]
    assert [payee["account_number"] for payee in log] == ["****1111", "****7890"]


async def test_what_is_not_there_is_not_found(operator: Caller) -> None:
    nobody = "01h455vb4pex5vsknk084sn02q"
    for path in (
        f"/v1/merchants/mch_{nobody}",
        f"/v1/merchants/mch_{nobody}/stores",
        f"/v1/merchants/mch_{nobody}/custody-accounts",
        f"/v1/merchants/mch_{nobody}/payee-accounts",
        "/v1/merchants/nonsense",
        f"/v1/public/stores/sto_{nobody}",
        f"/v1/public/stores/sto_{nobody}/qr",
        "/v1/calendar/2150",
    ):
        answer = await operator.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path


async def test_lists_go_on_where_their_page_ended(operator: Caller) -> None:
    merchant = (await operator.post("/v1/merchants", merchant_body())).json()
    path = f"/v1/merchants/{merchant['id']}/stores"
    made = [(await operator.post(path, {"name": f"{n} 号店"})).json()["id"] for n in range(3)]

    first = (await operator.get(f"{path}?limit=2")).json()
    rest = (await operator.get(f"{path}?limit=2&cursor={first['next_cursor']}")).json()

    assert [store["id"] for store in first["data"]] == [made[2], made[1]]
    assert [store["id"] for store in rest["data"]] == [made[0]]
    assert rest["next_cursor"] is None
    merchants = (await operator.get("/v1/merchants?limit=1")).json()
    assert merchants["next_cursor"] is not None


async def test_a_merchants_key_sells_products_and_sees_its_own(
    operator: Caller, client: httpx.AsyncClient, db: Database
) -> None:
    callers: list[Caller] = []
    for _ in range(2):
        made = (await operator.post("/v1/merchants", merchant_body())).json()
        merchant_id = ids.parse(Prefix.MERCHANT, made["id"])
        key = await given_key(db, Role.MERCHANT, merchant_id=merchant_id)
        callers.append(Caller(client, key))
    own, other = callers
    body = {"name": "600 元储值卡", "kind": "stored_value", "price_amount": 50000}

    made = await own.post("/v1/card-products", {**body, "bonus_amount": 10000.0})
    product = made.json()

    assert made.status_code == 201
    assert (product["bonus_amount"], product["currency"]) == (10000, "CNY")
    assert product["terms"]["refundable"] is True
    assert len(product["contract"]["sha256"]) == 64
    assert (await own.get(f"/v1/card-products/{product['id']}")).json() == product
    assert (await other.get(f"/v1/card-products/{product['id']}")).status_code == 404
    refused = await own.post("/v1/card-products", {**body, "terms": {"refundable": False}})
    assert (refused.status_code, refused.json()["code"]) == (422, "product_terms_refused")
    for amount in (0, -1, 80.5, "50000", True, 2**53, None):
        answer = await own.post("/v1/card-products", {**body, "price_amount": amount})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), amount
        assert [e["pointer"] for e in answer.json()["errors"]] == ["/price_amount"]
    wrong_kind = await own.post("/v1/card-products", {**body, "kind": "count"})
    assert [e["pointer"] for e in wrong_kind.json()["errors"]] == ["/sessions"]
    assert (await operator.get("/v1/card-products")).status_code == 403


async def test_two_persons_load_a_year(operator: Caller, second: Caller) -> None:
    body = {"holidays": [{"date": "2031-01-01", "name": "元旦"}], "working_weekends": []}

    proposed = await operator.put("/v1/calendar/2031", body)
    assert (await operator.get("/v1/calendar/2031")).status_code == 404
    approved = await second.post(f"/v1/approvals/{proposed.json()['id']}/approve")

    assert proposed.status_code == 202
    year = (await operator.get("/v1/calendar/2031")).json()
    assert year == {"year": 2031, "provisional": False, **body}
    assert approved.json()["result"] == year
    assert (await operator.get("/v1/calendar/2026")).json()["provisional"] is False
