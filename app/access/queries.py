"""SQL of API keys and approvals."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.access.domain import ApiKey, KeyRequest
from app.db.engine import Transaction

_KEY_COLUMNS: Final = """
    k.key_id, k.role, k.person_id, k.merchant_no, m.merchant_id, k.store_ids, k.bank,
    k.industries, k.districts, k.issuer, k.scopes, k.expires_at, k.revoked_at, k.created_at,
    k.secret_hash
"""
_KEYS: Final = "FROM api_key k LEFT JOIN merchant m USING (merchant_no)"


class MerchantNo(NamedTuple):
    """A merchant's number."""

    merchant_no: int


class SecretHash(NamedTuple):
    """The digest of a secret."""

    secret_hash: bytes


async def find_keys_by_secret(
    tx: Transaction, secret_hashes: Collection[bytes]
) -> Mapping[bytes, ApiKey]:
    """Find the keys with these digests, revoked or not."""
    found = await tx.fetch(
        ApiKey,
        f"SELECT {_KEY_COLUMNS} {_KEYS} WHERE k.secret_hash = ANY (CAST(:hashes AS bytea[]))",
        hashes=list(secret_hashes),
    )
    return {key.secret_hash: key for key in found}


async def find_key(tx: Transaction, key_id: UUID) -> ApiKey | None:
    """Find a key by its id."""
    return await tx.fetch_one(
        ApiKey,
        f"SELECT {_KEY_COLUMNS} {_KEYS} WHERE k.key_id = :key_id",
        key_id=key_id,
    )


async def list_keys(tx: Transaction, *, limit: int, after: UUID | None) -> list[ApiKey]:
    """List keys, newest first, below the id `after`."""
    return await tx.fetch(
        ApiKey,
        f"""
        SELECT {_KEY_COLUMNS} {_KEYS}
        WHERE CAST(:after AS uuid) IS NULL OR k.key_id < CAST(:after AS uuid)
        ORDER BY k.key_id DESC LIMIT :limit
        """,
        after=after,
        limit=limit,
    )


async def recently_revoked(tx: Transaction, *, within_seconds: int) -> list[SecretHash]:
    """List the digests of keys revoked a short time ago."""
    return await tx.fetch(
        SecretHash,
        """
        SELECT secret_hash FROM api_key
        WHERE revoked_at > clock_timestamp() - make_interval(secs => :seconds)
        """,
        seconds=float(within_seconds),
    )


async def insert_key(
    tx: Transaction, key_id: UUID, secret_hash: bytes, request: KeyRequest, merchant_no: int | None
) -> None:
    """Add a key. Key times are real time, not the sandbox's."""
    await tx.execute(
        """
        INSERT INTO api_key (key_id, secret_hash, role, person_id, merchant_no, store_ids, bank,
                             industries, districts, issuer, scopes, sandbox, expires_at, created_at)
        VALUES (:key_id, :secret_hash, :role, :person_id, CAST(:merchant_no AS integer),
                CAST(:store_ids AS uuid[]), CAST(:bank AS text), CAST(:industries AS text[]),
                CAST(:districts AS text[]), CAST(:issuer AS text), CAST(:scopes AS text[]),
                :sandbox, CAST(:expires_at AS timestamptz), clock_timestamp())
        """,
        key_id=key_id,
        secret_hash=secret_hash,
        role=str(request.role),
        person_id=request.person_id,
        merchant_no=merchant_no,
        store_ids=_array(request.store_ids),
        bank=request.bank,
        industries=_array(request.industries),
        districts=_array(request.districts),
        issuer=request.issuer,
        scopes=_array(request.scopes),
        sandbox=request.sandbox,
        expires_at=request.expires_at,
    )


async def revoke_key(tx: Transaction, key_id: UUID) -> None:
    """Revoke a key; one revoked before keeps its time."""
    await tx.execute(
        """
        UPDATE api_key SET revoked_at = clock_timestamp()
        WHERE key_id = :key_id AND revoked_at IS NULL
        """,
        key_id=key_id,
    )


async def find_merchant_no(tx: Transaction, merchant_id: UUID) -> int | None:
    """Say which number a merchant has; None where there is no such merchant."""
    found = await tx.fetch_one(
        MerchantNo,
        "SELECT merchant_no FROM merchant WHERE merchant_id = :merchant_id",
        merchant_id=merchant_id,
    )
    return None if found is None else found.merchant_no


async def count_stores(tx: Transaction, merchant_no: int, store_ids: Sequence[UUID]) -> int:
    """Count how many of these stores are the merchant's."""
    count = await tx.value(
        """
        SELECT count(*) FROM store
        WHERE merchant_no = :merchant_no AND store_id = ANY (CAST(:store_ids AS uuid[]))
        """,
        merchant_no=merchant_no,
        store_ids=list(store_ids),
    )
    assert isinstance(count, int)
    return count


