"""Tell a step of a card's life in its statement and in the chain. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from app.card_life.rows import CardLife
from app.cards.statement import CardEntry, Line, enter
from app.ledger.posting import Entry

if TYPE_CHECKING:
    from datetime import datetime

    from app.cards.domain import Card
    from app.cards.statement import CardEntryKind


class Told(NamedTuple):
    """A card after a step, with its line, how its term runs from there, and the chain's entry."""

    card: Card
    line: CardEntry
    life: CardLife
    entry: Entry


def tell(card: Card, kind: CardEntryKind, *, seq: int, at: datetime) -> Told:
    """Write down how a card's term runs after a step; `card` is as the step leaves it."""
    life = CardLife(
        card.merchant_no,
        card.card_id,
        card.entry_count + 1,
        kind,
        card.frozen_on,
        card.frozen_days,
        card.valid_until,
        at,
    )
    after, line = enter(card, Line(kind, card.card_id, None, life.content_hash()), seq=seq, at=at)
    return Told(after, line, life, Entry(f"card_{kind}", card.card_id, None, line.content_hash()))
