"""Find whose cards a charge draws on, which of them, and how much of each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from app.cards.domain import CardKind
from app.cards.draws import (
    check_list_value,
    draw_amount,
    draw_sessions,
    draw_visit,
    oldest_payment_first,
    with_list_amounts,
)
from app.cards.tables import CARDS, CARDS_OF_CONSUMER
from app.charges.domain import ChargeStatus, balance_of
from app.charges.errors import (
    ChargeKindMismatch,
    CodeExpired,
    CodeInvalid,
    CodeUsed,
    InsufficientBalance,
    ProductAmbiguous,
)
from app.charges.tables import CHARGES_BY_CODE, CHARGES_BY_STATE, CODES
from app.charges.using import expire_due
from app.dates import business_date
from app.errors import NotFound
from app.holds.standing import all_by_the_clock, check_usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from app.cards.domain import Card, Draw
    from app.charges.commands import PlaceCharge
    from app.charges.domain import Charge
    from app.charges.tables import ConsumerCode
    from app.writer.book import Book


class Holder(NamedTuple):
    """Whose cards a charge draws on, and what names them."""

    consumer: UUID
    code: ConsumerCode | None
    named: Card | None


class Drawn(NamedTuple):
    """What a charge takes from each card, and what it found on the way."""

    holder: Holder
    every: Sequence[Card]
    """All of the holder's cards, with nothing held by charges whose time is over."""
    cards: Sequence[Card]
    """Those that the charge may draw on, oldest payment first."""
    draws: Sequence[Draw]
    ended: Sequence[Charge]
    """Charges whose time is over, and"""
    freed: Mapping[UUID, Card]
    """the cards that they held something of."""


def draw_on_cards(command: PlaceCharge, book: Book, at: datetime) -> Drawn:
    """Choose what a charge takes from which cards.

    Raises:
        CardInRefund, CardNotActive, CardOnHold: The named card cannot be used.
        ChargeKindMismatch: No card of the kind, where a card was named.
        CodeExpired, CodeInvalid, CodeUsed: The code does not allow it.
        InsufficientBalance: The fitting cards hold less.
        InvalidRequest: The list prices of a card's uses add up to more than can be kept.
        NotFound: No such card.
        ProductAmbiguous: Cards of several products fit.
    """
    today = business_date(at)
    holder = _holder(command, book, at)
    if holder.named is not None:
        check_usable(book, holder.named, at)
        # One that was lost or changed hands since is usable again, but not by this code.
        if holder.code is not None and not holder.named.allows_codes_of(holder.code.created_at):
            raise CodeInvalid
    pending = (holder.consumer, ChargeStatus.PENDING_CONFIRMATION)
    ended, freed = expire_due(book.group(CHARGES_BY_STATE, pending), book, at)
    every = all_by_the_clock(
        book,
        [freed.get(card.card_id, card) for card in book.group(CARDS_OF_CONSUMER, holder.consumer)],
        at,
    )
    cards = _fitting(command, holder, every, today)
    taken = _draws(command, cards, at)
    draws = with_list_amounts(taken, cards, command.list_amount, confirmed_in_app=False)
    if command.list_amount is not None or command.use.amount is None:
        # What counts at the latest when the consumer confirms it in the app.
        latest = with_list_amounts(taken, cards, command.list_amount, confirmed_in_app=True)
        _check_list_values(cards, latest)
    return Drawn(holder, every, cards, draws, ended, freed)


def _check_list_values(cards: Sequence[Card], draws: Sequence[Draw]) -> None:
    by_id = {card.card_id: card for card in cards}
    for draw in draws:
        check_list_value(by_id[draw.card_id], draw)


def _holder(command: PlaceCharge, book: Book, at: datetime) -> Holder:
    if command.card_id is not None:
        card = book.find(CARDS, command.card_id)
        if card is None:
            raise NotFound
        return Holder(card.consumer, None, card)
    for _ in book.group(CHARGES_BY_CODE, command.code_hash):
        raise CodeUsed
    code = book.find(CODES, command.code_hash)
    if code is None or not code.allows(command.store_id, command.product_id):
        raise CodeInvalid
    if at >= code.expires_at:
        raise CodeExpired
    named = None if code.card_id is None else book.find(CARDS, code.card_id)
    # A card that has changed hands since its code was shown is no longer this consumer's.
    if code.card_id is not None and (named is None or named.consumer != code.consumer):
        raise CodeInvalid
    return Holder(code.consumer, code, named)


def _fitting(
    command: PlaceCharge, holder: Holder, every: Sequence[Card], today: date
) -> list[Card]:
    """Give the cards that the charge may draw on, oldest payment first."""
    kind = command.use.kind
    # A finished card counts only where it is named: others may be loaded or not.
    named = holder.named.card_id if holder.named is not None else None
    unfinished = [card for card in every if not card.is_finished or card.card_id == named]
    of_kind = [card for card in unfinished if card.kind == kind]
    if (code := holder.code) is not None:
        only = code.card_id
        of_kind = [card for card in of_kind if only is None or card.card_id == only]
        of_kind = [card for card in of_kind if card.allows_codes_of(code.created_at)]
    if not of_kind:
        if holder.code is None:
            raise ChargeKindMismatch(kind)
        raise _insufficient(kind, [])
    if kind is CardKind.STORED_VALUE:
        product_id = _product_named(command, holder)
    else:
        product_id = _product(command, holder, of_kind, today)
    return oldest_payment_first(card for card in of_kind if card.fits(kind, product_id, today))


def _product(
    command: PlaceCharge, holder: Holder, of_kind: Sequence[Card], today: date
) -> UUID | None:
    """Say of which product's cards sessions or a visit are taken (API.md, Charges)."""
    if holder.named is not None and holder.named.kind == command.use.kind:
        return holder.named.product_id
    if (named := _product_named(command, holder)) is not None:
        return named
    held = {
        card.product_id for card in of_kind if card.fits(CardKind(command.use.kind), None, today)
    }
    if len(held) > 1:
        raise ProductAmbiguous(sorted(held))
    return next(iter(held), None)


def _product_named(command: PlaceCharge, holder: Holder) -> UUID | None:
    """Give the product that the till or the code names; where both do, it is the same one."""
    return command.product_id or (holder.code.product_id if holder.code else None)


def _draws(command: PlaceCharge, cards: Sequence[Card], at: datetime) -> list[Draw]:
    use = command.use
    draws: list[Draw] | None
    if use.amount is not None:
        draws = draw_amount(cards, use.amount)
    elif use.sessions is not None:
        draws = draw_sessions(cards, use.sessions)
    else:
        draws = draw_visit(cards, at)
    if draws is None:
        raise _insufficient(use.kind, cards)
    return draws


def _insufficient(kind: CardKind, cards: Sequence[Card]) -> InsufficientBalance:
    left = balance_of(kind, cards)
    return InsufficientBalance(
        available_amount=left.card_face_amount, available_sessions=left.sessions_left
    )
