"""Decide what becomes of a transfer: offered, accepted, declined, withdrawn. Pure.

    (offer) -> offered --accept----> accepted      by the receiver: the card is theirs
                  |-----decline---> declined       by the receiver
                  '-----withdraw--> withdrawn      by the giver, by another offer, by a loss

An offer changes nothing of the card: its holder goes on using it until the receiver accepts.
Terms, uses and the ledger account stay. What waits on the card for an answer of its former holder
is voided, and codes that were made for it draw on it no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.card_life.commands import (
    AcceptTransfer,
    DeclineTransfer,
    OfferTransfer,
    WithdrawTransfer,
)
from app.card_life.deciding import own_card, salt_of_holder, withdrawn_offers, without_held
from app.card_life.domain import IN_REFUND, TRANSFERABLE, first_refund_day
from app.card_life.errors import TransferNotOpen
from app.card_life.replaying import facts_of_transfer
from app.card_life.rows import CardTransfer, TransferStatus
from app.card_life.tables import (
    TRANSFER_BY_ID,
    TRANSFERS,
    TRANSFERS_OF_CARD,
    TRANSFERS_WITH_CARD,
)
from app.cards.errors import CardInRefund, CardNotActive, CardOnHold, MerchantFrozen
from app.cards.statement import CardEntryKind, Line, enter
from app.cards.tables import (
    ACCOUNTS_OF_CARDS_OF,
    ACCOUNTS_OF_CARDS_WITH,
    CARDS,
    CARDS_OF,
    CARDS_WITH,
)
from app.charges.domain import ChargeStatus
from app.charges.errors import ChargeDisputed
from app.charges.tables import CHARGES_BY_KIND, PENDING_OF, PENDING_WITH_CARD
from app.charges.using import CHARGING
from app.charges.voiding import void_pending
from app.dates import business_date
from app.errors import NotFound
from app.holds.standing import by_the_clock, card_holds
from app.holds.tables import HOLDS_ON
from app.ledger.posting import Entry
from app.purchases.ceilings import check_taking_over, needs_of_taking_over
from app.refunds.domain import RefundStatus
from app.refunds.tables import DISPUTED_WITH_CARD, REFUNDS_OF_CARD, REFUNDS_WITH_CARD
from app.writer.commands import Decision, Event, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.refunds.rows import CardRefund
    from app.writer.book import Book
    from app.writer.tables import Need


def decide_offer(command: OfferTransfer, book: Book, at: datetime) -> Decision[CardTransfer]:
    """Offer a card to somebody; the same offer again gives the first, another one replaces it.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardNotActive: It is lost, used up, recalled or replaced.
        CardOnHold: A court or authority holds it.
        ChargeDisputed: A use of it is disputed, which is decided first.
        MerchantFrozen: The merchant is frozen or closing.
        NotFound: No such card, or it is another's.
    """
    card = own_card(book, command.card_id, command.giver)
    for other in book.group(TRANSFERS_OF_CARD, card.card_id):
        if other.status == TransferStatus.OFFERED and other.receiver == command.receiver:
            return _unchanged(other)
    _check_transferable(card, book, at)
    withdrawn = withdrawn_offers(book, card.card_id, at)
    offered = CardTransfer(
        merchant_no=command.merchant_no,
        transfer_id=command.transfer_id,
        card_id=card.card_id,
        giver=command.giver,
        giver_id=command.giver_id,
        receiver=command.receiver,
        receiver_id=command.receiver_id,
        issuer=command.issuer,
        status=TransferStatus.OFFERED,
        created_at=at,
    )
    return Decision(
        offered,
        rows=(*withdrawn, offered),
        events=(
            *(Event("transfer.withdrawn", transfer.transfer_id) for transfer in withdrawn),
            Event("transfer.offered", offered.transfer_id),
        ),
        subject_id=offered.transfer_id,
        facts=facts_of_transfer(offered),
    )


def decide_accept(command: AcceptTransfer, book: Book, at: datetime) -> Decision[CardTransfer]:
    """Take a card over: it is the receiver's from now on; again gives the same.

    Raises:
        CardInRefund: It is being refunded, or was.
        CardNotActive: It is lost, used up, recalled or replaced.
        CardOnHold: A court or authority holds it.
        CeilingExceeded: It is more than the receiver may have prepaid here.
        ChargeDisputed: A use of it is disputed, which is decided first.
        MerchantFrozen: The merchant is frozen or closing.
        NotFound: No such transfer, or it is to another.
        TransferNotOpen: It was declined or withdrawn.
    """
    transfer = _to(book, command.transfer_id, command.consumer)
    if transfer.status == TransferStatus.ACCEPTED:
        return _unchanged(transfer)
    if transfer.status != TransferStatus.OFFERED:
        raise TransferNotOpen(transfer.status)
    card = book.find(CARDS, transfer.card_id)
    if card is None or card.consumer != transfer.giver:
        # No offer outlives its giver's hold on the card.
        raise NotFound
    _check_transferable(card, book, at)
    check_taking_over(command.ceilings, card, book, command.consumer, at)
    voided = void_pending(book, [card.card_id], at)
    accepted = _accepted(transfer, command, card, book, at)
    told = Line(CardEntryKind.TRANSFERRED, transfer.transfer_id, None, accepted.content_hash())
    taken = without_held(card, voided)._replace(
        consumer=transfer.receiver,
        consumer_id=transfer.receiver_id,
        codes_from=at,
        refundable_from=first_refund_day(at, command.refund_wait_days),
    )
    after, line = enter(taken, told, seq=book.next_seq, at=at)
    return Decision(
        accepted,
        rows=(
            *{**voided.cards, card.card_id: after}.values(),
            line,
            accepted,
            *voided.charges,
            *_declined_refunds(book, card.card_id),
        ),
        entries=(Entry("card_transferred", transfer.transfer_id, None, line.content_hash()),),
        events=(*voided.events, Event("transfer.accepted", transfer.transfer_id)),
        subject_id=transfer.transfer_id,
        facts=facts_of_transfer(accepted),
    )


def decide_decline(command: DeclineTransfer, book: Book, at: datetime) -> Decision[CardTransfer]:
    """Leave a card with its holder; again gives the same.

    Raises:
        NotFound: No such transfer, or it is to another.
        TransferNotOpen: It was accepted or withdrawn.
    """
    transfer = _to(book, command.transfer_id, command.consumer)
    return _ended(transfer, TransferStatus.DECLINED, at)


def decide_withdraw(command: WithdrawTransfer, book: Book, at: datetime) -> Decision[CardTransfer]:
    """Take an offer back; again gives the same.

    Raises:
        NotFound: No such transfer, or it is another's.
        TransferNotOpen: It was accepted or declined.
    """
    transfer = book.find(TRANSFERS, command.transfer_id)
    if transfer is None or transfer.giver != command.consumer:
        raise NotFound
    return _ended(transfer, TransferStatus.WITHDRAWN, at)


def _check_transferable(card: Card, book: Book, at: datetime) -> None:
    """Refuse a card that cannot change hands now; what was decided of it comes first."""
    day = business_date(at)
    if book.head.status not in CHARGING:
        raise MerchantFrozen
    if by_the_clock(book, card, at).on_hold:
        raise CardOnHold(card.card_id, card_holds(book, card.card_id, at))
    if (status := card.status_on(day)) in IN_REFUND:
        raise CardInRefund(card.card_id, status)
    if status not in TRANSFERABLE:
        raise CardNotActive(card.card_id, status)
    for charge in book.group(CHARGES_BY_KIND, (card.kind, ChargeStatus.DISPUTED)):
        if any(draw.card_id == card.card_id for draw in charge.read_draws()):
            raise ChargeDisputed


def _accepted(
    transfer: CardTransfer, command: AcceptTransfer, card: Card, book: Book, at: datetime
) -> CardTransfer:
    return transfer.accepted(
        salts=(salt_of_holder(card, book), command.salt),
        entry_no=card.entry_count + 1,
        policy_version=command.policy_version,
        at=at,
    )


def _declined_refunds(book: Book, card_id: UUID) -> list[CardRefund]:
    """End the merchant's offers of a refund: they were made to another."""
    return [
        refund._replace(status=RefundStatus.DECLINED)
        for refund in book.group(REFUNDS_OF_CARD, card_id)
        if refund.status == RefundStatus.OFFERED
    ]


