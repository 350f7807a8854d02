"""A POST repeated with its key is the same POST: over every route that takes one."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import cast
from uuid import uuid4

import httpx
import pytest

from app import ids
from app.access.principals import Role
from app.ids import Prefix
from tests.contract.rows import ROWS, Others, Row, credential
from tests.contract.world import Headers, World, unique

POSTS = [row for row in ROWS.values() if row.method == "POST"]
KEYED = [row for row in POSTS if row.keyed]
SECRETS = frozenset({"secret"})


def _without_secrets(answer: httpx.Response) -> object:
    """Read an answer, with null for what is shown once."""

    def hidden(members: dict[str, object]) -> dict[str, object]:
        return {name: None if name in SECRETS else members[name] for name in members}

    return json.loads(answer.text, object_hook=hidden)


def _is_repeated(first: httpx.Response, again: httpx.Response) -> None:
    assert again.status_code == first.status_code, again.text
    assert again.json() == _without_secrets(first)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


async def _rotated(world: World, row: Row, own: Headers) -> Headers:
    """Give another key of the same tenant; consumers get a new token."""
    narrowing: dict[str, object]
    match row.role:
        case Role.OPERATOR:
            # Its person stays: a second person would be one who may approve.
            narrowing = {"person_id": "operator-1"}
        case Role.MERCHANT:
            narrowing = {"merchant_id": ids.parse(Prefix.MERCHANT, world.a.merchant_id)}
        case Role.BANK:
            narrowing = {"bank": world.a.bank_name}
        case _:
            return world.token(world.a.consumer_id, seconds=7200)
    rotated = await world.key(row.role, **narrowing)
    assert rotated != own
    return rotated


@pytest.mark.parametrize("row", KEYED, ids=str)
async def test_without_a_key_nothing_is_done(world: World, row: Row) -> None:
    path, body = await row.prepare(world, world.a)
    who = credential(world, row, world.a)
    before = await world.digest()
    wrong = ["", "two words", "x" * 256, "caf\u00e9", "tab\there"]

    answers = [await world.call("POST", path, who, body, key=wrong[0])]
    for key in wrong[1:]:
        answers.append(  # noqa: PERF401  # one after another, each with its header
            await world.served.client.request("POST", path, headers=_with(who, key), json=body)
        )
    twice = _with(who, "one", "two")
    answers.append(await world.served.client.request("POST", path, headers=twice, json=body))

    codes = {(answer.status_code, answer.json()["code"]) for answer in answers}
    assert codes == {(400, "idempotency_key_required")}
    assert await world.digest() == before


def _with(who: Headers, *keys: str) -> list[tuple[bytes, bytes]]:
    """Give headers as bytes, which no client has tidied up."""
    given = [*who.items(), *(("idempotency-key", key) for key in keys)]
    return [(name.encode(), value.encode()) for name, value in given]


@pytest.mark.parametrize("row", [row for row in POSTS if not row.keyed], ids=str)
async def test_where_no_key_is_needed_none_is_asked_for(world: World, row: Row) -> None:
    path, body = await row.prepare(world, world.a)
    for key in ("", uuid4().hex):
        answer = await world.call("POST", path, credential(world, row, world.a), body, key=key)
        assert answer.is_success, answer.text
        path, body = await row.prepare(world, world.a)


@pytest.mark.parametrize("row", KEYED, ids=str)
async def test_the_same_request_is_answered_as_the_first_time(world: World, row: Row) -> None:
    path, body = await row.prepare(world, world.a)
    other_path, other_body = await _another(world, row, path, body)
    own, key = credential(world, row, world.a), "visible~" + uuid4().hex
    first = await world.call("POST", path, own, body, key=key)
    done = await world.digest()

    again = await world.call("POST", path, own, body, key=key)
    rotated = await world.call("POST", path, await _rotated(world, row, own), body, key=key)
    other = await world.call("POST", other_path, own, other_body, key=key)

    assert first.status_code == row.status, first.text
    _is_repeated(first, again)
    _is_repeated(first, rotated)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    after = await world.digest()
    # The rotated key, the mark of a batch, and whom the other request named as its holder.
    harmless = {"api_key", "outbox", "consumer_merchant"}
    assert {name for name in done if after[name] != done[name]} <= harmless


async def _another(world: World, row: Row, path: str, body: object) -> tuple[str, object]:
    """Give a request of the same kind that is not the same."""
    if row.path == "/v1/payment-files/cut":
        return path, {"kind": "refund"}
    if row.path.endswith("/custody-accounts"):
        # Another merchant's is another scope.
        assert isinstance(body, dict)
        fields = cast("dict[str, object]", body)
        return path, {**fields, "account_number": "330199998888"}
    if row.path.endswith("/closures"):
        assert isinstance(body, dict)
        return path, {**cast("dict[str, object]", body), "reason": "另有原因"}
    if row.path in {"/v1/closures/{closure_id}/cancel", "/v1/closures/{closure_id}/execute"}:
        # A merchant closes once: the other request is its next closure.
        closure = await world.got(path.rpartition("/")[0], world.operator)
        order = {"kind": "notice", "reason": "停止营业"}
        return f"/v1/merchants/{closure['merchant_id']}/closures", order
    other = await row.prepare(world, world.a)
    if other == (path, body):
        assert isinstance(body, dict)
        fields = cast("dict[str, object]", body)
        return path, {**fields, "store_id": world.a.other_store_id}
    return other


SHARED_KEY = [row for row in KEYED if row.role is not Role.OPERATOR]


@pytest.mark.parametrize("row", SHARED_KEY, ids=str)
async def test_two_tenants_may_choose_the_same_key(world: World, row: Row) -> None:
    key = uuid4().hex
    for side in world.sides:
        path, body = await row.prepare(world, side)
        answer = await world.call("POST", path, credential(world, row, side), body, key=key)
        assert answer.status_code == row.status, answer.text
        assert "idempotency-replayed" not in answer.headers


def test_every_row_of_a_tenant_is_tried_with_both() -> None:
    assert {row.others for row in SHARED_KEY} <= {Others.NOT_FOUND, Others.OWN}


async def test_one_consumer_may_use_one_key_at_two_merchants(world: World) -> None:
    key = uuid4().hex

    answers = [
        await world.call(
            "POST", "/v1/me/purchases", world.a.consumer, world.own_purchase(side), key=key
        )
        for side in world.sides
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 2


NAMES_A_MERCHANTS_THING = [
    ROWS["POST", path]
    for path in (
        "/v1/cases/{case_id}/decisions",
        "/v1/closures/{closure_id}/cancel",
        "/v1/closures/{closure_id}/execute",
        "/v1/holds/{hold_id}/lift",
        "/v1/merchants/{merchant_id}/closures",
        "/v1/merchants/{merchant_id}/stores",
        "/v1/receipts/{receipt_id}/match",
        "/v1/receipts/{receipt_id}/payee-account",
        "/v1/receipts/{receipt_id}/return",
    )
]


@pytest.mark.parametrize("row", NAMES_A_MERCHANTS_THING, ids=str)
async def test_a_key_names_one_request_at_a_merchant_whatever_is_called(
    world: World, row: Row
) -> None:
    path, body = await row.prepare(world, world.a)
    merchant_id = world.a.merchant_id
    if row.path.startswith("/v1/closures/"):
        closure = await world.got("/".join(path.split("/")[:4]), world.operator)
        merchant_id = closure["merchant_id"]
    elif row.path.startswith("/v1/merchants/"):
        merchant_id = path.split("/")[3]
    hold = {"target": "payable", "target_id": merchant_id, "document_number": "1", "reason": "2"}
    key = uuid4().hex
    first = await world.call("POST", "/v1/holds", world.operator, hold, key=key)
    assert first.status_code == 201, first.text
    before = await world.digest()

    answer = await world.call("POST", path, world.operator, body, key=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await world.digest() == before
    again = await world.call("POST", path, world.operator, body, key=uuid4().hex)
    assert again.status_code == row.status, again.text
    lifted = await world.made(f"/v1/holds/{first.json()['id']}/lift", world.operator)
    await world.made(f"/v1/approvals/{lifted['id']}/approve", world.operator2)


@dataclass
class Sent:
    """A request that was made, and its answer."""

    path: str
    body: object
    who: Headers
    key: str
    answer: httpx.Response


async def test_after_a_restart_every_answer_is_the_first_one(world: World) -> None:
    sent: list[Sent] = []
    for row in KEYED:
        path, body = await row.prepare(world, world.a)
        who, key = credential(world, row, world.a), uuid4().hex
        sent.append(Sent(path, body, who, key, await world.call("POST", path, who, body, key=key)))
    done = await world.digest()

    await world.start()

    for one in sent:
        again = await world.call("POST", one.path, one.who, one.body, key=one.key)
        _is_repeated(one.answer, again)
    after = await world.digest()
    assert {name for name in done if after[name] != done[name]} <= {"outbox", "signing_key"}


async def test_what_happened_since_does_not_change_the_answer(world: World) -> None:
    """Each answer is rendered from the facts of its moment."""
    side = world.a
    charge = await world.charge_body(side)
    key = uuid4().hex
    first = await world.call("POST", "/v1/charges", side.merchant, charge, key=key)
    await world.made(f"/v1/charges/{first.json()['id']}/reverse", side.merchant)
    sale = {"product_id": side.products["count"], "store_id": side.store_id}
    opened = await world.call("POST", "/v1/purchases", side.merchant, sale, key=key + "p")
    await world.made(f"/v1/purchases/{opened.json()['id']}/cancel", side.merchant)
    wanted = {"role": "merchant", "person_id": "p", "merchant_id": side.merchant_id}
    issued = await world.call("POST", "/v1/api-keys", world.operator, wanted, key=key + "k")
    await world.call("DELETE", f"/v1/api-keys/{issued.json()['id']}", world.operator)
    asked = {"role": "bank", "person_id": "p", "bank": "CCB"}
    proposed = await world.call("POST", "/v1/api-keys", world.operator, asked, key=key + "a")
    await world.made(f"/v1/approvals/{proposed.json()['id']}/approve", world.operator2)
    file = await world.file(side)
    taken = f"/v1/bank/files/{file['id']}/acknowledge"
    acknowledged = await world.call("POST", taken, side.bank, {}, key=key + "f")
    order = await world.order(side, file)
    told = f"/v1/bank/files/{file['id']}/results"
    paid, returned = (
        {"results": [{"order_id": order["id"], "status": status, "reason": reason}]}
        for status, reason in (("paid", None), ("returned", "technical"))
    )
    reported = await world.call("POST", told, side.bank, paid, key=key + "r")
    await world.made(told, side.bank, returned)

    _is_repeated(first, await world.call("POST", "/v1/charges", side.merchant, charge, key=key))
    _is_repeated(
        opened, await world.call("POST", "/v1/purchases", side.merchant, sale, key=key + "p")
    )
    _is_repeated(
        issued, await world.call("POST", "/v1/api-keys", world.operator, wanted, key=key + "k")
    )
    _is_repeated(
        proposed, await world.call("POST", "/v1/api-keys", world.operator, asked, key=key + "a")
    )
    _is_repeated(acknowledged, await world.call("POST", taken, side.bank, {}, key=key + "f"))
    _is_repeated(reported, await world.call("POST", told, side.bank, paid, key=key + "r"))


async def test_a_secret_is_shown_once(world: World) -> None:
    wanted = {"role": "merchant", "person_id": "p", "merchant_id": world.a.merchant_id}
    key = uuid4().hex
    first = await world.made("/v1/api-keys", world.operator, wanted, key=key)
    again = await world.made("/v1/api-keys", world.operator, wanted, key=key)
    path = f"/v1/approvals/{(await world.proposal())['id']}"
    approved = await world.made(f"{path}/approve", world.operator, key=key + "a")
    repeated = await world.made(f"{path}/approve", world.operator, key=key + "a")
    otherwise = await world.made(f"{path}/approve", world.operator)

    assert first["secret"].startswith("ak_")
    assert again["secret"] is None
    assert approved["result"]["secret"].startswith("ak_")
    assert [seen["result"]["secret"] for seen in (repeated, otherwise)] == [None, None]
    everything = [
        await world.got(read, world.operator)
        for read in (f"/v1/api-keys/{first['id']}", "/v1/api-keys", path, "/v1/approvals")
    ]
    for secret in (first["secret"], approved["result"]["secret"]):
        assert all(secret not in str(shown) for shown in everything)


async def _refusals(world: World) -> dict[str, tuple[str, Headers, object]]:
    """Give a request for each way in which a money command is refused by a state."""
    side = world.a
    merchant, consumer = side.merchant, side.consumer
    card = side.cards["stored_value"]
    used = await world.charge_body(side)
    await world.made("/v1/charges", merchant, used)
    pending = await world.pending(side)
    declined = await world.pending(side)
    await world.made(f"/v1/me/charges/{declined['id']}/decline", consumer)
    paid = await world.made("/v1/me/purchases", consumer, world.own_purchase(side))
    await world.made("/v1/bank/receipts", side.bank, world.receipt(side, paid))
    referenced = await world.charge_body(side, client_reference=unique())
    await world.made("/v1/charges", merchant, referenced)
    echo = {"store_id": side.store_id, "amount": 1}
    at_store = {"store_id": side.store_id}
    small = await world.code(side, max_amount=10)
    return {
        "insufficient_balance": (
            "/v1/charges", merchant, {**at_store, "card_id": card, "amount": 2**52},
        ),
        "client_reference_used": (
            "/v1/charges", merchant,
            {**await world.charge_body(side), "client_reference": referenced["client_reference"]},
        ),
        "code_invalid": ("/v1/charges", merchant, {**echo, "consumer_code": "GUESS"}),
        "code_used": ("/v1/charges", merchant, {**used, "amount": 2}),
        "code_limit_exceeded": (
            "/v1/charges", merchant, {**at_store, "consumer_code": small, "amount": 11},
        ),
        "charge_changed": (
            f"/v1/me/charges/{pending['id']}/confirm", consumer, {**echo, "amount": 2},
        ),
        "charge_not_pending": (f"/v1/me/charges/{declined['id']}/confirm", consumer, echo),
        "charge_not_confirmed": (f"/v1/charges/{declined['id']}/reverse", merchant, None),
        "contract_changed": (
            "/v1/me/purchases", consumer,
            {**world.own_purchase(side), "contract_sha256": "0" * 64},
        ),
        "purchase_not_awaiting_payment": (f"/v1/purchases/{paid['id']}/cancel", merchant, None),
    }  # fmt: skip


async def test_a_refusal_is_kept_under_its_key_and_says_to_take_another(world: World) -> None:
    for code, (path, who, body) in (await _refusals(world)).items():
        key = uuid4().hex
        first = await world.call("POST", path, who, body, key=key)
        again = await world.call("POST", path, who, body, key=key)

        assert (first.status_code, first.json()["code"]) == (409, code), first.text
        assert first.json()["retry_with"] == "new_key"
        _is_repeated(first, again)


async def test_a_late_retry_of_what_was_refused_cannot_fire(world: World) -> None:
    consumer = unique("late")
    token = world.token(consumer)
    card = await world.card(world.a, consumer=token)
    body = {"store_id": world.a.store_id, "card_id": card, "amount": 600_01}
    key = uuid4().hex
    refused = await world.call("POST", "/v1/charges", world.a.merchant, body, key=key)
    await world.card(world.a, consumer=token)

    late = await world.call("POST", "/v1/charges", world.a.merchant, body, key=key)
    anew = await world.call("POST", "/v1/charges", world.a.merchant, body)

    assert refused.json()["code"] == "insufficient_balance"
    _is_repeated(refused, late)
    assert anew.status_code == 201


async def test_of_fifty_equal_requests_at_once_one_acts(world: World) -> None:
    body, key = await world.charge_body(world.a), uuid4().hex
    who = world.a.merchant

    answers = await asyncio.gather(
        *(world.call("POST", "/v1/charges", who, body, key=key) for _ in range(50))
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    in_flight = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert in_flight <= {"idempotency_key_in_flight"}
    firsts = [a for a in answers if a.is_success and "idempotency-replayed" not in a.headers]
    assert len(firsts) == 1


async def test_a_body_that_says_the_same_is_the_same(world: World) -> None:
    """The fingerprint is of what the body says, not of its blanks and order."""
    body, key = await world.charge_body(world.a), uuid4().hex
    first = await world.call("POST", "/v1/charges", world.a.merchant, body, key=key)
    turned = dict(reversed(body.items())) | {"amount": 1.0}

    again = await world.call("POST", "/v1/charges", world.a.merchant, turned, key=key)

    _is_repeated(first, again)


async def test_an_interrupted_batch_goes_on_and_each_item_has_its_own_effect(world: World) -> None:
    items = [await world.charge_body(world.a, client_reference=unique()) for _ in range(3)]
    key = uuid4().hex
    first = await world.call(
        "POST", "/v1/charges/batch", world.a.merchant, {"items": items}, key=key
    )
    again = await world.call(
        "POST", "/v1/charges/batch", world.a.merchant, {"items": items}, key=key
    )

    assert [verdict["status"] for verdict in first.json()["data"]] == [201, 201, 201]
    _is_repeated(first, again)
