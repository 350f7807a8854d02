"""`/v1/holds`, for operators and regulators."""

from typing import Annotated

from fastapi import Query, Response

from app.access.schemas import ApprovalRead
from app.api.dependencies import (
    AuthorityDep,
    DatabaseDep,
    IdempotencyDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import HoldId, MerchantId
from app.cards.errors import CardNotActive
from app.errors import NotFound
from app.holds import service
from app.holds.domain import HoldStatus, HoldTarget
from app.holds.errors import HoldNotActive
from app.holds.schemas import HoldCreate, HoldRead, TargetId
from app.holds.service import HoldFilter
from app.ids import Prefix, parse

router = api_router("/v1/holds", tag="holds")


@router.post(
    "", status_code=201, summary="Place a hold", responses=problems(CardNotActive, NotFound)
)
async def place_hold(
    body: HoldCreate,
    authority: AuthorityDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> HoldRead:
    """Hold a card, a merchant's payable or a custody account; it counts at once."""
    placed = await service.place_hold(
        services.db, services.writer, body.to_domain(), authority=authority, request=request
    )
    mark_replayed(response, placed)
    return HoldRead.from_domain(placed.value)


@router.get("", summary="List holds", responses=problems(NotFound))
async def list_holds(
    authority: AuthorityDep,
    db: DatabaseDep,
    page: PageDep,
    status: Annotated[HoldStatus | None, Query()] = None,
    target: Annotated[HoldTarget | None, Query()] = None,
    target_id: Annotated[TargetId | None, Query()] = None,
    merchant_id: Annotated[MerchantId | None, Query()] = None,
) -> ListRead[HoldRead]:
    """List the holds that the caller reaches, as they stand by the clock."""
    merchant = None if merchant_id is None else parse(Prefix.MERCHANT, merchant_id)
    rows = await service.list_holds(
        db,
        HoldFilter(status, target, merchant, target_id),
        authority,
        before=page.after_id,
        count=page.fetch_count,
    )
    return page.shown(rows, lambda hold: hold.hold_id, HoldRead.from_domain)


@router.get("/{hold_id}", summary="Read a hold", responses=problems(NotFound))
async def read_hold(hold_id: HoldId, authority: AuthorityDep, db: DatabaseDep) -> HoldRead:
    """Give a hold as it stands by the clock."""
    return HoldRead.from_domain(await service.read_hold(db, parse(Prefix.HOLD, hold_id), authority))


@router.post(
    "/{hold_id}/lift",
    status_code=202,
    summary="Propose to lift a hold",
    responses=problems(HoldNotActive, NotFound),
)
async def lift_hold(
    hold_id: HoldId,
    authority: AuthorityDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> ApprovalRead:
    """Put before a second person that a hold ends before its time; until then it stands."""
    proposed = await service.propose_lift(
        db, parse(Prefix.HOLD, hold_id), authority=authority, request=request
    )
    mark_replayed(response, proposed)
    return ApprovalRead.from_domain(proposed.value)
