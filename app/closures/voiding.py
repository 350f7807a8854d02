"""Cancel the charges that wait while a merchant closes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.cards.tables import CARDS_WITH
from app.charges.tables import PENDING_WITH_CARD
from app.charges.using import CHARGING
from app.charges.voiding import void_pending
from app.closures.commands import VoidPending
from app.writer.commands import Decision, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from app.writer.book import Book
    from app.writer.tables import Need


def decide_void(command: VoidPending, book: Book, at: datetime) -> Decision[int]:
    """Cancel what waits on these cards; say how many charges. Not while uses still go on."""
    if book.head.status in CHARGING:
        return Decision(0)
    voided = void_pending(book, command.card_ids, at)
    rows = (*voided.cards.values(), *voided.charges)
    return Decision(len(voided.charges), rows=rows, events=voided.events)


def _needs(command: VoidPending) -> Iterator[Need]:
    for card_id in command.card_ids:
        yield CARDS_WITH(card_id)
        yield PENDING_WITH_CARD(card_id)


PLANS: Final[tuple[Plan[Any, Any], ...]] = (Plan(VoidPending, _needs, decide_void),)
