"""`/v1/api-keys` and `/v1/approvals`, for operators."""

from dataclasses import replace
from typing import Annotated

from fastapi import Query, Response

from app import ids
from app.access import approvals, service
from app.access.approvals import Approval, ApprovalStatus
from app.access.errors import ApprovalDecided, OwnProposal
from app.access.schemas import ApprovalRead, KeyCreate, KeyRead
from app.api.dependencies import (
    DatabaseDep,
    IdempotencyDep,
    OperatorDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import ApprovalId, KeyId
from app.errors import NotFound
from app.ids import Prefix

router = api_router("/v1", tag="access")


@router.post(
    "/api-keys",
    status_code=201,
    summary="Make an API key, or propose it",
    responses={
        202: {"model": ApprovalRead, "description": "Proposed; another person approves."},
        **problems(NotFound),
    },
)
async def create_api_key(
    body: KeyCreate,
    operator: OperatorDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> KeyRead | ApprovalRead:
    """Make a merchant's or wallet's key; propose an operator's, bank's or regulator's."""
    # Production refuses to start on a key that a sandbox made.
    wanted = replace(body.to_domain(), sandbox=services.settings.is_sandbox)
    made = await service.create_key(services.db, wanted, by=operator.person_id, request=request)
    mark_replayed(response, made)
    if isinstance(made.value, Approval):
        response.status_code = 202
        return ApprovalRead.from_domain(made.value)
    return KeyRead.from_issued(made.value)


@router.get("/api-keys", summary="List API keys")
async def list_api_keys(_: OperatorDep, db: DatabaseDep, page: PageDep) -> ListRead[KeyRead]:
    """List every key, without its secret."""
    rows = await service.list_keys(db, limit=page.fetch_count, after=page.after_id)
    return page.shown(rows, lambda key: key.key_id, KeyRead.from_domain)


@router.get("/api-keys/{key_id}", summary="Read an API key", responses=problems(NotFound))
async def read_api_key(key_id: KeyId, _: OperatorDep, db: DatabaseDep) -> KeyRead:
    """Give a key, without its secret."""
    return KeyRead.from_domain(await service.read_key(db, ids.parse(Prefix.KEY, key_id)))


@router.delete("/api-keys/{key_id}", summary="Revoke an API key", responses=problems(NotFound))
async def revoke_api_key(key_id: KeyId, _: OperatorDep, db: DatabaseDep) -> KeyRead:
    """Revoke a key; within a second no process takes it any more."""
    return KeyRead.from_domain(await service.revoke_key(db, ids.parse(Prefix.KEY, key_id)))


@router.get("/approvals", summary="List approvals")
async def list_approvals(
    _: OperatorDep,
    db: DatabaseDep,
    page: PageDep,
    status: Annotated[ApprovalStatus | None, Query()] = None,
) -> ListRead[ApprovalRead]:
    """List what was put before a second person."""
    rows = await approvals.list_approvals(
        db, limit=page.fetch_count, after=page.after_id, status=status
    )
    return page.shown(rows, lambda approval: approval.approval_id, ApprovalRead.from_domain)


@router.get("/approvals/{approval_id}", summary="Read an approval", responses=problems(NotFound))
async def read_approval(approval_id: ApprovalId, _: OperatorDep, db: DatabaseDep) -> ApprovalRead:
    """Give an approval."""
    found = await approvals.find(db, ids.parse(Prefix.APPROVAL, approval_id))
    return ApprovalRead.from_domain(found)


@router.post(
    "/approvals/{approval_id}/approve",
    summary="Approve and execute a proposal",
    responses=problems(ApprovalDecided, NotFound, OwnProposal),
)
async def approve(
    approval_id: ApprovalId,
    operator: OperatorDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ApprovalRead:
    """Execute what another person proposed; approving again gives the same result."""
    decided = await approvals.approve(
        services.db,
        services.executors,
        ids.parse(Prefix.APPROVAL, approval_id),
        person_id=operator.person_id,
        request=request,
    )
    mark_replayed(response, decided)
    return ApprovalRead.from_domain(decided.value)


@router.post(
    "/approvals/{approval_id}/reject",
    summary="Reject a proposal",
    responses=problems(ApprovalDecided, NotFound),
)
async def reject(
    approval_id: ApprovalId,
    operator: OperatorDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> ApprovalRead:
    """Decide against a proposal, or take one's own back."""
    decided = await approvals.reject(
        db,
        ids.parse(Prefix.APPROVAL, approval_id),
        person_id=operator.person_id,
        request=request,
    )
    mark_replayed(response, decided)
    return ApprovalRead.from_domain(decided.value)
