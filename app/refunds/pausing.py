"""The term of a period card stands still while a claim of it is judged. Pure.

Requesting a refund freezes the card (DOMAIN §6). Where the claim comes to nothing the days in
which nobody could use the card are frozen days as those of its holder's own freeze are: they do
not count, and the term ends as many days later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.card_life.domain import freeze, unfreeze
from app.card_life.telling import tell
from app.cards.domain import Card, CardKind, CardStatus
from app.cards.statement import CardEntryKind
from app.dates import business_date

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from app.db.rows import Row
    from app.ledger.posting import Entry


@dataclass(frozen=True, slots=True)
class Paused:
    """A card whose term was stopped, or runs on; the rows and entries that say so, if any."""

    card: Card
    rows: Sequence[Row] = ()
    entries: Sequence[Entry] = ()


def pause(card: Card, *, seq: int, at: datetime) -> Paused:
    """Let the term of a period card stand still that runs; any other card is as it was."""
    day = business_date(at)
    if card.kind != CardKind.PERIOD or card.status_on(day) != CardStatus.ACTIVE:
        return Paused(card)
    return _told(freeze(card, day), CardEntryKind.FROZEN, seq=seq, at=at)


def resume(card: Card, *, seq: int, at: datetime) -> Paused:
    """Let the term of an active card run on, if it was stopped."""
    if card.status != CardStatus.ACTIVE or card.frozen_on is None:
        return Paused(card)
    running = unfreeze(card._replace(status=CardStatus.FROZEN), business_date(at))
    return _told(running, CardEntryKind.UNFROZEN, seq=seq, at=at)


def _told(card: Card, kind: CardEntryKind, *, seq: int, at: datetime) -> Paused:
    told = tell(card, kind, seq=seq, at=at)
    return Paused(told.card, (told.line, told.life), (told.entry,))
