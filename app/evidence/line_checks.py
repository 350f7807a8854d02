"""Play a card's lines again from its terms: released, balances, what is left (DOMAIN §4)."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from app.cards.domain import CardKind, CardStatus
from app.cards.statement import CardEntryKind
from app.charges.domain import ChargeStatus, DisputeStatus, ReversalStatus
from app.evidence.faults import Faults
from app.evidence.line_schemas import EvidenceLineRead, EvidenceReversalRead, EvidenceUseRead
from app.evidence.proof_checks import check_proof
from app.evidence.schemas import EvidenceRead, EvidenceTermsRead
from app.money import share

_OF_USES: Final = frozenset({CardEntryKind.USED, CardEntryKind.REVERSED})
_OF_REFUNDS: Final = frozenset({CardEntryKind.REFUNDED, CardEntryKind.ADJUSTED})
_BALANCE: Final = "The balances after a line are those before it less what the line took."
_SUMS: Final = "A card counts what its lines add up to."


class _Used(NamedTuple):
    """A line of a use, and its index."""

    number: int
    line: EvidenceLineRead


@dataclass(slots=True)
class _Played:
    """A card as the lines so far leave it."""

    terms: EvidenceTermsRead
    face: int = 0
    sessions: int = 0
    list: int = 0
    list_missing: bool = False
    custody: int = 0
    refunded: int = 0
    adjusted: int = 0
    days: dict[str, int] = field(default_factory=dict[str, int])
    """The visits that stay, by their charge."""
    used: dict[str, _Used] = field(default_factory=dict[str, _Used])
    reversed: dict[str, EvidenceLineRead] = field(default_factory=dict[str, EvidenceLineRead])

    @property
    def last_visit_day(self) -> int:
        return max(self.days.values(), default=0)

    @property
    def released(self) -> int:
        """Compute what the uses release: a function of them alone."""
        terms = self.terms
        match terms.kind:
            case CardKind.STORED_VALUE:
                face = terms.paid_amount + terms.bonus_amount
                return share(terms.paid_amount, self.face, max(face, 1))
            case CardKind.COUNT:
                return share(terms.paid_amount, self.sessions, max(terms.sessions_total or 1, 1))
            case CardKind.PERIOD:
                return share(terms.paid_amount, self.last_visit_day, max(terms.term_days or 1, 1))

    def take(self, line: EvidenceLineRead, sign: int) -> None:
        """Count a use, or count it back."""
        self.face += sign * (line.amount or 0)
        self.sessions += sign * (line.sessions or 0)
        value = line.amount if line.list_amount is None else line.list_amount
        self.list += sign * (value or 0)
        if sign > 0:
            self.list_missing = self.list_missing or line.list_amount is None
            self.days[line.subject_id] = line.visit_day or 0
        else:
            self.days.pop(line.subject_id, None)


def check_lines(evidence: EvidenceRead, faults: Faults) -> None:
    """Check every line against those before it, and the card against all of them."""
    played = _Played(evidence.terms)
    before: EvidenceLineRead | None = None
    for number, line in enumerate(evidence.lines):
        place = f"/evidence/lines/{number}"
        _check_order(line, before, number, place, faults)
        released = played.released
        if line.kind is CardEntryKind.USED:
            _check_used(evidence, line, number, played, faults)
        elif line.kind is CardEntryKind.REVERSED:
            _check_reversed(line, number, played, faults)
        _check_balances(line, played, played.released - released, place, faults)
        before = line
    if not evidence.lines:
        faults.add("/evidence/lines", "A card has a line.", expected="funded", found=None)
    for number, line in played.used.values():
        _check_fate(line, number, played, faults)
    _check_card(evidence, played, faults)


def _check_order(
    line: EvidenceLineRead, before: EvidenceLineRead | None, number: int, place: str, faults: Faults
) -> None:
    rule = "Lines are numbered without a gap, in the order of the chain."
    faults.require_same(f"{place}/no", rule, expected=number + 1, found=line.no)
    if before is not None:
        faults.require(f"{place}/seq", rule, line.seq, holds=line.seq > before.seq)
        faults.require(f"{place}/at", rule, line.at, holds=line.at >= before.at)
    funded = line.kind is CardEntryKind.FUNDED
    rule = "A card is funded by its first line, and by no other."
    faults.require(f"{place}/kind", rule, line.kind, holds=funded == (number == 0))
    rule = "What a use took stands with uses only, an amount with refunds too."
    bare = (line.sessions, line.visit_day, line.list_amount) == (None,) * 3
    faults.require(place, rule, line.kind, holds=bare or line.kind in _OF_USES)
    has_amount = line.kind in _OF_USES | _OF_REFUNDS
    faults.require(place, rule, line.kind, holds=line.amount is None or has_amount)
    rule = "What a use taken back changes in what the merchant keeps stands with such lines only."
    adjusts = line.adjusted_amount is not None
    is_back = line.kind is CardEntryKind.REVERSED
    faults.require(f"{place}/adjusted_amount", rule, line.kind, holds=is_back or not adjusts)
    rule = "A use is shown with its line."
    shown = line.use is not None and line.kind is not CardEntryKind.USED
    faults.require(f"{place}/use", rule, line.kind, holds=not shown)


def _check_used(
    evidence: EvidenceRead, line: EvidenceLineRead, number: int, played: _Played, faults: Faults
) -> None:
    place = f"/evidence/lines/{number}"
    once = line.subject_id not in played.used
    faults.require(f"{place}/subject_id", "A use counts once.", line.subject_id, holds=once)
    check_proof(evidence, line, place, faults)
    played.used[line.subject_id] = _Used(number, line)
    played.take(line, 1)


def _check_reversed(line: EvidenceLineRead, number: int, played: _Played, faults: Faults) -> None:
    place = f"/evidence/lines/{number}"
    found_use = played.used.get(line.subject_id)
    if found_use is None or line.subject_id in played.reversed:
        rule = "A reversal takes back one use, once."
        faults.add(f"{place}/subject_id", rule, expected="a use that stays", found=line.subject_id)
        return
    used, rule = found_use.line, "A reversal gives back what its use took."
    for name, expected, found in (
        ("store/id", used.store and used.store.id, line.store and line.store.id),
        ("amount", used.amount, line.amount),
        ("sessions", used.sessions, line.sessions),
        ("visit_day", used.visit_day, line.visit_day),
        ("list_amount", used.list_amount, line.list_amount),
        ("evidence_hash", used.evidence_hash, line.evidence_hash),
    ):
        faults.require_same(f"{place}/{name}", rule, expected=expected, found=found)
    played.reversed[line.subject_id] = line
    played.take(line, -1)


def _check_balances(
    line: EvidenceLineRead, played: _Played, moved: int, place: str, faults: Faults
) -> None:
    """Check a line's balances, and follow what left the card beside its uses."""
    terms = played.terms
    rule = "Released is the function of the card's uses; a use moves the difference."
    faults.require_same(f"{place}/release_amount", rule, expected=moved, found=line.release_amount)
    left = played.custody - moved - (line.adjusted_amount or 0)
    played.adjusted += line.adjusted_amount or 0
    if line.kind is CardEntryKind.FUNDED:
        left = terms.paid_amount
    elif line.kind is CardEntryKind.REFUNDED:
        left -= line.amount or 0
        played.refunded += line.amount or 0
    elif line.kind is CardEntryKind.ADJUSTED:
        left -= line.amount or 0
        played.adjusted += line.amount or 0
    faults.require_same(
        f"{place}/custody_amount", _BALANCE, expected=left, found=line.custody_amount
    )
    played.custody = line.custody_amount
    face = terms.paid_amount + terms.bonus_amount - played.face
    sessions = (terms.sessions_total or 0) - played.sessions
    for name, of_kind, left, found in (
        ("balance_face_amount", CardKind.STORED_VALUE, face, line.balance_face_amount),
        ("balance_sessions", CardKind.COUNT, sessions, line.balance_sessions),
    ):
        expected = left if terms.kind is of_kind else None
        faults.require_same(f"{place}/{name}", _BALANCE, expected=expected, found=found)
        faults.require(f"{place}/{name}", "No balance is below zero.", left, holds=left >= 0)


