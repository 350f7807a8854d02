"""`/v1/payment-files` for operators, a merchant's balance and settlements, public keys."""

from fastapi import Response

from app import ids
from app.api.dependencies import (
    DatabaseDep,
    IdempotencyDep,
    MerchantDep,
    OperatorDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import FileId, OrderId
from app.api.services import Services
from app.calendar.errors import CalendarNotCovered
from app.errors import NotFound
from app.ids import Prefix
from app.payment_files import cutting, keys, service, settlements
from app.payment_files.domain import Below
from app.payment_files.errors import FileAlreadyDownloaded
from app.payment_files.merchant_schemas import BalanceRead, SettlementItemRead, SettlementRead
from app.payment_files.parts import Parts
from app.payment_files.schemas import (
    CutCreate,
    CutRead,
    FileRead,
    JwkRead,
    JwksRead,
)

router = api_router(tag="payment files")


def parts_of(services: Services) -> Parts:
    """Give what work on files needs of this process."""
    return Parts(
        db=services.db,
        sealer=services.sealer,
        signer=services.signer,
        calendar=services.calendar,
        policies=services.policies,
        serve_reversals=services.serve_reversals,
    )


@router.post(
    "/v1/payment-files/cut",
    status_code=201,
    summary="Cut files now",
    responses=problems(CalendarNotCovered),
)
async def cut_files(
    body: CutCreate,
    _: OperatorDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> CutRead:
    """Cut one file per bank that has something to pay; a later call takes what has come since."""
    made = await cutting.cut(
        parts_of(services), body.kind, asked=body.business_date, request=request
    )
    mark_replayed(response, made)
    return CutRead.from_domain(made.value)


@router.post(
    "/v1/payment-files/{file_id}/cancel",
    summary="Cancel a file",
    responses=problems(FileAlreadyDownloaded, NotFound),
)
async def cancel_file(
    file_id: FileId,
    _: OperatorDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> FileRead:
    """Take back a file that its bank has not seen; its money is payable again at once."""
    id_ = ids.parse(Prefix.FILE, file_id)
    cancelled = await service.cancel(parts_of(services), id_, request=request)
    mark_replayed(response, cancelled)
    return FileRead.from_domain(cancelled.value)


@router.get("/v1/balance", summary="Read the balance")
async def read_balance(merchant: MerchantDep, db: DatabaseDep) -> BalanceRead:
    """Give all of the merchant's balances at one moment; not with a key of single stores."""
    merchant.require_every_store()
    return BalanceRead.from_domain(await settlements.read_balances(db, merchant.merchant_no))


@router.get("/v1/settlements", summary="List settlements")
async def list_settlements(
    merchant: MerchantDep, db: DatabaseDep, page: PageDep
) -> ListRead[SettlementRead]:
    """List what was paid out to the merchant; not with a key of single stores."""
    merchant.require_every_store()
    rows = await settlements.list_settlements(
        db, merchant.merchant_no, Below(page.after_id, page.fetch_count)
    )
    return page.shown(rows, lambda settlement: settlement.order_id, SettlementRead.from_domain)


@router.get(
    "/v1/settlements/{order_id}/items",
    summary="List a settlement's items",
    responses=problems(NotFound),
)
async def list_settlement_items(
    order_id: OrderId, merchant: MerchantDep, db: DatabaseDep, page: PageDep
) -> ListRead[SettlementItemRead]:
    """List all that a settlement pays or takes off."""
    merchant.require_every_store()
    rows = await settlements.list_items(
        db,
        merchant.merchant_no,
        ids.parse(Prefix.ORDER, order_id),
        before=page.after_number,
        limit=page.fetch_count,
    )
    return page.shown(rows, lambda item: item.seq, SettlementItemRead.from_domain)


@router.get("/.well-known/anxin-keys.json", summary="Read the public keys")
async def read_public_keys(db: DatabaseDep) -> JwksRead:
    """Give the keys that check files and checkpoints, old ones too (RFC 7517)."""
    return JwksRead(keys=[JwkRead.from_domain(key) for key in await keys.list_keys(db)])