async def exists_sandbox_key(tx: Transaction) -> bool:
    """Say whether a key of the sandbox could still be used."""
    return bool(
        await tx.value(
            """
            SELECT EXISTS (
                SELECT 1 FROM api_key
                WHERE sandbox AND revoked_at IS NULL
                  AND (expires_at IS NULL OR expires_at > clock_timestamp()))
            """
        )
    )


class ApprovalRow(NamedTuple):
    """An approval as it lies in its table; `request` and `result` are JSON texts."""

    approval_id: UUID
    action: str
    subject_id: str | None
    request: str
    status: str
    proposed_by: str
    decided_by: str | None
    result: str | None
    created_at: datetime


_APPROVALS: Final = "FROM approval"
_APPROVAL_COLUMNS: Final = """
    approval_id, action, subject_id, CAST(request AS text) AS request, status, proposed_by,
    decided_by, CAST(result AS text) AS result, created_at
"""


async def insert_approval(
    tx: Transaction, approval_id: UUID, content: Mapping[str, str | None]
) -> None:
    """Add a proposal: `action`, `subject_id`, `request` (JSON text), `proposed_by`."""
    await tx.execute(
        """
        INSERT INTO approval (approval_id, action, subject_id, request, status, proposed_by,
                              created_at)
        VALUES (:approval_id, :action, CAST(:subject_id AS text), CAST(:request AS jsonb),
                'proposed', :proposed_by, anxin_now())
        """,
        approval_id=approval_id,
        **content,
    )


async def find_approval(tx: Transaction, approval_id: UUID) -> ApprovalRow | None:
    """Find an approval."""
    return await tx.fetch_one(
        ApprovalRow,
        f"SELECT {_APPROVAL_COLUMNS} {_APPROVALS} WHERE approval_id = :id",
        id=approval_id,
    )


async def find_about(
    tx: Transaction, action: str, subject_id: str, statuses: Sequence[str]
) -> ApprovalRow | None:
    """Find an approval of a thing with one of these statuses, the first of the first status."""
    return await tx.fetch_one(
        ApprovalRow,
        f"""
        SELECT {_APPROVAL_COLUMNS} {_APPROVALS}
        WHERE action = :action AND subject_id = :subject
          AND status = ANY (CAST(:statuses AS text[]))
        ORDER BY array_position(CAST(:statuses AS text[]), status), created_at LIMIT 1
        """,
        action=action,
        subject=subject_id,
        statuses=[str(status) for status in statuses],
    )


async def list_waiting(tx: Transaction, action: str) -> list[ApprovalRow]:
    """List the proposals of an action that nobody has decided."""
    return await tx.fetch(
        ApprovalRow,
        f"SELECT {_APPROVAL_COLUMNS} {_APPROVALS} WHERE action = :action AND status = 'proposed'",
        action=action,
    )


async def lock_approval(tx: Transaction, approval_id: UUID) -> ApprovalRow | None:
    """Find an approval and hold it to the end of the transaction: it is decided once."""
    return await tx.fetch_one(
        ApprovalRow,
        f"SELECT {_APPROVAL_COLUMNS} {_APPROVALS} WHERE approval_id = :id FOR UPDATE",
        id=approval_id,
    )


async def list_approvals(
    tx: Transaction, *, limit: int, after: UUID | None, status: str | None
) -> list[ApprovalRow]:
    """List approvals, newest first, below the id `after`."""
    return await tx.fetch(
        ApprovalRow,
        f"""
        SELECT {_APPROVAL_COLUMNS} {_APPROVALS}
        WHERE (CAST(:after AS uuid) IS NULL OR approval_id < CAST(:after AS uuid))
          AND (CAST(:status AS text) IS NULL OR status = CAST(:status AS text))
        ORDER BY approval_id DESC LIMIT :limit
        """,
        after=after,
        status=status,
        limit=limit,
    )


async def decide_approval(
    tx: Transaction, approval_id: UUID, *, status: str, decided_by: str, result: str | None
) -> None:
    """Write a decision and what came of it (JSON text)."""
    await tx.execute(
        """
        UPDATE approval
        SET status = :status, decided_by = :decided_by, result = CAST(:result AS jsonb),
            decided_at = anxin_now()
        WHERE approval_id = :id
        """,
        id=approval_id,
        status=status,
        decided_by=decided_by,
        result=result,
    )


def _array(values: Sequence[object] | None) -> list[object] | None:
    return None if values is None else [v if isinstance(v, UUID) else str(v) for v in values]


async def was_executed(tx: Transaction, request_id: UUID) -> bool:
    """Say whether the writer, in any merchant's book, did what an approval asked for.

    One probe a merchant: a rejection is rare, and its proposal may be about anything.
    """
    found = await tx.value(
        """
        SELECT EXISTS (
            SELECT FROM merchant CROSS JOIN LATERAL (
                SELECT FROM stored_request
                WHERE stored_request.merchant_no = merchant.merchant_no
                  AND stored_request.request_id = :id
                OFFSET 0
            ) AS done
        )
        """,
        id=request_id,
    )
    return bool(found)
