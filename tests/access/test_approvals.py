"""Two persons: who proposed never decides, under whichever key; then it happens once."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.access import queries
from tests.api.serving import Served, given_key


def _key() -> dict[str, str]:
    return {"idempotency-key": uuid4().hex}


async def _proposed(client: httpx.AsyncClient, operator: dict[str, str]) -> dict[str, Any]:
    answer = await client.post(
        "/v1/api-keys",
        json={"role": "bank", "person_id": "wu.lei", "bank": "HZCB"},
        headers=operator | _key(),
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_a_bank_key_is_made_by_the_second_person_and_shown_once(
    client: httpx.AsyncClient, service: Served
) -> None:
    first = await given_key(service.services.db, person_id="li.na")
    second = await given_key(service.services.db, person_id="zhao.min")
    proposal = await _proposed(client, first)
    assert (proposal["status"], proposal["result"]) == ("proposed", None)

    path = f"/v1/approvals/{proposal['id']}/approve"
    key = _key()
    approved = await client.post(path, headers=second | key)
    assert approved.status_code == 200, approved.text
    result = approved.json()["result"]
    assert result["secret"].startswith("ak_")
    assert result["created_at"].endswith("+08:00")
    assert approved.json()["decided_by"] == "zhao.min"

    for again in (key, _key()):
        repeated = await client.post(path, headers=second | again)
        assert repeated.status_code == 200
        assert repeated.json()["result"] == result | {"secret": None}

    bank = {"authorization": f"Bearer {result['secret']}"}
    assert (await client.get("/v1/api-keys", headers=bank)).status_code == 403


async def test_the_proposer_does_not_approve_under_another_key(
    client: httpx.AsyncClient, service: Served
) -> None:
    first = await given_key(service.services.db, person_id="li.na")
    other_key = await given_key(service.services.db, person_id="li.na")
    proposal = await _proposed(client, first)
    answer = await client.post(
        f"/v1/approvals/{proposal['id']}/approve", headers=other_key | _key()
    )
    assert answer.status_code == 409
    assert answer.json()["code"] == "own_proposal"
    shown = await client.get(f"/v1/approvals/{proposal['id']}", headers=first)
    assert shown.json()["status"] == "proposed"


@pytest.mark.parametrize(
    "written", ["Li.Na", " li.na ", "li.na\u200b", "\uff4c\uff49.na", "li. na"]
)
async def test_the_proposer_does_not_approve_under_a_name_that_reads_the_same(
    client: httpx.AsyncClient, service: Served, written: str
) -> None:
    first = await given_key(service.services.db, person_id="li.na")
    same_person = await given_key(service.services.db, person_id=written)
    proposal = await _proposed(client, first)
    answer = await client.post(
        f"/v1/approvals/{proposal['id']}/approve", headers=same_person | _key()
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "own_proposal")


async def test_a_decision_stands(client: httpx.AsyncClient, service: Served) -> None:
    first = await given_key(service.services.db, person_id="li.na")
    second = await given_key(service.services.db, person_id="zhao.min")
    proposal = await _proposed(client, first)
    path = f"/v1/approvals/{proposal['id']}"
    for _ in range(2):
        assert (await client.post(f"{path}/reject", headers=second | _key())).status_code == 200
    answer = await client.post(f"{path}/approve", headers=second | _key())
    assert answer.status_code == 409
    assert answer.json()["code"] == "approval_decided"


async def test_a_retry_proposes_once_and_another_body_is_refused(
    client: httpx.AsyncClient, service: Served
) -> None:
    first = await given_key(service.services.db, person_id="li.na")
    rotated = await given_key(service.services.db, person_id="li.na")
    key = _key()
    body = {"role": "bank", "person_id": "wu.lei", "bank": "HZCB"}
    one = await client.post("/v1/api-keys", json=body, headers=first | key)
    again = await client.post("/v1/api-keys", json=body, headers=rotated | key)
    assert again.json()["id"] == one.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    other = await client.post("/v1/api-keys", json=body | {"bank": "ICBC"}, headers=first | key)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"


async def test_a_wallet_key_is_made_at_once_and_its_secret_not_repeated(
    client: httpx.AsyncClient, service: Served
) -> None:
    operator = await given_key(service.services.db)
    body = {"role": "wallet", "person_id": "wu.lei", "issuer": "https://wallet.example"}
    key = _key()
    made = await client.post("/v1/api-keys", json=body, headers=operator | key)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("ak_")
    again = await client.post("/v1/api-keys", json=body, headers=operator | key)
    assert again.status_code == 201
    assert again.json() == made.json() | {"secret": None}


async def test_a_revoked_key_is_refused(client: httpx.AsyncClient, service: Served) -> None:
    operator = await given_key(service.services.db)
    body = {"role": "wallet", "person_id": "wu.lei", "issuer": "https://wallet.example"}
    made = (await client.post("/v1/api-keys", json=body, headers=operator | _key())).json()
    wallet = {"authorization": f"bearer {made['secret']}"}
    assert (await client.get("/v1/api-keys", headers=wallet)).status_code == 403
    revoked = await client.delete(f"/v1/api-keys/{made['id']}", headers=operator)
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"].endswith("+08:00")
    await service.services.keys.read_revocations()
    assert (await client.get("/v1/api-keys", headers=wallet)).status_code == 401


async def test_a_narrowing_must_fit_its_role(client: httpx.AsyncClient, service: Served) -> None:
    operator = await given_key(service.services.db)
    for body, pointer in (
        ({"role": "merchant", "person_id": "a"}, "/merchant_id"),
        ({"role": "bank", "person_id": "a"}, "/bank"),
        ({"role": "operator", "person_id": "a", "bank": "HZCB"}, "/bank"),
        ({"role": "consumer", "person_id": "a"}, "/role"),
    ):
        answer = await client.post("/v1/api-keys", json=body, headers=operator | _key())
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_key_for_an_unknown_merchant_is_not_found(
    client: httpx.AsyncClient, service: Served
) -> None:
    operator = await given_key(service.services.db)
    for merchant in ("mch_01h455vb4pex5vsknk084sn02q", "nobody"):
        body = {"role": "merchant", "person_id": "a", "merchant_id": merchant}
        answer = await client.post("/v1/api-keys", json=body, headers=operator | _key())
        assert answer.status_code == 404


async def test_keys_made_in_a_sandbox_keep_production_from_starting(
    client: httpx.AsyncClient, service: Served
) -> None:
    operator = await given_key(service.services.db)
    body = {"role": "wallet", "person_id": "wu.lei", "issuer": "https://wallet.example"}
    await client.post("/v1/api-keys", json=body, headers=operator | _key())
    async with service.services.db.snapshot() as tx:
        assert await queries.exists_sandbox_key(tx)


async def test_a_proposed_expiry_survives_the_approval(
    client: httpx.AsyncClient, service: Served
) -> None:
    first = await given_key(service.services.db, person_id="li.na")
    second = await given_key(service.services.db, person_id="zhao.min")
    body = {"role": "regulator", "person_id": "he.jun", "districts": ["330106"]}
    expiry = "2030-01-01T08:00:00+08:00"
    proposed = await client.post(
        "/v1/api-keys", json=body | {"expires_at": expiry}, headers=first | _key()
    )
    assert proposed.json()["request"]["expires_at"] == expiry
    approved = await client.post(
        f"/v1/approvals/{proposed.json()['id']}/approve", headers=second | _key()
    )
    result = approved.json()["result"]
    assert (result["expires_at"], result["districts"]) == (expiry, ["330106"])
