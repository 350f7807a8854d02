"""Making, listing and revoking API keys."""

from collections.abc import Mapping
from typing import Final, cast
from uuid import UUID

import structlog
from pydantic import TypeAdapter

from app.access import approvals, queries
from app.access.approvals import Approval, Execution, Executor
from app.access.domain import ApiKey, IssuedKey, KeyRequest, new_secret, secret_hash
from app.db.engine import Database, Transaction
from app.errors import NotFound
from app.ids import PLATFORM_NO, Prefix, new_platform_id, to_text
from app.writer.answers import Answered
from app.writer.requests import RequestKey, claim, keep

_log = structlog.stdlib.get_logger()

CREATE_API_KEY: Final = "create_api_key"

_REQUESTS: Final = TypeAdapter(KeyRequest)


async def create_key(
    db: Database, wanted: KeyRequest, *, by: str, request: RequestKey | None
) -> Answered[IssuedKey | Approval]:
    """Make a key, or, for a role that needs two persons, propose it.

    A retry gives the same key without its secret, or the same proposal.

    Raises:
        IdempotencyKeyReused: The key was used for another request.
        InvalidRequest: The narrowing does not fit the role.
        NotFound: No such merchant, or stores that are not its.
    """
    wanted.check()
    async with db.transaction() as tx:
        stored = await claim(tx, PLATFORM_NO, request)
        if stored is not None:
            return Answered(await _again(tx, stored), replayed=True)
        made: IssuedKey | Approval
        if wanted.needs_two_persons:
            facts = cast("Mapping[str, object]", _REQUESTS.dump_python(wanted))
            made = await approvals.propose(tx, CREATE_API_KEY, None, facts, by)
            answer = {"approval_id": str(made.approval_id)}
        else:
            made = await insert_key(tx, wanted)
            answer = {"key_id": str(made.key.key_id)}
        await keep(tx, PLATFORM_NO, request, command=CREATE_API_KEY, subject_id=None, answer=answer)
    if isinstance(made, IssuedKey):
        _log.info("api_key.created", key_id=str(made.key.key_id), role=made.key.role)
    return Answered(made)


async def _again(tx: Transaction, stored: Mapping[str, object]) -> IssuedKey | Approval:
    if "approval_id" in stored:
        row = await queries.find_approval(tx, UUID(str(stored["approval_id"])))
        assert row is not None
        return approvals.read(row).as_proposed
    key = await queries.find_key(tx, UUID(str(stored["key_id"])))
    assert key is not None
    # As it was when it was made: what became of it since is asked for by GET.
    return IssuedKey(key._replace(revoked_at=None), None)


async def insert_key(tx: Transaction, wanted: KeyRequest, secret: str | None = None) -> IssuedKey:
    """Make a key at once; callers have checked that this needs no second person.

    `secret` is given only by the sandbox, whose keys survive a restart.

    Raises:
        NotFound: No such merchant, or stores that are not its.
    """
    merchant_no = await _merchant_no(tx, wanted)
    secret = secret or new_secret()
    key_id = new_platform_id()
    await queries.insert_key(tx, key_id, secret_hash(secret), wanted, merchant_no)
    key = await queries.find_key(tx, key_id)
    assert key is not None
    return IssuedKey(key, secret)


async def _merchant_no(tx: Transaction, wanted: KeyRequest) -> int | None:
    if wanted.merchant_id is None:
        return None
    merchant_no = await queries.find_merchant_no(tx, wanted.merchant_id)
    if merchant_no is None:
        raise NotFound
    stores = set(wanted.store_ids or ())
    if await queries.count_stores(tx, merchant_no, list(stores)) != len(stores):
        raise NotFound
    return merchant_no


async def execute_create_key(tx: Transaction, approval: Approval) -> Execution:
    """Make the key that was proposed; its secret is shown to the approver, once."""
    issued = await insert_key(tx, _REQUESTS.validate_python(approval.request))
    result = key_facts(issued.key)
    return Execution({**result, "secret": None}, shown_once={"secret": issued.secret})


EXECUTORS: Final[Mapping[str, Executor]] = {CREATE_API_KEY: execute_create_key}


def key_facts(key: ApiKey) -> Mapping[str, object]:
    """Say a key as the contract's object, for the result of an approval."""
    merchant_id = None if key.merchant_id is None else to_text(Prefix.MERCHANT, key.merchant_id)
    stores = None if key.store_ids is None else [to_text(Prefix.STORE, s) for s in key.store_ids]
    return {
        "id": to_text(Prefix.KEY, key.key_id),
        "role": key.role,
        "person_id": key.person_id,
        "merchant_id": merchant_id,
        "store_ids": stores,
        "bank": key.bank,
        "industries": key.industries,
        "districts": key.districts,
        "issuer": key.issuer,
        "scopes": key.scopes,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
    }


async def list_keys(db: Database, *, limit: int, after: UUID | None) -> list[ApiKey]:
    """List keys, newest first; of their secrets nothing is known."""
    async with db.snapshot() as tx:
        return await queries.list_keys(tx, limit=limit, after=after)


async def read_key(db: Database, key_id: UUID) -> ApiKey:
    """Give a key.

    Raises:
        NotFound: No such key.
    """
    async with db.snapshot() as tx:
        key = await queries.find_key(tx, key_id)
    if key is None:
        raise NotFound
    return key


async def revoke_key(db: Database, key_id: UUID) -> ApiKey:
    """Revoke a key for every process, within a second; doing it again changes nothing.

    Raises:
        NotFound: No such key.
    """
    async with db.transaction() as tx:
        await queries.revoke_key(tx, key_id)
        key = await queries.find_key(tx, key_id)
        if key is None:
            raise NotFound
    _log.info("api_key.revoked", key_id=str(key_id))
    return key
