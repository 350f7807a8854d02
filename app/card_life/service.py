"""Use cases of a card's life: what its holder asks for, and the transfers to others."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from app.access.principals import consumer_of
from app.card_life import queries
from app.card_life.commands import (
    AcceptTransfer,
    DeclineTransfer,
    FreezeCard,
    OfferTransfer,
    ReactivateCard,
    ReportLoss,
    UnfreezeCard,
    WithdrawTransfer,
)
from app.card_life.replaying import as_of_request, transfer_as_of_request
from app.cards import queries as card_queries
from app.dates import business_date
from app.errors import FieldError, InvalidRequest, NotFound
from app.ids import merchant_no_of, new_id
from app.writer.answers import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from app.access.principals import ConsumerPrincipal
    from app.card_life.commands import TermCommand, TransferCommand
    from app.card_life.rows import CardTransfer
    from app.cards.ceilings import Ceilings
    from app.cards.domain import Card
    from app.cards.holding import CardHold
    from app.db.engine import Database
    from app.writer.engine import Writer
    from app.writer.requests import RequestKey

log = structlog.get_logger()

_SALT_BYTES: Final = 16
_EVENTS: Final = {
    FreezeCard: "card.frozen",
    UnfreezeCard: "card.unfrozen",
    ReportLoss: "card.lost",
    ReactivateCard: "card.reactivated",
    OfferTransfer: "transfer.offered",
    AcceptTransfer: "transfer.accepted",
    DeclineTransfer: "transfer.declined",
    WithdrawTransfer: "transfer.withdrawn",
}


@dataclass(frozen=True, slots=True)
class Office:
    """What these use cases need of their process."""

    db: Database
    writer: Writer


@dataclass(frozen=True, slots=True)
class Dated:
    """A card as it was on a business date, and what holds it."""

    card: Card
    day: date
    holds: Sequence[CardHold] = ()


async def change_card(office: Office, command: TermCommand) -> Answered[Dated]:
    """Freeze, unfreeze, report lost or reactivate a card; a retry gives the same card.

    Raises:
        DomainError: What the command's decision refuses.
    """
    outcome = await office.writer.submit(command)
    no, card_id = command.merchant_no, command.card_id
    if outcome.replayed is not None:
        outcome.replayed.raise_refusal()
    async with office.db.at_once() as tx:
        now = await card_queries.find_card(tx, no, card_id)
        assert now is not None, "cards are never deleted"
        # Holds are shown as they are now, but not to one who has given the card away.
        holds = (await card_queries.holds_on(tx, [now])).get(card_id, ())
        today = business_date(await tx.now())
    if outcome.replayed is not None:
        card, day = as_of_request(now, outcome.replayed)
        if now.consumer != command.consumer:
            card, holds = card._replace(on_hold=False), ()
        return Answered(Dated(card, day, holds), replayed=True)
    done: Card = outcome.result
    log.info(
        _EVENTS[type(command)],
        card_id=str(card_id),
        merchant_no=no,
        status=str(done.status),
        frozen_days=done.frozen_days,
    )
    return Answered(Dated(done._replace(on_hold=now.on_hold), today, holds))


async def offer_transfer(
    office: Office,
    giver: ConsumerPrincipal,
    card_id: UUID,
    receiver_id: str,
    request: RequestKey | None,
) -> Answered[CardTransfer]:
    """Offer a card to another subject of the giver's issuer, known here or not.

    Raises:
        DomainError: What the decision refuses.
        InvalidRequest: The receiver is the giver.
    """
    if receiver_id == giver.consumer_id:
        raise InvalidRequest(FieldError("/consumer_id", "A card is transferred to somebody else"))
    no = merchant_no_of(card_id)
    command = OfferTransfer(
        no,
        request,
        new_id(no),
        card_id,
        giver.consumer,
        giver.consumer_id,
        consumer_of(giver.issuer, receiver_id),
        receiver_id,
        giver.issuer,
    )
    return await carry_out(office, command)


async def accept_transfer(  # noqa: PLR0913  # what the command carries
    office: Office,
    consumer: UUID,
    transfer_id: UUID,
    *,
    refund_wait_days: int,
    policy_version: int = 0,
    ceilings: Ceilings | None = None,
    request: RequestKey | None,
) -> Answered[CardTransfer]:
    """Take a card over; a retry gives the same.

    Raises:
        DomainError: What the decision refuses.
        NotFound: No such transfer, or it is not to this consumer.
    """
    async with office.db.transaction() as tx:
        transfer = await queries.find_transfer(tx, merchant_no_of(transfer_id), transfer_id)
        if transfer is None or transfer.receiver != consumer:
            raise NotFound
        # Before the book says so: lists look at the merchants that are remembered.
        await card_queries.remember_consumer(tx, consumer, transfer.merchant_no)
    command = AcceptTransfer(
        transfer.merchant_no,
        request,
        transfer_id,
        transfer.card_id,
        consumer,
        secrets.token_bytes(_SALT_BYTES),
        refund_wait_days,
        ceilings,
        policy_version,
    )
    return await carry_out(office, command)


async def carry_out(office: Office, command: TransferCommand) -> Answered[CardTransfer]:
    """Run a command on a transfer; a retry under the same key gives the same answer.

    Raises:
        DomainError: What the command's decision refuses.
    """
    outcome = await office.writer.submit(command)
    if outcome.replayed is not None:
        outcome.replayed.raise_refusal()
        assert outcome.replayed.subject_id is not None, "an accepted command names its transfer"
        async with office.db.at_once() as tx:
            transfer = await queries.find_transfer(
                tx, command.merchant_no, outcome.replayed.subject_id
            )
        assert transfer is not None, "transfers are never deleted"
        return Answered(transfer_as_of_request(transfer, outcome.replayed), replayed=True)
    done: CardTransfer = outcome.result
    log.info(
        _EVENTS[type(command)],
        transfer_id=str(done.transfer_id),
        card_id=str(done.card_id),
        merchant_no=done.merchant_no,
        status=str(done.status),
    )
    return Answered(done)


async def read_own(db: Database, consumer: UUID, transfer_id: UUID) -> CardTransfer:
    """Read a transfer of which the consumer is the giver or the receiver.

    Raises:
        NotFound: No such transfer, or it is between others.
    """
    async with db.at_once() as tx:
        transfer = await queries.find_transfer(tx, merchant_no_of(transfer_id), transfer_id)
    if transfer is None or consumer not in {transfer.giver, transfer.receiver}:
        raise NotFound
    return transfer


async def list_own(
    db: Database, consumer: UUID, *, before: UUID | None, count: int
) -> Sequence[CardTransfer]:
    """Read a page of the transfers of which the consumer is the giver or the receiver."""
    async with db.at_once() as tx:
        return await queries.list_of_consumer(tx, consumer, before=before, count=count)


async def cards_of(db: Database, transfers: Sequence[CardTransfer]) -> Sequence[Dated]:
    """Read the cards of transfers as they stand now, in their order."""
    async with db.at_once() as tx:
        day = business_date(await tx.now())
        found = [
            await card_queries.find_card(tx, transfer.merchant_no, transfer.card_id)
            for transfer in transfers
        ]
    assert all(found), "cards are never deleted"
    return [Dated(card, day) for card in found if card is not None]
