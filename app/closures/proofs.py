"""Hash every closure anew, and check the signature of every certificate."""

from hashlib import sha256
from typing import Final

import asyncpg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.closures.certificate import FORMAT
from app.closures.domain import Closure
from app.ledger.verification import FINDINGS_MAX, Finding, Tell, rows_of

SIGNED: Final = "certificate_is_signed"
AS_ORDERED: Final = "closure_is_what_was_ordered"
CLOSURE_RULES: Final = {
    SIGNED: "A closure's certificate is signed by a key of the service.",
    AS_ORDERED: "What a closure is, is what its last entry put into the chain.",
}

_CLOSURES: Final = f"""
SELECT {", ".join(f"closure.{name}" for name in Closure._fields)}, entry.content_hash
FROM closure
LEFT JOIN LATERAL (
    SELECT content_hash FROM fact
    WHERE fact.merchant_no = closure.merchant_no AND fact.subject_id = closure.closure_id
        AND fact.kind = 'closure_' || closure.status
    ORDER BY seq DESC LIMIT 1
) AS entry ON true
ORDER BY closure.merchant_no, closure.closure_id
"""  # noqa: S608  # our own column names

_CERTIFICATES: Final = """
SELECT merchant_no, closure_id, number, document, sha256, signature, key_id, public_key
FROM closure_certificate LEFT JOIN signing_key USING (key_id)
ORDER BY merchant_no, closure_id, number
"""


async def check_closures(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every closure anew and compare with its last entry; name each that differs."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _CLOSURES, tell):
        closure = Closure(*row[:-1])  # pyright: ignore[reportArgumentType]  # the columns of _CLOSURES
        if closure.content_hash() != row[-1]:
            in_chain = row[-1].hex() if isinstance(row[-1], bytes) else "nothing"
            findings.append(
                Finding(
                    AS_ORDERED,
                    "closure",
                    closure.merchant_no,
                    f"closure_id={closure.closure_id}",
                    f"what has hash {in_chain}",
                    f"hash {closure.content_hash().hex()}",
                )
            )
        if len(findings) >= FINDINGS_MAX:
            break
    return findings


async def check_certificates(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every certificate anew and check its signature; name each that is not signed so."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _CERTIFICATES, tell):
        merchant_no, closure_id, number, document, digest, signature, key_id, public_key = row
        assert isinstance(merchant_no, int)
        assert isinstance(document, str)
        computed = sha256(document.encode())
        signed = (
            isinstance(public_key, bytes)
            and isinstance(signature, bytes)
            and _is_signed(public_key, signature, computed.hexdigest())
        )
        if not signed or computed.digest() != digest:
            findings.append(
                Finding(
                    SIGNED,
                    "closure_certificate",
                    merchant_no,
                    f"closure_id={closure_id}, number={number}",
                    f"a signature of its document by key {key_id}",
                    "another signature or document",
                )
            )
        if len(findings) >= FINDINGS_MAX:
            break
    return findings


def _is_signed(public_key: bytes, signature: bytes, digest: str) -> bool:
    text = f"{FORMAT}\n{digest}\n".encode()
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)
    except InvalidSignature:
        return False
    return True
