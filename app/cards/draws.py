"""Which cards a use draws on, oldest payment first, and how much from each (DOMAIN §4)."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from app.cards.domain import Card, Draw
from app.errors import FieldError, InvalidRequest
from app.money import AMOUNT_MAX, Fen, share


def oldest_payment_first(cards: Iterable[Card]) -> list[Card]:
    """Order cards as charges draw on them."""
    return sorted(cards, key=lambda card: (card.paid_at, card.card_id))


def draw_amount(cards: Sequence[Card], amount: Fen) -> list[Draw] | None:
    """Spread a face amount over stored value cards in their order; None where it is too much."""
    draws: list[Draw] = []
    rest = amount
    for card in cards:
        face = Fen(min(rest, card.face_available_amount))
        if face > 0:
            draws.append(Draw(card.card_id, face, None, None, None))
            rest = Fen(rest - face)
    return draws if rest == 0 else None


def draw_sessions(cards: Sequence[Card], sessions: int) -> list[Draw] | None:
    """Spread sessions over count cards in their order; None where they are too many."""
    draws: list[Draw] = []
    rest = sessions
    for card in cards:
        taken = min(rest, card.sessions_available)
        if taken > 0:
            # What was frozen at sale is the value of each session (DOMAIN §4, L_i).
            price = card.list_price_amount
            value = None if price is None else Fen(price * taken)
            draws.append(Draw(card.card_id, None, taken, None, value))
            rest -= taken
    return draws if rest == 0 else None


def draw_visit(cards: Sequence[Card], at: datetime) -> list[Draw] | None:
    """Take a visit from the first period card; None where there is none."""
    if not cards:
        return None
    card = cards[0]
    return [Draw(card.card_id, None, None, card.visit_day_at(at), card.list_price_amount)]


def with_list_amounts(
    draws: Sequence[Draw], cards: Sequence[Card], list_amount: Fen | None, *, confirmed_in_app: bool
) -> list[Draw]:
    """Give each draw on stored value its share of the charge's list amount, by face, cumulative.

    The list amount, of the whole use, counts up to the price frozen at sale, or, without one,
    only where the consumer confirmed that very value in two steps; else the face stands for it
    and `list_amount` stays None (DOMAIN §4, L_i). A card goes by its own price, whatever those of
    the other cards are (docs/decisions/0009).
    """
    by_id = {card.card_id: card for card in cards}
    if list_amount is None or any(draw.face_amount is None for draw in draws):
        return list(draws)
    whole = sum(draw.face_amount or 0 for draw in draws)
    shared: list[Draw] = []
    face_so_far = 0
    for draw in draws:
        before = face_so_far
        face_so_far += draw.face_amount or 0
        frozen = by_id[draw.card_id].list_price_amount
        if frozen is None and not confirmed_in_app:
            shared.append(draw)
            continue
        counts = list_amount if frozen is None else min(list_amount, frozen)
        value = share(counts, face_so_far, whole) - share(counts, before, whole)
        shared.append(draw._replace(list_amount=Fen(value)))
    return shared


def check_list_value(card: Card, draw: Draw) -> None:
    """Keep what a card's uses were worth at list price a number that can be kept.

    Raises:
        InvalidRequest: With this use it would be more than any amount may be.
    """
    if card.list_used_amount + draw.list_value > AMOUNT_MAX:
        raise InvalidRequest(
            FieldError("/list_amount", "The list prices of the card's uses add up to too much")
        )
