"""`/v1/purchases` for merchants, `/v1/me/purchases` for consumers."""

from fastapi import Response

from app.access.principals import consumer_of
from app.api.dependencies import (
    ConsumerDep,
    IdempotencyDep,
    MerchantDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import PurchaseId
from app.api.services import Services
from app.cards.errors import CeilingExceeded, MerchantFrozen
from app.errors import NotFound
from app.ids import Prefix, merchant_no_of, new_id, parse
from app.purchases import service
from app.purchases.commands import AcceptPurchase, CancelPurchase, Holder, OpenPurchase
from app.purchases.errors import (
    ContractChanged,
    ProductNotOnSale,
    PurchaseNotAwaitingPayment,
)
from app.purchases.schemas import (
    OwnPurchaseCreate,
    PurchaseAccept,
    PurchaseCreate,
    PurchaseRead,
)
from app.purchases.service import Till

router = api_router("/v1", tag="purchases")


@router.post(
    "/purchases",
    status_code=201,
    summary="Start a sale",
    responses=problems(CeilingExceeded, MerchantFrozen, NotFound, ProductNotOnSale),
)
async def create_purchase(
    body: PurchaseCreate,
    merchant: MerchantDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> PurchaseRead:
    """Start a sale at the till; show `pay_url` to the consumer, who accepts the contract."""
    store_id = parse(Prefix.STORE, body.store_id)
    merchant.require_store(store_id)
    named = body.consumer_id
    policies = await services.policies_of(merchant.merchant_no)
    command = OpenPurchase(
        merchant.merchant_no,
        request,
        new_id(merchant.merchant_no),
        parse(Prefix.PRODUCT, body.product_id),
        store_id,
        None if named is None else _named_holder(services, named),
        None,
        policies.purchase_lifetime_seconds,
        await service.ceilings_at(services.policies, services.directory, merchant.merchant_no),
    )
    done = await service.change_purchase(till_of(services), command)
    mark_replayed(response, done)
    return PurchaseRead.from_domain(done.value, services.settings.base_url)


@router.get("/purchases", summary="List purchases")
async def list_purchases(
    merchant: MerchantDep, services: ServicesDep, page: PageDep
) -> ListRead[PurchaseRead]:
    """List the merchant's purchases."""
    rows = await service.list_purchases(
        services.db,
        merchant.merchant_no,
        merchant.store_ids,
        before=page.after_id,
        count=page.fetch_count,
    )
    shown = page.close(rows, lambda purchase: purchase.purchase_id)
    base_url = services.settings.base_url
    return ListRead(
        data=[PurchaseRead.from_domain(row, base_url) for row in shown.rows],
        next_cursor=shown.next_cursor,
    )


@router.get("/purchases/{purchase_id}", summary="Read a purchase", responses=problems(NotFound))
async def read_purchase(
    purchase_id: PurchaseId, merchant: MerchantDep, services: ServicesDep
) -> PurchaseRead:
    """Give a purchase of the merchant."""
    found = await service.read_purchase(services.db, parse(Prefix.PURCHASE, purchase_id))
    if found.merchant_no != merchant.merchant_no:
        raise NotFound
    merchant.require_store(found.store_id)
    return PurchaseRead.from_domain(found, services.settings.base_url)


@router.post(
    "/purchases/{purchase_id}/cancel",
    summary="Give up a sale",
    responses=problems(NotFound, PurchaseNotAwaitingPayment),
)
async def cancel_purchase(
    purchase_id: PurchaseId,
    merchant: MerchantDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> PurchaseRead:
    """Cancel a purchase that was not paid; again gives the same."""
    command = CancelPurchase(
        merchant.merchant_no, request, parse(Prefix.PURCHASE, purchase_id), merchant.store_ids
    )
    done = await service.change_purchase(till_of(services), command)
    mark_replayed(response, done)
    return PurchaseRead.from_domain(done.value, services.settings.base_url)


@router.post(
    "/me/purchases",
    status_code=201,
    summary="Buy a card",
    responses=problems(
        CeilingExceeded, ContractChanged, MerchantFrozen, NotFound, ProductNotOnSale
    ),
)
async def buy(
    body: OwnPurchaseCreate,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> PurchaseRead:
    """Buy what a shop's public page offers, accepting its contract."""
    product_id = parse(Prefix.PRODUCT, body.product_id)
    merchant_no = merchant_no_of(product_id)
    # A number that no merchant has would have no book to answer from; here it is not found.
    policies = await services.policies_of(merchant_no)
    command = OpenPurchase(
        merchant_no,
        request,
        new_id(merchant_no),
        product_id,
        parse(Prefix.STORE, body.store_id),
        Holder(consumer.consumer, consumer.consumer_id, consumer.issuer),
        bytes.fromhex(body.contract_sha256),
        policies.purchase_lifetime_seconds,
        await service.ceilings_at(services.policies, services.directory, merchant_no),
    )
    done = await service.change_purchase(till_of(services), command)
    mark_replayed(response, done)
    return PurchaseRead.from_domain(done.value, services.settings.base_url)


@router.get(
    "/me/purchases/{purchase_id}", summary="Read a purchase to pay", responses=problems(NotFound)
)
async def read_own_purchase(
    purchase_id: PurchaseId, consumer: ConsumerDep, services: ServicesDep
) -> PurchaseRead:
    """Give a purchase of one's own, or one that nobody has accepted yet."""
    found = await service.read_purchase(services.db, parse(Prefix.PURCHASE, purchase_id))
    if found.consumer not in (None, consumer.consumer):
        raise NotFound
    return PurchaseRead.from_domain(found, services.settings.base_url)


@router.post(
    "/me/purchases/{purchase_id}/accept",
    summary="Accept a purchase's contract",
    responses=problems(CeilingExceeded, ContractChanged, NotFound, PurchaseNotAwaitingPayment),
)
async def accept_purchase(
    purchase_id: PurchaseId,
    body: PurchaseAccept,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> PurchaseRead:
    """Become the holder of a sale that the till started; the first to accept is."""
    parsed = parse(Prefix.PURCHASE, purchase_id)
    command = AcceptPurchase(
        merchant_no_of(parsed),
        request,
        parsed,
        Holder(consumer.consumer, consumer.consumer_id, consumer.issuer),
        bytes.fromhex(body.contract_sha256),
        await service.ceilings_at(services.policies, services.directory, merchant_no_of(parsed)),
    )
    done = await service.change_purchase(till_of(services), command)
    mark_replayed(response, done)
    return PurchaseRead.from_domain(done.value, services.settings.base_url)


def till_of(services: Services) -> Till:
    """Give the use cases of sales what they need of the process."""
    return Till(services.db, services.writer, services.sealer, services.calendar, services.policies)


def _named_holder(services: Services, consumer_id: str) -> Holder:
    """Name a consumer whom the POS names: a subject of the first issuer that is trusted."""
    issuer = services.tokens.default_issuer
    return Holder(consumer_of(issuer, consumer_id), consumer_id, issuer)
