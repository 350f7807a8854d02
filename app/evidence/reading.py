"""Evidence's ids and hashes in the form in which they were hashed."""

from datetime import datetime
from uuid import UUID

from app.errors import NotFound
from app.evidence.line_schemas import EvidenceLineRead
from app.ids import Prefix, parse
from app.ledger import chain


def uuid_of(text: str | None) -> UUID | None:
    """Read an id of any kind, or a plain UUID; what is neither is None, and hashes to nothing."""
    if text is None:
        return None
    prefix, separator, _ = text.rpartition("_")
    try:
        return parse(Prefix(prefix), text) if separator else UUID(text)
    except (NotFound, ValueError):
        return None


def bytes_of(hexadecimal: str | None) -> bytes | None:
    """Read a hash."""
    return None if hexadecimal is None else bytes.fromhex(hexadecimal)


def hex_of(id_: str | None) -> str | None:
    """Give an id as the chain's texts have it."""
    uuid = uuid_of(id_)
    return None if uuid is None else uuid.hex


def micros(at: datetime | None) -> str | None:
    """Give a time as the chain's texts have it."""
    return None if at is None else str(chain.microseconds(at))


def line_hash(card_id: str, line: EvidenceLineRead) -> str:
    """Hash a line as the entry that carries it does: all of it but `seq`, which is the entry's."""
    return chain.content_hash(
        (
            uuid_of(card_id),
            line.no,
            line.kind,
            uuid_of(line.subject_id),
            uuid_of(line.store.id) if line.store else None,
            line.amount,
            line.sessions,
            line.visit_day,
            line.list_amount,
            line.release_amount,
            line.balance_face_amount,
            line.balance_sessions,
            line.custody_amount,
            bytes_of(line.evidence_hash),
            line.at,
            *(() if line.adjusted_amount is None else (line.adjusted_amount,)),
        )
    ).hex()
