"""Decide what becomes of a waiting charge: confirmed, declined, cancelled, expired. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.cards.draws import with_list_amounts
from app.cards.errors import MerchantFrozen
from app.cards.tables import CARDS, CARDS_OF_CONSUMER
from app.charges.answer import charge_answer
from app.charges.commands import CancelCharge, ConfirmCharge, DeclineCharge, ExpireCharges
from app.charges.domain import Charge, ChargeStatus, ConfirmationMethod, facts_of
from app.charges.errors import ChargeChanged, ChargeNotPending
from app.charges.tables import ACCOUNTS_OF_CHARGE, CARDS_OF_CHARGE, CHARGE_BY_ID, CHARGES
from app.charges.using import (
    CHARGING,
    balance_after,
    count_uses,
    enter_uses,
    expire_due,
    serve_waiting,
)
from app.dates import business_date
from app.errors import NotFound
from app.holds.standing import all_by_the_clock, check_usable, needs_of_held
from app.ledger.chart import AccountType, account_id
from app.writer.book import ACCOUNT_BY_ID
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.charges.domain import Balance
    from app.writer.book import Book
    from app.writer.tables import Need


def decide_confirm(command: ConfirmCharge, book: Book, at: datetime) -> Decision[Charge]:
    """Let a waiting charge take effect as its consumer saw it; again gives the same.

    Raises:
        CardInRefund, CardNotActive, CardOnHold: A card of it cannot be used any more.
        ChargeChanged: The echo is not what the charge says.
        ChargeNotPending: It was declined, cancelled, reversed, or its time is over.
        MerchantFrozen: No uses now.
        NotFound: No such charge, or it is another consumer's.
    """
    charge = _of_consumer(book, command.charge_id, command.consumer)
    same = command.echo.matches(charge)
    if same and charge.status == ChargeStatus.CONFIRMED:
        return _unchanged(charge)
    if (status := charge.status_at(at)) != ChargeStatus.PENDING_CONFIRMATION:
        raise ChargeNotPending(status)
    if not same:
        raise ChargeChanged(charge_answer(charge, command.merchant, to_consumer=True))
    if book.head.status not in CHARGING:
        raise MerchantFrozen
    held = _cards_of(book, charge)
    for card in held:
        check_usable(book, card, at)
    draws = with_list_amounts(charge.read_draws(), held, charge.list_amount, confirmed_in_app=True)
    free = [card.unhold(draw) for card, draw in zip(held, draws, strict=True)]
    used = count_uses(free, draws)
    confirmed = charge.confirmed(
        confirmation_id=command.confirmation_id,
        method=ConfirmationMethod.APP,
        draws=used.draws,
        balance=_left(book, charge, used.cards, at),
        at=at,
    )
    entered = enter_uses(confirmed, used, book)
    return Decision(
        confirmed,
        rows=(*entered.cards, *entered.lines, confirmed),
        entries=entered.entries,
        events=(Event("charge.confirmed", charge.charge_id),),
        subject_id=charge.charge_id,
        facts=facts_of(confirmed),
        then=serve_waiting(book),
    )


def decide_decline(command: DeclineCharge, book: Book, at: datetime) -> Decision[Charge]:
    """Refuse a waiting charge as its consumer; again gives the same.

    Raises:
        ChargeNotPending: It was confirmed or cancelled, or its time is over.
        NotFound: No such charge, or it is another consumer's.
    """
    charge = _of_consumer(book, command.charge_id, command.consumer)
    return _ended(book, charge, ChargeStatus.DECLINED, at)


def decide_cancel(command: CancelCharge, book: Book, at: datetime) -> Decision[Charge]:
    """Take a waiting charge back as its merchant; again gives the same.

    Raises:
        ChargeNotPending: It was confirmed or declined, or its time is over.
        NotFound: No such charge, or not of these stores.
    """
    charge = of_stores(book, command.charge_id, command.store_ids)
    return _ended(book, charge, ChargeStatus.CANCELLED, at)


def decide_expire(command: ExpireCharges, book: Book, at: datetime) -> Decision[int]:
    """Free what charges hold whose time is over; others are left alone."""
    named = [book.find(CHARGES, charge_id) for charge_id in command.charge_ids]
    ended, freed = expire_due((charge for charge in named if charge is not None), book, at)
    return Decision(
        len(ended),
        rows=(*ended, *freed.values()),
        events=[Event("charge.expired", charge.charge_id) for charge in ended],
    )


def of_stores(book: Book, charge_id: UUID, store_ids: frozenset[UUID] | None) -> Charge:
    """Find a charge for a credential that may be narrowed to stores.

    Raises:
        NotFound: No such charge, or not of these stores.
    """
    charge = book.find(CHARGES, charge_id)
    if charge is None or (store_ids is not None and charge.store_id not in store_ids):
        raise NotFound
    return charge


def _of_consumer(book: Book, charge_id: UUID, consumer: UUID) -> Charge:
    charge = book.find(CHARGES, charge_id)
    if charge is None or charge.consumer != consumer:
        raise NotFound
    return charge


def _cards_of(book: Book, charge: Charge) -> list[Card]:
    """Give the cards of a charge's draws, in their order."""
    cards = [book.find(CARDS, draw.card_id) for draw in charge.read_draws()]
    return [card for card in cards if card is not None]


