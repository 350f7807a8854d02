"""Stored requests: what was answered under an idempotency key, kept with its effect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from uuid import UUID

from app.db.rows import Json, json_text
from app.errors import IdempotencyKeyReused, InvalidRequest, StoredRefusal
from app.ids import uuid_of

if TYPE_CHECKING:
    from app.db.engine import Database, Transaction
    from app.errors import DomainError


REFUSALS_KEPT: Final = timedelta(days=30)


class StoredRequest(NamedTuple):
    """What a request did: the thing it made or changed, or the refusal it got."""

    merchant_no: int
    request_id: UUID
    fingerprint: bytes
    command: str
    subject_id: UUID | None
    refusal: str | None
    facts: Json | None
    created_at: datetime

    def read_facts(self) -> Mapping[str, object]:
        """Give what of the answer later events may have changed since."""
        return {} if self.facts is None else cast("Mapping[str, object]", json.loads(self.facts))

    def raise_refusal(self) -> None:
        """Refuse again what was refused then.

        Raises:
            StoredRefusal: The request was refused.
        """
        if self.refusal is not None:
            facts = self.read_facts()
            members = cast("Mapping[str, object]", facts["members"])
            raise StoredRefusal(self.refusal, str(facts["detail"]), members)


class RequestKey(NamedTuple):
    """An idempotency key in its scope, and what was asked under it."""

    request_id: UUID
    fingerprint: bytes
    keeps_refusals: bool = True
    """Whether a refusal (409) under it is for good: its caller takes a new key for another try."""
    keeps_every_refusal: bool = False
    """Whether any refusal is: where it is part of an answer, which a retry is given again."""

    def keeps(self, error: DomainError) -> bool:
        """Say whether a refusal under this key is given again to a retry."""
        return self.keeps_every_refusal or (self.keeps_refusals and error.storable)

    @staticmethod
    def of(*, tenant: str, key: str, fingerprint: bytes) -> RequestKey:
        """Scope a key to its tenant: the same key of two tenants names two requests."""
        digest = sha256(f"{tenant}\n{key}".encode()).digest()
        return RequestKey(uuid_of(digest[:16]), fingerprint)


def refusal_of(
    key: RequestKey, *, merchant_no: int, command: str, error: DomainError, at: datetime
) -> StoredRequest:
    """Keep a refusal, so that a late retry of the same request cannot take effect."""
    members = dict(error.members)
    if isinstance(error, InvalidRequest):
        members["errors"] = [asdict(wrong) for wrong in error.errors]
    facts = json_text({"detail": error.detail, "members": members})
    return StoredRequest(
        merchant_no, key.request_id, key.fingerprint, command, None, error.code, facts, at
    )


async def claim(
    tx: Transaction, merchant_no: int, key: RequestKey | None
) -> Mapping[str, object] | None:
    """Look, for a call that owns its transaction, whether the request was answered before.

    Equal requests at the same time wait here for each other. Gives the stored answer, or None
    where the caller now does the work and ends with `keep` or `keep_refusal`.

    Raises:
        IdempotencyKeyReused: The key was used for another request.
        StoredRefusal: The request was refused, and the refusal kept.
    """
    if key is None:
        return None
    await tx.execute(
        "SELECT pg_advisory_xact_lock(:lock)",
        lock=int.from_bytes(key.request_id.bytes[:8], "big", signed=True),
    )
    return await look_up(tx, merchant_no, key)


async def look_up(
    tx: Transaction, merchant_no: int, key: RequestKey | None
) -> Mapping[str, object] | None:
    """Give what was answered under a key in this scope, without a claim to it.

    Raises:
        IdempotencyKeyReused: The key was used for another request.
        StoredRefusal: The request was refused, and the refusal kept.
    """
    if key is None:
        return None
    stored = await tx.fetch_one(
        StoredRequest,
        """
        SELECT merchant_no, request_id, fingerprint, command, subject_id, refusal,
               facts::text AS facts, created_at
        FROM stored_request WHERE merchant_no = :no AND request_id = :id
        """,
        no=merchant_no,
        id=key.request_id,
    )
    if stored is None:
        return None
    if stored.fingerprint != key.fingerprint:
        raise IdempotencyKeyReused
    stored.raise_refusal()
    return stored.read_facts()


async def keep(  # noqa: PLR0913  # what is kept is a row, named column by column
    tx: Transaction,
    merchant_no: int,
    key: RequestKey | None,
    *,
    command: str,
    subject_id: UUID | None,
    answer: Mapping[str, object],
) -> None:
    """Store the answer of a call that owns its transaction; leave its secrets out.

    Raises:
        IdempotencyKeyReused: A command was carried out under the key meanwhile. It holds the
            book's lock and not that of `claim`; here one waits for the other and learns of it.
    """
    if key is None:
        return
    facts = json_text(answer)
    row = StoredRequest(
        merchant_no, key.request_id, key.fingerprint, command, subject_id, None, facts,
        await tx.now(),
    )  # fmt: skip
    await _insert(tx, row)


async def keep_refusal(
    tx: Transaction, merchant_no: int, key: RequestKey | None, *, command: str, error: DomainError
) -> None:
    """Store the refusal of a call that owns its transaction, which then must commit.

    Raises:
        IdempotencyKeyReused: A command was carried out under the key meanwhile.
    """
    if key is not None:
        at = await tx.now()
        row = refusal_of(key, merchant_no=merchant_no, command=command, error=error, at=at)
        await _insert(tx, row)


async def _insert(tx: Transaction, row: StoredRequest) -> None:
    if not await tx.insert("stored_request", StoredRequest, [row], unless_there=True):
        raise IdempotencyKeyReused


async def forget_refusals(db: Database) -> int:
    """Drop refusals that are too old for a retry to come; say how many.

    A success is kept for as long as its effect.
    """
    async with db.transaction() as tx:
        return await tx.execute(
            """
            DELETE FROM stored_request
            WHERE refusal IS NOT NULL AND created_at < :moment
            """,
            moment=await tx.now() - REFUSALS_KEPT,
        )
