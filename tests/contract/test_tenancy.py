"""Every route by every role: own, another's, none, expired, revoked, narrowed, read-only.

The routes come from the router, so a route that nobody put into the matrix fails.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from app import ids
from app.access.principals import Role
from app.access.tokens import SANDBOX_AUDIENCE, LocalIssuer, _Registry
from app.api.application import routes_of
from app.ids import Prefix
from app.main import create_api
from app.settings import SANDBOX_ISSUER, Settings
from tests.contract.rows import ROWS, Others, Row, credential
from tests.contract.world import NOBODY, Headers, World, bearer

ID = re.compile(r"\b([a-z]{3,4})_([0-7][0-9a-hjkmnp-tv-z]{25})\b")
SHARED = {"prod", "sto", "mch"}
"""Ids that a shop shows to anyone."""


def every_route() -> set[tuple[str, str]]:
    api = create_api(Settings.model_construct())
    return {(method, route.path) for route in routes_of(api) for method in route.methods or ()}


@dataclass(frozen=True)
class Refused:
    """Credentials that let nobody in, for each kind of caller."""

    keys: dict[str, Headers]
    tokens: dict[str, Headers]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def refused(world: World) -> Refused:
    past = datetime.now(UTC) - timedelta(seconds=1)
    everywhere: dict[str, Headers] = {
        "no credential": NOBODY,
        "an empty one": {"authorization": ""},
        "another scheme": {"authorization": "Basic dTpw"},
        "a guessed key": bearer("ak_" + "A" * 43),
        "a key cut short": {"authorization": world.operator["authorization"][:-1]},
        "no token": bearer("eyJhbGciOiJub25lIn0.e30."),
    }
    keys = {
        f"an {state} key of a {role}": made
        for role, narrowing in _narrowings(world).items()
        for state, made in (
            ("expired", await world.key(role, expires_at=past, **narrowing)),
            ("revoked", await world.revoked(await world.key(role, **narrowing))),
        )
    }
    return Refused({**everywhere, **keys}, {**everywhere, **_bad_tokens(world)})


def _narrowings(world: World) -> dict[Role, dict[str, object]]:
    return {
        Role.OPERATOR: {},
        Role.MERCHANT: {"merchant_id": ids.parse(Prefix.MERCHANT, world.a.merchant_id)},
        Role.BANK: {"bank": world.a.bank_name},
        Role.REGULATOR: {},
        Role.WALLET: {"issuer": SANDBOX_ISSUER},
    }


def _bad_tokens(world: World) -> dict[str, Headers]:
    """Tokens for the right consumer that the issuer never gave."""
    sound = world.a.consumer["authorization"][7:]
    head, claims, signature = sound.split(".")
    other = OKPKey.generate_key("Ed25519", {"kid": "sandbox"}, private=True)
    issuer = LocalIssuer.of(world.settings.data)
    jwks = cast("Any", issuer.issuer.jwks)
    public = OctKey.import_key(jwks["keys"][0]["x"])
    facts: dict[str, object] = {
        "iss": SANDBOX_ISSUER, "aud": SANDBOX_AUDIENCE, "sub": world.a.consumer_id,
        "exp": int(datetime.now(UTC).timestamp()) + 3600,
    }  # fmt: skip

    def signed(key: OKPKey, **changed: object) -> Headers:
        header = {"alg": "EdDSA", "kid": "sandbox"}
        registry = _Registry(algorithms=["EdDSA"])
        return bearer(jwt.encode(header, {**facts, **changed}, key, registry=registry))

    real = issuer._key
    return {
        "an expired token": world.token(world.a.consumer_id, seconds=-60),
        "a token signed by another": signed(other),
        "a token for another service": signed(real, aud="elsewhere"),
        "a token of another issuer": signed(real, iss="https://evil.example"),
        "a token without an end": signed(real, exp=None),
        "a token that is not valid yet": signed(real, nbf=4_000_000_000),
        "a token for nobody": signed(real, sub=""),
        "a token without its signature": bearer(f"{head}.{claims}."),
        "a token with another's claims": bearer(
            f"{head}.{world.b.consumer['authorization'][7:].split('.')[1]}.{signature}"
        ),
        "the public key as a secret": bearer(
            jwt.encode({"alg": "HS256", "kid": "sandbox"}, facts, public, algorithms=["HS256"])
        ),
    }


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert set(ROWS) == every_route()


@pytest.mark.parametrize("row", ROWS.values(), ids=str)
async def test_only_whose_it_is_may_call(world: World, refused: Refused, row: Row) -> None:
    path, body = await row.prepare(world, world.a)
    strangers = await _strangers(world, refused, row)
    before = await world.digest()

    answers = {
        name: await world.call(row.method, path, who, body) for name, (who, _) in strangers.items()
    }
    after = await world.digest()
    own = await world.call(row.method, path, credential(world, row, world.a), body)

    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {name: status for name, (_, status) in strangers.items()}
    assert {answer.headers["content-type"] for answer in answers.values()} <= {
        "application/problem+json"
    }
    assert after == before, "a refused call changed something"
    assert own.status_code == row.status, own.text
    if row.others is Others.LIST:
        await _lists_nothing_of_the_other(world, row, path, own)


async def _strangers(world: World, refused: Refused, row: Row) -> Mapping[str, tuple[Headers, int]]:
    """Give who may not make the call, and with which status each is turned away."""
    if row.role is None:
        return {}
    found = {name: (who, 401) for name, who in {**refused.keys, **refused.tokens}.items()}
    for role, who in _every_role(world).items():
        if role not in {row.role, row.also}:
            found[f"a {role}"] = who, 403
    if row.role is not Role.CONSUMER and row.method != "GET":
        reader = await world.key(row.role, scopes=("read",), **_narrowings(world)[row.role])
        found["a key for reading"] = reader, 403
    if row.others is Others.NOT_FOUND:
        found["another of the role"] = world.b.as_role(row.role), 404
    if row.narrowed is not None:
        found["a key of another store"] = world.a.narrowed, row.narrowed
    return found


def _every_role(world: World) -> dict[Role, Headers]:
    return {
        Role.OPERATOR: world.operator,
        Role.MERCHANT: world.a.merchant,
        Role.BANK: world.a.bank,
        Role.REGULATOR: world.regulator,
        Role.WALLET: world.wallet,
        Role.CONSUMER: world.a.consumer,
    }


async def _lists_nothing_of_the_other(
    world: World, row: Row, path: str, own: httpx.Response
) -> None:
    assert row.role is not None
    theirs = await world.call(row.method, path, world.b.as_role(row.role))
    assert theirs.status_code == 200
    shared = _ids(own) & _ids(theirs)
    assert shared == set(), "both sides see it"


def _ids(answer: httpx.Response) -> set[str]:
    return {match.group() for match in ID.finditer(answer.text)}


@pytest.mark.parametrize("row", [row for row in ROWS.values() if "_id}" in row.path], ids=str)
async def test_ids_of_nothing_are_not_found_and_change_nothing(world: World, row: Row) -> None:
    path, body = await row.prepare(world, world.a)
    named = ID.search(path)
    assert named is not None
    own = ids.parse(Prefix(named.group(1)), named.group())
    wrong = {
        "unknown": ids.to_text(Prefix(named.group(1)), ids.new_id(ids.merchant_no_of(own))),
        "of no merchant": ids.to_text(Prefix(named.group(1)), UUID(int=own.int | 0xFFFF_FFFF)),
        "of the platform": ids.to_text(Prefix(named.group(1)), ids.new_id(0)),
        "of another kind": f"pol_{named.group(2)}",
        "in capitals": named.group().upper(),
        "nonsense": "nonsense",
        "NUL": "%00",
        "no text": "%ff%fe",
        "long": "a" * 5000,
        "a path": "..%2f..%2fetc",
    }
    before = await world.digest()

    answers = {
        name: await world.call(
            row.method,
            path[: named.start()] + text + path[named.end() :],
            credential(world, row, world.a),
            body,
        )
        for name, text in wrong.items()
    }

    assert {
        name: (answer.status_code, answer.json()["code"]) for name, answer in answers.items()
    } == (dict.fromkeys(wrong, (404, "not_found")))
    assert await world.digest() == before


async def test_an_item_of_a_batch_reaches_no_other_store_or_merchant(world: World) -> None:
    items = [
        await world.charge_body(world.b, client_reference="theirs"),
        {**await world.charge_body(world.a), "client_reference": "own"},
        {
            "store_id": world.a.store_id,
            "card_id": world.b.cards["stored_value"],
            "amount": 1,
            "client_reference": "their card",
        },
        {
            "store_id": world.a.store_id,
            "consumer_code": await world.code(world.b),
            "amount": 1,
            "client_reference": "their code",
        },
    ]

    by_all = await world.made("/v1/charges/batch", world.a.merchant, {"items": items})
    by_one = await world.made("/v1/charges/batch", world.a.narrowed, {"items": items[1:2]})

    assert [verdict["status"] for verdict in by_all["data"]] == [404, 201, 404, 409]
    assert by_all["data"][3]["problem"]["code"] == "code_invalid"
    assert [verdict["status"] for verdict in by_one["data"]] == [404]


async def test_codes_guessed_in_a_batch_are_guesses_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses = world.served.services.code_guesses
    monkeypatch.setattr(guesses, "failures_max", 20)
    guess = {"store_id": world.b.store_id, "consumer_code": "GUESS", "amount": 1}
    items = [{**guess, "client_reference": f"guess-{number}"} for number in range(20)]
    tried = await world.made("/v1/charges/batch", world.b.merchant, {"items": items})

    one = await world.call("POST", "/v1/charges", world.b.merchant, guess)
    many = await world.call("POST", "/v1/charges/batch", world.b.merchant, {"items": items})

    assert {verdict["problem"]["code"] for verdict in tried["data"]} == {"code_invalid"}
    for refused in (one, many):
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    by_card = {"store_id": world.b.store_id, "card_id": world.b.cards["stored_value"], "amount": 1}
    assert (await world.call("POST", "/v1/charges", world.b.merchant, by_card)).status_code == 201


async def test_a_bank_cannot_fund_a_purchase_from_another_banks_account(world: World) -> None:
    bought = await world.made("/v1/me/purchases", world.a.consumer, world.own_purchase(world.a))

    told = await world.made("/v1/bank/receipts", world.b.bank, world.receipt(world.a, bought))

    assert (told["status"], told["suspense_reason"]) == ("suspense", "unknown_custody_account")
    after = await world.got(f"/v1/me/purchases/{bought['id']}", world.a.consumer)
    assert after["status"] == "awaiting_payment"


async def test_a_banks_reference_says_nothing_of_another_banks_receipt(world: World) -> None:
    stray = world.receipt(world.a, custody_account="9999000011112222", bank_reference="0001")
    first = await world.made("/v1/bank/receipts", world.a.bank, stray)

    second = await world.call("POST", "/v1/bank/receipts", world.b.bank, {**stray, "amount": 5})

    assert second.status_code == 201, second.text
    assert second.json()["id"] != first["id"]


async def test_an_unclaimed_purchase_is_open_to_who_has_its_link_and_then_to_one(
    world: World,
) -> None:
    sale = await world.purchase(world.a)
    path = f"/v1/me/purchases/{sale['id']}"
    accepted = {"contract_sha256": sale["contract"]["sha256"]}
    assert (await world.got(path, world.b.consumer))["id"] == sale["id"]

    await world.made(f"{path}/accept", world.b.consumer, accepted)

    late = await world.call("POST", f"{path}/accept", world.a.consumer, accepted)
    hidden = await world.call("GET", path, world.a.consumer)
    assert (late.status_code, hidden.status_code) == (404, 404)


@pytest.mark.parametrize("kind", ["stored_value", "count"])
async def test_a_code_for_one_product_cannot_be_used_for_another(world: World, kind: str) -> None:
    products = world.a.products
    card = await world.card(world.a, kind)
    other = await world.made("/v1/card-products", world.a.merchant, {
        "name": "另一张", "kind": kind, "price_amount": 1000,
        **({"sessions": 5} if kind == "count" else {}),
    })  # fmt: skip
    use = {"amount": 1} if kind == "stored_value" else {"sessions": 1}
    code = await world.code(world.a, product_id=other["id"])
    body = {"store_id": world.a.store_id, "consumer_code": code, **use}

    named = await world.call(
        "POST", "/v1/charges", world.a.merchant, {**body, "product_id": products[kind]}
    )
    unnamed = await world.call("POST", "/v1/charges", world.a.merchant, body)

    assert (named.status_code, named.json()["code"]) == (409, "code_invalid")
    assert (unnamed.status_code, unnamed.json()["code"]) == (409, "insufficient_balance")
    assert (await world.got(f"/v1/me/cards/{card}", world.a.consumer))["released_amount"] == 0


async def test_a_merchant_alone_confirms_nothing(world: World) -> None:
    charge = await world.pending(world.a)
    echo = {"store_id": world.a.store_id, "amount": 1}
    before = await world.digest()

    for who in (world.a.merchant, world.operator, world.wallet, world.b.consumer, NOBODY):
        answer = await world.call("POST", f"/v1/me/charges/{charge['id']}/confirm", who, echo)
        assert answer.status_code in {401, 403, 404}
    guessed = await world.call(
        "POST", "/v1/charges", world.a.merchant,
        {"store_id": world.a.store_id, "consumer_code": "0" * 16, "amount": 1},
    )  # fmt: skip

    assert guessed.json()["code"] == "code_invalid"
    after = await world.digest()
    # The refusal is kept under its key, and the batch that said it leaves its mark.
    assert {name for name in before if after[name] != before[name]} <= {"stored_request", "outbox"}
