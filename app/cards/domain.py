"""What a card is and what a use takes from it: pure arithmetic in fen (DOMAIN §4).

    active --last use--> used_up --its use reversed--> active
    active --freeze--> frozen --unfreeze--> active        (period cards, by their holder)
    active, frozen --report loss--> lost --replace--> active

A card past `valid_until` is expired by the clock; the term of a frozen or lost period card stands
still. Released money is always a function of the card's uses, never a sum of past roundings, so
it cannot drift.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.cards.errors import CardInRefund, CardNotActive, CardOnHold
from app.dates import business_date
from app.db.rows import wide
from app.money import Fen, share


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


_FINISHED: Final = frozenset(
    {CardStatus.USED_UP, CardStatus.REFUNDED, CardStatus.RECALLED, CardStatus.REPLACED}
)
_IN_REFUND: Final = frozenset({CardStatus.REFUNDING, CardStatus.REFUNDED})
_BY_USES: Final = frozenset({CardStatus.ACTIVE, CardStatus.USED_UP})
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


@wide
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
    frozen_on: date | None = None
    """The first frozen day of a period card whose term stands still now."""
    codes_from: datetime | None = None
    """Codes made before this draw on the card no more: it was lost, or changed hands."""
    refundable_from: date | None = None
    """The first day on which its new holder may ask for a refund (policy)."""

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

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to use: such cards are loaded only where they are named."""
        return self.status in _FINISHED

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
        """Give t of a visit at this time."""
        return self.term_day_on(business_date(at))

    def term_day_on(self, day: date) -> int:
        """Give t of a day: day 1 is the day of activation, at most T; frozen days do not count.

        While the card is frozen t stays that of the last day before; 0 where there was none.
        """
        assert self.term_days is not None, "a period card has a term"
        number = (day - self.activated_on).days + 1 - self.frozen_days_on(day)
        return max(0, min(number, self.term_days))

    def frozen_days_on(self, day: date) -> int:
        """Give how many days up to a day, it included, were frozen."""
        if self.frozen_on is None:
            return self.frozen_days
        return self.frozen_days + max(0, (day - self.frozen_on).days + 1)

    def valid_until_on(self, day: date) -> date | None:
        """Give the last day of the term; of a frozen card, as if it were unfrozen on this day."""
        if self.frozen_on is None or self.valid_until is None:
            return self.valid_until
        return self.valid_until + timedelta(days=max(0, (day - self.frozen_on).days))

    def allows_codes_of(self, made_at: datetime) -> bool:
        """Say whether a code that was made then may still draw on the card."""
        return self.codes_from is None or made_at > self.codes_from

    def released_now(self) -> Fen:
        """Compute what the card's uses release; a function of them alone (DOMAIN §4)."""
        return self._released(self.face_used_amount, self.sessions_used, self.last_visit_day)

    def _released(self, face_used: int, sessions_used: int, last_visit_day: int) -> Fen:
        match self.kind:
            case CardKind.STORED_VALUE:
                return share(self.paid_amount, face_used, self.face_amount)
            case CardKind.COUNT:
                return share(self.paid_amount, sessions_used, self.sessions_total or 1)
            case CardKind.PERIOD:
                return share(self.paid_amount, last_visit_day, self.term_days or 1)

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

    def use(self, draw: Draw, *, code_day: date | None = None) -> "Card":
        """Count a confirmed use; the difference in `released_amount` is what it moves.

        Where a code confirms it, it counts against that day's limit for codes; a reversal does
        not uncount it.
        """
        face_used = self.face_used_amount + (draw.face_amount or 0)
        sessions_used = self.sessions_used + (draw.sessions or 0)
        last_visit_day = max(self.last_visit_day, draw.visit_day or 0)
        released = self._released(face_used, sessions_used, last_visit_day)
        counted = self.code_day_amount
        if code_day is not None:
            taken = draw.face_amount or released - self.released_amount
            counted = Fen(taken if self.code_day != code_day else counted + taken)
        return self._replace(
            face_used_amount=Fen(face_used),
            sessions_used=sessions_used,
            last_visit_day=last_visit_day,
            list_used_amount=Fen(self.list_used_amount + draw.list_value),
            list_price_missing=self.list_price_missing or draw.list_amount is None,
            released_amount=released,
            status=self._status_when(face_used, sessions_used),
            code_day=code_day or self.code_day,
            code_day_amount=counted,
        )

    def unuse(self, draw: Draw, *, last_visit_day: int) -> "Card":
        """Take a use back. `last_visit_day` is t* of the visits that stay (period cards)."""
        face_used = self.face_used_amount - (draw.face_amount or 0)
        sessions_used = self.sessions_used - (draw.sessions or 0)
        last_visit_day = last_visit_day if self.kind == CardKind.PERIOD else 0
        return self._replace(
            face_used_amount=Fen(face_used),
            sessions_used=sessions_used,
            last_visit_day=last_visit_day,
            list_used_amount=Fen(self.list_used_amount - draw.list_value),
            released_amount=self._released(face_used, sessions_used, last_visit_day),
            status=self._status_when(face_used, sessions_used),
        )

    def settled(self) -> "Card":
        """Give the card with what its uses release, and used up or not, as they make it."""
        return self._replace(
            released_amount=self.released_now(),
            status=self._status_when(self.face_used_amount, self.sessions_used),
        )

    def _status_when(self, face_used: int, sessions_used: int) -> CardStatus:
        """Say whether an active card is used up by its uses, or not any more."""
        if self.status not in _BY_USES:
            return self.status
        match self.kind:
            case CardKind.STORED_VALUE:
                is_used_up = face_used == self.face_amount
            case CardKind.COUNT:
                is_used_up = sessions_used == self.sessions_total
            case CardKind.PERIOD:
                # Its holder may come again on the last day of the term.
                is_used_up = False
        return CardStatus.USED_UP if is_used_up else CardStatus.ACTIVE
