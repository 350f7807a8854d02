"""Decide what becomes of a card's term: frozen, unfrozen, lost, replaced, reactivated. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.card_life.commands import FreezeCard, ReactivateCard, ReportLoss, UnfreezeCard
from app.card_life.domain import freeze, reactivate, report_loss, unfreeze
from app.card_life.replaying import facts_of
from app.card_life.rows import TransferStatus
from app.card_life.tables import TRANSFERS_OF_CARD, TRANSFERS_WITH_CARD
from app.card_life.telling import tell
from app.cards.domain import Card, CardStatus
from app.cards.statement import CardEntryKind
from app.cards.tables import CARDS, CARDS_WITH
from app.charges.tables import PENDING_WITH_CARD
from app.charges.voiding import Voided, void_pending
from app.dates import business_date
from app.errors import NotFound
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.card_life.commands import TermCommand
    from app.card_life.rows import CardTransfer
    from app.writer.book import Book
    from app.writer.tables import Need

_NOTHING: Final = Voided((), {})


def decide_freeze(command: FreezeCard, book: Book, at: datetime) -> Decision[Card]:
    """Let a period card's term stand still; what waits on it is voided. Again gives the same.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardKindMismatch: It has no term whose days are counted.
        CardNotActive: It is lost, past its term, recalled or replaced.
        NotFound: No such card, or it is another's.
    """
    card = own_card(book, command.card_id, command.consumer)
    frozen = freeze(card, business_date(at))
    if frozen == card:
        return _unchanged(card, at)
    voided = void_pending(book, [card.card_id], at)
    return _entered(frozen, CardEntryKind.FROZEN, voided, book, at)


def decide_unfreeze(command: UnfreezeCard, book: Book, at: datetime) -> Decision[Card]:
    """Let a frozen card's term run on; again gives the same.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardKindMismatch: It cannot be frozen.
        CardNotActive: It is lost, past its term, recalled or replaced.
        NotFound: No such card, or it is another's.
    """
    card = own_card(book, command.card_id, command.consumer)
    running = unfreeze(card, business_date(at))
    if running == card:
        return _unchanged(card, at)
    return _entered(running, CardEntryKind.UNFROZEN, _NOTHING, book, at)


def decide_loss(command: ReportLoss, book: Book, at: datetime) -> Decision[Card]:
    """Stop all use of a card: what waits on it is voided, codes and offers of it end.

    Reporting it again gives the same.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardNotActive: It is used up, recalled or replaced.
        NotFound: No such card, or it is another's.
    """
    card = own_card(book, command.card_id, command.consumer)
    lost = report_loss(card, business_date(at), at)
    if lost == card:
        return _unchanged(card, at)
    voided = void_pending(book, [card.card_id], at)
    # Whoever found the card, or the phone, may have offered it to themselves.
    withdrawn = withdrawn_offers(book, card.card_id, at)
    return _entered(lost, CardEntryKind.LOST, voided, book, at, withdrawn=withdrawn)


def decide_reactivate(command: ReactivateCard, book: Book, at: datetime) -> Decision[Card]:
    """Make a lost card, or one past its term, usable again; an active one is given as it is.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardKindMismatch: A period card's term is over.
        CardNotActive: It is frozen, used up, recalled or replaced.
        NotFound: No such card, or it is another's.
    """
    card = own_card(book, command.card_id, command.consumer)
    active = reactivate(card, business_date(at))
    if active == card:
        return _unchanged(card, at)
    was_lost = card.status == CardStatus.LOST
    kind = CardEntryKind.REPLACED if was_lost else CardEntryKind.REACTIVATED
    return _entered(active, kind, _NOTHING, book, at)


def own_card(book: Book, card_id: UUID, consumer: UUID) -> Card:
    """Find a card of its holder.

    Raises:
        NotFound: No such card, or it is another's.
    """
    card = book.find(CARDS, card_id)
    if card is None or card.consumer != consumer:
        raise NotFound
    return card


def salt_of_holder(card: Card, book: Book) -> bytes:
    """Give the salt under which the chain knows the holder: of the sale, or of the last transfer.

    So the commitments link up, and anyone can follow a card from hand to hand without learning
    whose hands they were.
    """
    accepted = [
        transfer
        for transfer in book.group(TRANSFERS_OF_CARD, card.card_id)
        if transfer.status == TransferStatus.ACCEPTED
    ]
    if not accepted:
        return card.holder_salt
    return max(accepted, key=lambda transfer: transfer.entry_no or 0).receiver_salt or b""


def withdrawn_offers(book: Book, card_id: UUID, at: datetime) -> list[CardTransfer]:
    """Take back what was offered of a card and not answered yet."""
    return [
        transfer._replace(status=TransferStatus.WITHDRAWN, ended_at=at)
        for transfer in book.group(TRANSFERS_OF_CARD, card_id)
        if transfer.status == TransferStatus.OFFERED
    ]


def without_held(card: Card, voided: Voided) -> Card:
    """Give a card with nothing held on it any more by what was voided."""
    freed = voided.cards.get(card.card_id, card)
    return card._replace(
        face_held_amount=freed.face_held_amount,
        sessions_held=freed.sessions_held,
        pending_count=freed.pending_count,
    )


def _entered(  # noqa: PLR0913  # what a step leaves, named thing by thing
    card: Card,
    kind: CardEntryKind,
    voided: Voided,
    book: Book,
    at: datetime,
    *,
    withdrawn: Sequence[CardTransfer] = (),
) -> Decision[Card]:
    """Write a step of a card's life into its statement and into the chain."""
    card = without_held(card, voided)
    told = tell(card, kind, seq=book.next_seq, at=at)
    return Decision(
        told.card,
        rows=(
            *{**voided.cards, card.card_id: told.card}.values(),
            told.line,
            told.life,
            *voided.charges,
            *withdrawn,
        ),
        entries=(told.entry,),
        events=(
            *voided.events,
            *(Event("transfer.withdrawn", transfer.transfer_id) for transfer in withdrawn),
            Event(f"card.{kind}", card.card_id),
        ),
        subject_id=card.card_id,
        facts=facts_of(told.card, business_date(at)),
    )


def _unchanged(card: Card, at: datetime) -> Decision[Card]:
    return Decision(card, subject_id=card.card_id, facts=facts_of(card, business_date(at)))


def _with_card(command: TermCommand) -> tuple[Need, ...]:
    return (
        CARDS_WITH(command.card_id),
        PENDING_WITH_CARD(command.card_id),
        TRANSFERS_WITH_CARD(command.card_id),
    )


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(FreezeCard, _with_card, decide_freeze),
    Plan(UnfreezeCard, _with_card, decide_unfreeze),
    Plan(ReportLoss, _with_card, decide_loss),
    Plan(ReactivateCard, _with_card, decide_reactivate),
)
