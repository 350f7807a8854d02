"""What a sandbox hands out: working credentials, and a merchant that can sell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.access.domain import new_secret
from app.card_products.domain import CardKind, NewProduct, Terms
from app.money import Fen

BANK: Final = "HZCB"
CONSUMER_ID: Final = "consumer-1"
DISTRICT: Final = "330106"
OPERATOR, OPERATOR_2 = "operator-1", "operator-2"


@dataclass(frozen=True, slots=True)
class SandboxKeys:
    """The seeded principals' secrets; kept in the data folder, so that they survive restarts."""

    operator_key: str
    operator2_key: str
    merchant_key: str
    bank_key: str
    regulator_key: str
    wallet_key: str

    @staticmethod
    def make() -> "SandboxKeys":
        """Make new secrets."""
        return SandboxKeys(*(new_secret() for _ in range(6)))


@dataclass(frozen=True, slots=True)
class ReadyMerchant:
    """A merchant that can sell and be paid, by the ids that the contract shows."""

    merchant_id: str
    store_id: str
    custody_account: str
    bank: str
    products: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """All that `sandbox.json` says."""

    base_url: str
    keys: SandboxKeys
    merchant: ReadyMerchant
    consumer_id: str
    consumer_token: str


STORED_VALUE: Final = NewProduct(
    name="600 元储值卡",
    kind=CardKind.STORED_VALUE,
    price_amount=Fen(500_00),
    bonus_amount=Fen(100_00),
    sessions=None,
    gift_sessions=None,
    term_days=None,
    list_price_amount=None,
    ceiling_exemption=None,
    terms=Terms(),
)
COUNT: Final = NewProduct(
    name="十次卡",
    kind=CardKind.COUNT,
    price_amount=Fen(1_200_00),
    bonus_amount=Fen(0),
    sessions=10,
    gift_sessions=2,
    term_days=None,
    list_price_amount=Fen(150_00),
    ceiling_exemption=None,
    terms=Terms(),
)
PERIOD: Final = NewProduct(
    name="年卡",
    kind=CardKind.PERIOD,
    price_amount=Fen(3_650_00),
    bonus_amount=Fen(0),
    sessions=None,
    gift_sessions=None,
    term_days=365,
    list_price_amount=None,
    ceiling_exemption=None,
    terms=Terms(),
)
PRODUCTS: Final = (STORED_VALUE, COUNT, PERIOD)
"""What every sandbox merchant sells."""
