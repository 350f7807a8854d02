"""Use case of a consumer who contests a use. Its case is answered and decided in `app/cases`."""

from __future__ import annotations

from dataclasses import dataclass
from os import urandom
from typing import TYPE_CHECKING

import structlog

from app.calendar.deadlines import answer_due_on
from app.cases.domain import Opening, words
from app.cases.rows import CaseKind
from app.charges import service as charges
from app.charges.replaying import as_of
from app.dates import business_date
from app.disputes.commands import OpenDispute
from app.ids import merchant_no_of, new_id
from app.writer.answers import Answered

if TYPE_CHECKING:
    from uuid import UUID

    from app.access.principals import ConsumerPrincipal
    from app.calendar.current import CurrentCalendar
    from app.cards.directory import MerchantDirectory
    from app.charges.domain import Charge
    from app.db.engine import Database
    from app.db.sealing import Sealer
    from app.policies.current import CurrentPolicies
    from app.writer.engine import Writer
    from app.writer.requests import RequestKey

log = structlog.get_logger()

_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Desk:
    """What opening a dispute needs of its process."""

    db: Database
    writer: Writer
    sealer: Sealer
    calendar: CurrentCalendar
    policies: CurrentPolicies
    directory: MerchantDirectory


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the consumer says of a use: a word for it, and whatever else they write."""

    reason: str
    text: str | None


async def open_dispute(
    desk: Desk,
    consumer: ConsumerPrincipal,
    charge_id: UUID,
    complaint: Complaint,
    *,
    request: RequestKey | None,
) -> Answered[Charge]:
    """Contest a use; a retry, or asking again while it is disputed, gives the same.

    Raises:
        DomainError: What the decision refuses.
        NotFound: No such charge, or it is another's.
    """
    no = merchant_no_of(charge_id)
    async with desk.db.at_once() as tx:
        today = business_date(await tx.now())
    # What is remembered is read on connections of its own: hold none while asking.
    in_force = await desk.policies.policies_in(await desk.directory.district_of(no), today)
    due_on = await answer_due_on(desk.calendar, desk.policies, desk.directory, no, today)
    salt = urandom(_SALT_BYTES)
    reason, text = complaint.reason, complaint.text
    opening = Opening(
        merchant_no=no,
        case_id=new_id(no),
        kind=CaseKind.DISPUTE,
        consumer=consumer.consumer,
        stated_reason=words(desk.sealer.seal(reason), reason, salt),
        salt=salt,
        text=None if text is None else words(desk.sealer.seal(text), text, salt),
        answer_due_on=due_on,
    )
    command = OpenDispute(
        no, request, new_id(no), charge_id, consumer.consumer, opening, in_force.reversal_days
    )
    outcome = await desk.writer.submit(command)
    if outcome.replayed is not None:
        outcome.replayed.raise_refusal()
        charge = await charges.read_for_consumer(desk.db, consumer, charge_id)
        return Answered(as_of(charge, outcome.replayed), replayed=True)
    disputed: Charge = outcome.result
    log.info(
        "dispute.opened",
        dispute_id=str(disputed.dispute_id),
        charge_id=str(charge_id),
        merchant_no=no,
    )
    return Answered(disputed)
