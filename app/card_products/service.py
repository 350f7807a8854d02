"""Put products on sale and show them."""

from dataclasses import replace
from typing import Final
from uuid import UUID

import structlog

from app import ids
from app.card_products import exemptions, queries
from app.card_products.contract import Seller, write_contract
from app.card_products.domain import CardProduct, NewProduct
from app.dates import business_date
from app.db.engine import Database, Transaction
from app.errors import NotFound
from app.merchants.service import find_merchant
from app.policies.current import CurrentPolicies
from app.writer.answers import Answered
from app.writer.requests import RequestKey, claim, keep

PRODUCTS_SHOWN_MAX: Final = 200
"""How many products a store's public page shows."""

log = structlog.stdlib.get_logger()


async def create_product(  # noqa: PLR0913  # who asks for what, and under which key
    db: Database,
    policies: CurrentPolicies,
    merchant_no: int,
    new: NewProduct,
    *,
    by: str,
    request: RequestKey | None,
) -> Answered[CardProduct]:
    """Put a product on sale, with the contract that its consumers accept.

    An exemption from the ceilings is put before a second person than `by`; the product is on sale
    at once, and within the ceilings until then. A retry under the same key gives the same product.

    Raises:
        IdempotencyKeyReused: The key was used for another request.
    """
    async with db.transaction() as tx:
        stored = await claim(tx, merchant_no, request)
        if stored is not None:
            product = await _require(tx, merchant_no, UUID(str(stored["product_id"])))
            # A second person may have exempted it since.
            return Answered(replace(product, ceiling_exempted_at=None), replayed=True)
        product = await _insert(tx, policies, merchant_no, new)
        if product.ceiling_exemption is not None:
            await exemptions.propose(tx, product, product.ceiling_exemption, by=by)
        await keep(
            tx,
            merchant_no,
            request,
            command="create_card_product",
            subject_id=product.product_id,
            # Nothing that the merchant said of it changes, so its id is all that a retry needs.
            answer={"product_id": product.product_id},
        )
    log.info("card_product.created", product_id=str(product.product_id))
    return Answered(product)


async def read_product(db: Database, merchant_no: int, product_id: UUID) -> CardProduct:
    """Give a merchant's product.

    Raises:
        NotFound: There is no such product, or it is another merchant's.
    """
    async with db.snapshot() as tx:
        return await _require(tx, merchant_no, product_id)


async def list_products(
    db: Database, merchant_no: int, *, before: UUID | None, limit: int
) -> list[CardProduct]:
    """Give a merchant's products, newest first, below a product's id."""
    async with db.snapshot() as tx:
        return await queries.products_before(tx, merchant_no, before, limit)


async def products_on_sale(tx: Transaction, merchant_no: int) -> list[CardProduct]:
    """Give what a merchant sells, as this transaction sees it, newest first."""
    return await queries.products_on_sale(tx, merchant_no, PRODUCTS_SHOWN_MAX)


async def _insert(
    tx: Transaction, policies: CurrentPolicies, merchant_no: int, new: NewProduct
) -> CardProduct:
    seller = await find_merchant(tx, merchant_no)
    # An API key names its merchant by a foreign key, so there is one.
    assert seller is not None
    now = await tx.now()
    contract = write_contract(
        new,
        Seller(seller.name, seller.licence_number),
        await policies.policies_in(seller.district, business_date(now), tx=tx),
    )
    product = CardProduct(
        merchant_no=merchant_no,
        product_id=ids.new_id(merchant_no),
        name=new.name,
        kind=new.kind,
        price_amount=new.price_amount,
        bonus_amount=new.bonus_amount,
        sessions=new.sessions,
        gift_sessions=new.gift_sessions,
        term_days=new.term_days,
        list_price_amount=new.list_price_amount,
        ceiling_exemption=new.ceiling_exemption,
        terms=new.terms,
        contract=contract,
        on_sale=True,
        created_at=now,
    )
    await queries.insert_product(tx, product)
    return product


async def _require(tx: Transaction, merchant_no: int, product_id: UUID) -> CardProduct:
    product = await queries.product(tx, merchant_no, product_id)
    if product is None:
        raise NotFound
    return product
