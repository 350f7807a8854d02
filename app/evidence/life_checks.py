"""Play a card's life again: how its term ran, and whose it was when (DOMAIN §4, §6)."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from app.cards.domain import CardKind, CardStatus
from app.cards.statement import CardEntryKind
from app.dates import business_date
from app.evidence.faults import Faults
from app.evidence.life_schemas import OF_LIFE
from app.evidence.line_schemas import EvidenceLineRead
from app.evidence.reading import bytes_of, uuid_of
from app.evidence.schemas import EvidenceRead, EvidenceTermsRead
from app.ledger import chain

_DAY: Final = timedelta(days=1)
_FOLLOWS: Final = "A step leaves of the term what the step before and its own day make of it."
_OVER: Final = frozenset({CardStatus.REFUNDING, CardStatus.REFUNDED, CardStatus.RECALLED})
_STOPPED: Final = {CardEntryKind.FROZEN: CardStatus.FROZEN, CardEntryKind.LOST: CardStatus.LOST}
_BEFORE: Final = {
    CardEntryKind.FROZEN: frozenset({None, "unfrozen", "replaced"}),
    CardEntryKind.UNFROZEN: frozenset({"frozen"}),
    CardEntryKind.LOST: frozenset({None, "frozen", "unfrozen", "replaced", "reactivated"}),
    CardEntryKind.REPLACED: frozenset({"lost"}),
    CardEntryKind.REACTIVATED: frozenset({None, "replaced", "reactivated"}),
}
"""After which step each may come."""


@dataclass(slots=True)
class _Term:
    """A card's term as the lines so far leave it."""

    terms: EvidenceTermsRead
    valid_until: date | None
    kind: CardEntryKind | None = None
    frozen_on: date | None = None
    frozen_days: int = 0

    @property
    def of_period(self) -> bool:
        return self.terms.kind is CardKind.PERIOD


@dataclass(slots=True)
class _Hands:
    """Whose a card is at a line: what the chain knows of them, and who used it."""

    commitment: str
    is_known: bool
    """Whether it is the one whose evidence this is."""
    used_by: set[str] = field(default_factory=set[str])


def check_life(evidence: EvidenceRead, faults: Faults) -> None:
    """Check every step of the card's life against those before it, and the card against all."""
    terms = evidence.terms
    last = terms.term_days and terms.activated_on + (terms.term_days - 1) * _DAY
    term = _Term(terms, last or None)
    hands = _Hands(terms.holder_commitment, terms.holder_salt is not None)
    for number, line in enumerate(evidence.lines):
        place = f"/evidence/lines/{number}"
        rule = "A step of a card's life is shown with its line, and with no other."
        is_step, is_given = line.kind in OF_LIFE, line.kind is CardEntryKind.TRANSFERRED
        faults.require(f"{place}/life", rule, line.kind, holds=is_step == (line.life is not None))
        shown = line.transfer is not None
        faults.require(f"{place}/transfer", rule, line.kind, holds=is_given == shown)
        if is_step:
            _check_step(line, term, place, faults)
        elif is_given:
            hands = _check_given(evidence, line, hands, place, faults)
        elif line.kind is CardEntryKind.USED:
            _check_used(evidence, line, (term, hands), place, faults)
    rule = "The card is its last receiver's, or the one's who bought it."
    faults.require("/evidence/holder", rule, evidence.holder.consumer, holds=hands.is_known)
    _check_card(evidence, term, faults)


def _check_step(line: EvidenceLineRead, term: _Term, place: str, faults: Faults) -> None:
    life = line.life
    rule = "A step of a card's life comes after one that allows it."
    faults.require(
        f"{place}/kind", rule, line.kind, holds=term.kind in _BEFORE.get(line.kind, frozenset())
    )
    rule = "Only a period card is frozen, and only another one gets its term again."
    only_period = line.kind in {CardEntryKind.FROZEN, CardEntryKind.UNFROZEN}
    wrong = (only_period and not term.of_period) or (
        line.kind is CardEntryKind.REACTIVATED and term.of_period
    )
    faults.require(f"{place}/kind", rule, line.kind, holds=not wrong)
    if life is None:
        return
    faults.require_same(
        f"{place}/evidence_hash",
        "The line carries the hash of its step.",
        expected=chain.content_hash(
            (
                uuid_of(term.terms.card_id),
                line.no,
                line.kind,
                life.frozen_on,
                life.frozen_days,
                life.valid_until,
                line.at,
            )
        ).hex(),
        found=line.evidence_hash,
    )
    _follow(line, term, place, faults)
    term.kind, term.frozen_on = line.kind, life.frozen_on
    term.frozen_days, term.valid_until = life.frozen_days, life.valid_until


