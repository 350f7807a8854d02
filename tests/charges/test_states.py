"""A charge's life: every state against every event, on the pure decisions."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.cards.directory import MerchantRef
from app.cards.domain import Card, CardKind, CardStatus, Draw
from app.cards.tables import CARDS
from app.charges.commands import (
    CancelCharge,
    ConfirmCharge,
    DeclineCharge,
    ExpireCharges,
    ReverseCharge,
)
from app.charges.confirming import decide_cancel, decide_confirm, decide_decline, decide_expire
from app.charges.domain import (
    Charge,
    ChargeStatus,
    ConfirmationMethod,
    Echo,
    ReversalStatus,
    write_draws,
)
from app.charges.errors import (
    ChargeChanged,
    ChargeDisputed,
    ChargeNotConfirmed,
    ChargeNotPending,
    DeadlinePassed,
)
from app.charges.reversing import decide_reverse
from app.charges.tables import CHARGES
from app.errors import DomainError, NotFound
from app.ledger.chart import AccountType, account_id
from app.ledger.rows import Account, BookHead
from app.money import Fen
from app.registry import REGISTRY
from app.writer.book import ACCOUNTS, Book, Schema
from app.writer.commands import Decision

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
CARD, CHARGE, STORE, CONSUMER = (UUID(int=number) for number in range(1, 5))
SCHEMA = Schema(REGISTRY.tables, REGISTRY.indexes)
DRAW = Draw(CARD, Fen(40), None, None, None)

UNCHANGED = "unchanged"


def a_card(*, held: int, used: int) -> Card:
    return Card(
        merchant_no=1,
        card_id=CARD,
        consumer=CONSUMER,
        consumer_id="li.na",
        product_id=UUID(int=5),
        purchase_id=UUID(int=6),
        kind=CardKind.STORED_VALUE,
        status=CardStatus.ACTIVE,
        on_hold=False,
        paid_amount=Fen(100),
        bonus_amount=Fen(0),
        face_used_amount=Fen(used),
        face_held_amount=Fen(held),
        list_price_amount=None,
        list_used_amount=Fen(used),
        list_price_missing=bool(used),
        sessions_total=None,
        sessions_used=0,
        sessions_held=0,
        term_days=None,
        activated_on=date(2026, 3, 1),
        valid_until=None,
        last_visit_day=0,
        frozen_days=0,
        released_amount=Fen(used),
        refunded_amount=Fen(0),
        adjusted_amount=Fen(0),
        recalled_amount=Fen(0),
        pending_count=1 if held else 0,
        code_day=None,
        code_day_amount=Fen(0),
        entry_count=2 if used else 1,
        cooling_off_days=7,
        cooling_off_ends_on=None,
        holder_salt=b"",
        terms_hash=b"",
        paid_at=NOW - timedelta(days=1),
        created_at=NOW - timedelta(days=1),
    )


def a_charge(status: ChargeStatus, **fields: Any) -> Charge:
    confirmed = status in (ChargeStatus.CONFIRMED, ChargeStatus.DISPUTED, ChargeStatus.REVERSED)
    return Charge(
        merchant_no=1,
        charge_id=CHARGE,
        status=status,
        kind=CardKind.STORED_VALUE,
        store_id=STORE,
        consumer=CONSUMER,
        amount=Fen(40),
        release_amount=Fen(40) if confirmed else None,
        draws=write_draws([DRAW._replace(release_amount=Fen(40)) if confirmed else DRAW]),
        confirmation_id=UUID(int=7) if confirmed else None,
        confirmation_method=ConfirmationMethod.APP if confirmed else None,
        confirmation_hash=bytes(32) if confirmed else None,
        confirmed_at=NOW - timedelta(days=30) if confirmed else None,
        balance_face_amount=Fen(60),
        expires_at=NOW + timedelta(seconds=1),
        created_at=NOW - timedelta(seconds=899),
    )._replace(**fields)


STATES = {
    "pending": a_charge(ChargeStatus.PENDING_CONFIRMATION),
    "past": a_charge(ChargeStatus.PENDING_CONFIRMATION, expires_at=NOW),
    "confirmed": a_charge(ChargeStatus.CONFIRMED),
    "reversing": a_charge(
        ChargeStatus.CONFIRMED, reversal_status=ReversalStatus.PENDING, reversal_amount=Fen(40)
    ),
    "declined": a_charge(ChargeStatus.DECLINED),
    "expired": a_charge(ChargeStatus.EXPIRED, expires_at=NOW - timedelta(days=1)),
    "cancelled": a_charge(ChargeStatus.CANCELLED),
    "disputed": a_charge(ChargeStatus.DISPUTED),
    "reversed": a_charge(ChargeStatus.REVERSED, reversal_status=ReversalStatus.DONE),
}
ECHO = Echo(STORE, Fen(40), None, None, None)
MERCHANT = MerchantRef(1, UUID(int=8), "安心健身")


def _confirm(book: Book, consumer: UUID = CONSUMER, **echo: Any) -> Decision[Any]:
    said = ECHO._replace(**echo)
    command = ConfirmCharge(1, None, CHARGE, UUID(int=9), consumer, said, MERCHANT)
    return decide_confirm(command, book, NOW)


def _reverse(book: Book, days: int = 90) -> Decision[Any]:
    return decide_reverse(ReverseCharge(1, None, CHARGE, None, None, days), book, NOW)


EVENTS: dict[str, Callable[[Book], Decision[Any]]] = {
    "confirm": _confirm,
    "confirm another amount": lambda book: _confirm(book, amount=Fen(41)),
    "confirm another store": lambda book: _confirm(book, store_id=UUID(int=1)),
    "confirm another's": lambda book: _confirm(book, UUID(int=1)),
    "decline": lambda book: decide_decline(DeclineCharge(1, None, CHARGE, CONSUMER), book, NOW),
    "decline another's": lambda book: decide_decline(
        DeclineCharge(1, None, CHARGE, UUID(int=1)), book, NOW
    ),
    "cancel": lambda book: decide_cancel(CancelCharge(1, None, CHARGE, None), book, NOW),
    "cancel in another store": lambda book: decide_cancel(
        CancelCharge(1, None, CHARGE, frozenset({UUID(int=1)})), book, NOW
    ),
    "reverse": _reverse,
    "reverse late": lambda book: _reverse(book, 29),
    "expire": lambda book: decide_expire(ExpireCharges(1, (CHARGE,)), book, NOW),
}

_ENDED = ("declined", "expired", "cancelled", "past")
_WERE_CONFIRMED = ("confirmed", "reversing", "disputed", "reversed")
_ANY = tuple(STATES)

OUTCOMES: dict[tuple[str, str], object] = {
    **dict.fromkeys(((state, "confirm") for state in _ANY), ChargeNotPending),
    ("pending", "confirm"): ChargeStatus.CONFIRMED,
    ("confirmed", "confirm"): UNCHANGED,
    ("reversing", "confirm"): UNCHANGED,
    **dict.fromkeys(((state, "confirm another amount") for state in _ANY), ChargeNotPending),
    ("pending", "confirm another amount"): ChargeChanged,
    **dict.fromkeys(((state, "confirm another store") for state in _ANY), ChargeNotPending),
    ("pending", "confirm another store"): ChargeChanged,
    **dict.fromkeys(((state, "confirm another's") for state in _ANY), NotFound),
    **dict.fromkeys(((state, "decline") for state in _ANY), ChargeNotPending),
    ("pending", "decline"): ChargeStatus.DECLINED,
    ("declined", "decline"): UNCHANGED,
    **dict.fromkeys(((state, "decline another's") for state in _ANY), NotFound),
    **dict.fromkeys(((state, "cancel") for state in _ANY), ChargeNotPending),
    ("pending", "cancel"): ChargeStatus.CANCELLED,
    ("cancelled", "cancel"): UNCHANGED,
    **dict.fromkeys(((state, "cancel in another store") for state in _ANY), NotFound),
    **dict.fromkeys(
        ((state, event) for state in _ANY for event in ("reverse", "reverse late")),
        ChargeNotConfirmed,
    ),
    ("confirmed", "reverse"): ChargeStatus.REVERSED,
    ("confirmed", "reverse late"): DeadlinePassed,
    **dict.fromkeys(
        (
            (state, event)
            for state in ("reversing", "reversed")
            for event in ("reverse", "reverse late")
        ),
        UNCHANGED,
    ),
    ("disputed", "reverse"): ChargeDisputed,
    ("disputed", "reverse late"): ChargeDisputed,
    **dict.fromkeys(((state, "expire") for state in _ANY), UNCHANGED),
    ("past", "expire"): ChargeStatus.EXPIRED,
}


def a_book(state: str, *, payable: int = 40) -> Book:
    charge = STATES[state]
    waits = charge.status == ChargeStatus.PENDING_CONFIRMATION
    used = state in ("confirmed", "reversing", "disputed")
    book = Book(BookHead(1, "open", 5, bytes(32), NOW, Fen(0)), SCHEMA)
    book.load(CHARGES, charge)
    book.load(CARDS, a_card(held=40 if waits else 0, used=40 if used else 0))
    book.load(ACCOUNTS, Account(1, CARD, AccountType.CARD, Fen(60 if used else 100)))
    own = account_id(1, AccountType.MERCHANT_PAYABLE)
    book.load(ACCOUNTS, Account(1, own, AccountType.MERCHANT_PAYABLE, Fen(payable)))
    return book


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_every_event_in_every_state(state: str, event: str) -> None:
    outcome, book = OUTCOMES[state, event], a_book(state)

    if isinstance(outcome, type) and issubclass(outcome, DomainError):
        with pytest.raises(outcome):
            EVENTS[event](book)
        return

    decision = EVENTS[event](book)
    if outcome == UNCHANGED:
        assert not decision.rows
        assert not decision.entries
        return
    book.apply(decision, NOW)
    charge, card = book.find(CHARGES, CHARGE), book.find(CARDS, CARD)
    assert charge is not None
    assert card is not None
    assert charge.status == outcome
    assert (card.face_held_amount, card.pending_count) == (0, 0)
    is_confirmed = outcome == ChargeStatus.CONFIRMED
    assert card.face_used_amount == card.released_amount == (40 if is_confirmed else 0)
    moves = outcome in (ChargeStatus.CONFIRMED, ChargeStatus.REVERSED)
    assert len(decision.entries) == (1 if moves else 0), "only these move money"
    assert (charge.confirmation_id is None) == (outcome not in (*_CONFIRMED,))


_CONFIRMED = (ChargeStatus.CONFIRMED, ChargeStatus.REVERSED)


def test_the_table_covers_the_full_product() -> None:
    assert set(OUTCOMES) == {(state, event) for state in STATES for event in EVENTS}


def test_an_expired_charge_is_freed_once_however_often_it_is_named() -> None:
    book = a_book("past")
    held = a_card(held=40, used=0)._replace(face_held_amount=Fen(60), pending_count=2)
    book.load(CARDS, held)  # another charge waits for 20
    for _ in range(2):
        decision = decide_expire(ExpireCharges(1, (CHARGE,)), book, NOW)
        book.apply(decision, NOW)
    card = book.find(CARDS, CARD)
    assert card is not None
    assert (card.face_held_amount, card.pending_count) == (20, 1)


@pytest.mark.parametrize("payable", [0, 39])
def test_a_reversal_waits_where_payable_does_not_cover_it_whole(payable: int) -> None:
    book = a_book("confirmed", payable=payable)
    decision = _reverse(book)
    book.apply(decision, NOW)
    assert decision.result.status == ChargeStatus.CONFIRMED
    assert decision.result.reversal_status == ReversalStatus.PENDING
    assert (decision.entries, book.head.waiting_reversal_amount) == ((), 40)
    card = book.find(CARDS, CARD)
    assert card is not None
    assert card.face_used_amount == 40, "face stays as it is until payable covers it"


@pytest.mark.parametrize("status", ["frozen", "closing", "refunding", "closed"])
def test_nothing_is_confirmed_where_the_merchant_is_frozen_or_closing(status: str) -> None:
    book = a_book("pending")
    book.head = book.head._replace(status=status)
    with pytest.raises(DomainError) as refused:
        _confirm(book)
    assert refused.value.code == "merchant_frozen"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"on_hold": True}, "card_on_hold"),
        ({"status": CardStatus.FROZEN}, "card_not_active"),
        ({"status": CardStatus.LOST}, "card_not_active"),
        ({"status": CardStatus.REFUNDING}, "card_in_refund"),
        ({"valid_until": date(2026, 3, 1)}, "card_not_active"),
    ],
)
def test_a_card_that_cannot_be_used_any_more_is_not_used(fields: Any, code: str) -> None:
    book = a_book("pending")
    book.load(CARDS, a_card(held=40, used=0)._replace(**fields))
    with pytest.raises(DomainError) as refused:
        _confirm(book)
    assert refused.value.code == code
