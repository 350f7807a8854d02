"""A store's public page as the contract shows it."""

from typing import Self

from app import ids
from app.api.schemas import MerchantId, Model, StoreId
from app.card_products.schemas import ProductOffer
from app.ids import Prefix
from app.merchants.domain import BookStatus, StoreStatus
from app.merchants.storefront import Storefront


class PublicStore(Model):
    """A store as anyone may see it."""

    id: StoreId
    name: str
    address: str | None
    status: StoreStatus


class PublicMerchant(Model):
    """A merchant as anyone may see it."""

    id: MerchantId
    name: str
    licence_number: str
    status: BookStatus


class StorefrontRead(Model):
    """What a consumer sees who scans a shop's code."""

    store: PublicStore
    merchant: PublicMerchant
    in_scheme: bool
    """Money paid here now is held by a bank until it is used."""
    products: list[ProductOffer]

    @classmethod
    def from_domain(cls, page: Storefront) -> Self:
        """Show a store's public page."""
        store, merchant = page.store, page.merchant
        return cls(
            store=PublicStore(
                id=ids.to_text(Prefix.STORE, store.store_id),
                name=store.name,
                address=store.address,
                status=store.status,
            ),
            merchant=PublicMerchant(
                id=ids.to_text(Prefix.MERCHANT, merchant.merchant_id),
                name=merchant.name,
                licence_number=merchant.licence_number,
                status=BookStatus(merchant.status),
            ),
            in_scheme=page.in_scheme,
            products=[ProductOffer.from_domain(product) for product in page.products],
        )