def _follow(line: EvidenceLineRead, term: _Term, place: str, faults: Faults) -> None:
    """Check what a step leaves of the term."""
    life, day = line.life, business_date(line.at)
    assert life is not None, "the caller looked"
    frozen_days, valid_until = term.frozen_days, term.valid_until
    starts = line.kind is CardEntryKind.FROZEN or (
        # The term of a period card that is lost stands still too, unless it was over.
        line.kind is CardEntryKind.LOST
        and term.of_period
        and term.frozen_on is None
        and (valid_until is None or day <= valid_until)
    )
    if starts:
        holds = life.frozen_on in {day, day + _DAY}
        faults.require(f"{place}/life/frozen_on", _FOLLOWS, life.frozen_on, holds=holds)
    else:
        stands = term.frozen_on if line.kind is CardEntryKind.LOST else None
        faults.require_same(
            f"{place}/life/frozen_on", _FOLLOWS, expected=stands, found=life.frozen_on
        )
    if line.kind in {CardEntryKind.UNFROZEN, CardEntryKind.REPLACED} and term.frozen_on:
        frozen = max(0, (day - term.frozen_on).days)
        frozen_days += frozen
        valid_until = valid_until and valid_until + frozen * _DAY
    elif line.kind is CardEntryKind.REACTIVATED:
        is_over = valid_until is not None and valid_until < day
        faults.require(f"{place}/kind", _FOLLOWS, valid_until, holds=is_over)
        valid_until = day + ((term.terms.term_days or 1) - 1) * _DAY
    for name, expected, found in (
        ("frozen_days", frozen_days, life.frozen_days),
        ("valid_until", valid_until, life.valid_until),
    ):
        faults.require_same(f"{place}/life/{name}", _FOLLOWS, expected=expected, found=found)


def _check_given(
    evidence: EvidenceRead, line: EvidenceLineRead, hands: _Hands, place: str, faults: Faults
) -> _Hands:
    """Check a transfer; give the hands that the card is in after it."""
    transfer = line.transfer
    if transfer is None:
        return hands
    faults.require_same(
        f"{place}/evidence_hash",
        "The line carries the hash of its transfer.",
        expected=chain.content_hash(
            (
                uuid_of(line.subject_id),
                uuid_of(evidence.terms.card_id),
                bytes_of(transfer.giver_commitment),
                bytes_of(transfer.receiver_commitment),
                line.at,
            )
        ).hex(),
        found=line.evidence_hash,
    )
    faults.require_same(
        f"{place}/transfer/giver_commitment",
        "Whoever gives a card is the one who held it.",
        expected=hands.commitment,
        found=transfer.giver_commitment,
    )
    salt, holder = bytes_of(transfer.receiver_salt), uuid_of(evidence.holder.consumer)
    if salt is not None and holder is not None:
        faults.require_same(
            f"{place}/transfer/receiver_commitment",
            "The card was given to its holder.",
            expected=chain.commitment(salt, holder.hex).hex(),
            found=transfer.receiver_commitment,
        )
    return _Hands(transfer.receiver_commitment, salt is not None)


def _check_used(
    evidence: EvidenceRead,
    line: EvidenceLineRead,
    known: tuple[_Term, _Hands],
    place: str,
    faults: Faults,
) -> None:
    """Check who confirmed a use, and that its day was none that stood still."""
    term, hands = known
    proof = line.use.confirmation if line.use else None
    if proof is not None:
        at = f"{place}/use/confirmation/consumer"
        rule = "Whoever held the card confirmed, and nobody else."
        if hands.is_known:
            holder = evidence.holder.consumer
            faults.require_same(at, rule, expected=holder, found=proof.consumer)
        hands.used_by.add(proof.consumer)
        faults.require(at, rule, proof.consumer, holds=len(hands.used_by) == 1)
    rule = "A card that is frozen or lost is not used."
    faults.require(f"{place}/kind", rule, line.kind, holds=term.kind not in _STOPPED)
    if line.visit_day is not None:
        days = (business_date(line.at) - term.terms.activated_on).days + 1 - term.frozen_days
        rule = "Frozen days do not count in a visit's day."
        found = line.visit_day
        faults.require(f"{place}/visit_day", rule, found, holds=found <= max(days, 1))


def _check_card(evidence: EvidenceRead, term: _Term, faults: Faults) -> None:
    balances, place = evidence.balances, "/evidence/balances"
    rule = "The card's term is what the last step of its life left."
    for name, expected, found in (
        ("frozen_on", term.frozen_on, balances.frozen_on),
        ("frozen_days", term.frozen_days, balances.frozen_days),
        ("valid_until", term.valid_until, balances.valid_until),
    ):
        faults.require_same(f"{place}/{name}", rule, expected=expected, found=found)
    rule = "A card is frozen or lost where the last step of its life made it so, and only there."
    status = balances.status
    stopped = None if term.kind is None else _STOPPED.get(term.kind)
    holds = status in _OVER or (status is stopped if stopped else status not in _STOPPED.values())
    faults.require(f"{place}/status", rule, status, holds=holds)
