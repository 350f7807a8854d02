"""Decide a charge: by the consumer's one-time code, or to wait for their confirmation. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from app.cards.domain import CardKind
from app.cards.errors import MerchantFrozen
from app.cards.tables import (
    ACCOUNTS_OF_CARDS_OF,
    ACCOUNTS_OF_CARDS_WITH,
    CARDS,
    CARDS_OF,
    CARDS_WITH,
    STORES,
)
from app.charges.commands import PlaceCharge
from app.charges.domain import (
    NO_DRAWS,
    Charge,
    ChargeStatus,
    ConfirmationMethod,
    facts_of,
    write_draws,
)
from app.charges.drawing import draw_on_cards
from app.charges.errors import ClientReferenceUsed, CodeLimitExceeded, TooManyPending
from app.charges.tables import (
    CHARGE_BY_REFERENCE,
    CHARGES_BY_REFERENCE,
    CODE_BY_HASH,
    CODES,
    PENDING_OF,
    PENDING_WITH_CARD,
    STORE_AND_ACCOUNT,
)
from app.charges.using import CHARGING, balance_after, count_uses, enter_uses, serve_waiting
from app.dates import business_date
from app.errors import NotFound
from app.holds.standing import needs_of_held
from app.ledger.chart import AccountType, account_id
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from app.cards.domain import Card
    from app.charges.drawing import Drawn
    from app.charges.using import Used
    from app.writer.book import Book
    from app.writer.tables import Need


def decide_place(command: PlaceCharge, book: Book, at: datetime) -> Decision[Charge]:
    """Charge a use. A code confirms it at once, within its own limit and the policy's.

    Raises:
        CardInRefund, CardNotActive, CardOnHold: The named card cannot be used.
        ChargeKindMismatch: No card of the kind, where a card was named.
        ClientReferenceUsed: The merchant used the reference before.
        CodeExpired, CodeInvalid, CodeLimitExceeded, CodeUsed: The code does not allow it.
        InsufficientBalance: The fitting cards hold less.
        MerchantFrozen: No uses now.
        NotFound: No such store or card.
        ProductAmbiguous: Cards of several products fit.
        TooManyPending: A card's holder has enough to answer.
    """
    if book.find(STORES, command.store_id) is None:
        raise NotFound
    if command.client_reference is not None:
        for other in book.group(CHARGES_BY_REFERENCE, command.client_reference):
            raise ClientReferenceUsed(other.charge_id)
    if book.head.status not in CHARGING:
        raise MerchantFrozen
    drawn = draw_on_cards(command, book, at)
    today = business_date(at)
    code = drawn.holder.code
    used = count_uses(drawn.cards, drawn.draws, code_day=None if code is None else today)
    taken = _taken(command, used)
    if code is not None and code.max_amount is not None and taken > code.max_amount:
        raise CodeLimitExceeded(code.max_amount)
    if code is None or _needs_app(command, drawn.every, taken, today):
        return _wait(command, drawn, at)
    return _confirm(command, drawn, used, book, at)


def _taken(command: PlaceCharge, used: Used) -> int:
    """Give what limits of codes count: the amount; for sessions and visits what is released."""
    if command.use.amount is not None:
        return command.use.amount
    return sum(draw.release_amount or 0 for draw in used.draws)


def _needs_app(command: PlaceCharge, every: Sequence[Card], taken: int, today: date) -> bool:
    """Say whether a use is above what a code alone may confirm (policy, per use and per day)."""
    day = sum(card.code_day_amount for card in every if card.code_day == today)
    limits = command.limits
    return taken > limits.code_use_amount or day + taken > limits.code_day_amount


def _wait(command: PlaceCharge, drawn: Drawn, at: datetime) -> Decision[Charge]:
    """Set aside what the charge will take, until its consumer has answered."""
    by_id = {card.card_id: card for card in drawn.cards}
    held = {draw.card_id: by_id[draw.card_id].hold(draw) for draw in drawn.draws}
    pending_max = command.limits.pending_per_card
    if any(card.pending_count > pending_max for card in held.values()):
        raise TooManyPending(pending_max)
    charge = _charge(command, drawn, at)
    waiting = charge._replace(
        draws=write_draws(drawn.draws),
        expires_at=at + timedelta(seconds=command.limits.pending_lifetime_seconds),
    ).with_balance(balance_after(charge.kind, drawn.cards, held))
    cards = {**drawn.freed, **held}
    return Decision(
        waiting,
        rows=(*drawn.ended, *cards.values(), waiting),
        events=(*_expired(drawn), Event("charge.placed", waiting.charge_id)),
        subject_id=waiting.charge_id,
        facts=facts_of(waiting),
    )


def _confirm(
    command: PlaceCharge, drawn: Drawn, used: Used, book: Book, at: datetime
) -> Decision[Charge]:
    """Let the charge take effect: the code that was shown is the consumer's confirmation."""
    by_id = {card.card_id: card for card in used.cards}
    charge = _charge(command, drawn, at).confirmed(
        confirmation_id=command.confirmation_id,
        method=ConfirmationMethod.CONSUMER_CODE,
        draws=used.draws,
        balance=balance_after(command.use.kind, drawn.cards, by_id),
        at=at,
    )
    entered = enter_uses(charge, used, book)
    freed = (card for card in drawn.freed.values() if card.card_id not in by_id)
    return Decision(
        charge,
        rows=(*drawn.ended, *freed, *entered.cards, *entered.lines, charge),
        entries=entered.entries,
        events=(*_expired(drawn), Event("charge.confirmed", charge.charge_id)),
        subject_id=charge.charge_id,
        facts=facts_of(charge),
        then=serve_waiting(book),
    )


