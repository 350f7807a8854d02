"""The contract that a consumer accepts, written out from a product's terms.

The same product gives the same bytes: the text is stored with the product, and its hash with
every acceptance. A changed template counts up `TEMPLATE_VERSION` and touches new products only.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final, TypedDict, cast

from app.card_products.domain import CardKind, Contract, NewProduct
from app.money import Fen
from app.policies.domain import Policies

TEMPLATE_VERSION: Final = 1

_FEN_PER_YUAN: Final = 100


@dataclass(frozen=True, slots=True)
class Seller:
    """The merchant as the contract names it."""

    name: str
    licence_number: str


class _Words(TypedDict):
    text: str
    kind: dict[str, dict[str, str]]
    choice: dict[str, str]


def write_contract(new: NewProduct, seller: Seller, policies: Policies) -> Contract:
    """Write the contract for a product of this seller under the policies of its district."""
    words = _words()
    phrases = words["kind"][new.kind]
    figures = _figures(new)
    text = words["text"].strip().format(
        version=TEMPLATE_VERSION,
        merchant_name=seller.name,
        licence_number=seller.licence_number,
        name=new.name,
        content=phrases["content"].format_map(figures),
        list_price=_list_price(new, phrases["list_price"]),
        price=yuan(new.price_amount),
        release=phrases["release"].format_map(figures),
        expiry=_expiry(new, words["choice"]).format_map(figures),
        cooling_off_days=policies.cooling_off_days,
        cooling_off_scope=_cooling_off_scope(policies, words["choice"]),
        choice_formula=phrases["choice_formula"].format_map(figures),
        reversal_days=policies.reversal_days,
        other_terms=new.terms.text or words["choice"]["no_other_terms"],
    )  # fmt: skip
    return Contract(TEMPLATE_VERSION, sha256(text.encode()).digest(), text)


def yuan(amount: Fen) -> str:
    """Show an amount as people read it: `1200.00元`."""
    whole, rest = divmod(amount, _FEN_PER_YUAN)
    return f"{whole}.{rest:02d}元"


def _figures(new: NewProduct) -> dict[str, str]:
    choice = _words()["choice"]
    bonus = choice["bonus"].format(bonus=yuan(new.bonus_amount)) if new.bonus_amount else ""
    gift_sessions = new.gift_sessions or 0
    gift = choice["gift"].format(gift_sessions=gift_sessions) if gift_sessions else ""
    return {
        "face": yuan(Fen(new.price_amount + new.bonus_amount)),
        "bonus": bonus,
        "sessions": str(new.sessions),
        "gift": gift,
        "sessions_total": str((new.sessions or 0) + gift_sessions),
        "term_days": str(new.term_days),
    }


def _list_price(new: NewProduct, phrase: str) -> str:
    if new.list_price_amount is None:
        return ""
    return phrase.format(list_price=yuan(new.list_price_amount))


def _expiry(new: NewProduct, choice: dict[str, str]) -> str:
    if new.kind is CardKind.PERIOD:
        return choice["expiry_of_period"]
    return choice["no_expiry" if new.term_days is None else "expiry_of_term"]


def _cooling_off_scope(policies: Policies, choice: dict[str, str]) -> str:
    rule = "cooling_off_unused_only" if policies.cooling_off_unused_only else "cooling_off_used"
    return choice[rule]


@cache
def _words() -> _Words:
    text = files("app.card_products").joinpath("contract.zh.toml").read_text(encoding="utf-8")
    return cast("_Words", tomllib.loads(text))
