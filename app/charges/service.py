"""Use cases of charges: place, confirm, end, take back, and read."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

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
from app.errors import NotFound
from app.ids import merchant_no_of
from app.observability import log_context
from app.writer.answers import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from app.access.limits import FailureLimit
    from app.access.principals import ConsumerPrincipal, MerchantPrincipal
    from app.charges.domain import ChargeStatus
    from app.charges.queries import ChargeFilter
    from app.db.engine import Database
    from app.writer.engine import Writer


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
        async with db.at_once() as tx:
            charge = await queries.find_charge(tx, command.merchant_no, outcome.replayed.subject_id)
        assert charge is not None, "charges are never deleted"
        return Answered(as_of(charge, outcome.replayed), replayed=True)
    done: Charge = outcome.result
    # On the line of the call: a line of its own for each use would cost a tenth of it.
    log_context(
        charge_id=str(done.charge_id),
        charge_status=str(done.status),
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
        guesses.check(guesser(command.merchant_no))
    return await place_unchecked(writer, db, guesses, command)


async def place_unchecked(
    writer: Writer, db: Database, guesses: FailureLimit, command: PlaceCharge
) -> Answered[Charge]:
    """Charge a use of a merchant whose guesses were checked; count one more if it is one.

    Raises:
        DomainError: What the decision refuses.
    """
    try:
        placed = await carry_out(writer, db, command)
    except CodeInvalid:
        guesses.count(guesser(command.merchant_no))
        raise
    if command.code_hash is not None and not placed.replayed:
        guesses.count_success(guesser(command.merchant_no))
    return placed


def guesser(merchant_no: int) -> str:
    """Name a merchant as one who guesses codes."""
    return f"merchant:{merchant_no}"


def code_hash(code: str) -> bytes:
    """Give the only form in which a code is kept; case and blanks of a typed code do not matter."""
    return sha256("".join(code.split()).upper().encode()).digest()


async def read_for_merchant(db: Database, merchant: MerchantPrincipal, charge_id: UUID) -> Charge:
    """Read a charge of the merchant.

    Raises:
        NotFound: No such charge, or not of the credential's stores.
    """
    async with db.at_once() as tx:
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
    async with db.at_once() as tx:
        return await queries.list_of_merchant(
            tx, merchant.merchant_no, narrowed, before=before, count=count
        )


async def read_for_consumer(db: Database, consumer: ConsumerPrincipal, charge_id: UUID) -> Charge:
    """Read a charge of the consumer.

    Raises:
        NotFound: No such charge, or it is another's.
    """
    async with db.at_once() as tx:
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
    async with db.at_once() as tx:
        return await queries.list_of_consumer(
            tx, consumer.consumer, status, before=before, count=count
        )
