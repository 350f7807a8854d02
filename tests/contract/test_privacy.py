"""Personal data stays where it belongs: seeded, used in every flow, then searched for elsewhere."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest_asyncio

from tests.cluster import Cluster, DatabaseUrls
from tests.contract.running import running

CONSUMER: Final = "13800138000"
PAYER_NAME: Final = "欧阳夏丹"
PAYER_ACCOUNT: Final = "6217009988776655443"
PAYEE_ACCOUNT: Final = "6228480012345678901"
DESCRIPTION: Final = "请致电13911112222"
WORDS: Final = "心脏病13722223333"
"""What people write in a case: sealed wherever it lies."""
SEEDED: Final = (CONSUMER, PAYER_NAME, PAYER_ACCOUNT, PAYEE_ACCOUNT, DESCRIPTION[3:], WORDS)

BELONGS: Final[dict[str, set[str]]] = {
    # The consumer's id names the holder; it is opaque, and an issuer may use a phone number.
    # A retry is told the purchase as it was, with the holder that it named then.
    # A transfer names both of its sides, so that each can be shown the other, masked.
    CONSUMER: {"purchase", "card", "stored_request", "card_transfer"},
    # The merchant's own words, which the consumer reads.
    DESCRIPTION[3:]: {"charge"},
}
"""The tables in which a value may stand in clear."""


@dataclass
class Lived:
    """A service in which everything happened, and all that it left behind."""

    sandbox: dict[str, Any]
    urls: DatabaseUrls
    data: Path
    answers: list[httpx.Response]
    secrets: set[str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lived(cluster: Cluster, tmp_path_factory: Any) -> AsyncIterator[Lived]:
    urls = await cluster.clone("privacy")
    data: Path = tmp_path_factory.mktemp("data")
    with running(urls, data) as sandbox:
        found = Lived(sandbox, urls, data, [], set())
        with httpx.Client(base_url=f"{sandbox['base_url']}/v1", trust_env=False) as client:
            _live(found, client)
        yield found
    await cluster.drop(urls.name)


def _live(lived: Lived, client: httpx.Client) -> None:
    sandbox = lived.sandbox

    def call(method: str, path: str, who: str | None = None, body: object = None) -> Any:
        headers = {"idempotency-key": uuid4().hex}
        if who is not None:
            headers["authorization"] = f"Bearer {sandbox.get(who, who)}"
        answer = client.request(method, path, headers=headers, json=body)
        lived.answers.append(answer)
        with contextlib.suppress(ValueError):
            return answer.json()

    token = call("POST", "/sandbox/consumer-tokens", None, {"consumer_id": CONSUMER})["token"]
    payee = {"holder_name": "隐私店", "account_number": PAYEE_ACCOUNT, "bank_code": "102331"}
    merchant = {
        "name": "隐私店",
        "licence_number": uuid4().hex,
        "industry": "other",
        "district": "330106",
        "payee": payee,
    }
    made = call("POST", "/merchants", "operator_key", merchant)
    call("POST", "/merchants", "operator_key", merchant)
    change = {"payee": {**payee, "holder_name": "别人"}}
    call("PATCH", f"/merchants/{made['id']}", "operator_key", change)
    proposed = call("PATCH", f"/merchants/{sandbox['merchant_id']}", "operator_key", {
        "payee": {**payee, "holder_name": call(
            "GET", f"/merchants/{sandbox['merchant_id']}", "operator_key")["name"]},
    })  # fmt: skip
    call("POST", f"/approvals/{proposed['id']}/approve", "operator2_key")
    page = call("GET", f"/public/stores/{sandbox['store_id']}")
    offer = next(offer for offer in page["products"] if offer["kind"] == "stored_value")
    bought = call("POST", "/me/purchases", token, {
        "product_id": offer["id"],
        "store_id": sandbox["store_id"],
        "contract_sha256": offer["contract"]["sha256"],
    })  # fmt: skip
    call("POST", "/purchases", "merchant_key", {
        "product_id": offer["id"], "store_id": sandbox["store_id"], "consumer_id": CONSUMER,
    })  # fmt: skip
    receipt = {
        "bank_reference": uuid4().hex,
        "custody_account": sandbox["custody_account"],
        "amount": bought["amount"],
        "payment_reference": bought["payment_reference"],
        "paid_at": bought["created_at"],
        "payer": {"name": PAYER_NAME, "account_number": PAYER_ACCOUNT},
    }
    call("POST", "/bank/receipts", "bank_key", receipt)
    call("POST", "/bank/receipts", "bank_key", {**receipt, "amount": 1})
    stray = {**receipt, "custody_account": "000", "bank_reference": uuid4().hex}
    call("POST", "/bank/receipts", "bank_key", stray)
    suspense = call("POST", "/bank/receipts", "bank_key", {
        **receipt, "payment_reference": "x", "bank_reference": uuid4().hex,
    })  # fmt: skip
    _send_wrongly(call, receipt, merchant)
    code = call("POST", "/me/codes", token, {"merchant_id": sandbox["merchant_id"]})["code"]
    charge = {
        "store_id": sandbox["store_id"],
        "consumer_code": code,
        "amount": 8000,
        "description": DESCRIPTION,
    }
    call("POST", "/charges", "merchant_key", charge)
    call("POST", "/charges", "merchant_key", {**charge, "consumer_code": CONSUMER})
    _claim(call, token)
    _give(call, token)
    key = call("POST", "/api-keys", "operator_key", {
        "role": "merchant", "person_id": "p", "merchant_id": sandbox["merchant_id"],
    })["secret"]  # fmt: skip
    back = call("POST", f"/receipts/{suspense['id']}/return", "operator_key")
    call("POST", f"/approvals/{back['id']}/approve", "operator2_key")
    for kind in ("release", "refund"):
        call("POST", "/payment-files/cut", "operator_key", {"kind": kind})
    for path in ("/merchants", "/approvals", "/api-keys", "/receipts", "/ledger/trial-balance"):
        call("GET", path, "operator_key")
    for path in ("/cards", "/charges", "/purchases", "/settlements", "/balance"):
        call("GET", path, "merchant_key")
    lived.secrets |= {key, token, code}


def _claim(call: Any, token: str) -> None:
    """Let people judge a claim, and one in words that are too long."""
    card = call("GET", "/me/cards", token)["data"][0]
    asked = f"/me/cards/{card['id']}/refunds"
    call("POST", asked, token, {"reason": "health", "text": WORDS * 200})
    claim = call("POST", asked, token, {"reason": "health", "text": WORDS})
    case = f"/cases/{claim['case_id']}"
    call("POST", f"{case}/answers", "merchant_key", {"agree": False, "text": WORDS})
    call("POST", f"{case}/answers", "merchant_key", {"agree": True, "text": WORDS})
    ruling = {"decision": "rejected", "reason": "查证属实"}
    proposed = call("POST", f"{case}/decisions", "operator_key", ruling)
    decided = call("POST", f"/approvals/{proposed['id']}/approve", "operator2_key")
    assert decided["result"]["text"] == WORDS, "it is shown to who judges it"
    call("GET", "/approvals", "operator_key")


def _give(call: Any, token: str) -> None:
    """Let a card go to somebody else and come back."""
    card = call("GET", "/me/cards", token)["data"][0]
    other = call("POST", "/sandbox/consumer-tokens", None, {"consumer_id": "somebody-else"})
    there, back = (token, "somebody-else"), (other["token"], CONSUMER)
    for (giver, receiver_id), receiver in ((there, other["token"]), (back, token)):
        path, body = f"/me/cards/{card['id']}/transfer", {"consumer_id": receiver_id}
        transfer = call("POST", path, giver, body)
        shown = call("GET", "/me/transfers", receiver)
        assert shown["data"][0]["id"] == transfer["id"]
        taken = call("POST", f"/me/transfers/{transfer['id']}/accept", receiver)
        assert taken["status"] == "accepted"
        call("GET", f"/me/cards/{card['id']}/statement", receiver)


def _send_wrongly(call: Any, receipt: dict[str, Any], merchant: dict[str, Any]) -> None:
    """Put personal data where it is refused: in wrong fields, in names of fields, in paths."""
    for body in (
        {**receipt, "amount": PAYER_ACCOUNT},
        {**receipt, PAYER_NAME: 1},
        {**receipt, "paid_at": PAYER_ACCOUNT},
        {**receipt, "payer": PAYER_NAME},
        {**receipt, "payer": {"name": PAYER_NAME, "account_number": PAYER_ACCOUNT * 9}},
        [PAYER_NAME, PAYER_ACCOUNT],
    ):
        call("POST", "/bank/receipts", "bank_key", body)
    call("POST", "/merchants", "operator_key", {**merchant, "industry": PAYEE_ACCOUNT})
    call("GET", "/merchants/nonsense", PAYER_ACCOUNT)


async def test_everything_did_happen(lived: Lived) -> None:
    statuses = [(answer.request.method, answer.status_code) for answer in lived.answers]
    assert sum(status < 300 for _, status in statuses) >= 25
    assert not [answer.text for answer in lived.answers if answer.status_code >= 500]
    cut = [answer for answer in lived.answers if answer.url.path.endswith("/cut")]
    assert [len(answer.json()["data"]) for answer in cut] == [1, 1]


async def test_logs_have_neither_persons_nor_secrets(lived: Lived) -> None:
    log = (lived.data / "run.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"receipt.recorded", "request.served"} <= {line["event"] for line in lines}
    assert any("charge_id" in line for line in lines)
    for value in (*SEEDED, *lived.secrets):
        assert value not in log
        assert json.dumps(value)[1:-1] not in log


async def test_answers_show_no_payer_and_only_masked_accounts(lived: Lived) -> None:
    for answer in lived.answers:
        where = f"{answer.request.method} {answer.url.path} {answer.status_code}"
        for value in (PAYER_ACCOUNT, PAYEE_ACCOUNT):
            assert value not in answer.text, where
        if answer.is_success:
            assert PAYER_NAME not in answer.text, where
    cards = next(answer for answer in lived.answers if answer.url.path == "/v1/cards")
    assert {card["consumer"] for card in cards.json()["data"]} == {"****8000"}
    merchants = next(
        answer for answer in lived.answers
        if answer.url.path == "/v1/merchants" and answer.request.method == "GET"
    )  # fmt: skip
    assert "****8901" in merchants.text


async def test_refusals_echo_no_value(lived: Lived) -> None:
    for answer in lived.answers:
        if answer.status_code >= 400:
            for value in (CONSUMER, PAYER_ACCOUNT, PAYEE_ACCOUNT, DESCRIPTION, WORDS):
                assert value not in answer.text
            if PAYER_NAME in answer.text:
                # A field that the caller named so is pointed at by its name, and nothing else is.
                assert answer.json()["errors"][0]["pointer"] == f"/{PAYER_NAME}"


async def test_tables_keep_accounts_and_payers_sealed(lived: Lived) -> None:
    found: dict[str, set[str]] = {}
    connection = await asyncpg.connect(lived.urls.owner_url)
    try:
        names = await connection.fetch(
            "SELECT relname AS name FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'public'::regnamespace"
        )
        for row in names:
            rows = await connection.fetch(f'SELECT t::text AS line FROM "{row["name"]}" t')
            dump = "\n".join(line["line"] for line in rows)
            for value in (*SEEDED, *lived.secrets):
                if value in dump or value.encode().hex() in dump:
                    found.setdefault(value, set()).add(row["name"])
    finally:
        await connection.close()
    assert found == BELONGS


def test_metrics_name_nobody(lived: Lived) -> None:
    port = urlsplit(str(lived.sandbox["base_url"])).port
    process = _listener(port or 0)
    texts = [
        httpx.get(f"http://127.0.0.1:{other}/metrics", trust_env=False).text
        for other in _ports_of(process)
        if other != port
    ]
    assert any("anxin_" in text for text in texts)
    for value in (*SEEDED, *lived.secrets, lived.sandbox["merchant_id"]):
        assert all(value not in text for text in texts)


async def test_files_in_the_data_folder_are_its_owners_and_name_no_person(lived: Lived) -> None:
    for path in lived.data.rglob("*"):
        if path.is_file() and path.name != "run.log":
            content = path.read_bytes()
            assert not [value for value in SEEDED if value.encode() in content], path
            assert path.stat().st_mode & 0o077 == 0, path


def _listening() -> Iterator[tuple[str, int]]:
    """Give the inode and the port of each listening socket."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            yield fields[9], int(fields[1].rpartition(":")[2], 16)


def _sockets(process: Path) -> set[str]:
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(link.readlink()))
    return found


def _listener(port: int) -> Path:
    inodes = {f"socket:[{inode}]" for inode, listening in _listening() if listening == port}
    return next(one for one in Path("/proc").glob("[0-9]*") if _sockets(one) & inodes)


def _ports_of(process: Path) -> list[int]:
    own = _sockets(process)
    return [port for inode, port in _listening() if f"socket:[{inode}]" in own]
