"""API.md, held against a service that really runs: shapes, statuses, headers, bytes."""

import base64
import csv
import hashlib
import io
import json
import re
import stat
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import Console

from app.demo.play import play
from app.evidence.verification import verify
from tests.cluster import Cluster
from tests.contract.blackbox import Caller, Side, check, check_charge, check_problem
from tests.contract.running import running

Sandbox = dict[str, Any]

CSV_HEADER = (
    "record_type,file_id,kind,bank,business_date,sequence,order_id,merchant_id,custody_account,"
    "payee_name,payee_account_number,payee_bank_code,amount,currency,remittance,order_count,"
    "total_amount"
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def data(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the data folder of a service that runs as long as this module's tests."""
    urls = await cluster.clone("blackbox")
    folder = tmp_path_factory.mktemp("blackbox")
    with running(urls, folder):
        yield folder
    report = await verify(urls.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
    await cluster.drop(urls.name)


@pytest.fixture(scope="module")
def sandbox(data: Path) -> Sandbox:
    return json.loads((data / "sandbox.json").read_text())


@pytest.fixture(scope="module")
def anybody(sandbox: Sandbox) -> Iterator[Caller]:
    with httpx.Client(base_url=sandbox["base_url"], timeout=20, trust_env=False) as http:
        yield Caller(http)


@pytest.fixture(scope="module")
def operator(sandbox: Sandbox, anybody: Caller) -> Caller:
    return anybody.as_(sandbox["operator_key"])


@pytest.fixture(scope="module")
def operator2(sandbox: Sandbox, anybody: Caller) -> Caller:
    return anybody.as_(sandbox["operator2_key"])


@pytest.fixture(scope="module")
def side(anybody: Caller) -> Side:
    return Side.make(anybody)


def test_sandbox_json_says_all_and_is_its_owners_alone(data: Path, sandbox: Sandbox) -> None:
    check("sandbox", sandbox)
    assert set(sandbox["products"]) == {"stored_value", "count", "period"}
    assert stat.S_IMODE((data / "sandbox.json").stat().st_mode) == 0o600
    assert not sandbox["base_url"].endswith("/v1")


def test_the_sandbox_calls_need_no_credential_and_no_key(side: Side, anybody: Caller) -> None:
    check("sandbox", side.facts)
    clock = anybody.call("POST", "/v1/sandbox/clock/advance", json={"seconds": 1})
    paid = anybody.call(
        "POST",
        "/v1/sandbox/bank/pay",
        json={"payment_reference": side.buy()["payment_reference"], "amount": 50000},
    )

    assert (clock.status_code, list(clock.json())) == (200, ["now"])
    assert paid.status_code == 201
    assert check("receipt", paid.json(), prefix="rcpt")["status"] == "matched"


def test_the_seeded_products_are_those_of_the_contract(side: Side) -> None:
    value, count, period = (side.product(kind) for kind in ("stored_value", "count", "period"))

    assert (value["price_amount"], value["bonus_amount"]) == (50000, 10000)
    assert (count["price_amount"], count["sessions"], count["gift_sessions"]) == (120000, 10, 2)
    assert count["list_price_amount"] == 15000
    assert (period["price_amount"], period["term_days"]) == (365000, 365)
    for product in (value, count, period):
        text, digest = product["contract"]["text"], product["contract"]["sha256"]
        assert hashlib.sha256(text.encode()).hexdigest() == digest


def test_the_public_page_of_a_store(side: Side, anybody: Caller) -> None:
    page = anybody.get(f"/v1/public/stores/{side.store_id}")
    qr = anybody.call("GET", f"/v1/public/stores/{side.store_id}/qr")

    assert set(page) >= {"store", "merchant", "in_scheme", "products"}
    assert set(page["merchant"]) >= {"id", "name", "licence_number", "status"}
    assert page["in_scheme"] is True
    assert qr.headers["content-type"].startswith("image/svg+xml")
    assert "<svg" in qr.text


def test_a_purchase_at_the_till_is_claimed_by_who_accepts_first(
    side: Side, anybody: Caller
) -> None:
    body = {"product_id": side.facts["products"]["count"], "store_id": side.store_id}
    made = check("purchase", side.shop.post("/v1/purchases", body), prefix="pur")
    path = f"/v1/me/purchases/{made['id']}"
    seen = check("purchase", side.consumer.get(path))
    echo = {"contract_sha256": seen["contract"]["sha256"]}
    wrong = {"contract_sha256": "0" * 64}
    changed = side.consumer.call("POST", f"{path}/accept", key=uuid4().hex, json=wrong)
    accepted = check("purchase", side.consumer.post(f"{path}/accept", echo, 200))
    again = side.consumer.post(f"{path}/accept", echo, 200)
    second = Side.make(anybody).consumer

    assert made["pay_url"] == f"{side.facts['base_url']}/pay/{made['id']}"
    assert (made["status"], made["consumer_id"], made["accepted_at"]) == (
        "awaiting_payment",
        None,
        None,
    )
    assert set(made["contract"]) >= {"version", "sha256"}
    check_problem(changed, 409, "contract_changed")
    assert accepted["consumer_id"] == side.consumer_id
    assert accepted["accepted_at"] == again["accepted_at"] is not None
    check_problem(
        second.call("POST", f"{path}/accept", key=uuid4().hex, json=echo), 404, "not_found"
    )
    check_problem(second.call("GET", path), 404, "not_found")
    cancelled = side.shop.post(f"/v1/purchases/{made['id']}/cancel", status=200)
    assert check("purchase", cancelled)["status"] == "cancelled"


def test_a_receipt_is_created_once_and_then_the_same(side: Side) -> None:
    purchase = check("purchase", side.buy(), prefix="pur")
    body = side.receipt(purchase)
    first = side.bank.post("/v1/bank/receipts", body)
    again = side.bank.post("/v1/bank/receipts", body, 200)
    other = side.bank.call("POST", "/v1/bank/receipts", key=uuid4().hex, json={**body, "amount": 1})

    assert check("receipt", first, prefix="rcpt") == check("receipt", again)
    assert (first["status"], first["suspense_reason"]) == ("matched", None)
    check_problem(other, 409, "bank_reference_reused")
    funded = side.shop.get(f"/v1/purchases/{purchase['id']}")
    assert (funded["status"], funded["card_id"]) == ("funded", first["card_id"])


def test_suspense_is_decided_by_two_persons(
    side: Side, operator: Caller, operator2: Caller
) -> None:
    purchase = side.buy()
    receipt = side.bank.post(
        "/v1/bank/receipts", side.receipt(purchase, payment_reference="理发卡")
    )
    waiting = operator.get("/v1/receipts", status="suspense")["data"]
    proposal = operator.post(
        f"/v1/receipts/{receipt['id']}/match", {"purchase_id": purchase["id"]}, 202
    )
    path = f"/v1/approvals/{proposal['id']}/approve"
    own = operator.call("POST", path, key=uuid4().hex)
    approved = operator2.post(path, status=200)

    assert check("receipt", receipt)["suspense_reason"] == "unknown_reference"
    assert receipt["id"] in {found["id"] for found in waiting}
    assert check("approval", proposal, prefix="apr")["status"] == "proposed"
    assert proposal["subject_id"] == receipt["id"]
    check_problem(own, 409, "own_proposal")
    assert check("approval", approved)["status"] == "approved"
    assert check("receipt", approved["result"], prefix="rcpt")["status"] == "matched"
    again = operator.call("POST", f"/v1/receipts/{receipt['id']}/return", key=uuid4().hex)
    check_problem(again, 409, "receipt_not_in_suspense")


def test_the_contracts_own_example_of_a_charge(side: Side, anybody: Caller) -> None:
    side = Side.make(anybody)
    card_id, key = side.card(), uuid4().hex
    body = side.use(consumer_code=side.code(), amount=8000, list_amount=9000, description="剪发")
    first = side.shop.call("POST", "/v1/charges", key=key, json=body)
    again = side.shop.call("POST", "/v1/charges", key=key, json=body)
    other = side.shop.call("POST", "/v1/charges", key=key, json={**body, "amount": 8001})
    used = side.shop.call("POST", "/v1/charges", key=uuid4().hex, json=body)

    assert first.status_code == 201
    charge = check_charge(first.json())
    assert charge["draws"] == [
        {"card_id": card_id, "face_amount": 8000, "sessions": None, "release_amount": 6667}
    ]
    assert {
        "status": "confirmed",
        "kind": "stored_value",
        "amount": 8000,
        "sessions": None,
        "visit": None,
        "list_amount": 9000,
        "release_amount": 6667,
        "balance": {"card_face_amount": 52000, "sessions_left": None, "valid_until": None},
        "reversal": None,
        "dispute": None,
        "description": "剪发",
        "client_reference": None,
        "merchant_id": side.facts["merchant_id"],
    }.items() <= charge.items()
    assert charge["confirmation"]["method"] == "consumer_code"
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    check_problem(other, 422, "idempotency_key_reused")
    assert check_problem(used, 409, "code_used")["retry_with"] == "new_key"


def test_a_charge_in_two_steps_and_its_ends(anybody: Caller) -> None:
    side = Side.make(anybody)
    card_id = side.card()

    def charge(amount: int) -> Any:
        return side.shop.post("/v1/charges", side.use(card_id=card_id, amount=amount))

    waiting = check_charge(charge(30000))
    path = f"/v1/me/charges/{waiting['id']}"
    own = side.consumer.get("/v1/me/charges", status="pending_confirmation")["data"]
    other = side.consumer.call(
        "POST", f"{path}/confirm", key=uuid4().hex, json=side.use(amount=30001)
    )
    confirmed = side.consumer.post(f"{path}/confirm", side.use(amount=30000), 200)
    again = side.consumer.post(f"{path}/confirm", side.use(amount=30000), 200)
    declined = side.consumer.post(f"/v1/me/charges/{charge(1)['id']}/decline", status=200)
    cancelled = side.shop.post(f"/v1/charges/{charge(1)['id']}/cancel", status=200)
    reversed_ = side.shop.post(f"/v1/charges/{waiting['id']}/reverse", {"reason": "退"}, 200)

    assert (waiting["status"], waiting["release_amount"]) == ("pending_confirmation", None)
    assert (waiting["confirmation"], waiting["confirmed_at"]) == (None, None)
    assert waiting["expires_at"] is not None
    assert [found["id"] for found in own] == [waiting["id"]]
    assert set(own[0]["merchant"]) >= {"id", "name"}
    problem = check_problem(other, 409, "charge_changed")
    assert check_charge(problem["charge"])["id"] == waiting["id"]
    assert check_charge(confirmed)["confirmation"]["method"] == "app"
    assert again["confirmation"] == confirmed["confirmation"]
    assert check_charge(declined)["status"] == "declined"
    assert check_charge(cancelled)["status"] == "cancelled"
    assert check_charge(reversed_)["status"] == "reversed"
    assert (reversed_["reversal"]["status"], reversed_["reversal"]["reason"]) == ("done", "退")
    not_pending = side.consumer.call(
        "POST", f"{path}/confirm", key=uuid4().hex, json=side.use(amount=30000)
    )
    assert check_problem(not_pending, 409, "charge_not_pending")["retry_with"] == "new_key"


def test_a_state_refusal_is_repeated_to_a_late_retry(anybody: Caller) -> None:
    side = Side.make(anybody)
    card_id, key = side.card(), uuid4().hex
    body = side.use(card_id=card_id, amount=70000)
    first = side.shop.call("POST", "/v1/charges", key=key, json=body)
    side.card()
    again = side.shop.call("POST", "/v1/charges", key=key, json=body)
    anew = side.shop.call("POST", "/v1/charges", key=uuid4().hex, json=body)

    assert check_problem(first, 409, "insufficient_balance")["retry_with"] == "new_key"
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert anew.status_code == 201


def test_a_batch_gives_each_item_its_verdict(anybody: Caller) -> None:
    side = Side.make(anybody)
    card_id, key = side.card(), uuid4().hex
    uses = [
        {"amount": 100},
        {"amount": 9_999_999},
        {"amount": 0},
        {"amount": 100, "card_id": "card_01h455vb4pex5vsknk084sn02q"},
    ]
    items = [
        side.use(card_id=card_id, client_reference=f"r{number}") | use
        for number, use in enumerate(uses)
    ]
    answer = side.shop.call("POST", "/v1/charges/batch", key=key, json={"items": items})
    again = side.shop.call("POST", "/v1/charges/batch", key=key, json={"items": items})
    unnamed = side.shop.call(
        "POST", "/v1/charges/batch", key=uuid4().hex, json={"items": [side.use(amount=1)]}
    )
    reused = side.shop.call("POST", "/v1/charges", key=uuid4().hex, json=items[0])
    found = side.shop.get("/v1/charges", client_reference="r0")["data"]

    assert answer.status_code == 200
    verdicts = answer.json()["data"]
    assert [check("verdict", verdict)["status"] for verdict in verdicts] == [201, 409, 422, 404]
    assert [verdict["index"] for verdict in verdicts] == [0, 1, 2, 3]
    assert [verdict["client_reference"] for verdict in verdicts] == ["r0", "r1", "r2", "r3"]
    good, *refused = verdicts
    check_charge(good["charge"])
    assert good["problem"] is None
    for verdict, code in zip(
        refused, ("insufficient_balance", "invalid_request", "not_found"), strict=True
    ):
        assert verdict["charge"] is None
        assert check("problem", verdict["problem"])["code"] == code
    assert again.json() == answer.json()
    assert again.headers["idempotency-replayed"] == "true"
    check_problem(unnamed, 422, "invalid_request")
    problem = check_problem(reused, 409, "client_reference_used")
    assert problem["charge_id"] == good["charge"]["id"] == found[0]["id"]


def test_sessions_and_visits_use_their_kind_of_card(anybody: Caller) -> None:
    side = Side.make(anybody)
    count, period = side.card("count"), side.card("period")
    sessions = side.shop.post("/v1/charges", side.use(consumer_code=side.code(), sessions=1))
    visit = side.shop.post(
        "/v1/charges", side.use(consumer_code=side.code(card_id=period), visit=True)
    )
    mismatch = side.shop.call(
        "POST", "/v1/charges", key=uuid4().hex, json=side.use(card_id=count, amount=1)
    )
    none_held = side.shop.call(
        "POST", "/v1/charges", key=uuid4().hex, json=side.use(consumer_code=side.code(), amount=1)
    )

    assert check_charge(sessions)["balance"]["sessions_left"] == 11
    assert (sessions["kind"], sessions["sessions"], sessions["release_amount"]) == (
        "count",
        1,
        10000,
    )
    assert check_charge(visit)["balance"]["valid_until"] is not None
    assert (visit["kind"], visit["visit"], visit["release_amount"]) == ("period", True, 1000)
    check_problem(mismatch, 422, "charge_kind_mismatch")
    check_problem(none_held, 409, "insufficient_balance")


def test_cards_and_statements(anybody: Caller) -> None:
    side = Side.make(anybody)
    cards = {kind: side.card(kind) for kind in ("stored_value", "count", "period")}
    side.shop.post("/v1/charges", side.use(consumer_code=side.code(), amount=8000))
    card = side.consumer.get(f"/v1/me/cards/{cards['stored_value']}")
    rows = side.consumer.get(f"/v1/me/cards/{card['id']}/statement")["data"]

    own = side.consumer.get("/v1/me/cards")["data"]
    of_shop = side.shop.get("/v1/cards")["data"]
    assert [found["id"] for found in own] == list(reversed(cards.values()))
    assert [found["id"] for found in of_shop] == list(reversed(cards.values()))
    for found in (*own, *of_shop, side.shop.get(f"/v1/cards/{cards['count']}")):
        check("card", found, prefix="card")
        assert found["custody_amount"] == found["paid_amount"] - found["released_amount"]
    assert all(side.consumer_id not in json.dumps(found) for found in of_shop)
    assert (card["face_used_amount"], card["face_available_amount"]) == (8000, 52000)
    assert [check("statement row", row)["kind"] for row in rows] == ["used", "funded"]
    assert (rows[0]["amount"], rows[0]["balance_face_amount"]) == (8000, 52000)


def test_lists_are_pages_with_a_cursor_and_a_link(anybody: Caller) -> None:
    side = Side.make(anybody)
    made = [side.buy()["id"] for _ in range(3)]
    first = side.shop.call("GET", "/v1/purchases", params={"limit": 2})
    link = re.fullmatch(r'<([^>]+)>; rel="next"', first.headers["link"])
    assert link is not None
    second = side.shop.call("GET", link[1])

    assert [found["id"] for found in check("page", first.json())["data"]] == made[:0:-1]
    assert f"cursor={first.json()['next_cursor']}" in link[1]
    assert [found["id"] for found in second.json()["data"]] == made[:1]
    assert second.json()["next_cursor"] is None
    assert "link" not in second.headers
    for query in ({"limit": 0}, {"limit": 201}, {"cursor": "%"}):
        check_problem(side.shop.call("GET", "/v1/purchases", params=query), 422, "invalid_request")


@pytest.mark.parametrize(
    "path", ["/v1/purchases", "/v1/charges", "/v1/cards", "/v1/card-products", "/v1/settlements"]
)
def test_every_list_of_a_shop_is_a_page(path: str, side: Side) -> None:
    check("page", side.shop.get(path))


@pytest.mark.parametrize("path", ["/v1/merchants", "/v1/api-keys", "/v1/approvals", "/v1/receipts"])
def test_every_list_of_an_operator_is_a_page(path: str, operator: Caller) -> None:
    check("page", operator.get(path))


def test_amounts_are_integers_as_json_schema_means_it(anybody: Caller) -> None:
    side = Side.make(anybody)
    body = side.use(card_id=side.card())
    good = side.shop.post("/v1/charges", {**body, "amount": 8000.0})

    assert good["amount"] == 8000
    for amount in ("8000", 80.5, True, 0, -1, 2**53):
        wrong = {**body, "amount": amount}
        answer = side.shop.call("POST", "/v1/charges", key=uuid4().hex, json=wrong)
        problem = check_problem(answer, 422, "invalid_request")
        assert [set(error) for error in problem["errors"]] == [{"pointer", "message"}]
        assert problem["errors"][0]["pointer"] == "/amount"


@pytest.mark.parametrize(
    "content",
    ['{"a":', '{"amount": NaN}', '{"a": 1, "a": 1}', '{"a": "\\ud800"}', "[" * 33 + "]" * 33],
    ids=["cut off", "NaN", "duplicate key", "lone surrogate", "too deep"],
)
def test_what_is_no_json_is_malformed(content: str, side: Side) -> None:
    headers = {"content-type": "application/json"}
    answer = side.shop.call(
        "POST", "/v1/charges", key=uuid4().hex, content=content, headers=headers
    )

    check_problem(answer, 400, "malformed_json")


def test_refusals_of_the_protocol(side: Side, anybody: Caller) -> None:
    body = side.use(consumer_code="no-such-code", amount=1)

    def charge(caller: Caller, **rest: Any) -> httpx.Response:
        given: dict[str, Any] = {"key": uuid4().hex, "json": body, **rest}
        return caller.call("POST", "/v1/charges", **given)

    check_problem(charge(side.shop, key=None), 400, "idempotency_key_required")
    check_problem(charge(side.shop, key="x" * 256), 400, "idempotency_key_required")
    check_problem(charge(anybody), 401, "unauthenticated")
    check_problem(charge(anybody.as_("ak_nobody")), 401, "unauthenticated")
    check_problem(charge(side.consumer), 403, "forbidden")
    check_problem(charge(side.shop), 409, "code_invalid")
    check_problem(side.shop.call("GET", "/v1/charges/chg_nonsense"), 404, "not_found")
    check_problem(side.shop.call("GET", "/v1/nothing"), 404, "not_found")
    check_problem(charge(side.shop, json={**body, "unknown": 1}), 422, "invalid_request")
    both = {**body, "card_id": "card_01h455vb4pex5vsknk084sn02q"}
    check_problem(charge(side.shop, json=both), 422, "invalid_request")
    sessions = side.use(consumer_code="no-such-code", sessions=1, list_amount=1)
    check_problem(charge(side.shop, json=sessions), 422, "invalid_request")
    secret = {**body, "amount": "4111-1111-1111-1111"}
    assert "4111" not in charge(side.shop, json=secret).text
    assert side.shop.call("DELETE", "/v1/charges").status_code == 405
    text = {"json": None, "content": "amount=1", "headers": {"content-type": "text/plain"}}
    assert charge(side.shop, **text).status_code == 415
    large = {"json": None, "content": b" " * (1024 * 1024 + 1)}
    headers = {"headers": {"content-type": "application/json"}}
    check_problem(charge(side.shop, **large, **headers), 413, "body_too_large")


def test_a_request_id_is_echoed_and_answers_are_packed(side: Side) -> None:
    headers = {"X-Request-Id": "till-17", "Accept-Encoding": "gzip"}
    answer = side.shop.call("GET", "/v1/card-products", headers=headers)

    assert answer.headers["x-request-id"] == "till-17"
    assert answer.headers["content-encoding"] == "gzip"
    assert side.shop.call("GET", "/v1/charges").headers["x-request-id"]


def test_a_file_from_the_cut_to_the_banks_answer(anybody: Caller, operator: Caller) -> None:
    side = Side.make(anybody)
    side.card()
    side.shop.post("/v1/charges", side.use(consumer_code=side.code(), amount=8000))
    cut = operator.call("POST", "/v1/payment-files/cut", key=uuid4().hex, json={"kind": "release"})
    assert cut.status_code == 201
    assert set(cut.json()) == {"data"}
    # Not the cut's own answer: in the evening the worker may have cut first.
    made = side.bank.get("/v1/bank/files")["data"]
    assert [check("file", file, prefix="file")["status"] for file in made] == ["ready"]
    (file,) = made
    assert (file["sequence"], file["order_count"], file["total_amount"]) == (1, 1, 6667)
    path = f"/v1/bank/files/{file['id']}"
    listed = side.bank.get("/v1/bank/files", kind="release", status="ready")
    assert [found["id"] for found in check("page", listed)["data"]] == [file["id"]]
    assert check("file", side.bank.get(path)) == file
    stranger = Side.make(anybody).bank
    check_problem(stranger.call("GET", path), 404, "not_found")

    content = side.bank.call("GET", f"{path}/content", headers={"Accept": "text/csv"})
    _check_bytes(side, path, file, content)
    (order,) = check("page", side.bank.get(f"{path}/orders"))["data"]
    check("order", order, prefix="ord")
    _check_rows(file, order, content.content)

    cancel = operator.call("POST", f"/v1/payment-files/{file['id']}/cancel", key=uuid4().hex)
    check_problem(cancel, 409, "file_already_downloaded")
    _check_results(side, path, file, order)
    settlements = side.shop.get("/v1/settlements")["data"]
    assert [(found["file_id"], found["business_date"]) for found in settlements] == [
        (file["id"], file["business_date"])
    ]


def _check_bytes(side: Side, path: str, file: Any, content: httpx.Response) -> None:
    assert content.status_code == 200
    assert content.headers["content-type"].startswith("text/csv")
    digest = hashlib.sha256(content.content).hexdigest()
    assert (file["sha256"], content.headers["etag"]) == (digest, f'"{digest}"')
    signature = side.bank.get(f"{path}/signature")
    assert set(signature) >= {"algorithm", "key_id", "signature"}
    assert signature["algorithm"] == "Ed25519"
    keys = side.anybody.get("/.well-known/anxin-keys.json")["keys"]
    (x,) = (key["x"] for key in keys if key["kid"] == signature["key_id"])
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=="))
    public.verify(base64.b64decode(signature["signature"]), content.content)


def _check_rows(file: Any, order: Any, content: bytes) -> None:
    text = content.decode()
    assert text.count("\r\n") == text.count("\n") == 4
    assert text.startswith(f"{CSV_HEADER}\r\n")
    heading, paid, total = csv.DictReader(io.StringIO(text, newline=""))
    assert [row["record_type"] for row in (heading, paid, total)] == ["file", "order", "total"]
    for name in ("kind", "bank", "business_date"):
        assert heading[name] == file[name]
    assert heading["sequence"] == str(file["sequence"])
    names = "merchant_id custody_account payee_name payee_account_number payee_bank_code currency"
    for name in (*names.split(), "file_id", "remittance"):
        assert paid[name] == order[name]
    assert (paid["order_id"], paid["amount"]) == (order["id"], "6667")
    assert (total["order_count"], total["total_amount"], total["amount"]) == ("1", "6667", "")


def _check_results(side: Side, path: str, file: Any, order: Any) -> None:
    """Acknowledge, then report by the table of API.md."""

    def report(status: str, order_id: str = order["id"], **more: Any) -> httpx.Response:
        results = [{"order_id": order_id, "status": status, **more}]
        return side.bank.call("POST", f"{path}/results", key=uuid4().hex, json={"results": results})

    wrong = side.bank.call("POST", f"{path}/acknowledge", key=uuid4().hex, json={"order_count": 2})
    check_problem(wrong, 409, "file_mismatch")
    figures = {name: file[name] for name in ("sha256", "order_count", "total_amount")}
    for _ in range(2):
        taken = check("file", side.bank.post(f"{path}/acknowledge", figures, 200))
        assert taken["status"] == "acknowledged"
    unknown = report("paid", "ord_01h455vb4pex5vsknk084sn02q")
    check_problem(unknown, 422, "order_not_in_file")
    reports: list[tuple[str, dict[str, Any], str]] = [
        ("paid", {"amount": 1}, "conflict"),
        ("paid", {"amount": 6667}, "applied"),
        ("paid", {}, "unchanged"),
        ("rejected", {"reason": "technical"}, "conflict"),
        ("returned", {"reason": "other"}, "applied"),
        ("returned", {"reason": "other"}, "unchanged"),
        ("paid", {}, "unchanged"),
        ("rejected", {}, "conflict"),
    ]
    for status, more, outcome in reports:
        answer = report(status, **more)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) >= {"file", "results"}
        assert answer.json()["results"] == [
            {"order_id": order["id"], "status": status, "outcome": outcome}
        ]
        check("file", answer.json()["file"])
    assert side.bank.get(path)["status"] == "completed"
    (left,) = side.bank.get(f"{path}/orders")["data"]
    assert (left["status"], left["reason"]) == ("returned", "other")


def test_a_disputed_use_opens_a_case_that_its_merchant_answers(
    anybody: Caller, operator: Caller
) -> None:
    side = Side.make(anybody)
    used = side.shop.post("/v1/charges", side.use(consumer_code=_code_of_a_card(side), amount=8000))
    path = f"/v1/me/charges/{used['id']}/dispute"
    disputed = check_charge(side.consumer.post(path, {"reason": "not_provided"}, 200))
    assert (disputed["status"], set(disputed["dispute"])) == (
        "disputed",
        {"id", "case_id", "status"},
    )
    balance = check("balance", side.shop.get("/v1/balance"))
    assert (balance["disputed_amount"], balance["payable_amount"]) == (6667, 0)

    case_path = f"/v1/cases/{disputed['dispute']['case_id']}"
    (listed,) = check("page", side.shop.get("/v1/cases"))["data"]
    assert check("case", listed, prefix="case") == side.shop.get(case_path)
    assert (listed["kind"], listed["status"], listed["charge_id"]) == (
        "dispute",
        "open",
        used["id"],
    )
    decision = {"decision": "upheld", "reason": "属实"}
    proposal = operator.post(f"{case_path}/decisions", decision, 202)
    assert check("approval", proposal)["status"] == "proposed"
    answered = check("case", side.shop.post(f"{case_path}/answers", {"agree": True}, 200))
    assert answered["status"] == "decided"
    (charge,) = side.shop.get("/v1/charges", status="reversed")["data"]
    assert (charge["id"], charge["reversal"]["status"]) == (used["id"], "done")


def _code_of_a_card(side: Side) -> str:
    return side.code(card_id=side.card())


def test_a_held_card_says_why_and_can_be_given_away_when_it_is_free(
    anybody: Caller, operator: Caller, operator2: Caller
) -> None:
    side, other = Side.make(anybody), Side.make(anybody)
    card_id = side.card()
    order = {
        "target": "card",
        "target_id": card_id,
        "document_number": "(2026)浙0106执1234号",
        "reason": "财产保全",
    }
    hold = check("hold", operator.post("/v1/holds", order), prefix="hold")
    assert (hold["status"], hold["amount"], hold["expires_at"]) == ("active", None, None)
    card_path = f"/v1/me/cards/{card_id}"
    assert check("card", side.consumer.get(card_path))["on_hold"] is True
    body = {"consumer_id": other.consumer_id}
    refused = side.consumer.call("POST", f"{card_path}/transfer", key=uuid4().hex, json=body)
    assert (
        check_problem(refused, 409, "card_on_hold")["document_number"] == (order["document_number"])
    )
    proposal = operator.post(f"/v1/holds/{hold['id']}/lift", status=202)
    operator2.post(f"/v1/approvals/{proposal['id']}/approve", status=200)

    offered = check("transfer", side.consumer.post(f"{card_path}/transfer", body, 202))
    assert (offered["status"], offered["card_id"]) == ("offered", card_id)
    path = f"/v1/me/transfers/{offered['id']}/accept"
    taken = check("transfer", other.consumer.post(path, status=200))
    assert taken["status"] == "accepted"
    assert check("card", other.consumer.get(card_path))["id"] == card_id
    check_problem(side.consumer.call("GET", card_path), 404, "not_found")


def test_nothing_payable_gives_no_file(operator: Caller) -> None:
    operator.post("/v1/payment-files/cut", {"kind": "release"})

    assert operator.post("/v1/payment-files/cut", {"kind": "release"}) == {"data": []}


def test_balances_are_in_every_account(side: Side, operator: Caller) -> None:
    balance = check("balance", side.shop.get("/v1/balance"))
    trial = check("trial balance", operator.get("/v1/ledger/trial-balance"))

    liabilities = "card payable disputed release_in_transit refund_payable refund_in_transit"
    names = (*liabilities.split(), "suspense", "custody_yield")
    owed = sum(balance[f"{name}_amount"] for name in names)
    assert balance["custody_amount"] + balance["bank_claim_amount"] == owed
    assert trial["balanced"] is True
    assert [set(line) for line in trial["accounts"]] == [
        {"type", "debit_amount", "credit_amount"} for _ in trial["accounts"]
    ]


def test_an_operator_takes_a_merchant_in(operator: Caller, operator2: Caller) -> None:
    body = {
        "name": "湖滨瑜伽",
        "licence_number": uuid4().hex[:18].upper(),
        "industry": "fitness",
        "district": "330106",
        "payee": {
            "holder_name": "湖滨瑜伽",
            "account_number": "6222021234567890",
            "bank_code": "102331000012",
        },
    }
    merchant = check("merchant", operator.post("/v1/merchants", body), prefix="mch")
    path = f"/v1/merchants/{merchant['id']}"
    store = operator.post(f"{path}/stores", {"name": "一店"})
    custody = {"bank": "HZCB", "account_number": uuid4().hex[:20], "holder_name": "湖滨瑜伽"}
    account = operator.post(f"{path}/custody-accounts", custody)
    renamed = operator.call("PATCH", path, json={"district": "330105"})

    assert merchant["payee"]["account_number"] != "6222021234567890"
    assert check("merchant", operator.get(path))["id"] == merchant["id"]
    assert store["id"].startswith("sto_")
    assert set(account) >= {"bank", "account_number", "holder_name"}
    assert renamed.status_code == 200, renamed.text
    moved = operator.call("PATCH", f"/v1/stores/{store['id']}", json={"status": "moved"})
    assert (moved.status_code, moved.json()["status"]) == (200, "moved")
    waiting = operator2.get("/v1/approvals", status="proposed")["data"]
    mine = [one for one in waiting if merchant["id"] in json.dumps(one)]
    assert [check("approval", one)["status"] for one in mine] == ["proposed"]


def test_keys_are_shown_once(side: Side, operator: Caller, operator2: Caller) -> None:
    body = {
        "role": "merchant",
        "person_id": "zhang.wei",
        "merchant_id": side.facts["merchant_id"],
        "store_ids": [side.store_id],
    }
    request = uuid4().hex
    made = operator.call("POST", "/v1/api-keys", key=request, json=body)
    again = operator.call("POST", "/v1/api-keys", key=request, json=body)
    assert (made.status_code, again.status_code) == (201, 201)
    key = made.json()
    assert key["secret"].startswith("ak_")
    assert key["id"].startswith("key_")
    assert again.json() == {**key, "secret": None}
    assert again.headers["idempotency-replayed"] == "true"
    narrowed = operator.as_(key["secret"])
    check("page", narrowed.get("/v1/charges"))
    gone = operator.call("DELETE", f"/v1/api-keys/{key['id']}")
    assert gone.status_code == 200
    time.sleep(1)  # within a second, the contract says, no process takes it any more
    check_problem(narrowed.call("GET", "/v1/charges"), 401, "unauthenticated")

    proposal = operator.post("/v1/api-keys", {"role": "operator", "person_id": "li.na"}, 202)
    approve = f"/v1/approvals/{check('approval', proposal)['id']}/approve"
    executed = operator2.post(approve, status=200)
    assert executed["result"]["secret"].startswith("ak_")
    assert operator2.post(approve, status=200)["result"]["secret"] is None


def test_a_product_shows_its_terms(side: Side) -> None:
    body = {"name": "五次卡", "kind": "count", "price_amount": 50000, "sessions": 5}
    product = check("product", side.shop.post("/v1/card-products", body), prefix="prod")
    terms = {"refundable": False, "transferable": True, "text": "概不退款"}
    refused = side.shop.call(
        "POST", "/v1/card-products", key=uuid4().hex, json={**body, "terms": terms}
    )

    assert check("product", side.shop.get(f"/v1/card-products/{product['id']}")) == product
    expected = {
        "refundable": True,
        "transferable": True,
        "forfeits_on_expiry": False,
        "merchant_may_change": False,
    }
    assert expected.items() <= product["terms"].items()
    check_problem(refused, 422, "product_terms_refused")


def test_the_calendar_is_read_and_changed_by_two_persons(operator: Caller) -> None:
    year = operator.get("/v1/calendar/2026")
    missing = operator.call("GET", "/v1/calendar/2150")

    assert "2026-02-14" in json.dumps(year)
    check_problem(missing, 404, "not_found")


def test_public_documents(anybody: Caller) -> None:
    contract = anybody.get("/openapi.json")

    assert contract["openapi"].startswith("3.1")
    assert anybody.call("GET", "/healthz").status_code == 200
    assert anybody.call("GET", "/readyz").status_code == 200
    assert "text/html" in anybody.call("GET", "/docs").headers["content-type"]


def test_the_demo_plays_to_its_end_and_can_be_played_again(data: Path) -> None:
    for _ in range(2):
        printed = StringIO()
        checked = play(data, Console(file=printed, width=110))

        assert checked > 600
        assert "Trial balance" in printed.getvalue()
