"""Card products as the contract shows them."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, StrictBool

from app import ids
from app.api.schemas import Amount, AmountOrZero, Currency, Model, ProductId, Time, words
from app.card_products.domain import (
    CardKind,
    CardProduct,
    CeilingExemption,
    Contract,
    NewProduct,
    Terms,
)
from app.ids import Prefix
from app.merchants.schemas import line
from app.money import CURRENCY, Fen

_NAME_LENGTH_MAX: Final = 200
_TERMS_LENGTH_MAX: Final = 10_000
_SESSIONS_MAX: Final = 100_000
_TERM_DAYS_MAX: Final = 36_500

# The body's reader has made 10.0 an integer already; a text or a boolean is none.
Sessions = Annotated[int, Field(strict=True, ge=1, le=_SESSIONS_MAX, examples=[10])]
GiftSessions = Annotated[int, Field(strict=True, ge=0, le=_SESSIONS_MAX, examples=[2])]
TermsText = Annotated[str, words(_TERMS_LENGTH_MAX)]
TermDays = Annotated[int, Field(strict=True, ge=1, le=_TERM_DAYS_MAX, examples=[365])]


class TermsModel(Model):
    """What the merchant promises; each rule has one lawful value."""

    text: TermsText | None = None
    refundable: StrictBool = Field(default=True, description="Must be true.")
    transferable: StrictBool = Field(default=True, description="Must be true.")
    forfeits_on_expiry: StrictBool = Field(default=False, description="Must be false.")
    merchant_may_change: StrictBool = Field(default=False, description="Must be false.")

    def to_domain(self) -> Terms:
        """Say it in the service's own terms."""
        return Terms(
            text=self.text,
            refundable=self.refundable,
            transferable=self.transferable,
            forfeits_on_expiry=self.forfeits_on_expiry,
            merchant_may_change=self.merchant_may_change,
        )

    @classmethod
    def from_domain(cls, terms: Terms) -> Self:
        """Show terms."""
        return cls(
            text=terms.text,
            refundable=terms.refundable,
            transferable=terms.transferable,
            forfeits_on_expiry=terms.forfeits_on_expiry,
            merchant_may_change=terms.merchant_may_change,
        )


class ExemptionModel(Model):
    """Why the ceilings on prepaid principal do not bind this product."""

    legal_basis: Annotated[str, words(500)]
    document_number: Annotated[str, words(64)]

    def to_domain(self) -> CeilingExemption:
        """Say it in the service's own terms."""
        return CeilingExemption(self.legal_basis, self.document_number)

    @classmethod
    def from_domain(cls, exemption: CeilingExemption) -> Self:
        """Show an exemption."""
        return cls(legal_basis=exemption.legal_basis, document_number=exemption.document_number)


class ProductCreate(Model):
    """Put a product on sale.

    `count` needs `sessions`, `period` needs `term_days`; only `stored_value` has a bonus.
    """

    name: Annotated[str, line(_NAME_LENGTH_MAX), Field(examples=["600 元储值卡"])]
    kind: CardKind
    price_amount: Amount
    bonus_amount: AmountOrZero = 0
    sessions: Sessions | None = None
    gift_sessions: GiftSessions | None = None
    term_days: TermDays | None = None
    list_price_amount: Amount | None = None
    ceiling_exemption: ExemptionModel | None = None
    terms: TermsModel | None = None

    def to_domain(self) -> NewProduct:
        """Say it in the service's own terms."""
        exemption, list_price = self.ceiling_exemption, self.list_price_amount
        return NewProduct(
            name=self.name,
            kind=self.kind,
            price_amount=Fen(self.price_amount),
            bonus_amount=Fen(self.bonus_amount),
            sessions=self.sessions,
            gift_sessions=self.gift_sessions,
            term_days=self.term_days,
            list_price_amount=None if list_price is None else Fen(list_price),
            ceiling_exemption=None if exemption is None else exemption.to_domain(),
            terms=Terms() if self.terms is None else self.terms.to_domain(),
        )


class ContractRead(Model):
    """What the consumer accepts; `sha256` is over the text in UTF-8, in hex."""

    version: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    text: str

    @classmethod
    def from_domain(cls, contract: Contract) -> Self:
        """Show a contract."""
        return cls(version=contract.version, sha256=contract.sha256.hex(), text=contract.text)


class ProductOffer(Model):
    """A product as a consumer sees it before buying."""

    id: ProductId
    name: str
    kind: CardKind
    price_amount: Amount
    bonus_amount: AmountOrZero
    sessions: int | None
    gift_sessions: int | None
    term_days: int | None
    list_price_amount: Amount | None
    currency: Currency
    contract: ContractRead

    @classmethod
    def from_domain(cls, product: CardProduct) -> Self:
        """Show a product."""
        return cls.model_validate(_offer(product))


class ProductRead(ProductOffer):
    """A product as its merchant sees it."""

    ceiling_exemption: ExemptionModel | None
    ceiling_exempted_at: Time | None = Field(
        description="From when the exemption counts; null until a second person approves it."
    )
    terms: TermsModel
    status: Literal["on_sale", "withdrawn"]
    created_at: Time

    @classmethod
    def from_domain(cls, product: CardProduct) -> Self:
        """Show a product."""
        exemption = product.ceiling_exemption
        return cls.model_validate(
            {
                **_offer(product),
                "ceiling_exemption": (
                    None if exemption is None else ExemptionModel.from_domain(exemption)
                ),
                "ceiling_exempted_at": product.ceiling_exempted_at,
                "terms": TermsModel.from_domain(product.terms),
                "status": "on_sale" if product.on_sale else "withdrawn",
                "created_at": product.created_at,
            }
        )


def _offer(product: CardProduct) -> dict[str, object]:
    return {
        "id": ids.to_text(Prefix.PRODUCT, product.product_id),
        "name": product.name,
        "kind": product.kind,
        "price_amount": product.price_amount,
        "bonus_amount": product.bonus_amount,
        "sessions": product.sessions,
        "gift_sessions": product.gift_sessions,
        "term_days": product.term_days,
        "list_price_amount": product.list_price_amount,
        "currency": CURRENCY,
        "contract": ContractRead.from_domain(product.contract),
    }
