"""`/v1/bank/receipts` for banks, `/v1/receipts` for operators."""

from typing import Annotated

from fastapi import Query, Response

from app.access.schemas import ApprovalRead
from app.api.dependencies import (
    BankDep,
    DatabaseDep,
    IdempotencyDep,
    OperatorDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import ReceiptId
from app.errors import NotFound
from app.ids import Prefix, parse
from app.purchases import receiving, returning, suspense
from app.purchases.domain import ReceiptStatus
from app.purchases.errors import BankReferenceReused, ReceiptNotInSuspense
from app.purchases.routes import till_of
from app.purchases.schemas import ReceiptCreate, ReceiptMatch, ReceiptRead
from app.refunds.errors import RefundNotAllowed
from app.refunds.schemas import PayeeAccount

router = api_router("/v1", tag="purchases")


@router.post(
    "/bank/receipts",
    status_code=201,
    summary="Report money received",
    responses={200: {"model": ReceiptRead}, **problems(BankReferenceReused)},
)
async def record_receipt(
    body: ReceiptCreate,
    bank: BankDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ReceiptRead:
    """Book money once; the same facts again are answered with 200 and the same receipt."""
    done = await receiving.record_receipt(
        till_of(services), body.to_domain(bank.bank), request=request
    )
    mark_replayed(response, done)
    if not done.value.created:
        response.status_code = 200
    return ReceiptRead.from_domain(done.value.receipt)


@router.get("/receipts", summary="List receipts")
async def list_receipts(
    _: OperatorDep,
    db: DatabaseDep,
    page: PageDep,
    status: Annotated[ReceiptStatus | None, Query()] = None,
) -> ListRead[ReceiptRead]:
    """List receipts over all merchants; those that fund nothing with `status=suspense`."""
    rows = await receiving.list_receipts(db, status, before=page.after_id, count=page.fetch_count)
    return page.shown(rows, lambda receipt: receipt.receipt_id, ReceiptRead.from_domain)


@router.post(
    "/receipts/{receipt_id}/match",
    status_code=202,
    summary="Propose what a receipt is for",
    responses=problems(NotFound, ReceiptNotInSuspense),
)
async def match_receipt(
    receipt_id: ReceiptId,
    body: ReceiptMatch,
    operator: OperatorDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> ApprovalRead:
    """Put before a second person that money in suspense funds this purchase."""
    proposed = await suspense.propose_match(
        db,
        parse(Prefix.RECEIPT, receipt_id),
        parse(Prefix.PURCHASE, body.purchase_id),
        by=operator.person_id,
        request=request,
    )
    mark_replayed(response, proposed)
    return ApprovalRead.from_domain(proposed.value)


@router.post(
    "/receipts/{receipt_id}/return",
    status_code=202,
    summary="Propose to give a receipt back",
    responses=problems(NotFound, ReceiptNotInSuspense),
)
async def return_receipt(
    receipt_id: ReceiptId,
    operator: OperatorDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> ApprovalRead:
    """Put before a second person that money in suspense goes back to its payer."""
    proposed = await suspense.propose_return(
        db, parse(Prefix.RECEIPT, receipt_id), by=operator.person_id, request=request
    )
    mark_replayed(response, proposed)
    return ApprovalRead.from_domain(proposed.value)


@router.post(
    "/receipts/{receipt_id}/payee-account",
    status_code=202,
    summary="Propose where a receipt goes back to",
    responses=problems(NotFound, RefundNotAllowed),
)
async def name_receipt_payee(
    receipt_id: ReceiptId,
    body: PayeeAccount,
    operator: OperatorDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ApprovalRead:
    """Put before a second person an account of the payer's, after theirs took nothing."""
    proposed = await returning.propose_payee(
        till_of(services),
        parse(Prefix.RECEIPT, receipt_id),
        body.to_domain(),
        by=operator.person_id,
        request=request,
    )
    mark_replayed(response, proposed)
    return ApprovalRead.from_domain(proposed.value)
