"""What anyone may see of a store: whether its cards are protected, and what it sells."""

from dataclasses import dataclass
from uuid import UUID

from app import ids
from app.card_products.domain import CardProduct
from app.card_products.service import products_on_sale
from app.db.engine import Database
from app.errors import NotFound
from app.merchants import queries
from app.merchants.domain import BookStatus, Store, StoreStatus
from app.merchants.queries import MerchantRow


@dataclass(frozen=True, slots=True)
class Storefront:
    """A store's public page; one that is not in the scheme sells nothing."""

    store: Store
    merchant: MerchantRow
    in_scheme: bool
    products: list[CardProduct]


async def read_storefront(db: Database, store_id: UUID) -> Storefront:
    """Give a store's public page.

    A store is in the scheme if its merchant's book is open, a bank holds the money in a custody
    account, and the store itself is open.

    Raises:
        NotFound: There is no such store.
    """
    merchant_no = ids.merchant_no_of(store_id)
    async with db.snapshot() as tx:
        store = await queries.store(tx, merchant_no, store_id)
        if store is None:
            raise NotFound
        merchant = await queries.merchant(tx, merchant_no)
        assert merchant is not None
        custody = await queries.custody_account(tx, merchant_no)
        in_scheme = (
            merchant.status == BookStatus.OPEN
            and custody is not None
            and store.status is StoreStatus.OPEN
        )
        products = await products_on_sale(tx, merchant_no) if in_scheme else []
    return Storefront(store, merchant, in_scheme, products)


async def require_store(db: Database, store_id: UUID) -> None:
    """Go on only where there is such a store.

    Raises:
        NotFound: There is none.
    """
    async with db.snapshot() as tx:
        if await queries.store(tx, ids.merchant_no_of(store_id), store_id) is None:
            raise NotFound
