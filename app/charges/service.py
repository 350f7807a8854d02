"""Use cases of charges: place, confirm, end, take back, and read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import structlog

from app.charges import queries
from app.charges.commands import (
    CancelCharge,
    ConfirmCharge,
    DeclineCharge,
    PlaceCharge,
    ReverseCharge,
)
from app.charges.domain import Charge
from app.charges.errors import CodeInvalid
from app.charges.replaying import as_of
from app.errors import DatabaseUnavailable, DomainError, NotFound, Overloaded
from app.ids import merchant_no_of
from app.writer import requests
from app.writer.answers import Answered
from app.writer.requests import RequestKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from app.access.limits import FailureLimit
    from app.access.principals import ConsumerPrincipal, MerchantPrincipal
    from app.charges.domain import ChargeStatus
    from app.charges.queries import ChargeFilter
    from app.db.engine import Database
    from app.writer.engine import Writer

log = structlog.get_logger()

_EVENTS: Final = {
    PlaceCharge: "charge.placed",
    ConfirmCharge: "charge.confirmed",
    DeclineCharge: "charge.declined",
    CancelCharge: "charge.cancelled",
    ReverseCharge: "charge.reversed",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one item of a batch: a charge or the refusal."""

    index: int
    client_reference: str
    outcome: Answered[Charge] | DomainError


async def carry_out(
    writer: Writer,
    db: Database,
    command: PlaceCharge | ConfirmCharge | DeclineCharge | CancelCharge | ReverseCharge,
) -> Answered[Charge]:
    """Run a command on a charge; a retry under the same key gives the same charge.

    Raises:
        DomainError: What the command's decision refuses.
    """
    outcome = await writer.submit(command)
    if outcome.replayed is not None:
        outcome.replayed.raise_refusal()
        assert outcome.replayed.subject_id is not None, "an accepted command names its charge"
        async with db.transaction() as tx:
            charge = await queries.find_charge(tx, command.merchant_no, outcome.replayed.subject_id)
        assert charge is not None, "charges are never deleted"
        return Answered(as_of(charge, outcome.replayed), replayed=True)
    done: Charge = outcome.result
    log.info(
        _EVENTS[type(command)],
        charge_id=str(done.charge_id),
        merchant_no=done.merchant_no,
        status=str(done.status),
        release_amount=done.release_amount,
    )
    return Answered(done, replayed=False)


async def place_charge(
    writer: Writer, db: Database, guesses: FailureLimit, command: PlaceCharge
) -> Answered[Charge]:
    """Charge a use; codes that do not exist count as guesses of the merchant.

    Raises:
        DomainError: What the decision refuses.
        RateLimited: The merchant guessed too often.
    """
    if command.code_hash is not None:
        guesses.check(_guesser(command.merchant_no))
    return await _place(writer, db, guesses, command)


async def _place(
    writer: Writer, db: Database, guesses: FailureLimit, command: PlaceCharge
) -> Answered[Charge]:
    try:
        return await carry_out(writer, db, command)
    except CodeInvalid:
        guesses.count(_guesser(command.merchant_no))
        raise


def _guesser(merchant_no: int) -> str:
    return f"merchant:{merchant_no}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Charges of one request, each by its `client_reference`, or what is wrong with it."""

    merchant_no: int
    request: RequestKey
    items: Sequence[tuple[str, PlaceCharge | DomainError]]


async def place_batch(
    writer: Writer,
    db: Database,
    guesses: FailureLimit,
    batch: Batch,
) -> tuple[Sequence[Verdict], bool]:
    """Place many charges, each with a verdict of its own, in the order given.

    The batch's key is stored before its items; each item has a key made from it and its
    `client_reference`, so a retry goes on where an interrupted batch stopped.

    Raises:
        DatabaseUnavailable: What became of an item is unknown; a retry finds out.
        IdempotencyKeyReused: The key was used for another request.
        Overloaded: An item was not taken on; a retry does it.
        RateLimited: The merchant guessed too often; nothing was charged.
    """
    if any(isinstance(item, PlaceCharge) and item.code_hash is not None for _, item in batch.items):
        guesses.check(_guesser(batch.merchant_no))
    async with db.transaction() as tx:
        replayed = await requests.claim(tx, batch.merchant_no, batch.request) is not None
        if not replayed:
            await requests.keep(
                tx,
                batch.merchant_no,
                batch.request,
                command="PlaceBatch",
                subject_id=None,
                answer={},
            )

    async def one(index: int, reference: str, item: PlaceCharge | DomainError) -> Verdict:
        if isinstance(item, DomainError):
            return Verdict(index, reference, item)
        try:
            keyed = replace(item, request=item_key(batch.request, reference))
            return Verdict(index, reference, await _place(writer, db, guesses, keyed))
        except DomainError as refused:
            return Verdict(index, reference, refused)

    verdicts = await asyncio.gather(
        *(one(index, reference, item) for index, (reference, item) in enumerate(batch.items))
    )
    for verdict in verdicts:
        # No verdict on the item: a 200 would tell the caller that the batch is through.
        if isinstance(verdict.outcome, DatabaseUnavailable | Overloaded):
            raise verdict.outcome
    return verdicts, replayed


def item_key(batch: RequestKey, client_reference: str) -> RequestKey:
    """Give an item of a batch its own key."""
    return RequestKey.of(
        tenant=batch.request_id.hex, key=client_reference, fingerprint=batch.fingerprint
    )


def code_hash(code: str) -> bytes:
    """Give the only form in which a code is kept; case and blanks of a typed code do not matter."""
    return sha256("".join(code.split()).upper().encode()).digest()


async def read_for_merchant(db: Database, merchant: MerchantPrincipal, charge_id: UUID) -> Charge:
    """Read a charge of the merchant.

    Raises:
        NotFound: No such charge, or not of the credential's stores.
    """
    async with db.transaction() as tx:
        charge = await queries.find_charge(tx, merchant.merchant_no, charge_id)
    if charge is None or not merchant.may_use_store(charge.store_id):
        raise NotFound
    return charge


async def list_for_merchant(
    db: Database,
    merchant: MerchantPrincipal,
    wanted: ChargeFilter,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[Charge]:
    """Read a page of the merchant's charges, newest first."""
    narrowed = replace(wanted, store_ids=merchant.store_ids)
    async with db.transaction() as tx:
        return await queries.list_of_merchant(
            tx, merchant.merchant_no, narrowed, before=before, count=count
        )


async def read_for_consumer(db: Database, consumer: ConsumerPrincipal, charge_id: UUID) -> Charge:
    """Read a charge of the consumer.

    Raises:
        NotFound: No such charge, or it is another's.
    """
    async with db.transaction() as tx:
        charge = await queries.find_charge(tx, merchant_no_of(charge_id), charge_id)
    if charge is None or charge.consumer != consumer.consumer:
        raise NotFound
    return charge


async def list_for_consumer(
    db: Database,
    consumer: ConsumerPrincipal,
    status: ChargeStatus | None,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[Charge]:
    """Read a page of the consumer's charges over all merchants, newest first."""
    async with db.transaction() as tx:
        return await queries.list_of_consumer(
            tx, consumer.consumer, status, before=before, count=count
        )
