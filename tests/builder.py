"""`given`: the story's past tense. What was there before a test acts, made through the services."""

from dataclasses import dataclass, field
from itertools import count
from os import urandom
from uuid import UUID

from app.access import approvals
from app.card_products import service as card_products
from app.card_products.domain import CardKind, CardProduct, NewProduct, Terms
from app.db.engine import Database
from app.db.sealing import Sealer
from app.merchants import service as merchants
from app.merchants.domain import (
    CustodyAccount,
    Industry,
    Merchant,
    NewCustodyAccount,
    NewMerchant,
    NewStore,
    PayeeDetails,
    Store,
)
from app.merchants.payees import executors
from app.money import Fen
from app.policies.domain import Policies

SEALER = Sealer(bytes(32))
BANK = "HZCB"
PROPOSER, APPROVER = "li.na", "wang.wei"

_RUN = urandom(4).hex()
_NUMBERS = count(1)


def unique(prefix: str) -> str:
    """Make a text that no other test of this run uses."""
    return f"{prefix}-{_RUN}-{next(_NUMBERS)}"


def a_merchant(name: str = "安心健身", *, holder_name: str | None = None) -> NewMerchant:
    """Describe a merchant to take in."""
    return NewMerchant(
        name=name,
        licence_number=unique("91330106"),
        industry=Industry.FITNESS,
        district="330106",
        payee=PayeeDetails(holder_name or name, "6222021234567890", "102331000012"),
    )


def a_product(kind: CardKind = CardKind.STORED_VALUE, **fields: object) -> NewProduct:
    """Describe a product to put on sale; `fields` replace what its kind has by default."""
    return NewProduct(**{**_DEFAULTS[kind], **fields})  # pyright: ignore[reportArgumentType]


_BASE: dict[str, object] = {
    "name": "会员卡",
    "bonus_amount": Fen(0),
    "sessions": None,
    "gift_sessions": None,
    "term_days": None,
    "list_price_amount": None,
    "ceiling_exemption": None,
    "terms": Terms(),
}
_DEFAULTS: dict[CardKind, dict[str, object]] = {
    CardKind.STORED_VALUE: {
        **_BASE,
        "kind": CardKind.STORED_VALUE,
        "price_amount": Fen(500_00),
        "bonus_amount": Fen(100_00),
    },
    CardKind.COUNT: {
        **_BASE,
        "kind": CardKind.COUNT,
        "price_amount": Fen(1_200_00),
        "sessions": 10,
        "gift_sessions": 2,
        "list_price_amount": Fen(150_00),
    },
    CardKind.PERIOD: {
        **_BASE,
        "kind": CardKind.PERIOD,
        "price_amount": Fen(3_650_00),
        "term_days": 365,
    },
}


@dataclass(frozen=True, slots=True)
class Shop:
    """A merchant that can sell: a store, a custody account, a payee account that counts."""

    merchant: Merchant
    store: Store
    custody_account: CustodyAccount

    @property
    def merchant_no(self) -> int:
        return self.merchant.merchant_no


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes what a test starts from."""

    db: Database
    policies: Policies = field(default_factory=Policies)

    async def merchant(self, new: NewMerchant | None = None) -> Merchant:
        """Take a merchant in; its payee account is only proposed."""
        made = await merchants.create_merchant(
            self.db, SEALER, new or a_merchant(), by=PROPOSER, request=None
        )
        return made.value

    async def approved(self, approval_id: UUID) -> approvals.Approval:
        """Let a second person approve a payee account."""
        return await approvals.approve(
            self.db,
            executors(self.policies),
            approval_id,
            person_id=APPROVER,
            request=None,
        )

    async def store(self, merchant: Merchant, name: str = "西湖店") -> Store:
        """Open a store."""
        made = await merchants.create_store(
            self.db, merchant.merchant_id, NewStore(name, "文三路 1 号"), request=None
        )
        return made.value

    async def custody_account(self, merchant: Merchant, bank: str = BANK) -> CustodyAccount:
        """Open the merchant's custody account."""
        new = NewCustodyAccount(bank, unique("3301040160"), f"{merchant.name}托管户")
        made = await merchants.create_custody_account(
            self.db, merchant.merchant_id, new, request=None
        )
        return made.value

    async def shop(self, *, bank: str = BANK) -> Shop:
        """Make a merchant that can sell and be paid."""
        merchant = await self.merchant()
        assert merchant.payee is not None
        assert merchant.payee.approval_id is not None
        await self.approved(merchant.payee.approval_id)
        store = await self.store(merchant)
        return Shop(merchant, store, await self.custody_account(merchant, bank))

    async def product(
        self, merchant: Merchant, kind: CardKind = CardKind.STORED_VALUE, **fields: object
    ) -> CardProduct:
        """Put a product on sale."""
        made = await card_products.create_product(
            self.db, self.policies, merchant.merchant_no, a_product(kind, **fields), request=None
        )
        return made.value
