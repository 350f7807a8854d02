"""`/v1/merchants/{id}/closures` and `/v1/closures`, for operators and regulators."""

from typing import Final

from fastapi import Response
from fastapi.responses import HTMLResponse

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
from app.api.schemas import ClosureId, MerchantId
from app.api.services import Services
from app.closures import executing, service
from app.closures.domain import View
from app.closures.errors import ClosureState
from app.closures.page import page_of
from app.closures.schemas import (
    CertificateRead,
    ClosureCreate,
    ClosurePreviewRead,
    ClosureRead,
)
from app.errors import NotFound
from app.ids import Prefix, parse
from app.refunds.errors import ClosureInProgress
from app.writer.answers import Answered

router = api_router("/v1", tag="closures")

PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""The page loads nothing and runs nothing."""


@router.post(
    "/merchants/{merchant_id}/closures",
    status_code=201,
    summary="Close a merchant",
    responses=problems(ClosureInProgress, NotFound),
)
async def create_closure(
    merchant_id: MerchantId,
    body: ClosureCreate,
    authority: AuthorityDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ClosureRead:
    """Order that a merchant closes; sales or all uses end at once, and nothing is refunded yet."""
    made = await service.order_closure(
        services.db,
        parse(Prefix.MERCHANT, merchant_id),
        body.kind,
        body.reason,
        by=authority,
        request=request,
    )
    return _answer(made, services, response)


@router.get(
    "/merchants/{merchant_id}/closures",
    summary="List a merchant's closures",
    responses=problems(NotFound),
)
async def list_closures(
    merchant_id: MerchantId, authority: AuthorityDep, services: ServicesDep, page: PageDep
) -> ListRead[ClosureRead]:
    """List the closures that were ordered for a merchant, those that were cancelled too."""
    rows = await service.list_closures(
        services.db,
        parse(Prefix.MERCHANT, merchant_id),
        by=authority,
        before=page.after_id,
        count=page.fetch_count,
    )
    base_url = services.settings.base_url
    return page.shown(
        rows,
        lambda view: view.closure.closure_id,
        lambda view: ClosureRead.from_domain(view, base_url),
    )


@router.get("/closures/{closure_id}", summary="Read a closure", responses=problems(NotFound))
async def read_closure(
    closure_id: ClosureId, authority: AuthorityDep, services: ServicesDep
) -> ClosureRead:
    """Give a closure with its progress."""
    found = await service.read_closure(services.db, parse(Prefix.CLOSURE, closure_id), by=authority)
    return ClosureRead.from_domain(found, services.settings.base_url)


@router.post(
    "/closures/{closure_id}/preview",
    summary="Preview a closure",
    responses=problems(ClosureState, NotFound),
)
async def preview_closure(
    closure_id: ClosureId, authority: AuthorityDep, db: DatabaseDep
) -> ClosurePreviewRead:
    """Say what executing would refund now, per kind of card; nothing changes."""
    found = await service.preview_closure(db, parse(Prefix.CLOSURE, closure_id), by=authority)
    return ClosurePreviewRead.from_domain(found)


@router.post(
    "/closures/{closure_id}/execute",
    status_code=202,
    summary="Propose to refund every card",
    responses=problems(ClosureState, NotFound),
)
async def execute_closure(
    closure_id: ClosureId,
    authority: AuthorityDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> ApprovalRead:
    """Put before another person that every card be refunded; the worker does it from then on."""
    proposed = await executing.propose_execution(
        db, parse(Prefix.CLOSURE, closure_id), by=authority, request=request
    )
    mark_replayed(response, proposed)
    return ApprovalRead.from_domain(proposed.value)


@router.post(
    "/closures/{closure_id}/cancel",
    summary="Cancel a closure on notice",
    responses=problems(ClosureState, NotFound),
)
async def cancel_closure(
    closure_id: ClosureId,
    authority: AuthorityDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ClosureRead:
    """Take a closure back while its notice runs; the merchant sells again. Again gives the same."""
    done = await service.cancel_closure(
        services.db, parse(Prefix.CLOSURE, closure_id), by=authority, request=request
    )
    return _answer(done, services, response)


@router.get(
    "/closures/{closure_id}/certificate",
    summary="Read a closure's certificate",
    responses=problems(NotFound),
)
async def read_certificate(
    closure_id: ClosureId, authority: AuthorityDep, db: DatabaseDep
) -> CertificateRead:
    """Give the last certificate, signed: custody zero, or every fen left with a name."""
    found = await service.read_certificate(db, parse(Prefix.CLOSURE, closure_id), by=authority)
    return CertificateRead.from_domain(found)


@router.get(
    "/closures/{closure_id}/certificate/page",
    summary="Print a closure's certificate",
    response_class=Response,
    responses={
        200: {
            "description": "A page for screen and paper, made from the signed document.",
            "content": {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}},
        },
        **problems(NotFound),
    },
)
async def print_certificate(
    closure_id: ClosureId, authority: AuthorityDep, db: DatabaseDep
) -> Response:
    """Give the last certificate as a page to print."""
    found = await service.read_certificate(db, parse(Prefix.CLOSURE, closure_id), by=authority)
    return HTMLResponse(page_of(found), headers={"content-security-policy": PAGE_POLICY})


def _answer(done: Answered[View], services: Services, response: Response) -> ClosureRead:
    mark_replayed(response, done)
    return ClosureRead.from_domain(done.value, services.settings.base_url)