def _check_fate(line: EvidenceLineRead, number: int, played: _Played, faults: Faults) -> None:
    """Check what a use is said to have become against the line that takes it back."""
    if line.use is None:
        return
    place, use = f"/evidence/lines/{number}/use", line.use
    back = played.reversed.get(line.subject_id)
    gone = use.status is ChargeStatus.REVERSED
    rule = "A use is reversed where a line takes it back, and only there."
    faults.require(f"{place}/status", rule, use.status, holds=gone == (back is not None))
    stays = {ChargeStatus.CONFIRMED, ChargeStatus.DISPUTED, ChargeStatus.REVERSED}
    faults.require(f"{place}/status", rule, use.status, holds=use.status in stays)
    _check_dispute(use, place, faults)
    if use.reversal is None:
        faults.require(f"{place}/reversal", rule, None, holds=back is None)
        return
    _check_reversal(line, use.reversal, back, f"{place}/reversal", faults)


def _check_dispute(use: EvidenceUseRead, place: str, faults: Faults) -> None:
    status, back = use.dispute and use.dispute.status, use.reversal
    waits = back is not None and back.status is not ReversalStatus.DONE
    contested = status is DisputeStatus.OPEN or (status is DisputeStatus.UPHELD and waits)
    rule = "A use is disputed while its dispute is open, or upheld and its reversal waits."
    holds = contested == (use.status is ChargeStatus.DISPUTED)
    faults.require(f"{place}/status", rule, use.status, holds=holds)
    rule = "An open dispute has no reversal, one that was upheld has."
    holds = status is not (DisputeStatus.OPEN if back else DisputeStatus.UPHELD)
    faults.require(f"{place}/dispute/status", rule, status, holds=holds)


