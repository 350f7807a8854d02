"""Decide a charge: by the consumer's one-time code, or to wait for their confirmation. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from app.cards.domain import (
    Card,
    CardKind,
    CardStatus,
    Draw,
)
from app.cards.draws import (
    draw_amount,
    draw_sessions,
    draw_visit,
    oldest_payment_first,
    with_list_amounts,
)
from app.cards.errors import MerchantFrozen
from app.cards.statement import CardEntryKind, Line, enter
from app.cards.tables import (
    ACCOUNTS_OF_CARDS_WITH,
    CARDS,
    CARDS_OF_CONSUMER,
    CARDS_WITH,
    STORE_BY_ID,
    STORES,
)
from app.charges.commands import PlaceCharge, ServeReversals
from app.charges.domain import (
    Balance,
    Charge,
    ChargeStatus,
    ConfirmationMethod,
    balance_of,
    facts_of,
    write_draws,
)
from app.charges.errors import (
    ChargeKindMismatch,
    ClientReferenceUsed,
    CodeExpired,
    CodeInvalid,
    CodeLimitExceeded,
    CodeUsed,
    InsufficientBalance,
    ProductAmbiguous,
    TooManyPending,
)
from app.charges.tables import (
    ACCOUNTS_OF_CODE,
    CARDS_OF_CODE,
    CHARGE_BY_CODE,
    CHARGE_BY_REFERENCE,
    CHARGES_BY_CODE,
    CHARGES_BY_REFERENCE,
    CHARGES_BY_STATE,
    CODE_BY_HASH,
    CODES,
    PENDING_OF_CODE,
    PENDING_WITH_CARD,
    ConsumerCode,
)
from app.dates import business_date
from app.errors import NotFound
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.writer.book import ACCOUNT_BY_ID
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from app.db.rows import Row
    from app.writer.book import Book
    from app.writer.tables import Need

CHARGING: Final = frozenset({"open", "notice"})
"""The statuses of a book in which uses go on."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose cards a charge draws on, and what names them."""

    consumer: UUID
    code: ConsumerCode | None
    named: Card | None


@dataclass(frozen=True, slots=True)
class Used:
    """Cards after confirmed uses, with their statement lines and chain entries."""

    cards: Sequence[Card]
    draws: Sequence[Draw]
    lines: Sequence[Row]
    entries: Sequence[Entry]


NOTHING_USED: Final = Used((), (), (), ())


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
    today = business_date(at)
    holder = _holder(command, book, at)
    if holder.named is not None:
        holder.named.check_usable(today)
    ended, freed = expire_due(book.group(CHARGES_BY_STATE, _pending_of(holder)), book, at)
    every = [
        freed.get(card.card_id, card) for card in book.group(CARDS_OF_CONSUMER, holder.consumer)
    ]
    cards = _fitting(command, holder, every, today)
    draws = with_list_amounts(
        _draws(command, cards, at), cards, command.list_amount, confirmed_in_app=False
    )
    charge = _charge(command, holder, cards, draws, at)
    amounts = use_cards(charge, cards, draws, book, evidence_hash=None, at=at)
    released = sum(draw.release_amount or 0 for draw in amounts.draws)
    if holder.code is not None:
        _check_code_limit(command, holder.code, released)
    if holder.code is None or _needs_app(command, every, released, today):
        charge, touched = _held(command, charge, cards, draws)
        return _decision(charge, ended, {**freed, **touched}, event="charge.placed")
    confirmed = charge._replace(expires_at=None).confirmed(
        confirmation_id=command.confirmation_id,
        method=ConfirmationMethod.CONSUMER_CODE,
        draws=amounts.draws,
        at=at,
    )
    used = use_cards(
        confirmed, cards, draws, book, evidence_hash=confirmed.confirmation_hash, at=at
    )
    counted = _counted(command, used, today)
    return _decision(
        confirmed.with_balance(balance_after(confirmed, cards, counted)),
        ended,
        {**freed, **counted},
        event="charge.confirmed",
        used=used,
        then=serve_waiting(book),
    )


def serve_waiting(book: Book) -> ServeReversals | None:
    """After a credit to payable, let waiting reversals follow at once, ahead of all others."""
    waits = book.head.waiting_reversal_amount > 0
    return ServeReversals(book.merchant_no) if waits else None


def balance_after(charge: Charge, cards: Sequence[Card], changed: Mapping[UUID, Card]) -> Balance:
    """Add up what is left over the cards that the charge might have drawn on."""
    after = (changed.get(card.card_id, card) for card in cards)
    return balance_of(charge.kind, [card for card in after if card.status == CardStatus.ACTIVE])


