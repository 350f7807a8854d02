"""What a charge is, and its life.

    (charge) -> pending_confirmation --confirm--> confirmed --reverse--> reversed
        |               |--decline--> declined       '--dispute--> disputed --> confirmed | reversed
        |               |--cancel---> cancelled
        |               '--expires_at passes--> expired
        '--by code--> confirmed

Without the consumer's confirmation no money moves: a code shown is one, a tap in the app is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from typing import Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json

from app.cards.domain import Card, CardKind, Draw
from app.db.rows import Json, json_text, wide
from app.ids import uuid_of
from app.ledger import chain
from app.money import Fen


class ChargeStatus(StrEnum):
    """Where a charge is in its life."""

    PENDING_CONFIRMATION = "pending_confirmation"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DISPUTED = "disputed"
    REVERSED = "reversed"


class ConfirmationMethod(StrEnum):
    """How the consumer confirmed."""

    CONSUMER_CODE = "consumer_code"
    APP = "app"


class ReversalStatus(StrEnum):
    """Whether a use was taken back yet; it waits where payable does not cover it."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class DisputeStatus(StrEnum):
    """Whether a use is disputed, or how that was decided."""

    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"


class Use(NamedTuple):
    """What is charged: exactly one of an amount, a number of sessions, a visit."""

    amount: Fen | None = None
    sessions: int | None = None
    visit: bool = False

    @property
    def kind(self) -> CardKind:
        """The kind of card that such a use draws on."""
        if self.amount is not None:
            return CardKind.STORED_VALUE
        return CardKind.COUNT if self.sessions is not None else CardKind.PERIOD


class Balance(NamedTuple):
    """What is left after a use, over the cards it may draw on."""

    card_face_amount: Fen | None
    sessions_left: int | None
    valid_until: date | None


@wide
class Charge(NamedTuple):
    """One use of a consumer's cards at a merchant."""

    merchant_no: int
    charge_id: UUID
    status: ChargeStatus
    kind: CardKind
    store_id: UUID
    consumer: UUID
    draws: Json
    created_at: datetime
    product_id: UUID | None = None
    amount: Fen | None = None
    sessions: int | None = None
    visit: bool | None = None
    list_amount: Fen | None = None
    release_amount: Fen | None = None
    code_hash: bytes | None = None
    confirmation_id: UUID | None = None
    confirmation_method: ConfirmationMethod | None = None
    confirmation_hash: bytes | None = None
    confirmed_at: datetime | None = None
    balance_face_amount: Fen | None = None
    balance_sessions: int | None = None
    balance_valid_until: date | None = None
    reversal_status: ReversalStatus | None = None
    reversal_requested_at: datetime | None = None
    reversal_done_at: datetime | None = None
    reversal_amount: Fen | None = None
    reversal_reason: str | None = None
    description: str | None = None
    text_salt: bytes | None = None
    client_reference: str | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    # Of the one dispute that a use may have (`app/disputes`).
    dispute_id: UUID | None = None
    dispute_case_id: UUID | None = None
    dispute_status: DisputeStatus | None = None

    def status_at(self, at: datetime) -> ChargeStatus:
        """Give the status as the clock has it."""
        waiting = self.status == ChargeStatus.PENDING_CONFIRMATION
        if waiting and self.expires_at is not None and at >= self.expires_at:
            return ChargeStatus.EXPIRED
        return ChargeStatus(self.status)

    def read_draws(self) -> list[Draw]:
        """Read what the charge takes from each card."""
        return read_draws(self.draws)

    @property
    def confirmation(self) -> Confirmation:
        """What of the consumer's confirmation its hash binds; all None where there is none."""
        return Confirmation(self.confirmation_id, self.confirmation_method, self.confirmed_at)

    def with_balance(self, balance: Balance) -> Charge:
        """Set what the answer shows as left."""
        return self._replace(
            balance_face_amount=balance.card_face_amount,
            balance_sessions=balance.sessions_left,
            balance_valid_until=balance.valid_until,
        )

    def confirmed(
        self,
        *,
        confirmation_id: UUID,
        method: ConfirmationMethod,
        draws: Sequence[Draw],
        balance: Balance,
        at: datetime,
    ) -> Charge:
        """Give the charge with the consumer's confirmation, bound to all that was confirmed."""
        confirmation = Confirmation(confirmation_id, method, at)
        return self._replace(
            status=ChargeStatus.CONFIRMED,
            draws=write_draws(draws),
            release_amount=Fen(sum(draw.release_amount or 0 for draw in draws)),
            confirmation_id=confirmation_id,
            confirmation_method=method,
            confirmation_hash=confirmation_hash(self, confirmation, draws),
            confirmed_at=at,
            balance_face_amount=balance.card_face_amount,
            balance_sessions=balance.sessions_left,
            balance_valid_until=balance.valid_until,
        )


