"""What a card is and what a use takes from it: pure arithmetic in fen (DOMAIN §4).

    active --last use--> used_up --its use reversed--> active

A card past `valid_until` is expired by the clock. Released money is always a function of the
card's uses, never a sum of past roundings, so it cannot drift.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.cards.errors import CardInRefund, CardNotActive, CardOnHold
from app.ledger import chain
from app.money import Fen, share

SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Business dates are those of Shanghai, which has had no summer time since 1991."""


class CardKind(StrEnum):
    """How a card is used up: by amount, by session, by visits within a term."""

    STORED_VALUE = "stored_value"
    COUNT = "count"
    PERIOD = "period"


class CardStatus(StrEnum):
    """Where a card is in its life."""

    ACTIVE = "active"
    FROZEN = "frozen"
    LOST = "lost"
    EXPIRED = "expired"
    USED_UP = "used_up"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    RECALLED = "recalled"
    REPLACED = "replaced"


_IN_REFUND: Final = frozenset({CardStatus.REFUNDING, CardStatus.REFUNDED})
_NOT_USABLE: Final = frozenset(
    {CardStatus.FROZEN, CardStatus.LOST, CardStatus.RECALLED, CardStatus.REPLACED}
)


class Draw(NamedTuple):
    """What one charge takes from one card; `release_amount` is None until it is confirmed."""

    card_id: UUID
    face_amount: Fen | None
    sessions: int | None
    visit_day: int | None
    list_amount: Fen | None
    release_amount: Fen | None = None

    @property
    def list_value(self) -> Fen:
        """L_i: the list price of the use; where it is missing, its face (DOMAIN §4)."""
        if self.list_amount is not None:
            return self.list_amount
        return self.face_amount or Fen(0)


class Card(NamedTuple):
    """One payment, one contract: terms frozen at sale, and what was used of it."""

    merchant_no: int
    card_id: UUID
    consumer: UUID
    consumer_id: str
    product_id: UUID
    purchase_id: UUID
    kind: CardKind
    status: CardStatus
    on_hold: bool
    paid_amount: Fen
    bonus_amount: Fen
    face_used_amount: Fen
    face_held_amount: Fen
    list_price_amount: Fen | None
    list_used_amount: Fen
    list_price_missing: bool
    sessions_total: int | None
    sessions_used: int
    sessions_held: int
    term_days: int | None
    activated_on: date
    valid_until: date | None
    last_visit_day: int
    frozen_days: int
    released_amount: Fen
    refunded_amount: Fen
    adjusted_amount: Fen
    recalled_amount: Fen
    pending_count: int
    code_day: date | None
    code_day_amount: Fen
    entry_count: int
    cooling_off_days: int
    cooling_off_ends_on: date | None
    holder_salt: bytes
    terms_hash: bytes
    paid_at: datetime
    created_at: datetime

    @property
    def face_amount(self) -> Fen:
        """F: what a stored value card can be spent for in all."""
        return Fen(self.paid_amount + self.bonus_amount)

    @property
    def face_available_amount(self) -> Fen:
        """What is left to charge: F less used less held."""
        return Fen(self.face_amount - self.face_used_amount - self.face_held_amount)

    @property
    def sessions_available(self) -> int:
        """What is left to charge: N less used less held."""
        return (self.sessions_total or 0) - self.sessions_used - self.sessions_held

    @property
    def custody_amount(self) -> Fen:
        """What of the principal is still in custody on this card."""
        return Fen(
            self.paid_amount
            - self.released_amount
            - self.refunded_amount
            - self.adjusted_amount
            - self.recalled_amount
        )

    def status_on(self, day: date) -> CardStatus:
        """Give the status as the clock has it: an active card past its term is expired."""
        past = self.valid_until is not None and self.valid_until < day
        return CardStatus.EXPIRED if past and self.status == CardStatus.ACTIVE else self.status

    def fits(self, kind: CardKind, product_id: UUID | None, day: date) -> bool:
        """Say whether a charge of this kind may draw on the card."""
        return (
            self.kind == kind
            and not self.on_hold
            and self.status_on(day) == CardStatus.ACTIVE
            and (product_id is None or self.product_id == product_id)
        )

    def check_usable(self, day: date) -> None:
        """Refuse a card that was named and may not be used.

        Raises:
            CardInRefund: It is being refunded, or was.
            CardNotActive: It is frozen, lost, expired, recalled or replaced.
            CardOnHold: A court or authority holds it.
        """
        if self.on_hold:
            raise CardOnHold(self.card_id)
        status = self.status_on(day)
        if status in _IN_REFUND:
            raise CardInRefund(self.card_id, status)
        if status in _NOT_USABLE or status == CardStatus.EXPIRED:
            raise CardNotActive(self.card_id, status)

    def visit_day_at(self, at: datetime) -> int:
        """Give t of a visit at this time: day 1 is the day of activation, at most T."""
        assert self.term_days is not None, "a period card has a term"
        day = (business_date(at) - self.activated_on).days + 1 - self.frozen_days
        return max(1, min(day, self.term_days))

    def released_now(self) -> Fen:
        """Compute what the card's uses release; a function of them alone (DOMAIN §4)."""
        match self.kind:
            case CardKind.STORED_VALUE:
                return share(self.paid_amount, self.face_used_amount, self.face_amount)
            case CardKind.COUNT:
                return share(self.paid_amount, self.sessions_used, self.sessions_total or 1)
            case CardKind.PERIOD:
                return share(self.paid_amount, self.last_visit_day, self.term_days or 1)

    def hold(self, draw: Draw) -> "Card":
        """Set aside what a pending charge will take."""
        return self._replace(
            face_held_amount=Fen(self.face_held_amount + (draw.face_amount or 0)),
            sessions_held=self.sessions_held + (draw.sessions or 0),
            pending_count=self.pending_count + 1,
        )

    def unhold(self, draw: Draw) -> "Card":
        """Free what a pending charge had set aside."""
        return self._replace(
            face_held_amount=Fen(self.face_held_amount - (draw.face_amount or 0)),
            sessions_held=self.sessions_held - (draw.sessions or 0),
            pending_count=self.pending_count - 1,
        )

    def use(self, draw: Draw) -> "Card":
        """Count a confirmed use; the difference in `released_amount` is what it moves."""
        used = self._replace(
            face_used_amount=Fen(self.face_used_amount + (draw.face_amount or 0)),
            sessions_used=self.sessions_used + (draw.sessions or 0),
            last_visit_day=max(self.last_visit_day, draw.visit_day or 0),
            list_used_amount=Fen(self.list_used_amount + draw.list_value),
            list_price_missing=self.list_price_missing or draw.list_amount is None,
        )
        return used._settled()

    def unuse(self, draw: Draw, *, last_visit_day: int) -> "Card":
        """Take a use back. `last_visit_day` is t* of the visits that stay (period cards)."""
        unused = self._replace(
            face_used_amount=Fen(self.face_used_amount - (draw.face_amount or 0)),
            sessions_used=self.sessions_used - (draw.sessions or 0),
            last_visit_day=last_visit_day if self.kind == CardKind.PERIOD else 0,
            list_used_amount=Fen(self.list_used_amount - draw.list_value),
        )
        return unused._settled()

    def _settled(self) -> "Card":
        released = self.released_now()
        status = self.status
        if status in (CardStatus.ACTIVE, CardStatus.USED_UP):
            status = CardStatus.USED_UP if self._is_used_up() else CardStatus.ACTIVE
        return self._replace(released_amount=released, status=status)

    def _is_used_up(self) -> bool:
        match self.kind:
            case CardKind.STORED_VALUE:
                return self.face_used_amount == self.face_amount
            case CardKind.COUNT:
                return self.sessions_used == self.sessions_total
            case CardKind.PERIOD:
                # Its holder may come again on the last day of the term.
                return False