def _left(book: Book, charge: Charge, changed: Iterable[Card], at: datetime) -> Balance:
    """Add up what is left on the cards that the charge might have drawn on."""
    today = business_date(at)
    fitting = [
        card
        for card in all_by_the_clock(book, book.group(CARDS_OF_CONSUMER, charge.consumer), at)
        if card.fits(charge.kind, charge.product_id, today)
    ]
    return balance_after(charge.kind, fitting, {card.card_id: card for card in changed})


def _ended(book: Book, charge: Charge, status: ChargeStatus, at: datetime) -> Decision[Charge]:
    if charge.status == status:
        return _unchanged(charge)
    if (current := charge.status_at(at)) != ChargeStatus.PENDING_CONFIRMATION:
        raise ChargeNotPending(current)
    freed = [
        card.unhold(draw)
        for card, draw in zip(_cards_of(book, charge), charge.read_draws(), strict=True)
    ]
    ended = charge._replace(status=status, ended_at=at)
    ended = ended.with_balance(_left(book, charge, freed, at))
    return Decision(
        ended,
        rows=(*freed, ended),
        events=(Event(f"charge.{status}", charge.charge_id),),
        subject_id=charge.charge_id,
        facts=facts_of(ended),
    )


def _holds(command: ConfirmCharge | DeclineCharge | CancelCharge, book: Book) -> Sequence[Need]:
    """Ask for what holds the cards of the charge's consumer, where any is held."""
    charge = book.find(CHARGES, command.charge_id)
    return () if charge is None else needs_of_held(book, charge.consumer)


def _unchanged(charge: Charge) -> Decision[Charge]:
    return Decision(charge, subject_id=charge.charge_id, facts=facts_of(charge))


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        ConfirmCharge,
        lambda command: (
            CHARGE_BY_ID(command.charge_id),
            CARDS_OF_CHARGE(command.charge_id),
            ACCOUNTS_OF_CHARGE(command.charge_id),
            ACCOUNT_BY_ID(account_id(command.merchant_no, AccountType.MERCHANT_PAYABLE)),
        ),
        decide_confirm,
        _holds,
    ),
    Plan(
        DeclineCharge,
        lambda command: (CHARGE_BY_ID(command.charge_id), CARDS_OF_CHARGE(command.charge_id)),
        decide_decline,
        _holds,
    ),
    Plan(
        CancelCharge,
        lambda command: (CHARGE_BY_ID(command.charge_id), CARDS_OF_CHARGE(command.charge_id)),
        decide_cancel,
        _holds,
    ),
    Plan(
        ExpireCharges,
        lambda command: [
            need
            for charge_id in command.charge_ids
            for need in (CHARGE_BY_ID(charge_id), CARDS_OF_CHARGE(charge_id))
        ],
        decide_expire,
    ),
)
