"""`given`: the story's past tense. What was there before a test acts, made through the services."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from os import urandom
from typing import Any
from uuid import UUID

from app import ids
from app.access import approvals
from app.access.principals import ConsumerPrincipal, consumer_of
from app.calendar.current import CurrentCalendar
from app.card_products import service as card_products
from app.card_products.domain import CardKind, CardProduct, NewProduct, Terms
from app.cards import queries as card_queries
from app.cards.directory import MerchantRef
from app.cards.domain import Card
from app.charges import service as charges
from app.charges.codes import CodeRequest, issue_code
from app.charges.commands import (
    CancelCharge,
    ConfirmCharge,
    DeclineCharge,
    PlaceCharge,
    ReverseCharge,
    UseLimits,
)
from app.charges.domain import Charge, Echo, Use
from app.db.engine import Database
from app.db.sealing import Sealer
from app.ledger.books import locked_books
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
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
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from app.purchases import receiving
from app.purchases import service as purchases
from app.purchases.commands import AcceptPurchase, CancelPurchase, Holder, OpenPurchase
from app.purchases.domain import Purchase
from app.purchases.funding import Recorded
from app.purchases.receiving import Payer, ReportedReceipt
from app.purchases.service import Till
from app.registry import REGISTRY
from app.writer.answers import Answered
from app.writer.engine import Writer
from app.writer.requests import RequestKey
from tests.retrying import KEYS, KeyedWriter

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

    @property
    def current_policies(self) -> CurrentPolicies:
        return CurrentPolicies(self.db, self.policies)

    async def merchant(self, new: NewMerchant | None = None) -> Merchant:
        """Take a merchant in; its payee account is only proposed."""
        made = await merchants.create_merchant(
            self.db, SEALER, new or a_merchant(), by=PROPOSER, request=None
        )
        return made.value

    async def approved(self, approval_id: UUID) -> approvals.Approval:
        """Let a second person approve a payee account."""
        decided = await approvals.approve(
            self.db,
            executors(self.current_policies),
            approval_id,
            person_id=APPROVER,
            request=None,
        )
        return decided.value

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
            self.db,
            self.current_policies,
            merchant.merchant_no,
            a_product(kind, **fields),
            by=PROPOSER,
            request=None,
        )
        return made.value


ISSUER = "https://wallet.example"
PAYER = Payer("李娜", "6217000010001234567")

BOOK_TABLES = (
    "book",
    "account",
    "transfer",
    "fact",
    "purchase",
    "receipt",
    "refund",
    "card",
    "card_entry",
    "card_life",
    "card_transfer",
    "charge",
    "case_file",
    "dispute",
    "hold",
    "stored_request",
)
"""Every table that a command may write, but for the outbox."""


@asynccontextmanager
async def writing(database_url: str) -> AsyncGenerator[Writer, None]:
    """Run a writer that knows what the service's own knows."""
    writer = KeyedWriter(database_url, REGISTRY)
    await writer.start()
    yield writer
    await writer.stop()


def a_consumer() -> ConsumerPrincipal:
    """Name a person whom no other test knows."""
    name = unique("consumer")
    return ConsumerPrincipal(consumer_of(ISSUER, name), name, ISSUER)


def a_key(*, fingerprint: bytes = bytes(32)) -> RequestKey:
    """Make an idempotency key that no other request has, but for its retry."""
    if keys := KEYS.get():
        return keys.next("a_key", fingerprint if any(fingerprint) else None)
    return RequestKey.of(tenant="test", key=unique("key"), fingerprint=fingerprint)