class CardEntryKind(StrEnum):
    """What a line of a card's statement says."""

    FUNDED = "funded"
    USED = "used"
    REVERSED = "reversed"
    REFUNDED = "refunded"
    ADJUSTED = "adjusted"
    TRANSFERRED = "transferred"


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

    def content_hash(self) -> bytes:
        """Hash the line for the chain entry that carries it; its `seq` is that entry's own."""
        return chain.content_hash((*self[1:3], *self[4:]))


def enter(
    card: Card,
    kind: CardEntryKind,
    *,
    seq: int,
    subject_id: UUID,
    store_id: UUID | None,
    draw: Draw | None,
    release_amount: int,
    evidence_hash: bytes,
    at: datetime,
) -> tuple[Card, CardEntry]:
    """Write the next line of a card's statement, with the balances of `card` as it is after it."""
    is_value, is_count = card.kind == CardKind.STORED_VALUE, card.kind == CardKind.COUNT
    entry = CardEntry(
        card.merchant_no,
        card.card_id,
        card.entry_count + 1,
        seq,
        kind,
        subject_id,
        store_id,
        draw.face_amount if draw else None,
        draw.sessions if draw else None,
        draw.visit_day if draw else None,
        draw.list_amount if draw else None,
        Fen(release_amount),
        Fen(card.face_amount - card.face_used_amount) if is_value else None,
        (card.sessions_total or 0) - card.sessions_used if is_count else None,
        card.custody_amount,
        evidence_hash,
        at,
    )
    return card._replace(entry_count=entry.entry_no), entry


def terms_hash(card: Card, *, contract_sha256: bytes, accepted_at: datetime) -> bytes:
    """Hash a card's terms at sale: what decides every later release and refund.

    The holder enters as a salted commitment (DOMAIN §7).
    """
    return chain.content_hash(
        (
            card.card_id,
            card.product_id,
            card.purchase_id,
            card.kind,
            card.paid_amount,
            card.bonus_amount,
            card.list_price_amount,
            card.sessions_total,
            card.term_days,
            card.activated_on,
            card.cooling_off_days,
            card.paid_at,
            contract_sha256,
            accepted_at,
            chain.commitment(card.holder_salt, card.consumer.hex),
        )
    )


def business_date(at: datetime) -> date:
    """Give the business date of a time: its date in Shanghai."""
    return at.astimezone(SHANGHAI).date()


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

    The list amount counts up to the price frozen at sale, or, without one, only where the
    consumer confirmed that very value in two steps; else the face stands for it and
    `list_amount` stays None (DOMAIN §4, L_i).
    """
    by_id = {card.card_id: card for card in cards}
    if list_amount is None or any(draw.face_amount is None for draw in draws):
        return list(draws)
    whole = sum(draw.face_amount or 0 for draw in draws)
    shared: list[Draw] = []
    face_so_far = 0
    for draw in draws:
        before = share(list_amount, face_so_far, whole)
        face_so_far += draw.face_amount or 0
        value = share(list_amount, face_so_far, whole) - before
        frozen = by_id[draw.card_id].list_price_amount
        if frozen is not None:
            shared.append(draw._replace(list_amount=Fen(min(value, frozen))))
        elif confirmed_in_app:
            shared.append(draw._replace(list_amount=Fen(value)))
        else:
            shared.append(draw)
    return shared