def _expired(drawn: Drawn) -> list[Event]:
    return [Event("charge.expired", other.charge_id) for other in drawn.ended]


def _charge(command: PlaceCharge, drawn: Drawn, at: datetime) -> Charge:
    """Give the charge as it was asked for; what it takes, and until when it waits, comes on it."""
    use = command.use
    is_value = use.kind is CardKind.STORED_VALUE
    return Charge(
        merchant_no=command.merchant_no,
        charge_id=command.charge_id,
        status=ChargeStatus.PENDING_CONFIRMATION,
        kind=use.kind,
        store_id=command.store_id,
        product_id=command.product_id if is_value else drawn.cards[0].product_id,
        consumer=drawn.holder.consumer,
        amount=use.amount,
        sessions=use.sessions,
        visit=True if use.visit else None,
        list_amount=command.list_amount,
        draws=NO_DRAWS,
        code_hash=command.code_hash,
        description=command.description,
        text_salt=command.text_salt,
        client_reference=command.client_reference,
        created_at=at,
    )


def _needs(command: PlaceCharge) -> list[Need]:
    needs = [
        STORE_AND_ACCOUNT(
            command.store_id, account_id(command.merchant_no, AccountType.MERCHANT_PAYABLE)
        ),
    ]
    if command.client_reference is not None:
        needs.append(CHARGE_BY_REFERENCE(command.client_reference))
    if command.code_hash is not None:
        needs.append(CODE_BY_HASH(command.code_hash))
    else:
        card = command.card_id
        needs += [CARDS_WITH(card), ACCOUNTS_OF_CARDS_WITH(card), PENDING_WITH_CARD(card)]
    return needs


def _more(command: PlaceCharge, book: Book) -> Sequence[Need]:
    """Ask for what holds the holder's cards, and for all of one whose card this batch sold."""
    card = book.find(CARDS, command.card_id)
    if card is None:
        code = book.find(CODES, command.code_hash)
        return () if code is None else needs_of_held(book, code.consumer)
    held = needs_of_held(book, card.consumer)
    if not book.is_new(CARDS, card.card_id):
        return held
    new = CARDS_OF(card.consumer), ACCOUNTS_OF_CARDS_OF(card.consumer), PENDING_OF(card.consumer)
    return *held, *new


PLANS: Final[tuple[Plan[Any, Any], ...]] = (Plan(PlaceCharge, _needs, decide_place, _more),)
