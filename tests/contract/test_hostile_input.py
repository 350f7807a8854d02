"""Wrong amounts wherever money enters, and bodies that no honest client sends: 4xx, no effect."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from app import ids
from app.ids import Prefix
from tests.contract.rows import ROWS, Row, credential
from tests.contract.world import Headers, World, unique

WRONG_AMOUNTS: Mapping[str, object] = {
    "below zero": -1,
    "a fraction": 80.5,
    "a small fraction": 1e-9,
    "a text": "8000",
    "true": True,
    "false": False,
    "past 2^53 - 1": 2**53,
    "past int64": 2**63,
    "past any integer of a database": 10**30,
    "a float past all": 1e300,
    "a list": [8000],
    "an object": {"amount": 8000},
}
TOO_SMALL: Mapping[str, object] = {"zero": 0, "negative zero": -0.0}

Prepared = tuple[Headers, str, dict[str, object]]


@dataclass(frozen=True)
class Money:
    """A place where an amount enters."""

    name: str
    pointer: str
    prepare: Callable[[World], Awaitable[Prepared]]
    may_be_zero: bool = False


async def _charge(world: World) -> Prepared:
    return world.a.merchant, "/v1/charges", await world.charge_body(world.a)


async def _list_amount(world: World) -> Prepared:
    body = await world.charge_body(world.a, list_amount=1)
    return world.a.merchant, "/v1/charges", body


async def _confirm(world: World) -> Prepared:
    charge = await world.pending(world.a)
    body: dict[str, object] = {"store_id": world.a.store_id, "amount": 1}
    return world.a.consumer, f"/v1/me/charges/{charge['id']}/confirm", body


async def _code(world: World) -> Prepared:
    return world.a.consumer, "/v1/me/codes", {"merchant_id": world.a.merchant_id}


async def _product(world: World) -> Prepared:
    body: dict[str, object] = {"name": unique(), "kind": "stored_value", "price_amount": 1}
    return world.a.merchant, "/v1/card-products", body


async def _count_product(world: World) -> Prepared:
    body: dict[str, object] = {
        "name": unique(), "kind": "count", "price_amount": 1, "sessions": 1,
    }  # fmt: skip
    return world.a.merchant, "/v1/card-products", body


async def _receipt(world: World) -> Prepared:
    return world.a.bank, "/v1/bank/receipts", world.receipt(world.a)


async def _pay(world: World) -> Prepared:
    sale = await world.purchase(world.a)
    body: dict[str, object] = {"payment_reference": sale["payment_reference"], "amount": 1}
    return {}, "/v1/sandbox/bank/pay", body


async def _results(world: World) -> Prepared:
    file = await world.file(world.a)
    order = await world.order(world.a, file)
    result = {"order_id": order["id"], "status": "paid", "amount": order["amount"]}
    return world.a.bank, f"/v1/bank/files/{file['id']}/results", {"results": [result]}


async def _acknowledge(world: World) -> Prepared:
    file = await world.file(world.a)
    body: dict[str, object] = {"total_amount": file["total_amount"]}
    return world.a.bank, f"/v1/bank/files/{file['id']}/acknowledge", body


MONEY = [
    Money("charge", "/amount", _charge),
    Money("list price of a charge", "/list_amount", _list_amount, may_be_zero=True),
    Money("confirmation", "/amount", _confirm),
    Money("limit of a code", "/max_amount", _code),
    Money("price", "/price_amount", _product),
    Money("bonus", "/bonus_amount", _product, may_be_zero=True),
    Money("list price of a product", "/list_price_amount", _count_product),
    Money("receipt", "/amount", _receipt),
    Money("sandbox payment", "/amount", _pay),
    Money("result", "/results/0/amount", _results),
    Money("acknowledged total", "/total_amount", _acknowledge, may_be_zero=True),
]


def _with(body: dict[str, object], pointer: str, value: object) -> dict[str, object]:
    """Copy the body with one value at a pointer."""
    copy = json.loads(json.dumps(body))
    place = copy
    *steps, last = pointer[1:].split("/")
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return copy


@pytest.mark.parametrize("money", MONEY, ids=lambda money: money.name)
async def test_a_wrong_amount_is_refused_by_its_place(world: World, money: Money) -> None:
    who, path, body = await money.prepare(world)
    wrong = {**WRONG_AMOUNTS, **({} if money.may_be_zero else TOO_SMALL)}
    before = await world.digest()

    answers = {
        name: await world.call("POST", path, who, _with(body, money.pointer, value))
        for name, value in wrong.items()
    }

    for name, answer in answers.items():
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), name
        pointers = [error["pointer"] for error in answer.json()["errors"]]
        assert pointers == [money.pointer], name
    assert await world.digest() == before


@pytest.mark.parametrize("written", ["1", "1.0", "1e0", "10E-1"])
async def test_an_integer_is_what_json_schema_counts_as_one(world: World, written: str) -> None:
    body = json.dumps(await world.charge_body(world.a, amount=70707)).replace("70707", written)
    headers = {**world.a.merchant, "idempotency-key": uuid4().hex}
    headers["content-type"] = "application/json"

    answer = await world.served.client.post("/v1/charges", headers=headers, content=body)

    assert answer.status_code == 201, answer.text
    assert answer.json()["amount"] == 1
    assert isinstance(answer.json()["amount"], int)


async def test_a_batch_judges_each_amount_by_itself(world: World) -> None:
    wrong = [*WRONG_AMOUNTS.values(), *TOO_SMALL.values()]
    items = [
        {
            "store_id": world.a.store_id,
            "card_id": world.a.cards["stored_value"],
            "amount": amount,
            "client_reference": unique(),
        }
        for amount in wrong
    ]
    good = await world.charge_body(world.a, client_reference=unique())

    done = await world.made("/v1/charges/batch", world.a.merchant, {"items": [*items, good]})

    assert [verdict["status"] for verdict in done["data"]] == [*[422] * len(wrong), 201]
    for verdict in done["data"][:-1]:
        assert verdict["problem"]["errors"][0]["pointer"] == "/amount"


async def test_only_true_is_a_visit_and_sessions_are_counted_to_a_hundred(world: World) -> None:
    base = {"store_id": world.a.store_id, "card_id": world.a.cards["period"]}
    before = await world.digest()
    uses: list[dict[str, object]] = [
        *({"visit": value} for value in (1, 1.0, False, "true", 0, [True])),
        *({"sessions": value} for value in (0, 101, -1, 1.5, "1", True, 2**31, 2**70)),
        {},
        {"amount": 1, "sessions": 1},
        {"visit": True, "list_amount": 5},
        {"amount": 1, "amout": 1},
    ]

    for use in uses:
        answer = await world.call("POST", "/v1/charges", world.a.merchant, {**base, **use})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), use

    assert await world.digest() == before


async def test_ids_in_a_body_that_name_nothing_are_not_found(world: World) -> None:
    stored = ids.parse(Prefix.CARD, world.a.cards["stored_value"])
    before = await world.digest()
    names = [
        "nonsense",
        "",
        "card_",
        world.a.cards["stored_value"].upper(),
        world.a.cards["stored_value"] + "0",
        world.a.cards["stored_value"].replace("card_", "pur_"),
        ids.to_text(Prefix.CARD, ids.new_id(ids.merchant_no_of(stored))),
        ids.to_text(Prefix.CARD, UUID(int=stored.int | 0xFFFF_FFFF)),
        ids.to_text(Prefix.CARD, UUID(int=0)),
        ids.to_text(Prefix.CARD, UUID(int=2**128 - 1)),
        world.b.cards["stored_value"],
        "\u202e" * 40,
        "x" * 100_000,
    ]
    for name in names:
        for path, who, body in (
            ("/v1/charges", world.a.merchant,
             {"store_id": world.a.store_id, "card_id": name, "amount": 1}),
            ("/v1/me/codes", world.a.consumer, {"card_id": name}),
            ("/v1/me/codes", world.a.consumer, {"merchant_id": name}),
            ("/v1/me/purchases", world.a.consumer,
             {**world.own_purchase(world.a), "product_id": name}),
            ("/v1/me/purchases", world.a.consumer,
             {**world.own_purchase(world.a), "store_id": name}),
        ):  # fmt: skip
            answer = await world.call("POST", path, who, body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (path, name)
    assert await world.digest() == before


@pytest.mark.parametrize("merchant_no", [2**31, 2**32 - 1])
async def test_ids_of_a_merchant_that_cannot_be_are_not_found(
    world: World, merchant_no: int
) -> None:
    def made_up(prefix: Prefix) -> str:
        return ids.to_text(prefix, UUID(int=ids.new_id().int | merchant_no))

    charge, purchase = made_up(Prefix.CHARGE), made_up(Prefix.PURCHASE)
    own = world.own_purchase(world.a)
    for path, body in (
        (f"/v1/me/charges/{charge}/confirm", {"store_id": world.a.store_id, "amount": 1}),
        (f"/v1/me/charges/{charge}/decline", None),
        (f"/v1/me/purchases/{purchase}/accept", {"contract_sha256": "0" * 64}),
        ("/v1/me/purchases", {**own, "product_id": made_up(Prefix.PRODUCT)}),
        ("/v1/me/codes", {"card_id": made_up(Prefix.CARD)}),
        ("/v1/me/codes", {"merchant_id": made_up(Prefix.MERCHANT)}),
    ):
        answer = await world.call("POST", path, world.a.consumer, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    receipt = made_up(Prefix.RECEIPT)
    for path, body in (
        (f"/v1/holds/{made_up(Prefix.HOLD)}/lift", None),
        (f"/v1/closures/{made_up(Prefix.CLOSURE)}/execute", None),
        (f"/v1/cases/{made_up(Prefix.CASE)}/decisions", {"decision": "upheld", "reason": "属实"}),
        (f"/v1/receipts/{receipt}/match", {"purchase_id": purchase}),
        (f"/v1/receipts/{receipt}/return", None),
    ):
        answer = await world.call("POST", path, world.operator, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path


async def test_an_order_that_names_nothing_is_not_in_the_file(world: World) -> None:
    file = await world.file(world.a)
    own = ids.parse(Prefix.ORDER, (await world.order(world.a, file))["id"])
    before = await world.digest()
    for number in (own.int | 0xFFFF_FFFF, own.int ^ (1 << 40), 0, 2**128 - 1):
        order = ids.to_text(Prefix.ORDER, UUID(int=number))
        body = {"results": [
            {"order_id": ids.to_text(Prefix.ORDER, own), "status": "paid"},
            {"order_id": order, "status": "paid"},
        ]}  # fmt: skip
        path = f"/v1/bank/files/{file['id']}/results"
        answer = await world.call("POST", path, world.a.bank, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "order_not_in_file")
    assert await world.digest() == before


def _deep(levels: int) -> bytes:
    return b'{"x":' + b"[" * levels + b"]" * levels + b"}"


HOSTILE: Mapping[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 422, "invalid_request"),
    "a blank": (b" ", 400, "malformed_json"),
    "no JSON": (b"amount=1", 400, "malformed_json"),
    "cut short": (b'{"amount": 1', 400, "malformed_json"),
    "two values": (b"{}{}", 400, "malformed_json"),
    "NaN": (b'{"amount": NaN}', 400, "malformed_json"),
    "infinity": (b'{"amount": -Infinity}', 400, "malformed_json"),
    "a number past all": (b'{"amount": 1e999}', 400, "malformed_json"),
    "an integer of 5,000 digits": (b'{"amount": 1%b}' % (b"0" * 5000), 400, "malformed_json"),
    "a name twice": (b'{"amount": 1, "amount": 2}', 400, "malformed_json"),
    "a name twice inside": (b'{"x": [{"a": 1, "\\u0061": 2}]}', 400, "malformed_json"),
    "a lone surrogate": (b'{"name": "\\ud800"}', 400, "malformed_json"),
    "a lone surrogate as a name": (b'{"\\udfff": 1}', 400, "malformed_json"),
    "NUL": (b'{"name": "a\\u0000b"}', 400, "malformed_json"),
    "no UTF-8": (b'{"name": "\xff"}', 400, "malformed_json"),
    "UTF-16": ('{"amount": 1}'.encode("utf-16"), 400, "malformed_json"),
    "33 levels": (_deep(33), 400, "malformed_json"),
    "100,000 levels": (_deep(100_000), 400, "malformed_json"),
    "a list": (b"[]", 422, "invalid_request"),
    "null": (b"null", 422, "invalid_request"),
    "a text": (b'"x"', 422, "invalid_request"),
    "unknown names": (b'{"__proto__": {}, "constructor": 1}', 422, "invalid_request"),
    "10,000 unknown names": (
        json.dumps(dict.fromkeys(map(str, range(10_000)))).encode(), 422, "invalid_request",
    ),
}  # fmt: skip
OPTIONAL_BODY = {"/v1/sandbox/merchants", "/v1/bank/files/{file_id}/acknowledge"}


def _takes_a_body(row: Row) -> bool:
    return row.method in {"POST", "PUT", "PATCH"}


@pytest.mark.parametrize("row", [row for row in ROWS.values() if _takes_a_body(row)], ids=str)
async def test_a_hostile_body_is_refused_everywhere(world: World, row: Row) -> None:
    path, body = await row.prepare(world, world.a)
    who = credential(world, row, world.a)
    before = await world.digest()
    wrong: dict[str, object] = {}

    for name, (content, status, code) in HOSTILE.items():
        if name in {"nothing", "null"} and (body is None or row.path in OPTIONAL_BODY):
            continue
        headers = {**who, "content-type": "application/json", "idempotency-key": uuid4().hex}
        answer = await world.served.client.request(
            row.method, path, headers=headers, content=content
        )
        found = (answer.status_code, answer.json().get("code"))
        if found != (status, code):
            wrong[name] = found
        assert len(answer.content) < 60_000
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=gbk",
    ):
        headers = {**who, "content-type": kind, "idempotency-key": uuid4().hex}
        answer = await world.served.client.request(row.method, path, headers=headers, content=b"{}")
        if answer.status_code != 415:
            wrong[kind] = answer.status_code

    assert wrong == {}
    assert await world.digest() == before


LISTS = [row for row in ROWS.values() if row.method == "GET" and row.status == 200]


@pytest.mark.parametrize("position", [b"\x7f" + b"\xff" * 7, b"\x80" + bytes(7), b"\xff" * 16])
@pytest.mark.parametrize("row", LISTS, ids=str)
async def test_a_made_up_cursor_is_no_cursor_or_finds_what_is_below_it(
    world: World, row: Row, position: bytes
) -> None:
    path, _ = await row.prepare(world, world.a)
    cursor = urlsafe_b64encode(position).decode().rstrip("=")
    separator = "&" if "?" in path else "?"
    who = credential(world, row, world.a)
    answer = await world.call("GET", f"{path}{separator}cursor={cursor}", who)
    assert answer.status_code in {200, 422}, answer.text


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=1.5", "limit=99999999999999999999", "cursor=x",
     "limit=1&limit=1", "cursor=" + "A" * 22 + "%00", "cursor=%ff", "cursor=" + "A" * 10_000],
)  # fmt: skip
@pytest.mark.parametrize(
    "row", [row for row in ROWS.values() if row.method == "GET" and "_id}" not in row.path
            and row.path not in {"/healthz", "/readyz", "/v1/balance", "/v1/calendar/{year}",
                                 "/.well-known/anxin-keys.json", "/v1/ledger/trial-balance",
                                 "/v1/ledger/accounts"}],
    ids=str,
)  # fmt: skip
async def test_a_wrong_page_is_refused(world: World, row: Row, query: str) -> None:
    answer = await world.call("GET", f"{row.path}?{query}", credential(world, row, world.a))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
