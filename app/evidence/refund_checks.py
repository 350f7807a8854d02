"""Compute every refund of a card again, from the lines before it (DOMAIN §4)."""

from dataclasses import dataclass, field
from typing import Final

from app.cards.domain import CardKind
from app.cards.statement import CardEntryKind
from app.evidence.faults import Faults
from app.evidence.line_schemas import EvidenceLineRead
from app.evidence.reading import uuid_of
from app.evidence.refund_schemas import EvidenceRefundRead
from app.evidence.schemas import EvidenceRead, EvidenceTermsRead
from app.ledger import chain
from app.refunds.domain import Formula, figure

_OF_REFUNDS: Final = frozenset({CardEntryKind.REFUNDED, CardEntryKind.ADJUSTED})
_INPUTS: Final = "A refund was decided by what the card's lines before it say."


@dataclass(slots=True)
class _Uses:
    """What the lines so far say of the uses that stay."""

    terms: EvidenceTermsRead
    released: int = 0
    listed: int = 0
    days: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, line: EvidenceLineRead) -> None:
        """Count a line."""
        self.released += line.release_amount
        value = line.amount if line.list_amount is None else line.list_amount
        if line.kind is CardEntryKind.USED:
            self.listed += value or 0
            self.days[line.subject_id] = line.visit_day or 0
        elif line.kind is CardEntryKind.REVERSED:
            self.listed -= value or 0
            self.days.pop(line.subject_id, None)

    @property
    def list_used(self) -> int:
        """The list price of the uses; of sessions without one, what they released."""
        unlisted = self.terms.kind is CardKind.COUNT and self.terms.list_price_amount is None
        return self.released if unlisted else self.listed


def check_refunds(evidence: EvidenceRead, faults: Faults) -> None:
    """Check what decided each refund: its hash, its arithmetic, and what it was computed from."""
    uses = _Uses(evidence.terms)
    seen: dict[str, EvidenceRefundRead] = {}
    for number, line in enumerate(evidence.lines):
        uses.take(line)
        place = f"/evidence/lines/{number}"
        rule = "A refund is shown with its lines, and with no other."
        shown, is_one = line.refund is not None, line.kind in _OF_REFUNDS
        faults.require(f"{place}/refund", rule, line.kind, holds=shown == is_one)
        if line.refund is None:
            continue
        _check_hash(evidence, line, line.refund, place, faults)
        _check_figures(line.refund, f"{place}/refund", faults)
        known = seen.get(line.subject_id)
        if known is None:
            _check_inputs(uses, line.refund, seen, f"{place}/refund", faults)
            seen[line.subject_id] = line.refund
        rule = "All lines of a refund show the same."
        faults.require(f"{place}/refund", rule, line.kind, holds=known in (None, line.refund))


def _check_hash(
    evidence: EvidenceRead,
    line: EvidenceLineRead,
    refund: EvidenceRefundRead,
    place: str,
    faults: Faults,
) -> None:
    rule = "A refund's line carries the hash of what decided it."
    faults.require_same(f"{place}/refund/id", rule, expected=line.subject_id, found=refund.id)
    computed = chain.content_hash(
        (
            uuid_of(refund.id),
            uuid_of(evidence.terms.card_id),
            str(refund.reason),
            str(refund.refund_class),
            str(refund.formula),
            refund.formula_version,
            refund.policy_version,
            refund.inputs.to_domain().to_json(),
            refund.as_of,
            refund.amount,
            refund.residue_amount,
            refund.interest_claim_amount,
            uuid_of(refund.supplements),
        )
    ).hex()
    faults.require_same(f"{place}/evidence_hash", rule, expected=computed, found=line.evidence_hash)


def _check_figures(refund: EvidenceRefundRead, place: str, faults: Faults) -> None:
    rule = "A refund is what the formula of its version makes of its inputs."
    try:
        computed = figure(
            Formula(refund.formula), refund.inputs.to_domain(), version=refund.formula_version
        )
    except (ArithmeticError, KeyError):
        faults.add(place, rule, expected="a formula that can be computed", found=refund.formula)
        return
    for name, expected, found in (
        ("amount", computed.amount, refund.amount),
        ("residue_amount", computed.residue_amount, refund.residue_amount),
        ("interest_claim_amount", computed.interest_claim_amount, refund.interest_claim_amount),
    ):
        faults.require_same(f"{place}/{name}", rule, expected=expected, found=found)


def _check_inputs(
    uses: _Uses,
    refund: EvidenceRefundRead,
    seen: dict[str, EvidenceRefundRead],
    place: str,
    faults: Faults,
) -> None:
    terms, inputs = uses.terms, refund.inputs
    first = seen.get(refund.supplements or "")
    rule = "What adds to a refund names it, and keeps its class and its day."
    standing = next(iter(seen), None)
    faults.require_same(f"{place}/supplements", rule, expected=standing, found=refund.supplements)
    if first is not None:
        for name in ("reason", "refund_class", "policy_version", "as_of"):
            expected, found = getattr(first, name), getattr(refund, name)
            faults.require_same(f"{place}/{name}", rule, expected=expected, found=found)
        if refund.amount == 0:
            # It pays what a shortfall had left of the first, and was computed as that one.
            return
    is_period = terms.kind is CardKind.PERIOD
    for name, expected in (
        ("kind", terms.kind),
        ("paid_amount", terms.paid_amount),
        ("released_amount", uses.released),
        ("list_used_amount", uses.list_used),
        ("left_amount", terms.paid_amount - uses.released),
        ("term_days", terms.term_days if is_period else None),
        ("last_visit_day", max(uses.days.values(), default=0) if is_period else None),
        ("term_day", _term_day(terms, refund) if is_period else None),
        ("earlier_amount", sum(one.amount for one in seen.values())),
    ):
        found = getattr(inputs, name)
        faults.require_same(f"{place}/inputs/{name}", _INPUTS, expected=expected, found=found)


def _term_day(terms: EvidenceTermsRead, refund: EvidenceRefundRead) -> int:
    """Give t of the day of the refund, without the days that were frozen."""
    number = (refund.as_of - terms.activated_on).days + 1 - refund.inputs.frozen_days
    return max(0, min(number, terms.term_days or 0))
