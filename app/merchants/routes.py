"""`/v1/merchants` and `/v1/stores`, for operators."""

from fastapi import Response

from app import ids
from app.access.approvals import Approval
from app.access.schemas import ApprovalRead
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
from app.api.schemas import MerchantId, StoreId
from app.errors import NotFound
from app.ids import Prefix
from app.merchants import payees, service
from app.merchants.errors import AlreadyExists
from app.merchants.schemas import (
    CustodyAccountCreate,
    CustodyAccountRead,
    MerchantCreate,
    MerchantRead,
    MerchantUpdate,
    PayeeRead,
    StoreCreate,
    StoreRead,
    StoreUpdate,
)

router = api_router("/v1", tag="merchants")


@router.post(
    "/merchants",
    status_code=201,
    summary="Take a merchant in",
    responses=problems(AlreadyExists),
)
async def create_merchant(
    body: MerchantCreate,
    operator: OperatorDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> MerchantRead:
    """Make a merchant; its payee account counts from another operator's approval."""
    made = await service.create_merchant(
        services.db, services.sealer, body.to_domain(), by=operator.person_id, request=request
    )
    mark_replayed(response, made)
    return MerchantRead.from_domain(made.value)


@router.get("/merchants", summary="List merchants")
async def list_merchants(_: OperatorDep, db: DatabaseDep, page: PageDep) -> ListRead[MerchantRead]:
    """List merchants."""
    rows = await service.list_merchants(db, before_no=page.after_number, limit=page.fetch_count)
    return page.shown(rows, lambda merchant: merchant.merchant_no, MerchantRead.from_domain)


@router.get("/merchants/{merchant_id}", summary="Read a merchant", responses=problems(NotFound))
async def read_merchant(merchant_id: MerchantId, _: OperatorDep, db: DatabaseDep) -> MerchantRead:
    """Give a merchant."""
    found = await service.read_merchant(db, ids.parse(Prefix.MERCHANT, merchant_id))
    return MerchantRead.from_domain(found)


@router.patch(
    "/merchants/{merchant_id}",
    summary="Change a merchant, or propose it",
    responses={
        202: {"model": ApprovalRead, "description": "Proposed; another person approves."},
        **problems(NotFound),
    },
)
async def change_merchant(
    merchant_id: MerchantId,
    body: MerchantUpdate,
    operator: OperatorDep,
    services: ServicesDep,
    response: Response,
) -> MerchantRead | ApprovalRead:
    """Change what concerns no money; propose what has a payee account."""
    changed = await payees.change_merchant(
        services.db,
        services.sealer,
        ids.parse(Prefix.MERCHANT, merchant_id),
        body.to_domain(),
        by=operator.person_id,
    )
    if isinstance(changed, Approval):
        response.status_code = 202
        return ApprovalRead.from_domain(changed)
    return MerchantRead.from_domain(changed)


@router.get(
    "/merchants/{merchant_id}/payee-accounts",
    summary="Read the log of payee accounts",
    responses=problems(NotFound),
)
async def list_payee_accounts(
    merchant_id: MerchantId, _: OperatorDep, db: DatabaseDep
) -> ListRead[PayeeRead]:
    """Give every payee account that was ever proposed for the merchant."""
    log = await payees.list_payees(db, ids.parse(Prefix.MERCHANT, merchant_id))
    return ListRead(data=[PayeeRead.from_domain(payee) for payee in log], next_cursor=None)


@router.post(
    "/merchants/{merchant_id}/stores",
    status_code=201,
    summary="Open a store",
    responses=problems(NotFound),
)
async def create_store(
    merchant_id: MerchantId,
    body: StoreCreate,
    _: OperatorDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> StoreRead:
    """Open a store of a merchant."""
    made = await service.create_store(
        db, ids.parse(Prefix.MERCHANT, merchant_id), body.to_domain(), request=request
    )
    mark_replayed(response, made)
    return StoreRead.from_domain(made.value, merchant_id)


@router.get(
    "/merchants/{merchant_id}/stores",
    summary="List a merchant's stores",
    responses=problems(NotFound),
)
async def list_stores(
    merchant_id: MerchantId, _: OperatorDep, db: DatabaseDep, page: PageDep
) -> ListRead[StoreRead]:
    """List a merchant's stores."""
    rows = await service.list_stores(
        db, ids.parse(Prefix.MERCHANT, merchant_id), before=page.after_id, limit=page.fetch_count
    )
    return page.shown(
        rows,
        lambda store: store.store_id,
        lambda store: StoreRead.from_domain(store, merchant_id),
    )


@router.patch("/stores/{store_id}", summary="Change a store", responses=problems(NotFound))
async def change_store(
    store_id: StoreId, body: StoreUpdate, _: OperatorDep, db: DatabaseDep
) -> StoreRead:
    """Record that a store opened again, moved or closed."""
    changed = await service.set_store_status(db, ids.parse(Prefix.STORE, store_id), body.status)
    return StoreRead.from_domain(changed.store, ids.to_text(Prefix.MERCHANT, changed.merchant_id))


@router.post(
    "/merchants/{merchant_id}/custody-accounts",
    status_code=201,
    summary="Record a merchant's custody account",
    responses=problems(AlreadyExists, NotFound),
)
async def create_custody_account(
    merchant_id: MerchantId,
    body: CustodyAccountCreate,
    _: OperatorDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> CustodyAccountRead:
    """Record the one account at a bank that holds the merchant's prepaid money."""
    made = await service.create_custody_account(
        db, ids.parse(Prefix.MERCHANT, merchant_id), body.to_domain(), request=request
    )
    mark_replayed(response, made)
    return CustodyAccountRead.from_domain(made.value, merchant_id)


@router.get(
    "/merchants/{merchant_id}/custody-accounts",
    summary="List a merchant's custody accounts",
    responses=problems(NotFound),
)
async def list_custody_accounts(
    merchant_id: MerchantId, _: OperatorDep, db: DatabaseDep
) -> ListRead[CustodyAccountRead]:
    """Give a merchant's custody account, if it has one."""
    accounts = await service.list_custody_accounts(db, ids.parse(Prefix.MERCHANT, merchant_id))
    return ListRead(
        data=[CustodyAccountRead.from_domain(account, merchant_id) for account in accounts],
        next_cursor=None,
    )
