"""What is sold: a card's kind, price and terms, and the contract made from them.

A product never changes; what it says is frozen into each card at its sale. A merchant that
wants other terms makes another product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.card_products.errors import ProductTermsRefused
from app.errors import FieldError, InvalidRequest
from app.money import Fen

NOT_FOR_THIS_KIND: Final = "Does not apply to this kind"


class CardKind(StrEnum):
    """How a card is used up."""

    STORED_VALUE = "stored_value"
    COUNT = "count"
    PERIOD = "period"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a merchant promises; the four rules have one lawful value each (DOMAIN §6)."""

    text: str | None = None
    refundable: bool = True
    transferable: bool = True
    forfeits_on_expiry: bool = False
    merchant_may_change: bool = False

    def refused(self) -> list[str]:
        """Name the rules that do not have their lawful value."""
        lawful = {
            "refundable": self.refundable,
            "transferable": self.transferable,
            "forfeits_on_expiry": not self.forfeits_on_expiry,
            "merchant_may_change": not self.merchant_may_change,
        }
        return [rule for rule, kept in lawful.items() if not kept]


@dataclass(frozen=True, slots=True)
class CeilingExemption:
    """Why the ceilings on prepaid principal do not bind this product."""

    legal_basis: str
    document_number: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What the consumer accepts: the hash is over the text's UTF-8 bytes."""

    version: int
    sha256: bytes
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a merchant sells, and for how much; amounts in fen.

    `sessions` are paid for, `gift_sessions` come on top; `term_days` is the term of a `period`
    card, for the others how long the card may be used before it must be reactivated.
    """

    name: str
    kind: CardKind
    price_amount: Fen
    bonus_amount: Fen
    sessions: int | None
    gift_sessions: int | None
    term_days: int | None
    list_price_amount: Fen | None
    ceiling_exemption: CeilingExemption | None
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct(Offer):
    """A product to put on sale."""

    def __post_init__(self) -> None:
        """Check what concerns several fields at once.

        Raises:
            InvalidRequest: A field is missing for its kind, or does not apply to it.
            ProductTermsRefused: The terms take away what the law gives.
        """
        wrong = tuple(_wrong_fields(self))
        if wrong:
            raise InvalidRequest(*wrong)
        refused = self.terms.refused()
        if refused:
            raise ProductTermsRefused(refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProduct(Offer):
    """A product as it is on sale."""

    merchant_no: int
    product_id: UUID
    contract: Contract
    on_sale: bool
    created_at: datetime
    ceiling_exempted_at: datetime | None = None
    """From when the exemption counts: a second person approved it."""


def _wrong_fields(new: NewProduct) -> Iterator[FieldError]:
    if new.kind is CardKind.COUNT and new.sessions is None:
        yield FieldError("/sessions", "Required for a count card")
    if new.kind is CardKind.PERIOD and new.term_days is None:
        yield FieldError("/term_days", "Required for a period card")
    if new.kind is not CardKind.COUNT:
        if new.sessions is not None:
            yield FieldError("/sessions", NOT_FOR_THIS_KIND)
        # A zero says "none", which is true of every kind.
        if new.gift_sessions:
            yield FieldError("/gift_sessions", NOT_FOR_THIS_KIND)
    if new.kind is not CardKind.STORED_VALUE and new.bonus_amount:
        yield FieldError("/bonus_amount", NOT_FOR_THIS_KIND)