def _to(book: Book, transfer_id: UUID, consumer: UUID) -> CardTransfer:
    transfer = book.find(TRANSFERS, transfer_id)
    if transfer is None or transfer.receiver != consumer:
        raise NotFound
    return transfer


def _ended(transfer: CardTransfer, status: TransferStatus, at: datetime) -> Decision[CardTransfer]:
    if transfer.status == status:
        return _unchanged(transfer)
    if transfer.status != TransferStatus.OFFERED:
        raise TransferNotOpen(transfer.status)
    ended = transfer._replace(status=status, ended_at=at)
    return Decision(
        ended,
        rows=(ended,),
        events=(Event(f"transfer.{status}", transfer.transfer_id),),
        subject_id=transfer.transfer_id,
        facts=facts_of_transfer(ended),
    )


def _unchanged(transfer: CardTransfer) -> Decision[CardTransfer]:
    return Decision(transfer, subject_id=transfer.transfer_id, facts=facts_of_transfer(transfer))


def _accepting(command: AcceptTransfer) -> tuple[Need, ...]:
    card = command.card_id
    return (
        TRANSFER_BY_ID(command.transfer_id),
        TRANSFERS_WITH_CARD(card),
        CARDS_WITH(card),
        PENDING_WITH_CARD(card),
        DISPUTED_WITH_CARD(card),
        REFUNDS_WITH_CARD(card),
        # What the card joins: a use in the same batch draws on all of it, with the card in it.
        ACCOUNTS_OF_CARDS_WITH(card),
        CARDS_OF(command.consumer),
        ACCOUNTS_OF_CARDS_OF(command.consumer),
        PENDING_OF(command.consumer),
        *needs_of_taking_over(command.ceilings, command.consumer, card),
    )


def _of_transfer(command: DeclineTransfer | WithdrawTransfer) -> tuple[Need, ...]:
    return (TRANSFER_BY_ID(command.transfer_id),)


def _holds(command: OfferTransfer | AcceptTransfer, book: Book) -> Sequence[Need]:
    """Ask for what holds the card, where its row says that something may."""
    card = book.find(CARDS, command.card_id)
    return (HOLDS_ON(card.card_id),) if card is not None and card.on_hold else ()


PLANS: Final[tuple[Plan[Any, Any], ...]] = (
    Plan(
        OfferTransfer,
        lambda command: (
            CARDS_WITH(command.card_id),
            DISPUTED_WITH_CARD(command.card_id),
            TRANSFERS_WITH_CARD(command.card_id),
        ),
        decide_offer,
        _holds,
    ),
    Plan(AcceptTransfer, _accepting, decide_accept, _holds),
    Plan(DeclineTransfer, _of_transfer, decide_decline),
    Plan(WithdrawTransfer, _of_transfer, decide_withdraw),
)
