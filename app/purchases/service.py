"""Use cases of sales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from app.errors import NotFound
from app.ids import merchant_no_of
from app.purchases import queries
from app.purchases.ceilings import ceilings_of
from app.purchases.commands import (
    AcceptPurchase,
    CancelPurchase,
    OpenPurchase,
)
from app.purchases.domain import (
    Purchase,
)
from app.purchases.facts import purchase_as_of
from app.writer.answers import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from app.calendar.current import CurrentCalendar
    from app.cards.ceilings import Ceilings
    from app.cards.directory import MerchantDirectory
    from app.db.engine import Database
    from app.db.sealing import Sealer
    from app.policies.current import CurrentPolicies
    from app.writer.engine import Writer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Till:
    """What the use cases of this module need of the process."""

    db: Database
    writer: Writer
    sealer: Sealer
    calendar: CurrentCalendar
    policies: CurrentPolicies


async def ceilings_at(
    policies: CurrentPolicies, directory: MerchantDirectory, merchant_no: int
) -> Ceilings | None:
    """Give what one consumer may have prepaid at a merchant today; None where no ceiling binds.

    Raises:
        NotFound: There is no such merchant.
    """
    in_force = await policies.policies_today(await directory.district_of(merchant_no))
    return ceilings_of(in_force, await directory.industry_of(merchant_no))


async def change_purchase(
    till: Till, command: OpenPurchase | AcceptPurchase | CancelPurchase
) -> Answered[Purchase]:
    """Open, accept or cancel; a retry under the same key gives the same purchase.

    Raises:
        DomainError: What the command's decision refuses.
    """
    if not isinstance(command, CancelPurchase):
        await _remember_holder(till.db, command)
    outcome = await till.writer.submit(command)
    if outcome.replayed is None:
        purchase: Purchase = outcome.result
        log.info(
            "purchase.changed", purchase_id=str(purchase.purchase_id), status=str(purchase.status)
        )
        return Answered(purchase)
    outcome.replayed.raise_refusal()
    assert outcome.replayed.subject_id is not None, "an accepted command names its purchase"
    async with till.db.at_once() as tx:
        found = await queries.find_purchase(tx, command.merchant_no, outcome.replayed.subject_id)
    assert found is not None, "purchases are never deleted"
    return Answered(purchase_as_of(found, outcome.replayed.read_facts()), replayed=True)


async def _remember_holder(db: Database, command: OpenPurchase | AcceptPurchase) -> None:
    """Let the holder's lists reach this merchant, ahead of the purchase so that none is missed.

    What names nothing of the merchant's will be refused, and leaves nothing behind.
    """
    holder = command.holder
    if holder is None:
        return
    async with db.transaction() as tx:
        if isinstance(command, OpenPurchase):
            known = await queries.sells(tx, command.merchant_no, command.product_id)
        else:
            sale = await queries.find_purchase(tx, command.merchant_no, command.purchase_id)
            known = sale is not None and sale.consumer in {None, holder.consumer}
        if known:
            await queries.remember_consumer(tx, holder.consumer, command.merchant_no)


async def read_purchase(db: Database, purchase_id: UUID) -> Purchase:
    """Read a purchase with its status as the clock has it; whose it is, the caller checks.

    Raises:
        NotFound: No such purchase.
    """
    async with db.at_once() as tx:
        found = await queries.find_purchase(tx, merchant_no_of(purchase_id), purchase_id)
        now = await tx.now()
    if found is None:
        raise NotFound
    return found._replace(status=found.status_at(now))


async def list_purchases(
    db: Database,
    merchant_no: int,
    stores: frozenset[UUID] | None,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[Purchase]:
    """Read a page of a merchant's purchases, newest first."""
    async with db.at_once() as tx:
        rows = await queries.list_purchases(tx, merchant_no, stores, before=before, count=count)
        now = await tx.now()
    return [row._replace(status=row.status_at(now)) for row in rows]
