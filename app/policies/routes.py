"""`/v1/policies`, for operators."""

from typing import Annotated

from fastapi import Query

from app.access.schemas import ApprovalRead
from app.api.dependencies import DatabaseDep, OperatorDep, ServicesDep
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import BusinessDate
from app.policies import service
from app.policies.errors import PolicyOverlaps
from app.policies.schemas import PolicyKey, PolicyRead, PolicyWrite, Region
from app.policies.versions import VersionFilter

router = api_router("/v1/policies", tag="policies")


@router.get("", summary="List policies")
async def list_policies(
    _: OperatorDep,
    services: ServicesDep,
    page: PageDep,
    key: Annotated[PolicyKey | None, Query()] = None,
    region: Annotated[Region | None, Query()] = None,
    on: Annotated[
        BusinessDate | None, Query(description="Only what counts in its region on this day.")
    ] = None,
) -> ListRead[PolicyRead]:
    """List every version of every policy, and last the values that are built in."""
    rows = await service.list_versions(
        services.db,
        services.policies.base,
        VersionFilter(key, region, on),
        below=page.after_number,
        count=page.fetch_count,
    )
    shown = page.close(rows, lambda entry: entry.place)
    return ListRead(
        data=[PolicyRead.from_domain(entry.policy) for entry in shown.rows],
        next_cursor=shown.next_cursor,
    )


@router.put(
    "",
    status_code=202,
    summary="Propose a version of a policy",
    responses=problems(PolicyOverlaps),
)
async def propose_policy(body: PolicyWrite, operator: OperatorDep, db: DatabaseDep) -> ApprovalRead:
    """Put a rule before a second person; once approved, it ends the version before it."""
    approval = await service.propose_version(db, body.to_domain(), by=operator.person_id)
    return ApprovalRead.from_domain(approval)
