"""What every call meets: ids, limits of head and body, refusals of HTTP itself."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from starlette.types import Message

from app.access.principals import Role
from app.api.front import Front
from app.observability import Metrics, add_context, log_context
from tests.api.serving import Served, given_key

KEY = {"idempotency-key": "k"}


@pytest.fixture
async def operator(service: Served) -> dict[str, str]:
    return await given_key(service.services.db)


async def test_a_sane_request_id_comes_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"x-request-id": "pos-7:42"})
    assert answer.headers["x-request-id"] == "pos-7:42"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", "<script>"])
async def test_another_request_id_is_made_for_one_that_is_not(
    client: httpx.AsyncClient, given: str
) -> None:
    answer = await client.get("/healthz", headers={"x-request-id": given})
    assert answer.headers["x-request-id"].startswith("req_")


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert answer.headers["x-request-id"]


async def test_another_method_is_a_problem_that_names_the_right_ones(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.put("/v1/approvals")
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/charges", "GET, POST"),
        ("/v1/charges/batch", "GET, POST"),
        ("/v1/merchants/mch_1", "GET, PATCH"),
        ("/healthz", "GET"),
    ],
)
async def test_every_method_of_a_path_is_named_though_each_has_its_own_route(
    client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    answer = await client.delete(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed


async def test_headers_past_16_kib_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"x-long": "x" * 17_000})
    assert answer.status_code == 431
    assert answer.json()["code"] == "headers_too_large"


async def test_a_body_past_1_mib_is_refused_by_its_announced_length(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    answer = await client.post("/v1/api-keys", content=b" " * 1_048_577, headers=operator | KEY)
    assert answer.status_code == 413
    assert answer.json() | {"code": "body_too_large", "bytes_max": 1_048_576} == answer.json()


async def test_a_body_past_1_mib_is_refused_without_a_length_and_read_no_further(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    given = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(300):
            given += 1
            yield b" " * 1_048_576

    answer = await client.post(
        "/v1/api-keys",
        content=chunks(),
        headers=operator | KEY | {"content-type": "application/json"},
    )
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert given == 2


async def never() -> Message:
    await asyncio.sleep(60)
    raise AssertionError


def _scope(method: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": "/v1/x",
        "raw_path": b"/v1/x",
        "query_string": b"",
        "headers": [],
        "state": {"services": object()},
    }


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.front._BODY_SECONDS", 0.01)
    sent: list[Message] = []

    async def reads(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    async def send(message: Message) -> None:
        sent.append(message)

    monkeypatch.setattr("app.api.front.Services", object)
    observed: list[Sequence[object]] = []

    def observe(method: str, route: str, status: int, seconds: float) -> None:
        observed.append((method, route, status, seconds))

    await Front(reads, observe)(_scope("POST"), never, send)
    assert sent[0]["status"] == 408
    assert observed[0][2] == 408


async def test_a_bug_is_a_problem_without_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.front.Services", object)
    sent: list[Message] = []

    async def breaks(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("account 6222020000000000")

    async def send(message: Message) -> None:
        sent.append(message)

    await Front(breaks, Metrics().observe_request)(_scope("GET"), never, send)
    assert sent[0]["status"] == 500
    assert b"internal_fault" in sent[1]["body"]
    assert b"6222" not in sent[1]["body"]


async def test_lines_of_a_call_say_nothing_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.api.front.Services", object)
    said: list[Mapping[str, object]] = []

    async def tells(scope: Any, _receive: Any, _send: Any) -> None:
        said.append(add_context(None, "info", {}))
        log_context(charge_id=scope["path"])
        said.append(add_context(None, "info", {"event": "charged"}))

    async def send(_message: Message) -> None:
        pass

    front = Front(tells, Metrics().observe_request)
    # In one context, as calls are that a client sends ahead on one connection.
    for path in ("/a", "/b"):
        await front(_scope("POST") | {"path": path}, never, send)
    assert [{*line} for line in said] == [
        {"request_id"},
        {"request_id", "charge_id", "event"},
    ] * 2
    assert [line["charge_id"] for line in said[1::2]] == ["/a", "/b"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json; charset=gbk"]
)
async def test_a_body_that_is_not_sent_as_json_is_refused(
    client: httpx.AsyncClient, operator: dict[str, str], content_type: str
) -> None:
    answer = await client.post(
        "/v1/api-keys", content=b"{}", headers=operator | KEY | {"content-type": content_type}
    )
    assert answer.status_code == 415


async def test_who_has_no_credential_is_told_so_before_the_body_is_read(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/v1/api-keys", content=b"{")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_malformed_body_is_400(client: httpx.AsyncClient, operator: dict[str, str]) -> None:
    answer = await client.post(
        "/v1/api-keys",
        content=b'{"role":NaN}',
        headers=operator | KEY | {"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"


@pytest.mark.parametrize("key", [None, "", "a b", "x" * 256, "键"])
async def test_a_post_needs_an_idempotency_key_of_visible_characters(
    client: httpx.AsyncClient, operator: dict[str, str], key: str | None
) -> None:
    headers = httpx.Headers(operator)
    if key is not None:
        headers = httpx.Headers([*headers.raw, (b"idempotency-key", key.encode())])
    answer = await client.post(
        "/v1/api-keys", json={"role": "merchant", "person_id": "a"}, headers=headers
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "idempotency_key_required"


async def test_wrong_fields_are_named_by_pointer_and_never_repeated(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    answer = await client.post(
        "/v1/api-keys",
        json={"role": "robot", "person_id": "", "colour": "6222020000000000"},
        headers=operator | KEY,
    )
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {
        "/role",
        "/person_id",
        "/colour",
    }
    assert "6222" not in answer.text


async def test_a_call_without_fields_refuses_fields(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    path = "/v1/approvals/apr_01h455vb4pex5vsknk084sn02q/approve"
    refused = await client.post(path, json={"force": True}, headers=operator | KEY)
    assert refused.status_code == 422
    empty = await client.post(path, json={}, headers=operator | KEY)
    assert empty.status_code == 404


@pytest.mark.parametrize(
    "text", ["x", "apr_", "mch_01h455vb4pex5vsknk084sn02q", "apr_%00", "apr_" + "0" * 500, "键"]
)
async def test_what_is_no_id_is_not_found(
    client: httpx.AsyncClient, operator: dict[str, str], text: str
) -> None:
    answer = await client.get(f"/v1/approvals/{text}", headers=operator)
    assert answer.status_code == 404


async def test_a_role_that_may_not_is_forbidden(client: httpx.AsyncClient, service: Served) -> None:
    bank = await given_key(service.services.db, Role.BANK)
    answer = await client.get("/v1/api-keys", headers=bank)
    assert answer.status_code == 403


async def test_large_answers_are_compressed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["openapi"].startswith("3.1")


async def test_docs_need_no_other_host(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert "/v1/api-keys" in answer.text
    assert "<script" not in answer.text
    assert "https://" not in answer.text


async def test_health_and_readiness(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = (await client.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert ready["schema_version"]
