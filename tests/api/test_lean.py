"""A lean route is a route like every other, only sooner: the same contract, the same refusals."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, cast

import pytest
import pytest_asyncio
from pydantic import Field

from app.access.principals import Role
from app.api.application import lean_routes_of, make_api
from app.api.dependencies import BankDep, IdempotencyDep
from app.api.front import Front
from app.api.lean import REPLAYED, LeanDispatcher, LeanResponse, lean
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import Amount, FileId, Model
from app.errors import NotFound
from app.main import open_services
from app.observability import Metrics
from tests.api.serving import Served, given_key, sandbox_settings, served

PATH = "/v1/things"


class ThingCreate(Model):
    amount: Amount
    note: Annotated[str | None, Field(max_length=10)] = None


class ThingRead(Model):
    amount: int
    bank: str
    request_id: str


router = api_router(PATH, tag="things")


@router.post("", status_code=201, response_model=ThingRead, responses=problems(NotFound))
@lean
async def create_thing(body: ThingCreate, bank: BankDep, request: IdempotencyDep) -> LeanResponse:
    """Make a thing."""
    if body.amount == 404:
        raise NotFound
    if body.amount == 500:
        raise RuntimeError
    answer = ThingRead(amount=body.amount, bank=bank.bank, request_id=str(request.request_id))
    return LeanResponse(201, answer.model_dump_json().encode(), REPLAYED)


@router.post("/{thing_id}/confirm", response_model=ThingRead)
@lean
async def confirm_thing(thing_id: FileId, bank: BankDep, request: IdempotencyDep) -> LeanResponse:
    """Confirm a thing."""
    return LeanResponse(200, json.dumps([thing_id, bank.bank, str(request.request_id)]).encode())


plain_router = api_router("/v1/plain-things", tag="things")


@plain_router.post("", status_code=201, responses=problems(NotFound))
async def create_plain_thing(
    body: ThingCreate, bank: BankDep, request: IdempotencyDep
) -> ThingRead:
    """Make a thing the long way."""
    return ThingRead(amount=body.amount, bank=bank.bank, request_id=str(request.request_id))


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["lean", "through the router"])
async def things(
    request: pytest.FixtureRequest, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    settings = sandbox_settings(database_url, tmp_path_factory.mktemp("data"))

    def lifespan(_api: object) -> Any:
        return _state(settings)

    api = make_api((router, plain_router), lifespan)
    routes = lean_routes_of(api) if request.param == "lean" else ()
    front = Front(LeanDispatcher(api, routes), Metrics().observe_request)
    async with served(front) as running:
        yield running


class _state:  # noqa: N801  # a context manager, used like a function
    def __init__(self, settings: Any) -> None:
        self._open = open_services(settings)

    async def __aenter__(self) -> dict[str, Any]:
        return {"services": await self._open.__aenter__()}

    async def __aexit__(self, *error: object) -> None:
        await self._open.__aexit__(*cast("Any", error))


@pytest_asyncio.fixture(loop_scope="session")
async def bank(things: Served) -> dict[str, str]:
    return await given_key(things.services.db, Role.BANK) | {"idempotency-key": "k"}


async def test_it_answers_with_the_endpoints_bytes_and_headers(
    things: Served, bank: dict[str, str]
) -> None:
    answer = await things.client.post(PATH, json={"amount": 8000.0}, headers=bank)
    assert answer.status_code == 201
    assert (answer.json()["amount"], answer.json()["bank"]) == (8000, "HZCB")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["idempotency-replayed"] == "true"
    assert answer.headers["x-request-id"]


async def test_texts_in_the_path_reach_the_endpoint(things: Served, bank: dict[str, str]) -> None:
    answer = await things.client.post(f"{PATH}/file_1/confirm", headers=bank)
    assert answer.json()[0] == "file_1"


@pytest.mark.parametrize(
    ("content", "changed", "refusal"),
    [
        (b'{"amount":1}', {"authorization": ""}, (401, "unauthenticated")),
        (b'{"amount":1}', {"authorization": "Bearer ak_x"}, (401, "unauthenticated")),
        (b'{"amount":1}', {"idempotency-key": ""}, (400, "idempotency_key_required")),
        (b'{"amount":1}', {"content-type": "text/plain"}, (415, "unsupported_media_type")),
        (b'{"amount":NaN}', {}, (400, "malformed_json")),
        (b'{"amount":1,"amount":2}', {}, (400, "malformed_json")),
        (b'{"amount":0}', {}, (422, "invalid_request")),
        (b'{"amount":"1"}', {}, (422, "invalid_request")),
        (b'{"amount":true}', {}, (422, "invalid_request")),
        (b'{"amount":80.5}', {}, (422, "invalid_request")),
        (b'{"amount":9007199254740992}', {}, (422, "invalid_request")),
        (b'{"amount":1,"colour":1}', {}, (422, "invalid_request")),
        (b"null", {}, (422, "invalid_request")),
        (b"[]", {}, (422, "invalid_request")),
        (b"", {}, (422, "invalid_request")),
        (b'{"amount":404}', {}, (404, "not_found")),
        (b'{"amount":500}', {}, (500, "internal_fault")),
        (b" " * 2_000_000, {}, (413, "body_too_large")),
    ],
)
async def test_it_refuses_what_every_route_refuses(
    things: Served,
    bank: dict[str, str],
    content: bytes,
    changed: dict[str, str],
    refusal: tuple[int, str],
) -> None:
    headers = bank | {"content-type": "application/json"} | changed
    answer = await things.client.post(PATH, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == refusal
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]


async def test_another_role_is_forbidden(things: Served) -> None:
    operator = await given_key(things.services.db)
    answer = await things.client.post(
        PATH, json={"amount": 1}, headers=operator | {"idempotency-key": "k"}
    )
    assert answer.status_code == 403


async def test_other_methods_are_left_to_the_router(things: Served) -> None:
    assert (await things.client.get(PATH)).status_code == 405
    assert (await things.client.post(f"{PATH}/a/b/confirm")).status_code == 404


async def test_the_contract_is_that_of_a_plain_route(things: Served) -> None:
    paths = (await things.client.get("/openapi.json")).json()["paths"]
    hot, plain = paths[PATH]["post"], paths["/v1/plain-things"]["post"]
    for part in ("requestBody", "responses", "parameters", "security"):
        assert hot[part] == plain[part]
    assert {"400", "401", "403", "404", "409", "413", "415", "422", "429", "503"} <= set(
        hot["responses"]
    )


def test_a_parameter_that_lean_does_not_know_stops_the_start() -> None:
    other = api_router("/v1/other", tag="things")

    async def wrong(count: int) -> LeanResponse:
        raise AssertionError(count)

    with pytest.raises(TypeError, match="count"):
        other.post("")(lean(wrong))
