"""Rows of card products."""

import json
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.card_products.domain import CardKind, CardProduct, CeilingExemption, Contract, Terms
from app.db.engine import Transaction
from app.db.rows import Json
from app.money import Fen
from app.writer.answers import as_facts, from_facts

_COLUMNS: Final = """
SELECT merchant_no, product_id, name, kind, price_amount, bonus_amount, sessions, gift_sessions,
       term_days, list_price_amount, CAST(ceiling_exemption AS text) AS ceiling_exemption,
       CAST(terms AS text) AS terms, contract_version, contract_text, contract_sha256, on_sale,
       created_at, ceiling_exempted_at
FROM card_product
"""


class ProductRow(NamedTuple):
    """A product as it lies in the table."""

    merchant_no: int
    product_id: UUID
    name: str
    kind: str
    price_amount: Fen
    bonus_amount: Fen
    sessions: int | None
    gift_sessions: int | None
    term_days: int | None
    list_price_amount: Fen | None
    ceiling_exemption: Json | None
    terms: Json
    contract_version: int
    contract_text: str
    contract_sha256: bytes
    on_sale: bool
    created_at: datetime
    ceiling_exempted_at: datetime | None

    def product(self) -> CardProduct:
        """Give it in the domain's types."""
        exemption = self.ceiling_exemption
        return CardProduct(
            merchant_no=self.merchant_no,
            product_id=self.product_id,
            name=self.name,
            kind=CardKind(self.kind),
            price_amount=self.price_amount,
            bonus_amount=self.bonus_amount,
            sessions=self.sessions,
            gift_sessions=self.gift_sessions,
            term_days=self.term_days,
            list_price_amount=self.list_price_amount,
            ceiling_exemption=(
                None if exemption is None else from_facts(CeilingExemption, json.loads(exemption))
            ),
            terms=from_facts(Terms, json.loads(self.terms)),
            contract=Contract(self.contract_version, self.contract_sha256, self.contract_text),
            on_sale=self.on_sale,
            created_at=self.created_at,
            ceiling_exempted_at=self.ceiling_exempted_at,
        )


def row_of(product: CardProduct) -> ProductRow:
    """Give a product as a row."""
    exemption = product.ceiling_exemption
    return ProductRow(
        merchant_no=product.merchant_no,
        product_id=product.product_id,
        name=product.name,
        kind=str(product.kind),
        price_amount=product.price_amount,
        bonus_amount=product.bonus_amount,
        sessions=product.sessions,
        gift_sessions=product.gift_sessions,
        term_days=product.term_days,
        list_price_amount=product.list_price_amount,
        ceiling_exemption=None if exemption is None else _json(exemption),
        terms=_json(product.terms),
        contract_version=product.contract.version,
        contract_text=product.contract.text,
        contract_sha256=product.contract.sha256,
        on_sale=product.on_sale,
        created_at=product.created_at,
        ceiling_exempted_at=product.ceiling_exempted_at,
    )


async def insert_product(tx: Transaction, product: CardProduct) -> None:
    """Store a product."""
    await tx.insert("card_product", ProductRow, [row_of(product)])


async def product(tx: Transaction, merchant_no: int, product_id: UUID) -> CardProduct | None:
    """Give a merchant's product."""
    row = await tx.fetch_one(
        ProductRow,
        f"{_COLUMNS} WHERE merchant_no = :no AND product_id = :id",
        no=merchant_no,
        id=product_id,
    )
    return None if row is None else row.product()


async def exempt_product(tx: Transaction, merchant_no: int, product_id: UUID) -> None:
    """Let the ceilings bind a product no more; again changes nothing."""
    await tx.execute(
        """
        UPDATE card_product SET ceiling_exempted_at = anxin_now()
        WHERE merchant_no = :no AND product_id = :id AND ceiling_exempted_at IS NULL
        """,
        no=merchant_no,
        id=product_id,
    )


async def products_before(
    tx: Transaction, merchant_no: int, product_id: UUID | None, limit: int
) -> list[CardProduct]:
    """Give a merchant's products, newest first, below a product's id."""
    rows = await tx.fetch(
        ProductRow,
        f"""{_COLUMNS}
        WHERE merchant_no = :no
          AND (CAST(:before AS uuid) IS NULL OR product_id < CAST(:before AS uuid))
        ORDER BY product_id DESC LIMIT :limit
        """,
        no=merchant_no,
        before=product_id,
        limit=limit,
    )
    return [row.product() for row in rows]


async def products_on_sale(tx: Transaction, merchant_no: int, limit: int) -> list[CardProduct]:
    """Give what a merchant sells now, newest first."""
    rows = await tx.fetch(
        ProductRow,
        f"{_COLUMNS} WHERE merchant_no = :no AND on_sale ORDER BY product_id DESC LIMIT :limit",
        no=merchant_no,
        limit=limit,
    )
    return [row.product() for row in rows]


def _json(value: object) -> Json:
    return Json(json.dumps(as_facts(value), ensure_ascii=False))
