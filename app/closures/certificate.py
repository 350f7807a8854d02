"""The signed end of a closure: what was refunded, and whose every fen is that is left.

What is signed is short, and says which document by its SHA-256 in canonical form (RFC 8785):

    anxin closure certificate 1
    SHA-256 of the canonical bytes, in hex
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from uuid import UUID

from app.closures.answer import shown
from app.ids import Prefix, to_text
from app.money import CURRENCY

if TYPE_CHECKING:
    from app.closures.domain import Closure, KindTotal, Standing
    from app.closures.keeping import Uncovered
    from app.closures.left import Left
    from app.closures.queries import Merchant
    from app.ledger.checkpoints import Signer
    from app.ledger.rows import BookHead

FORMAT: Final = "anxin closure certificate 1"
_PREFIXES: Final = {
    "card": Prefix.CARD,
    "charge": Prefix.CHARGE,
    "merchant": Prefix.MERCHANT,
    "order": Prefix.ORDER,
    "receipt": Prefix.RECEIPT,
    "refund": Prefix.REFUND,
}
_SHOWN: Final = 4


class Certificate(NamedTuple):
    """A certificate as it lies in the database."""

    merchant_no: int
    closure_id: UUID
    number: int
    document: str
    sha256: bytes
    signature: bytes
    key_id: str
    issued_at: datetime

    def read(self) -> Mapping[str, Any]:
        """Read what it says."""
        return cast("Mapping[str, Any]", json.loads(self.document))

    def signature_facts(self) -> Mapping[str, str]:
        """Say how it is signed."""
        return {
            "algorithm": "Ed25519",
            "key_id": self.key_id,
            "signature": base64.b64encode(self.signature).decode(),
            "sha256": self.sha256.hex(),
        }


class End(NamedTuple):
    """All that a certificate is about."""

    closure: Closure
    merchant: Merchant
    kinds: Sequence[KindTotal]
    paid_count: int
    paid_amount: int
    standing: Standing
    left: Sequence[Left]
    uncovered: Sequence[Uncovered]


def document_of(end: End) -> dict[str, object]:
    """Say how a closure ended; what changes with the time of asking alone is not in it."""
    closure, merchant, standing = end.closure, end.merchant, end.standing
    return {
        "format": FORMAT,
        "closure": {
            "id": to_text(Prefix.CLOSURE, closure.closure_id),
            "kind": str(closure.kind),
            "reason": closure.reason,
            "status": str(closure.status),
            "created_at": shown(closure.created_at),
            "closing_at": shown(closure.closing_at),
            "started_at": shown(closure.started_at),
        },
        "merchant": {
            "id": to_text(Prefix.MERCHANT, merchant.merchant_id),
            "name": merchant.name,
            "licence_number": merchant.licence_number,
            "industry": merchant.industry,
            "district": merchant.district,
        },
        "currency": CURRENCY,
        "refunded": {
            "card_count": closure.refunded_count,
            "amount": closure.refunded_amount,
            "kinds": [
                {
                    "kind": str(total.kind),
                    "card_count": total.card_count,
                    "refund_amount": total.refund_amount,
                }
                for total in end.kinds
            ],
            "paid_count": end.paid_count,
            "paid_amount": end.paid_amount,
        },
        "custody_amount": standing.custody_amount,
        "bank_claim_amount": standing.bank_claim_amount,
        "shortfall_amount": closure.shortfall_amount,
        "left_amount": sum(left.amount for left in end.left),
        "left": [_named(left) for left in end.left],
        "uncovered_reversals": [_claimed(one) for one in end.uncovered],
    }


def issue(
    closure: Closure, document: dict[str, object], head: BookHead, signer: Signer, number: int
) -> Certificate:
    """Number, date and sign what is said of a closure, as its book stands."""
    whole = {
        **document,
        "number": number,
        "issued_at": shown(head.last_at),
        "book": {"seq": head.seq, "chain_hash": head.chain_hash.hex()},
    }
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = sha256(text.encode())
    return Certificate(
        closure.merchant_no,
        closure.closure_id,
        number,
        text,
        digest.digest(),
        signer.sign(f"{FORMAT}\n{digest.hexdigest()}\n".encode()),
        signer.key_id,
        head.last_at,
    )


def says_the_same(certificate: Certificate, document: dict[str, object]) -> bool:
    """Say whether a certificate would say nothing else now."""
    known = certificate.read()
    return all(known.get(name) == value for name, value in json.loads(json.dumps(document)).items())


def masked(consumer_id: str | None) -> str | None:
    """Show of a holder what they know themselves by, and others do not."""
    return None if consumer_id is None else f"****{consumer_id[-_SHOWN:]}"


def _claimed(one: Uncovered) -> dict[str, object]:
    return {
        "charge_id": to_text(Prefix.CHARGE, one.charge_id),
        "holder": masked(one.holder),
        "amount": one.amount,
        "kept_amount": one.kept_amount,
    }


def _named(left: Left) -> dict[str, object]:
    return {
        "account": left.account,
        "subject_id": to_text(_PREFIXES[left.subject], left.subject_id),
        "holder": masked(left.holder),
        "amount": left.amount,
        "why": left.why,
    }