def use_cards(
    charge: Charge,
    cards: Sequence[Card],
    draws: Sequence[Draw],
    book: Book,
    *,
    evidence_hash: bytes | None,
    at: datetime,
) -> Used:
    """Count a confirmed use on its cards, one chain entry a draw.

    A draw that moves 0 fen is an entry without a transfer. `evidence_hash` is the
    confirmation's; None where only the amounts are wanted.
    """
    by_id = {card.card_id: card for card in cards}
    after: list[Card] = []
    moved: list[Draw] = []
    lines: list[Row] = []
    entries: list[Entry] = []
    for draw in draws:
        before = by_id[draw.card_id]
        card = before.use(draw)
        release = Fen(card.released_amount - before.released_amount)
        draw = draw._replace(release_amount=release)
        moved.append(draw)
        if evidence_hash is not None:
            told = Line(
                CardEntryKind.USED,
                charge.charge_id,
                charge.store_id,
                evidence_hash,
                draw,
                release,
            )
            card, line = enter(card, told, seq=book.next_seq + len(entries), at=at)
            lines.append(line)
            payable = book.own(AccountType.MERCHANT_PAYABLE)
            movement = Movement(card.card_id, payable, release) if release > 0 else None
            entries.append(Entry("use_confirmed", charge.charge_id, movement, line.content_hash()))
        after.append(card)
    return Used(after, moved, lines, entries)


def expire_due(
    pending: Iterable[Charge], book: Book, at: datetime
) -> tuple[list[Charge], dict[UUID, Card]]:
    """End charges whose time is over and free what they hold; give them and their cards."""
    ended: list[Charge] = []
    freed: dict[UUID, Card] = {}
    for charge in pending:
        if charge.status_at(at) == ChargeStatus.EXPIRED:
            ended.append(charge._replace(status=ChargeStatus.EXPIRED, ended_at=charge.expires_at))
            for draw in charge.read_draws():
                card = freed.get(draw.card_id) or book.find(CARDS, draw.card_id)
                assert card is not None, "a pending charge's cards are loaded with it"
                freed[draw.card_id] = card.unhold(draw)
    return ended, freed


def _pending_of(holder: Holder) -> tuple[UUID, str]:
    return holder.consumer, ChargeStatus.PENDING_CONFIRMATION


def _holder(command: PlaceCharge, book: Book, at: datetime) -> Holder:
    if command.card_id is not None:
        card = book.find(CARDS, command.card_id)
        if card is None:
            raise NotFound
        return Holder(card.consumer, None, card)
    for _ in book.group(CHARGES_BY_CODE, command.code_hash):
        raise CodeUsed
    code = book.find(CODES, command.code_hash)
    if code is None or code.store_id not in (None, command.store_id):
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
    of_kind = [card for card in every if card.kind == kind]
    if holder.code is not None and holder.code.card_id is not None:
        of_kind = [card for card in of_kind if card.card_id == holder.code.card_id]
    if not of_kind:
        if holder.code is None:
            raise ChargeKindMismatch(kind)
        raise _insufficient(kind, [])
    product_id = None
    if kind is not CardKind.STORED_VALUE:
        product_id = _product(command, holder, of_kind, today)
    elif (wanted := command.product_id or (holder.code and holder.code.product_id)) is not None:
        product_id = wanted
    return oldest_payment_first(card for card in of_kind if card.fits(kind, product_id, today))


def _product(
    command: PlaceCharge, holder: Holder, of_kind: Sequence[Card], today: date
) -> UUID | None:
    """Say of which product's cards sessions or a visit are taken (API.md, Charges)."""
    if holder.named is not None and holder.named.kind == command.use.kind:
        return holder.named.product_id
    if command.product_id is not None:
        return command.product_id
    if holder.code is not None and holder.code.product_id is not None:
        return holder.code.product_id
    held = {
        card.product_id for card in of_kind if card.fits(CardKind(command.use.kind), None, today)
    }
    if len(held) > 1:
        raise ProductAmbiguous(sorted(held))
    return next(iter(held), None)


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


def _check_code_limit(command: PlaceCharge, code: ConsumerCode, released: int) -> None:
    """Keep within what the consumer set: in `amount`, for sessions and visits in what is released."""
    taken = command.use.amount if command.use.amount is not None else released
    if code.max_amount is not None and taken > code.max_amount:
        raise CodeLimitExceeded(code.max_amount)


