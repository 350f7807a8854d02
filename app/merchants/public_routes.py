"""`/v1/public/stores`, for anyone who stands before a shop."""

from fastapi import Response

from app import ids
from app.api.dependencies import DatabaseDep, ServicesDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import StoreId
from app.errors import NotFound
from app.ids import Prefix
from app.merchants import storefront
from app.merchants.public_schemas import StorefrontRead
from app.qr import qr_svg

router = api_router("/v1/public/stores", tag="public")


@router.get("/{store_id}", summary="Read a store's public page", responses=problems(NotFound))
async def read_public_store(store_id: StoreId, db: DatabaseDep) -> StorefrontRead:
    """Say whether the shop is in the scheme, and what it sells."""
    page = await storefront.read_storefront(db, ids.parse(Prefix.STORE, store_id))
    return StorefrontRead.from_domain(page)


@router.get(
    "/{store_id}/qr",
    summary="Draw the shop's code",
    response_class=Response,
    responses={
        200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}},
        **problems(NotFound),
    },
)
async def draw_shop_code(store_id: StoreId, services: ServicesDep) -> Response:
    """Draw the code that hangs in the shop: its page's address."""
    await storefront.require_store(services.db, ids.parse(Prefix.STORE, store_id))
    return Response(
        qr_svg(f"{services.settings.base_url}/stores/{store_id}"), media_type="image/svg+xml"
    )
