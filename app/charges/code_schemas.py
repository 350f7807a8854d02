"""What crosses the HTTP border for one-time codes."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, model_validator

from app.api.schemas import Amount, CardId, MerchantId, Model, ProductId, StoreId, Time
from app.charges.codes import CodeRequest
from app.charges.schemas import Code
from app.ids import Prefix, merchant_no_of, parse
from app.money import Fen


class CodeCreate(Model):
    """For what a code is wanted: any use at a merchant, or one card alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"merchant_id": "mch_01h455vb4pex5vsknk084sn02q", "max_amount": 8000}]
        }
    )

    merchant_id: MerchantId | None = None
    card_id: CardId | None = None
    product_id: ProductId | None = None
    store_id: StoreId | None = None
    max_amount: Amount | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.merchant_id is None) == (self.card_id is None):
            raise ValueError("Give exactly one of merchant_id and card_id")
        return self

    def to_domain(self) -> CodeRequest:
        """Say it in the domain's terms.

        Raises:
            NotFound: An id that cannot be anything of this service.
        """
        card = None if self.card_id is None else parse(Prefix.CARD, self.card_id)
        named = card or parse(Prefix.MERCHANT, self.merchant_id or "")
        return CodeRequest(
            merchant_no_of(named),
            card,
            None if self.product_id is None else parse(Prefix.PRODUCT, self.product_id),
            None if self.store_id is None else parse(Prefix.STORE, self.store_id),
            None if self.max_amount is None else Fen(self.max_amount),
        )


class CodeRead(Model):
    """A one-time code to show at the till."""

    code: Code
    expires_at: Time
    qr_svg: str