def _check_reversal(
    line: EvidenceLineRead,
    reversal: EvidenceReversalRead,
    back: EvidenceLineRead | None,
    place: str,
    faults: Faults,
) -> None:
    rule = "A reversal is done where a line takes the use back, at that time."
    done = reversal.status is ReversalStatus.DONE
    faults.require(f"{place}/status", rule, reversal.status, holds=done == (back is not None))
    at = back.at if back else None
    faults.require_same(f"{place}/done_at", rule, expected=at, found=reversal.done_at)
    asked = reversal.requested_at
    in_time = asked is not None and line.at <= asked and (at is None or asked <= at)
    faults.require(f"{place}/requested_at", rule, asked, holds=in_time)
    only = line.use and line.use.confirmation and len(line.use.confirmation.draws) == 1
    if back is not None and only:
        rule = "A reversal of a use of one card gives back what its line says."
        expected = -back.release_amount - (back.adjusted_amount or 0)
        faults.require_same(f"{place}/amount", rule, expected=expected, found=reversal.amount)


def _check_card(evidence: EvidenceRead, played: _Played, faults: Faults) -> None:
    balances, terms, place = evidence.balances, evidence.terms, "/evidence/balances"
    for name, expected in (
        ("face_used_amount", played.face),
        ("sessions_used", played.sessions),
        ("list_used_amount", played.list),
        ("list_price_missing", played.list_missing),
        ("last_visit_day", played.last_visit_day),
        ("released_amount", played.released),
        ("refunded_amount", played.refunded),
        ("adjusted_amount", played.adjusted),
        ("custody_amount", played.custody),
        ("line_count", len(evidence.lines)),
    ):
        found = getattr(balances, name)
        faults.require_same(f"{place}/{name}", _SUMS, expected=expected, found=found)
    gone = balances.refunded_amount + balances.adjusted_amount + balances.recalled_amount
    faults.require_same(
        place,
        "P = released + refunded + adjusted + recalled + left.",
        expected=terms.paid_amount,
        found=balances.released_amount + gone + balances.custody_amount,
    )
    rule = "No part of what was paid is below zero."
    for name in ("released", "refunded", "adjusted", "recalled", "custody"):
        amount = getattr(balances, f"{name}_amount")
        faults.require(f"{place}/{name}_amount", rule, amount, holds=amount >= 0)
    _check_held(evidence, played, faults)


def _check_held(evidence: EvidenceRead, played: _Played, faults: Faults) -> None:
    balances, terms, place = evidence.balances, evidence.terms, "/evidence/balances"
    is_value, is_count = terms.kind is CardKind.STORED_VALUE, terms.kind is CardKind.COUNT
    face = terms.paid_amount + terms.bonus_amount - played.face if is_value else 0
    sessions = (terms.sessions_total or 0) - played.sessions if is_count else 0
    rule = "What waiting charges hold is not below zero and not above what is left."
    held = balances.face_held_amount
    faults.require(f"{place}/face_held_amount", rule, held, holds=0 <= held <= face)
    held = balances.sessions_held
    faults.require(f"{place}/sessions_held", rule, held, holds=0 <= held <= sessions)
    used_up = (is_value and face == 0) or (is_count and sessions == 0)
    status = balances.status
    lives = status in {CardStatus.ACTIVE, CardStatus.USED_UP}
    rule = "A card is used up when nothing is left of it, and only then."
    holds = not lives or used_up == (status is CardStatus.USED_UP)
    faults.require(f"{place}/status", rule, status, holds=holds)
