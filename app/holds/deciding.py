"""Decide what becomes of a hold: placed, lifted, expired. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.cards.domain import CardStatus
from app.cards.errors import CardNotActive
from app.cards.tables import CARDS, CARDS_WITH
from app.errors import FieldError, InvalidRequest, NotFound
from app.holds.commands import ExpireHolds, LiftHold, PlaceHold
from app.holds.domain import Hold, HoldStatus, HoldTarget
from app.holds.errors import HoldNotActive
from app.holds.tables import HOLD_BY_ID, HOLDS, HOLDS_BY_TARGET, HOLDS_ON
from app.ledger.posting import Entry
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.writer.book import Book
    from app.writer.tables import Need


def decide_place(command: PlaceHold, book: Book, at: datetime) -> Decision[Hold]:
    """Hold what was ordered, in whatever state the merchant is; what waits on a card waits on.

    Raises:
        CardNotActive: The card was replaced; its money is on the new one.
        InvalidRequest: It would have ended already.
        NotFound: No such card.
    """
    if command.expires_at is not None and command.expires_at <= at:
        raise InvalidRequest(FieldError("/expires_at", "The hold would have ended already"))
    cards: list[Card] = []
    if command.target == HoldTarget.CARD:
        card = book.find(CARDS, command.target_id)
        if card is None:
            raise NotFound
        if card.status == CardStatus.REPLACED:
            raise CardNotActive(card.card_id, card.status)
        cards.append(card._replace(on_hold=True))
    hold = _placed(command, seq=book.next_seq, at=at)
    return Decision(
        hold,
        rows=(hold, *cards),
        entries=(Entry("hold_placed", hold.hold_id, content_hash=hold.content_hash()),),
        events=(Event("hold.placed", hold.hold_id),),
        subject_id=hold.hold_id,
    )


def decide_lift(command: LiftHold, book: Book, at: datetime) -> Decision[Hold]:
    """End a hold before its time; again gives the same.

    Raises:
        HoldNotActive: Its time was over before.
        NotFound: No such hold.
    """
    hold = book.find(HOLDS, command.hold_id)
    if hold is None:
        raise NotFound
    if hold.status == HoldStatus.LIFTED:
        return Decision(hold, subject_id=hold.hold_id)
    if (status := hold.status_at(at)) is not HoldStatus.ACTIVE:
        raise HoldNotActive(status)
    lifted = hold._replace(status=HoldStatus.LIFTED, ended_at=at, ended_seq=book.next_seq)
    return Decision(
        lifted,
        rows=(lifted, *_freed(book, [lifted], at)),
        entries=_ends([lifted]),
        events=(Event("hold.lifted", hold.hold_id),),
        subject_id=hold.hold_id,
    )


def decide_expire(command: ExpireHolds, book: Book, at: datetime) -> Decision[int]:
    """End in the book the holds whose time is over; others are left alone."""
    named = (book.find(HOLDS, hold_id) for hold_id in command.hold_ids)
    due = [
        hold
        for hold in named
        if hold is not None
        and hold.status == HoldStatus.ACTIVE
        and hold.status_at(at) is HoldStatus.EXPIRED
    ]
    ended = [
        hold._replace(
            status=HoldStatus.EXPIRED, ended_at=hold.expires_at, ended_seq=book.next_seq + number
        )
        for number, hold in enumerate(due)
    ]
    return Decision(
        len(ended),
        rows=(*ended, *_freed(book, ended, at)),
        entries=_ends(ended),
        events=[Event("hold.expired", hold.hold_id) for hold in ended],
    )


def _placed(command: PlaceHold, *, seq: int, at: datetime) -> Hold:
    return Hold(
        merchant_no=command.merchant_no,
        hold_id=command.hold_id,
        target=command.target,
        target_id=command.target_id,
        amount=command.amount,
        document_number=command.document_number,
        reason=command.reason,
        text_salt=command.text_salt,
        status=HoldStatus.ACTIVE,
        placed_by=command.placed_by,
        placed_at=at,
        expires_at=command.expires_at,
        ended_at=None,
        seq=seq,
        ended_seq=None,
    )


def _ends(ended: Sequence[Hold]) -> list[Entry]:
    return [
        Entry(f"hold_{hold.status}", hold.hold_id, content_hash=hold.end_hash()) for hold in ended
    ]


def _freed(book: Book, ended: Sequence[Hold], at: datetime) -> list[Card]:
    """Give the held cards that nothing holds any more: the last hold to end frees its card."""
    gone = {hold.hold_id for hold in ended}
    freed: dict[UUID, Card] = {}
    for hold in ended:
        card = book.find(CARDS, hold.target_id)
        others = book.group(HOLDS_BY_TARGET, hold.target_id)
        stays = any(other.is_active(at) for other in others if other.hold_id not in gone)
        if card is not None and card.on_hold and not stays:
            freed[card.card_id] = card._replace(on_hold=False)
    return list(freed.values())


def _needs_of_ends(hold_ids: Sequence[UUID], target_ids: Sequence[UUID]) -> list[Need]:
    targets = dict.fromkeys(target_ids)
    return [
        *(HOLD_BY_ID(hold_id) for hold_id in hold_ids),
        *(need for target in targets for need in (HOLDS_ON(target), CARDS_WITH(target))),
    ]


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        PlaceHold,
        lambda command: (
            (CARDS_WITH(command.target_id),) if command.target == HoldTarget.CARD else ()
        ),
        decide_place,
    ),
    Plan(
        LiftHold,
        lambda command: _needs_of_ends([command.hold_id], [command.target_id]),
        decide_lift,
    ),
    Plan(
        ExpireHolds,
        lambda command: _needs_of_ends(command.hold_ids, command.target_ids),
        decide_expire,
    ),
)
