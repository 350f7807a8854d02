"""Check a file of evidence without the service: against its signature, its facts, its chain.

Needs the file and the service's public keys, no database and no network. What it proves, and
what it cannot, stands in this package's README.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import JsonValue, ValidationError

from app.evidence.canonical import NotCanonical, canonical, read, signed_text
from app.evidence.chain_checks import check_chain
from app.evidence.faults import Fault, Faults
from app.evidence.keys import Keys, is_signed
from app.evidence.life_checks import check_life
from app.evidence.line_checks import check_lines
from app.evidence.refund_checks import check_refunds
from app.evidence.sale_checks import check_sale
from app.evidence.schemas import EvidenceRead, EvidenceSignatureRead, SignedEvidenceRead

_BYTES_MAX: Final = 1024 * 1024 * 1024


class EvidenceUnreadable(Exception):
    """The file is no evidence; nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found."""

    evidence: EvidenceRead | None
    """None where the document does not have the shape of evidence."""
    key_id: str
    faults: Sequence[Fault]
    count: int
    """How many faults there are; not all of many are kept."""


def verify_file(path: Path, keys: Keys) -> Verdict:
    """Check a file of evidence.

    Raises:
        EvidenceUnreadable: It cannot be read, or is no evidence.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise EvidenceUnreadable(f"The file cannot be read: {error}.") from error
    if len(content) > _BYTES_MAX:
        raise EvidenceUnreadable(f"The file has more than {_BYTES_MAX} bytes.")
    return verify_evidence(content, keys)


def verify_evidence(content: bytes, keys: Keys) -> Verdict:
    """Check the bytes of evidence.

    Raises:
        EvidenceUnreadable: They are no evidence.
    """
    try:
        document = read(content)
    except NotCanonical as error:
        raise EvidenceUnreadable(f"The file is no evidence: {error}.") from error
    if not isinstance(document, dict) or not {"evidence", "signature"} <= document.keys():
        raise EvidenceUnreadable("The file is no evidence: it has no `evidence` and `signature`.")
    faults = Faults()
    key_id = _check_signature(document, keys, faults)
    evidence = _evidence_in(document, faults)
    if evidence is not None:
        _check_head_signature(evidence, keys, faults)
        check_sale(evidence, faults)
        check_lines(evidence, faults)
        check_life(evidence, faults)
        check_refunds(evidence, faults)
        check_chain(evidence, faults)
    return Verdict(evidence, key_id, faults.found, faults.count)


def _check_signature(document: dict[str, JsonValue], keys: Keys, faults: Faults) -> str:
    """Check the signature over all of `evidence`, whatever it holds; give the key's name."""
    try:
        signature = EvidenceSignatureRead.model_validate(document["signature"])
    except ValidationError as error:
        _add_shape(error, "/signature", faults)
        return "unknown"
    digest = sha256(canonical(document["evidence"])).hexdigest()
    faults.require_same(
        "/signature/sha256",
        "The digest is that of the evidence, to the last character.",
        expected=digest,
        found=signature.sha256,
    )
    _require_signed(
        (signature.key_id, signature.signature), signed_text(digest), "/signature", keys, faults
    )
    return signature.key_id


def _check_head_signature(evidence: EvidenceRead, keys: Keys, faults: Faults) -> None:
    head = evidence.head
    signed = head.document.encode()
    _require_signed((head.key_id, head.signature), signed, "/evidence/head", keys, faults)


def _require_signed(
    signature: tuple[str, str], content: bytes, place: str, keys: Keys, faults: Faults
) -> None:
    key_id, text = signature
    key = keys.get(key_id)
    if key is None:
        rule = "The key that signed is one of those given."
        known = ", ".join(sorted(keys)) or "none"
        faults.add(f"{place}/key_id", rule, expected=f"one of {known}", found=key_id)
    elif not is_signed(key, b64decode(text), content):
        rule = "The service signed these very bytes."
        expected = f"a signature of them by {key_id}"
        faults.add(f"{place}/signature", rule, expected=expected, found="another signature")


def _evidence_in(document: dict[str, JsonValue], faults: Faults) -> EvidenceRead | None:
    try:
        return SignedEvidenceRead.model_validate(document).evidence
    except ValidationError as error:
        _add_shape(error, "", faults)
        return None


def _add_shape(error: ValidationError, place: str, faults: Faults) -> None:
    for wrong in error.errors(include_url=False, include_input=False):
        pointer = "".join(f"/{step}" for step in wrong["loc"])
        rule = "Evidence has the shape that the contract says."
        faults.add(f"{place}{pointer}", rule, expected=rule, found=wrong["msg"])
