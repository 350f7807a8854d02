"""Check what was sold and paid: contract, terms, holder, payment (DOMAIN §3, §6)."""

from hashlib import sha256
from typing import Final

from app.access.principals import consumer_of
from app.dates import business_date
from app.evidence.faults import Faults
from app.evidence.reading import bytes_of, uuid_of
from app.evidence.schemas import EvidenceRead
from app.ids import merchant_no_of
from app.ledger import chain

_TERMS: Final = "/evidence/terms"


def check_sale(evidence: EvidenceRead, faults: Faults) -> None:
    """Check that the terms are those whose hash is in the card's first line."""
    contract, terms = evidence.contract, evidence.terms
    faults.require_same(
        "/evidence/contract/text",
        "The contract's text is the one that was accepted.",
        expected=contract.sha256,
        found=sha256(contract.text.encode()).hexdigest(),
    )
    rule = "The terms' hash covers the terms, the contract's hash and its acceptance."
    faults.require_same(
        f"{_TERMS}/terms_hash", rule, expected=_terms_hash(evidence), found=terms.terms_hash
    )
    card_id = uuid_of(terms.card_id)
    faults.require_same(
        "/evidence/merchant/no",
        "The card is one of this merchant's.",
        expected=None if card_id is None else merchant_no_of(card_id),
        found=evidence.merchant.no,
    )
    _check_holder(evidence, faults)
    if evidence.lines:
        _check_first_line(evidence, faults)


def _terms_hash(evidence: EvidenceRead) -> str:
    terms = evidence.terms
    return chain.content_hash(
        (
            uuid_of(terms.card_id),
            uuid_of(terms.product_id),
            uuid_of(terms.purchase_id),
            terms.kind,
            terms.paid_amount,
            terms.bonus_amount,
            terms.list_price_amount,
            terms.sessions_total,
            terms.term_days,
            terms.activated_on,
            terms.cooling_off_days,
            terms.paid_at,
            bytes_of(evidence.contract.sha256),
            evidence.contract.accepted_at,
            bytes_of(terms.holder_commitment),
        )
    ).hex()


def _check_holder(evidence: EvidenceRead, faults: Faults) -> None:
    holder, terms = evidence.holder, evidence.terms
    consumer = uuid_of(holder.consumer)
    if holder.issuer is not None:
        faults.require_same(
            "/evidence/holder/consumer",
            "The holder's key is the digest of issuer and subject.",
            expected=consumer_of(holder.issuer, holder.consumer_id),
            found=consumer,
        )
    salt = bytes_of(terms.holder_salt)
    if salt is not None and consumer is not None:
        faults.require_same(
            f"{_TERMS}/holder_commitment",
            "The terms were accepted by the holder.",
            expected=chain.commitment(salt, consumer.hex).hex(),
            found=terms.holder_commitment,
        )


def _check_first_line(evidence: EvidenceRead, faults: Faults) -> None:
    terms, first = evidence.terms, evidence.lines[0]
    faults.require_same(
        "/evidence/lines/0/evidence_hash",
        "The first line carries the terms' hash.",
        expected=terms.terms_hash,
        found=first.evidence_hash,
    )
    faults.require_same(
        f"{_TERMS}/activated_on",
        "A card is active from the day of its first line.",
        expected=business_date(first.at),
        found=terms.activated_on,
    )
    payment, place = evidence.payment, "/evidence/payment"
    if payment is None:
        faults.add(place, "A card was paid.", expected=first.subject_id, found=None)
        return
    rule = "The payment is the one that the first line and the terms name."
    for name, expected, found in (
        ("receipt_id", first.subject_id, payment.receipt_id),
        ("amount", terms.paid_amount, payment.amount),
        ("paid_at", terms.paid_at, payment.paid_at),
    ):
        faults.require_same(f"{place}/{name}", rule, expected=expected, found=found)
