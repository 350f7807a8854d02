"""Checkpoints: signed lists of chain heads, against which a tail that was cut off shows.

    anxin checkpoint 1
    taken at 1780000000000000
    MERCHANT_NO|SEQ|CHAIN_HASH

One line per book, ascending, the hash in hex, the time in microseconds since 1970-01-01 UTC.
Who can change rows can also remove a checkpoint; copies kept elsewhere are proof against that.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol, cast
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app import ids
from app.db.engine import Transaction
from app.ledger.chain import microseconds
from app.ledger.verification import FINDINGS_MAX, Finding, Tell

_TITLE: Final = "anxin checkpoint 1"
_PREAMBLE_LINES: Final = 2

_CHECKPOINTS: Final = """
SELECT checkpoint_id, document, signature, key_id, public_key
FROM checkpoint LEFT JOIN signing_key USING (key_id)
ORDER BY checkpoint.created_at, checkpoint_id
"""

# OFFSET 0 keeps each head two lookups by key; as a join, whole tables would be read.
_HEADS_NOT_FOUND: Final = """
SELECT head.merchant_no, head.seq, head.chain_hash, there.chain_hash
FROM unnest($1::integer[], $2::bigint[], $3::bytea[]) AS head (merchant_no, seq, chain_hash)
LEFT JOIN LATERAL (
    SELECT chain_hash FROM transfer
    WHERE transfer.merchant_no = head.merchant_no AND transfer.seq = head.seq
    UNION ALL
    SELECT chain_hash FROM fact
    WHERE fact.merchant_no = head.merchant_no AND fact.seq = head.seq
    OFFSET 0
) AS there ON true
WHERE there.chain_hash IS DISTINCT FROM head.chain_hash
"""


class Head(NamedTuple):
    """Where one book stood."""

    merchant_no: int
    seq: int
    chain_hash: bytes


class Signer(Protocol):
    """Signs with the service's Ed25519 key."""

    @property
    def key_id(self) -> str:
        """Name the key in table `signing_key`."""
        ...

    def sign(self, content: bytes) -> bytes:
        """Give the detached signature of the bytes."""
        ...


async def take_checkpoint(tx: Transaction, signer: Signer) -> UUID:
    """Sign where every book stands now. Each call makes one more checkpoint."""
    at = await tx.now()
    heads = await tx.fetch(
        Head, "SELECT merchant_no, seq, chain_hash FROM book WHERE seq > 0 ORDER BY merchant_no"
    )
    checkpoint_id, content = ids.new_platform_id(), document(heads, at)
    await tx.execute(
        """
        INSERT INTO checkpoint (checkpoint_id, document, signature, key_id, created_at)
        VALUES (:id, :document, :signature, :key_id, :at)
        """,
        id=checkpoint_id,
        document=content,
        signature=signer.sign(content),
        key_id=signer.key_id,
        at=at,
    )
    return checkpoint_id


def document(heads: Iterable[Head], at: datetime) -> bytes:
    """Write a checkpoint's bytes."""
    lines = [f"{head.merchant_no}|{head.seq}|{head.chain_hash.hex()}" for head in heads]
    return "".join(
        f"{line}\n" for line in (_TITLE, f"taken at {microseconds(at)}", *lines)
    ).encode()


def read(content: bytes) -> list[Head]:
    """Read a checkpoint's heads.

    Raises:
        ValueError: The bytes are no checkpoint.
    """
    lines = content.decode().splitlines()
    if lines[:1] != [_TITLE]:
        raise ValueError("not a checkpoint")
    fields = [line.split("|") for line in lines[_PREAMBLE_LINES:]]
    return [Head(int(no), int(seq), bytes.fromhex(hash_)) for no, seq, hash_ in fields]


async def check_checkpoints(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Check every checkpoint's signature, and that each of its heads is still in its book."""
    findings: list[Finding] = []
    async for row in connection.cursor(_CHECKPOINTS, prefetch=1):
        checkpoint_id, content, signature, key_id, public_key = cast(
            "tuple[UUID, bytes, bytes, str, bytes | None]", tuple(row)
        )
        if public_key is None or not _is_signed(public_key, signature, content):
            findings.append(
                Finding(
                    "checkpoint_is_signed",
                    "checkpoint",
                    None,
                    f"checkpoint_id={checkpoint_id}",
                    f"a signature of its document by key {key_id}",
                    "another signature or document",
                )
            )
        else:
            findings += await _heads_not_found(connection, checkpoint_id, read(content))
        tell(1)
        if len(findings) >= FINDINGS_MAX:
            break
    return findings[:FINDINGS_MAX]


def _is_signed(public_key: bytes, signature: bytes, content: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except InvalidSignature:
        return False
    return True


async def _heads_not_found(
    connection: asyncpg.Connection, checkpoint_id: UUID, heads: Sequence[Head]
) -> list[Finding]:
    columns = [list(column) for column in zip(*heads, strict=True)] or [[], [], []]
    return [
        Finding(
            "checkpoint_head_is_in_its_book",
            "transfer",
            no,
            f"seq={seq}",
            f"chain_hash {signed.hex()}, signed in checkpoint {checkpoint_id}",
            "no such entry" if found is None else f"chain_hash {found.hex()}",
        )
        for no, seq, signed, found in await connection.fetch(_HEADS_NOT_FOUND, *columns)
    ]