class Confirmation(NamedTuple):
    """The consumer's act: under which id, how, and when."""

    confirmation_id: UUID | None
    method: ConfirmationMethod | None
    at: datetime | None


class Echo(NamedTuple):
    """What the consumer says they confirm; all of it must be what the charge says."""

    store_id: UUID
    amount: Fen | None
    sessions: int | None
    visit: bool | None
    list_amount: Fen | None

    def matches(self, charge: Charge) -> bool:
        """Say whether the consumer saw this very charge."""
        return self == Echo(
            charge.store_id, charge.amount, charge.sessions, charge.visit, charge.list_amount
        )


def confirmation_hash(charge: Charge, confirmation: Confirmation, draws: Iterable[Draw]) -> bytes:
    """Bind a confirmation: consumer, cards, amount or sessions, list amount, store and time.

    It enters the hash chain with the use. The code that was shown enters by its hash, the
    description as a salted commitment.
    """
    text = charge.description
    return chain.content_hash(
        (
            charge.charge_id,
            confirmation.confirmation_id,
            confirmation.method,
            charge.consumer,
            charge.store_id,
            charge.amount,
            charge.sessions,
            charge.visit,
            charge.list_amount,
            charge.code_hash,
            confirmation.at,
            None if text is None else chain.commitment(charge.text_salt or b"", text),
            *(
                field
                for draw in draws
                for field in (draw.card_id, draw.face_amount, draw.sessions, draw.visit_day)
            ),
        )
    )


def balance_of(kind: CardKind, cards: Sequence[Card]) -> Balance:
    """Add up what is left on the cards that a charge may draw on."""
    dates = [card.valid_until for card in cards if card.valid_until is not None]
    is_value, is_count = kind == CardKind.STORED_VALUE, kind == CardKind.COUNT
    return Balance(
        Fen(sum(card.face_available_amount for card in cards)) if is_value else None,
        sum(card.sessions_available for card in cards) if is_count else None,
        min(dates) if dates else None,
    )


def reversal_deadline(confirmed_at: datetime, reversal_days: int) -> datetime:
    """Give the moment after which a use stays (policy `reversal_days`)."""
    return confirmed_at + timedelta(days=reversal_days)


NO_DRAWS: Final = Json("[]")


def write_draws(draws: Sequence[Draw]) -> Json:
    """Write draws as the charge keeps them."""
    return json_text(
        [
            {
                "card_id": str(draw.card_id),
                "face_amount": draw.face_amount,
                "sessions": draw.sessions,
                "visit_day": draw.visit_day,
                "list_amount": draw.list_amount,
                "release_amount": draw.release_amount,
            }
            for draw in draws
        ]
    )


def read_draws(text: Json) -> list[Draw]:
    """Read draws as the charge keeps them."""
    return [Draw(uuid_of(row["card_id"]), *_DRAWN(row)) for row in from_json(text)]


_DRAWN: Final = itemgetter("face_amount", "sessions", "visit_day", "list_amount", "release_amount")


def facts_of(charge: Charge) -> Mapping[str, object]:
    """Say what of a charge's answer later events may change."""
    until = charge.balance_valid_until
    facts: dict[str, object] = {
        "status": str(charge.status),
        "balance": [
            charge.balance_face_amount,
            charge.balance_sessions,
            None if until is None else until.isoformat(),
        ],
    }
    if charge.reversal_status is not None:
        done_at = charge.reversal_done_at
        facts["reversal"] = [charge.reversal_status, done_at.isoformat() if done_at else None]
    if charge.dispute_status is not None:
        facts["dispute"] = charge.dispute_status
    return facts
