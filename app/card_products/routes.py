"""`/v1/card-products`, for merchants."""

from fastapi import Response

from app import ids
from app.api.dependencies import (
    DatabaseDep,
    IdempotencyDep,
    MerchantDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import ProductId
from app.card_products import service
from app.card_products.errors import ProductTermsRefused
from app.card_products.schemas import ProductCreate, ProductRead
from app.errors import NotFound
from app.ids import Prefix

router = api_router("/v1/card-products", tag="card products")


@router.post(
    "",
    status_code=201,
    summary="Put a product on sale",
    responses=problems(ProductTermsRefused),
)
async def create_card_product(
    body: ProductCreate,
    caller: MerchantDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ProductRead:
    """Put a product on sale, with the contract that its consumers accept.

    A `ceiling_exemption` counts when a second person has approved it (`ceiling_exempted_at`).
    """
    caller.require_every_store()
    made = await service.create_product(
        services.db,
        services.policies,
        caller.merchant_no,
        body.to_domain(),
        by=caller.person_id,
        request=request,
    )
    mark_replayed(response, made)
    return ProductRead.from_domain(made.value)


@router.get("", summary="List products")
async def list_card_products(
    caller: MerchantDep, db: DatabaseDep, page: PageDep
) -> ListRead[ProductRead]:
    """List the merchant's products."""
    rows = await service.list_products(
        db, caller.merchant_no, before=page.after_id, limit=page.fetch_count
    )
    return page.shown(rows, lambda product: product.product_id, ProductRead.from_domain)


@router.get("/{product_id}", summary="Read a product", responses=problems(NotFound))
async def read_card_product(
    product_id: ProductId, caller: MerchantDep, db: DatabaseDep
) -> ProductRead:
    """Give a product of the merchant's."""
    found = await service.read_product(
        db, caller.merchant_no, ids.parse(Prefix.PRODUCT, product_id)
    )
    return ProductRead.from_domain(found)
