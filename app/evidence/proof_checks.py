"""Check a use against the consumer's confirmation of it (DOMAIN §4 and §6)."""

from datetime import timedelta
from typing import Final

from app.cards.domain import CardKind
from app.charges.domain import ConfirmationMethod
from app.dates import business_date
from app.evidence.faults import Faults
from app.evidence.line_schemas import EvidenceLineRead, EvidenceProofRead
from app.evidence.reading import bytes_of, uuid_of
from app.evidence.schemas import EvidenceRead, EvidenceTermsRead
from app.ledger import chain
from app.money import share

_BOUND: Final = "A use is the one that the consumer confirmed."
_DAY: Final = timedelta(days=1)


def check_proof(evidence: EvidenceRead, line: EvidenceLineRead, place: str, faults: Faults) -> None:
    """Check that a line of a use took from this card what its holder had confirmed."""
    proof = line.use.confirmation if line.use else None
    if line.use is None or proof is None:
        faults.add(f"{place}/use", _BOUND, expected="a confirmation", found=None)
        return
    of_proof = f"{place}/use/confirmation"
    faults.require_same(
        f"{of_proof}/hash",
        "A confirmation's hash covers all that was confirmed.",
        expected=proof_hash(line.use.charge_id, proof),
        found=proof.hash,
    )
    _check_description(proof, of_proof, faults)
    _check_totals(evidence.terms.kind, proof, of_proof, faults)
    _check_line(evidence.terms, line, proof, place, faults)


def proof_hash(charge_id: str, proof: EvidenceProofRead) -> str:
    """Hash a confirmation as the service did when the consumer gave it."""
    return chain.content_hash(
        (
            uuid_of(charge_id),
            uuid_of(proof.id),
            proof.method,
            uuid_of(proof.consumer),
            uuid_of(proof.store_id),
            proof.amount,
            proof.sessions,
            proof.visit,
            proof.list_amount,
            bytes_of(proof.code_hash),
            proof.at,
            bytes_of(proof.description_commitment),
            *(
                field
                for draw in proof.draws
                for field in (
                    uuid_of(draw.card_id),
                    draw.face_amount,
                    draw.sessions,
                    draw.visit_day,
                )
            ),
        )
    ).hex()


def _check_description(proof: EvidenceProofRead, place: str, faults: Faults) -> None:
    salt = bytes_of(proof.description_salt)
    if proof.description is not None or salt is not None:
        _same(
            f"{place}/description_commitment",
            "The description is the one that was confirmed.",
            chain.commitment(salt or b"", proof.description or "").hex(),
            proof.description_commitment,
            faults,
        )
    if proof.method is ConfirmationMethod.CONSUMER_CODE:
        shown = proof.code_hash is not None
        faults.require(f"{place}/code_hash", "A code was shown.", proof.code_hash, holds=shown)


def _check_totals(kind: CardKind, proof: EvidenceProofRead, place: str, faults: Faults) -> None:
    face = sum(draw.face_amount or 0 for draw in proof.draws)
    sessions = sum(draw.sessions or 0 for draw in proof.draws)
    rule = "The draws take what was confirmed, in the unit of the card's kind."
    is_value, is_count = kind is CardKind.STORED_VALUE, kind is CardKind.COUNT
    _same(f"{place}/amount", rule, face if is_value else None, proof.amount, faults)
    _same(f"{place}/sessions", rule, sessions if is_count else None, proof.sessions, faults)
    _same(f"{place}/visit", rule, kind is CardKind.PERIOD or None, proof.visit, faults)


def _check_line(
    terms: EvidenceTermsRead,
    line: EvidenceLineRead,
    proof: EvidenceProofRead,
    place: str,
    faults: Faults,
) -> None:
    assert line.use is not None, "the caller has its confirmation"
    drawn = [draw for draw in proof.draws if draw.card_id == terms.card_id]
    if len(drawn) != 1:
        found = f"{len(drawn)} draws on this card"
        faults.add(f"{place}/use/confirmation/draws", _BOUND, expected="one draw", found=found)
        return
    (draw,) = drawn
    for name, expected, found in (
        ("subject_id", line.use.charge_id, line.subject_id),
        ("evidence_hash", proof.hash, line.evidence_hash),
        ("at", proof.at, line.at),
        ("store/id", proof.store_id, line.store.id if line.store else None),
        ("amount", draw.face_amount, line.amount),
        ("sessions", draw.sessions, line.sessions),
        ("visit_day", draw.visit_day, line.visit_day),
        ("list_amount", _list_amount(terms, proof), line.list_amount),
    ):
        _same(f"{place}/{name}", _BOUND, expected, found, faults)
    if line.visit_day is not None:
        days = (business_date(line.at) - terms.activated_on) // _DAY + 1
        within = 1 <= line.visit_day <= min(max(days, 1), terms.term_days or 0)
        rule = "A visit's day counts from the card's first day, within its term."
        faults.require(f"{place}/visit_day", rule, line.visit_day, holds=within)


def _list_amount(terms: EvidenceTermsRead, proof: EvidenceProofRead) -> int | None:
    """L_i of DOMAIN §4: frozen at sale, or what the consumer confirmed in two steps."""
    price = terms.list_price_amount
    if terms.kind is CardKind.PERIOD:
        return price
    if terms.kind is CardKind.COUNT:
        sessions = sum(d.sessions or 0 for d in proof.draws if d.card_id == terms.card_id)
        return None if price is None else price * sessions
    if proof.list_amount is None:
        return None
    if price is not None:
        return _share_of(terms.card_id, proof, min(proof.list_amount, price))
    in_app = proof.method is ConfirmationMethod.APP
    return _share_of(terms.card_id, proof, proof.list_amount) if in_app else None


def _share_of(card_id: str, proof: EvidenceProofRead, list_amount: int) -> int:
    """Split a charge's list amount over its cards by face, cumulative."""
    whole = sum(draw.face_amount or 0 for draw in proof.draws) or 1
    before = 0
    for draw in proof.draws:
        after = before + (draw.face_amount or 0)
        if draw.card_id == card_id:
            return share(list_amount, after, whole) - share(list_amount, before, whole)
        before = after
    return 0


def _same(place: str, rule: str, expected: object, found: object, faults: Faults) -> None:
    faults.require_same(place, rule, expected=expected, found=found)
