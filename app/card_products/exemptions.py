"""Exempt a product from the ceilings on what is prepaid: its merchant asks, a second person grants.

Two persons decide it (DOMAIN §2), since it lets more of a consumer's money lie with one merchant.
"""

from collections.abc import Mapping
from typing import Final

from app import ids
from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.card_products import queries
from app.card_products.domain import CardProduct, CeilingExemption
from app.dates import SHANGHAI
from app.db.engine import Transaction
from app.ids import Prefix, merchant_no_of

EXEMPT_PRODUCT: Final = "card_product.ceiling_exemption"
"""The action under which exemptions are granted."""


async def propose(
    tx: Transaction, product: CardProduct, exemption: CeilingExemption, *, by: str
) -> Approval:
    """Put the legal basis that a merchant gives before a second person."""
    request = {"name": product.name, "price_amount": product.price_amount, **_shown(exemption)}
    subject = ids.to_text(Prefix.PRODUCT, product.product_id)
    return await approvals.propose(tx, EXEMPT_PRODUCT, subject, request, by)


async def exempt(tx: Transaction, approval: Approval) -> Execution:
    """Grant an exemption: from now on the ceilings do not bind the product."""
    assert approval.subject_id is not None
    product_id = ids.parse(Prefix.PRODUCT, approval.subject_id)
    merchant_no = merchant_no_of(product_id)
    await queries.exempt_product(tx, merchant_no, product_id)
    product = await queries.product(tx, merchant_no, product_id)
    assert product is not None, "products are never deleted"
    exemption, since = product.ceiling_exemption, product.ceiling_exempted_at
    assert exemption is not None, "what was proposed is what the product says"
    assert since is not None, "it was exempted just now, or before"
    return Execution(
        {
            "id": approval.subject_id,
            "name": product.name,
            "ceiling_exemption": _shown(exemption),
            "ceiling_exempted_at": since.astimezone(SHANGHAI).isoformat(timespec="microseconds"),
        }
    )


EXECUTORS: Final[Mapping[str, Executor]] = {EXEMPT_PRODUCT: exempt}


def _shown(exemption: CeilingExemption) -> Mapping[str, object]:
    return {
        "legal_basis": exemption.legal_basis,
        "document_number": exemption.document_number,
    }
