"""What a replay needs of a card or a transfer: what later events may have changed of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final, cast

from app.card_life.rows import TransferStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.card_life.rows import CardTransfer
    from app.cards.domain import Card
    from app.writer.requests import StoredRequest

# Not what holds a card: whoever holds it wants it known now, also in an answer that is repeated.
_PLAIN: Final = (
    "status",
    "face_used_amount",
    "face_held_amount",
    "sessions_used",
    "sessions_held",
    "last_visit_day",
    "frozen_days",
    "released_amount",
    "refunded_amount",
    "adjusted_amount",
    "recalled_amount",
)
_DATES: Final = ("valid_until", "frozen_on", "refundable_from", "cooling_off_ends_on")


def facts_of(card: Card, day: date) -> Mapping[str, object]:
    """Say what of a card's answer later events may change, and on which day it was given."""
    facts: dict[str, object] = {name: getattr(card, name) for name in _PLAIN}
    for name in _DATES:
        known = getattr(card, name)
        facts[name] = None if known is None else known.isoformat()
    return {**facts, "day": day.isoformat()}


def as_of_request(card: Card, stored: StoredRequest) -> tuple[Card, date]:
    """Give a card as it was when a request was answered, and the day of that."""
    facts = stored.read_facts()
    then: dict[str, object] = {name: facts[name] for name in _PLAIN}
    for name in _DATES:
        known = cast("str | None", facts[name])
        then[name] = None if known is None else date.fromisoformat(known)
    return card._replace(**then), date.fromisoformat(str(facts["day"]))  # pyright: ignore[reportArgumentType]  # written by `facts_of`


def facts_of_transfer(transfer: CardTransfer) -> Mapping[str, object]:
    """Say what of a transfer's answer later events may change."""
    ended = transfer.ended_at
    return {"status": transfer.status, "ended_at": None if ended is None else ended.isoformat()}


def transfer_as_of_request(transfer: CardTransfer, stored: StoredRequest) -> CardTransfer:
    """Give a transfer as it was when a request was answered."""
    facts = stored.read_facts()
    ended = cast("str | None", facts["ended_at"])
    return transfer._replace(
        status=TransferStatus(str(facts["status"])),
        ended_at=None if ended is None else datetime.fromisoformat(ended),
    )