def _needs_app(command: PlaceCharge, every: Sequence[Card], released: int, today: date) -> bool:
    """Say whether a use is above what a code alone may confirm (policy, per use and per day)."""
    taken = command.use.amount if command.use.amount is not None else released
    day = sum(card.code_day_amount for card in every if card.code_day == today)
    limits = command.limits
    return taken > limits.code_use_amount or day + taken > limits.code_day_amount


def _charge(
    command: PlaceCharge,
    holder: Holder,
    cards: Sequence[Card],
    draws: Sequence[Draw],
    at: datetime,
) -> Charge:
    use = command.use
    by_id = {card.card_id: card for card in cards}
    is_value = use.kind is CardKind.STORED_VALUE
    return Charge(
        merchant_no=command.merchant_no,
        charge_id=command.charge_id,
        status=ChargeStatus.PENDING_CONFIRMATION,
        kind=use.kind,
        store_id=command.store_id,
        product_id=command.product_id if is_value else by_id[draws[0].card_id].product_id,
        consumer=holder.consumer,
        amount=use.amount,
        sessions=use.sessions,
        visit=True if use.visit else None,
        list_amount=command.list_amount,
        release_amount=None,
        draws=write_draws(draws),
        code_hash=command.code_hash,
        confirmation_id=None,
        confirmation_method=None,
        confirmation_hash=None,
        confirmed_at=None,
        balance_face_amount=None,
        balance_sessions=None,
        balance_valid_until=None,
        reversal_status=None,
        reversal_requested_at=None,
        reversal_done_at=None,
        reversal_amount=None,
        reversal_reason=None,
        description=command.description,
        text_salt=command.text_salt,
        client_reference=command.client_reference,
        expires_at=at + timedelta(seconds=command.limits.pending_lifetime_seconds),
        created_at=at,
        ended_at=None,
    )


def _held(
    command: PlaceCharge, charge: Charge, cards: Sequence[Card], draws: Sequence[Draw]
) -> tuple[Charge, dict[UUID, Card]]:
    """Set aside what a waiting charge will take."""
    by_id = {card.card_id: card for card in cards}
    held = {draw.card_id: by_id[draw.card_id].hold(draw) for draw in draws}
    pending_max = command.limits.pending_per_card
    if any(card.pending_count > pending_max for card in held.values()):
        raise TooManyPending(pending_max)
    return charge.with_balance(balance_after(charge, cards, held)), held


def _counted(command: PlaceCharge, used: Used, today: date) -> dict[UUID, Card]:
    """Count the use against the day's limit for codes; a reversal does not uncount it."""
    counted: dict[UUID, Card] = {}
    for card, draw in zip(used.cards, used.draws, strict=True):
        taken = draw.face_amount if command.use.amount is not None else draw.release_amount
        so_far = card.code_day_amount if card.code_day == today else 0
        counted[card.card_id] = card._replace(
            code_day=today, code_day_amount=Fen(so_far + (taken or 0))
        )
    return counted


def _decision(
    charge: Charge,
    ended: Sequence[Charge],
    cards: Mapping[UUID, Card],
    *,
    event: str,
    used: Used = NOTHING_USED,
    then: ServeReversals | None = None,
) -> Decision[Charge]:
    expired = [Event("charge.expired", other.charge_id) for other in ended]
    return Decision(
        charge,
        rows=(*ended, *cards.values(), *used.lines, charge),
        entries=used.entries,
        events=(*expired, Event(event, charge.charge_id)),
        subject_id=charge.charge_id,
        facts=facts_of(charge),
        then=then,
    )


def _needs(command: PlaceCharge) -> list[Need]:
    needs = [
        STORE_BY_ID(command.store_id),
        ACCOUNT_BY_ID(account_id(command.merchant_no, AccountType.MERCHANT_PAYABLE)),
    ]
    if command.client_reference is not None:
        needs.append(CHARGE_BY_REFERENCE(command.client_reference))
    if command.code_hash is not None:
        code = command.code_hash
        needs += [
            CODE_BY_HASH(code),
            CHARGE_BY_CODE(code),
            CARDS_OF_CODE(code),
            ACCOUNTS_OF_CODE(code),
            PENDING_OF_CODE(code),
        ]
    else:
        card = command.card_id
        needs += [CARDS_WITH(card), ACCOUNTS_OF_CARDS_WITH(card), PENDING_WITH_CARD(card)]
    return needs


PLANS: Final[tuple[Plan[Any, Any], ...]] = (Plan(PlaceCharge, _needs, decide_place),)