def holder_of(consumer: ConsumerPrincipal) -> Holder:
    return Holder(consumer.consumer, consumer.consumer_id, consumer.issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader(Builder):
    """Sells cards and uses them, through the services and the writer that production has."""

    writer: Writer

    @property
    def till(self) -> Till:
        calendar = CurrentCalendar(self.db, provisional=True)
        return Till(self.db, self.writer, SEALER, calendar, self.current_policies)

    # Sales.

    async def purchase(
        self,
        shop: Shop,
        product: CardProduct,
        consumer: ConsumerPrincipal | None,
        *,
        accepted: bool = True,
        lifetime_seconds: int = 1800,
    ) -> Purchase:
        """Open a purchase; accepted, as where the consumer buys."""
        made = await purchases.change_purchase(
            self.till,
            OpenPurchase(
                shop.merchant_no,
                None,
                ids.new_id(shop.merchant_no),
                product.product_id,
                shop.store.store_id,
                None if consumer is None else holder_of(consumer),
                product.contract.sha256 if accepted else None,
                lifetime_seconds,
            ),
        )
        return made.value

    async def accepted(self, purchase: Purchase, consumer: ConsumerPrincipal) -> Purchase:
        made = await purchases.change_purchase(
            self.till,
            AcceptPurchase(
                purchase.merchant_no,
                None,
                purchase.purchase_id,
                holder_of(consumer),
                purchase.contract_sha256,
            ),
        )
        return made.value

    async def cancelled(self, purchase: Purchase) -> Purchase:
        made = await purchases.change_purchase(
            self.till, CancelPurchase(purchase.merchant_no, None, purchase.purchase_id, None)
        )
        return made.value

    def report(self, shop: Shop, amount: int, reference: str, **fields: Any) -> ReportedReceipt:
        """Say what the bank reports; `fields` replace what it says by default."""
        said: dict[str, Any] = {
            "bank": shop.custody_account.bank,
            "bank_reference": unique("REF"),
            "custody_account": shop.custody_account.account_number,
            "amount": Fen(amount),
            "payment_reference": reference,
            "paid_at": None,
            "payer": PAYER,
        }
        return ReportedReceipt(**{**said, **fields})

    async def received(
        self, reported: ReportedReceipt, *, request: RequestKey | None = None
    ) -> Answered[Recorded]:
        return await receiving.record_receipt(self.till, reported, request=request)

    async def paid(
        self, shop: Shop, purchase: Purchase, amount: int | None = None, **fields: Any
    ) -> Recorded:
        """Let the bank report money for a purchase; its price, now, where nothing else is said."""
        fields.setdefault("paid_at", await self.now())
        reported = self.report(
            shop,
            purchase.amount if amount is None else amount,
            purchase.payment_reference,
            **fields,
        )
        return (await self.received(reported)).value

    async def card(
        self,
        shop: Shop,
        consumer: ConsumerPrincipal,
        kind: CardKind = CardKind.STORED_VALUE,
        *,
        of: CardProduct | None = None,
        **fields: object,
    ) -> UUID:
        """Sell a card and pay for it."""
        product = of or await self.product(shop.merchant, kind, **fields)
        recorded = await self.paid(shop, await self.purchase(shop, product, consumer))
        assert recorded.receipt.card_id is not None, recorded
        return recorded.receipt.card_id

    # Uses.

    def use(self, shop: Shop, use: Use, **fields: Any) -> PlaceCharge:
        """Say a charge as the POS asks for it; `fields` replace what it says by default."""
        policies = self.policies
        said: dict[str, Any] = {
            "merchant_no": shop.merchant_no,
            "request": None,
            "charge_id": ids.new_id(shop.merchant_no),
            "confirmation_id": ids.new_id(shop.merchant_no),
            "store_id": shop.store.store_id,
            "use": use,
            "code_hash": None,
            "card_id": None,
            "product_id": None,
            "list_amount": None,
            "description": None,
            "text_salt": None,
            "client_reference": None,
            "limits": UseLimits(
                policies.code_use_amount,
                policies.code_day_amount,
                policies.pending_lifetime_seconds,
                policies.pending_per_card,
            ),
        }
        return PlaceCharge(**{**said, **fields})

    async def code(
        self, shop: Shop, consumer: ConsumerPrincipal, *, lifetime_seconds: int = 60, **limits: Any
    ) -> bytes:
        """Let the consumer make a code; give its hash, which is all that is kept of it."""
        wanted = CodeRequest(
            shop.merchant_no,
            limits.get("card_id"),
            limits.get("product_id"),
            limits.get("store_id"),
            limits.get("max_amount"),
        )
        made = await issue_code(self.db, consumer, wanted, lifetime_seconds=lifetime_seconds)
        return charges.code_hash(made.code)

    async def done(
        self, command: PlaceCharge | ConfirmCharge | DeclineCharge | CancelCharge | ReverseCharge
    ) -> Charge:
        """Carry a command out; give the charge."""
        return (await charges.carry_out(self.writer, self.db, command)).value

    async def waiting(self, shop: Shop, card_id: UUID, use: Use, **fields: Any) -> Charge:
        """Charge a named card; its consumer has not answered."""
        return await self.done(self.use(shop, use, card_id=card_id, **fields))

    async def used(
        self, shop: Shop, consumer: ConsumerPrincipal, card_id: UUID, use: Use, **fields: Any
    ) -> Charge:
        """Charge a named card, and let its consumer confirm."""
        charge = await self.waiting(shop, card_id, use, **fields)
        return await self.done(self.confirming(shop, consumer, charge))

    async def used_by_code(
        self, shop: Shop, consumer: ConsumerPrincipal, use: Use, **fields: Any
    ) -> Charge:
        """Charge with a code that the consumer made for it."""
        code = await self.code(shop, consumer)
        return await self.done(self.use(shop, use, code_hash=code, **fields))

    def confirming(
        self,
        shop: Shop,
        consumer: ConsumerPrincipal,
        charge: Charge,
        *,
        request: RequestKey | None = None,
        **echo: Any,
    ) -> ConfirmCharge:
        """Say a confirmation; `echo` replaces what the charge says."""
        said = Echo(
            charge.store_id, charge.amount, charge.sessions, charge.visit, charge.list_amount
        )
        return ConfirmCharge(
            shop.merchant_no,
            request,
            charge.charge_id,
            ids.new_id(shop.merchant_no),
            consumer.consumer,
            said._replace(**echo),
            MerchantRef(shop.merchant_no, shop.merchant.merchant_id, shop.merchant.name),
        )

    async def reversed(self, charge: Charge, *, reversal_days: int = 90) -> Charge:
        return await self.done(
            ReverseCharge(
                charge.merchant_no, None, charge.charge_id, None, "wrong person", reversal_days
            )
        )

    async def paid_out(self, shop: Shop, amount: int | None = None) -> None:
        """Let the bank pay the merchant, without the file that it takes elsewhere."""
        async with self.db.transaction() as tx, locked_books(tx, [shop.merchant_no]) as books:
            book = books[shop.merchant_no]
            whole = book.balance(AccountType.MERCHANT_PAYABLE)
            moved = Movement(
                book.own(AccountType.MERCHANT_PAYABLE),
                book.own(AccountType.CUSTODY),
                whole if amount is None else Fen(amount),
            )
            book.append(Entry("release_paid", shop.merchant.merchant_id, moved))

    # What is there.

    async def now(self) -> datetime:
        async with self.db.transaction() as tx:
            return await tx.now()

    async def read(self, card_id: UUID) -> Card:
        async with self.db.snapshot() as tx:
            found = await card_queries.find_card(tx, ids.merchant_no_of(card_id), card_id)
        assert found is not None
        return found

    async def balance(self, shop: Shop, account: AccountType | UUID) -> int:
        id_ = account if isinstance(account, UUID) else account_id(shop.merchant_no, account)
        async with self.db.snapshot() as tx:
            found = await tx.value(
                "SELECT balance FROM account WHERE merchant_no = :no AND account_id = :id",
                no=shop.merchant_no,
                id=id_,
            )
        assert isinstance(found, int)
        return found

    async def rows(self, *shops: Shop) -> Mapping[str, Sequence[str]]:
        """Give every row of these merchants' books as text, table by table."""
        nos = [shop.merchant_no for shop in shops]
        async with self.db.snapshot() as tx:
            return {
                table: [
                    row.row
                    for row in await tx.fetch(
                        _Text,
                        f"SELECT CAST({table} AS text) AS row FROM {table}"
                        " WHERE merchant_no = ANY (CAST(:nos AS integer[])) ORDER BY 1",
                        nos=nos,
                    )
                ]
                for table in BOOK_TABLES
            }


@dataclass(frozen=True, slots=True)
class _Text:
    row: str
