"""Write a card's evidence: read in one snapshot, into a file of its own, signed at the end.

A card may have tens of thousands of lines. They are read a page at a time and written out at
once, so memory stays flat; the file keeps a slow reader from holding a database connection, and
lets a fault in the middle still be answered as one. Nothing is changed or remembered.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

from app.dates import business_date
from app.db.sealing import SealBroken
from app.errors import NotFound
from app.evidence import queries
from app.evidence.canonical import FORMAT, canonical, signed_text
from app.evidence.line_schemas import EvidenceLineRead
from app.evidence.schemas import (
    EvidenceBalancesRead,
    EvidenceCheckpointRead,
    EvidenceContractRead,
    EvidenceHeadRead,
    EvidenceHolderRead,
    EvidencePaymentRead,
    EvidenceRead,
    EvidenceSellerRead,
    EvidenceSignatureRead,
    EvidenceTermsRead,
)
from app.ids import Prefix, merchant_no_of, to_text
from app.ledger import checkpoints
from app.merchants.domain import masked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from uuid import UUID

    from pydantic import BaseModel, JsonValue

    from app.db.engine import Database, Transaction
    from app.db.sealing import Sealer
    from app.evidence.queries import CardFacts, Payment
    from app.ledger.checkpoints import Signer

_LINES_A_PAGE: Final = 100
"""Written out in about 20 ms, in which this process answers nobody else."""
_MEMORY_BYTES_MAX: Final = 2 * 1024 * 1024
"""Larger evidence lies in an unnamed file; few cards have so many lines."""
_CHUNK_BYTES: Final = 64 * 1024
_LINES: Final = "lines"
_UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True)
class Issuer:
    """What it takes to issue evidence."""

    db: Database
    sealer: Sealer
    signer: Signer


@dataclass(frozen=True, slots=True)
class Issued:
    """Evidence that waits to be sent, once."""

    file: SpooledTemporaryFile[bytes]
    size: int

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the bytes, then forget them, even where the reader hangs up."""
        with self.file:
            while chunk := self.file.read(_CHUNK_BYTES):
                yield chunk


async def issue_evidence(issuer: Issuer, consumer: UUID, card_id: UUID) -> Issued:
    """Write and sign all that is known of a consumer's card, as it is at one moment.

    Raises:
        NotFound: No such card, or it is another's.
    """
    file = SpooledTemporaryFile[bytes](_MEMORY_BYTES_MAX)
    try:
        async with issuer.db.snapshot() as tx:
            facts = await _facts(tx, consumer, card_id)
            digest = await _write(file, tx, issuer, facts)
        signature = EvidenceSignatureRead(
            algorithm="Ed25519",
            key_id=issuer.signer.key_id,
            sha256=digest,
            signature=b64encode(issuer.signer.sign(signed_text(digest))).decode(),
        )
        file.write(b',"signature":' + canonical(_json(signature)) + b"}\n")
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Issued(file, size)


async def _facts(tx: Transaction, consumer: UUID, card_id: UUID) -> CardFacts:
    facts = await queries.facts_of(tx, merchant_no_of(card_id), card_id)
    if facts is None or facts.card.consumer != consumer:
        raise NotFound
    return facts


async def _write(
    file: SpooledTemporaryFile[bytes], tx: Transaction, issuer: Issuer, facts: CardFacts
) -> str:
    """Write `{"evidence":…` in canonical form; give the SHA-256 of what stands for `…`."""
    parts = _parts(facts, issuer)
    digest = sha256()
    file.write(b'{"evidence":')
    async for piece in _pieces(parts, tx, facts):
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


async def _pieces(
    parts: Mapping[str, JsonValue], tx: Transaction, facts: CardFacts
) -> AsyncIterator[bytes]:
    """Give the canonical bytes, the lines page by page in their place among the sorted keys."""
    for number, name in enumerate(sorted(parts)):
        yield (b"," if number else b"{") + canonical(name) + b":"
        if name != _LINES:
            yield canonical(parts[name])
            continue
        yield b"["
        async for piece in _pages(tx, facts):
            yield piece
        yield b"]"
    yield b"}"


async def _pages(tx: Transaction, facts: CardFacts) -> AsyncIterator[bytes]:
    card, after = facts.card, 0
    while lines := await queries.lines_of(
        tx, card.merchant_no, card.card_id, after=after, count=_LINES_A_PAGE
    ):
        written = [
            canonical(_json(EvidenceLineRead.from_domain(line, card.consumer))) for line in lines
        ]
        yield (b"," if after else b"") + b",".join(written)
        after = lines[-1].line.entry_no


def _parts(facts: CardFacts, issuer: Issuer) -> dict[str, JsonValue]:
    """Give the members of the evidence; its lines are empty, and written elsewhere."""
    card, sale = facts.card, facts.sale
    shown = EvidenceRead(
        format=FORMAT,
        issued_at=facts.issued_at,
        merchant=EvidenceSellerRead(
            id=to_text(Prefix.MERCHANT, sale.merchant_id),
            no=card.merchant_no,
            name=sale.name,
            licence_number=sale.licence_number,
        ),
        holder=EvidenceHolderRead(
            consumer=to_text(Prefix.CONSUMER, card.consumer),
            consumer_id=card.consumer_id,
            # Cards change hands between subjects of one issuer.
            issuer=sale.issuer,
        ),
        contract=EvidenceContractRead.from_domain(sale),
        terms=EvidenceTermsRead.from_domain(card, sale),
        payment=None if facts.payment is None else _payment(facts.payment, issuer.sealer),
        balances=EvidenceBalancesRead.from_domain(card, business_date(facts.issued_at)),
        lines=[],
        head=_head(facts, issuer.signer),
        checkpoint=facts.checkpoint and EvidenceCheckpointRead.from_domain(facts.checkpoint),
    )
    return _json(shown)


def _payment(payment: Payment, sealer: Sealer) -> EvidencePaymentRead:
    """Show a payment with its payer masked: who it was can be compared, not learned."""
    name = _opened(payment.payer_name, sealer)
    number = _opened(payment.payer_account_number, sealer)
    return EvidencePaymentRead.from_domain(
        payment, name="*" + name[-1:], account_number=masked(number or _UNKNOWN)
    )


def _opened(sealed: bytes, sealer: Sealer) -> str:
    try:
        return sealer.open(sealed)
    except SealBroken:
        # A consumer's evidence is not held back for the one thing that is masked anyway.
        return ""


def _head(facts: CardFacts, signer: Signer) -> EvidenceHeadRead:
    document = checkpoints.document([facts.head], facts.issued_at)
    return EvidenceHeadRead(
        seq=facts.head.seq,
        chain_hash=facts.head.chain_hash.hex(),
        document=document.decode(),
        key_id=signer.key_id,
        signature=b64encode(signer.sign(document)).decode(),
    )


def _json(model: BaseModel) -> dict[str, JsonValue]:
    return model.model_dump(mode="json")
