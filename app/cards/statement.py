"""A card's statement: one line for all that happened to it, with the balances after it."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.cards.domain import Card, CardKind, Draw
from app.ledger import chain
from app.money import Fen


class CardEntryKind(StrEnum):
    """What a line of a card's statement says."""

    FUNDED = "funded"
    USED = "used"
    REVERSED = "reversed"
    REFUNDED = "refunded"
    ADJUSTED = "adjusted"
    TRANSFERRED = "transferred"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    LOST = "lost"
    REPLACED = "replaced"
    REACTIVATED = "reactivated"


class CardEntry(NamedTuple):
    """One line of a card's statement; with it the balances after it. Never changed."""

    merchant_no: int
    card_id: UUID
    entry_no: int
    seq: int
    kind: CardEntryKind
    subject_id: UUID
    store_id: UUID | None
    amount: Fen | None
    sessions: int | None
    visit_day: int | None
    list_amount: Fen | None
    release_amount: Fen
    balance_face_amount: Fen | None
    balance_sessions: int | None
    custody_amount: Fen
    evidence_hash: bytes
    at: datetime
    adjusted_amount: Fen | None = None
    """Of a use taken back after a refund: what else went to the merchant, negative if it came
    back from there, in the same movement."""

    def content_hash(self) -> bytes:
        """Hash the line for the chain entry that carries it; its `seq` is that entry's own."""
        # What few lines have enters only where it is there.
        fields = self[4:-1] if self.adjusted_amount is None else self[4:]
        return chain.content_hash((*self[1:3], *fields))


class Line(NamedTuple):
    """What a line of a statement says beside the balances."""

    kind: CardEntryKind
    subject_id: UUID
    store_id: UUID | None
    evidence_hash: bytes
    draw: Draw | None = None
    release_amount: int = 0
    amount: int | None = None
    """Of a refund or an adjustment: what left the card; negative where it came back."""


def enter(card: Card, line: Line, *, seq: int, at: datetime) -> tuple[Card, CardEntry]:
    """Write the next line of a card's statement, with the balances of `card` as it is after it."""
    is_value, is_count = card.kind == CardKind.STORED_VALUE, card.kind == CardKind.COUNT
    draw = line.draw
    entry = CardEntry(
        card.merchant_no,
        card.card_id,
        card.entry_count + 1,
        seq,
        line.kind,
        line.subject_id,
        line.store_id,
        draw.face_amount if draw else None if line.amount is None else Fen(line.amount),
        draw.sessions if draw else None,
        draw.visit_day if draw else None,
        draw.list_amount if draw else None,
        Fen(line.release_amount),
        Fen(card.face_amount - card.face_used_amount) if is_value else None,
        (card.sessions_total or 0) - card.sessions_used if is_count else None,
        card.custody_amount,
        line.evidence_hash,
        at,
    )
    return card._replace(entry_count=entry.entry_no), entry
