"""Who takes part: shops with custody accounts at a bank of their own, consumers, operators."""

import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Final

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from app.demo.client import Body, Call, Caller, DemoFailed, new_key
from app.demo.expected import ExpectedBook, ExpectedCard
from app.demo.figures import Figures
from app.demo.shapes import (
    Approval,
    Charge,
    Code,
    Products,
    PublicStore,
    Sandbox,
    SoldProduct,
    Token,
)

_SHOPS: Final = (
    ("西湖美发", "hairdressing", "330106"),
    ("拱墅健身", "fitness", "330105"),
    ("滨江舞蹈", "training", "330108"),
)
_PEOPLE: Final = ("王芳", "李强", "张敏")
_SHANGHAI: Final = timezone(timedelta(hours=8))


def day_of(at: datetime) -> date:
    """Give the business date of a moment."""
    return at.astimezone(_SHANGHAI).date()


@dataclass(frozen=True, slots=True)
class Shop:
    """A merchant with its till, and what its book must say."""

    name: str
    till: Caller
    merchant_id: str
    store_id: str
    custody_account: str
    products: Products
    book: ExpectedBook = field(default_factory=ExpectedBook)

    def use(self, **fields: JsonValue) -> dict[str, JsonValue]:
        """Say a use at this shop's store, as a charge's body."""
        return {"store_id": self.store_id, **fields}

    def charge(self, **fields: JsonValue) -> Charge:
        """Charge a use."""
        return self.till.create(Charge, "/v1/charges", self.use(**fields))

    def sells(self, product_id: str) -> SoldProduct:
        """Look a product up on the shop's public page, as whoever scans its code does.

        Raises:
            DemoFailed: The shop is not in the scheme, or does not sell it.
        """
        page = Caller(self.till.http).get(PublicStore, f"/v1/public/stores/{self.store_id}")
        if not page.in_scheme:
            raise DemoFailed(f"{self.name} is not in the scheme")
        for product in page.products:
            if product.id == product_id:
                return product
        raise DemoFailed(f"{self.name} does not show {product_id} on its page")


@dataclass(frozen=True, slots=True)
class Person:
    """A consumer with the app in hand."""

    name: str
    consumer_id: str
    app: Caller
    account_number: str

    def show_code(self, **wanted: JsonValue) -> str:
        """Show a one-time code at the till."""
        return self.app.expect(Code, Call("POST", "/v1/me/codes", wanted), 201).code

    def confirm(self, charge: Charge, **use: JsonValue) -> Charge:
        """Confirm a use that waits, by saying what it is."""
        body: Body = {"store_id": charge.store_id, **use}
        return self.app.act(Charge, f"/v1/me/charges/{charge.id}/confirm", body)


@dataclass(frozen=True, slots=True)
class HeldCard:
    """A card: whose it is, where, and what it must say."""

    card_id: str
    product: str
    shop: Shop
    holder: Person
    first_day: date
    """Day 1 of its term, Asia/Shanghai."""
    expected: ExpectedCard


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that was refused, as it had to be."""

    attempt: str
    status: int
    code: str


@dataclass(frozen=True, slots=True)
class World:
    """Everybody, and what has happened so far."""

    console: Console
    figures: Figures
    anybody: Caller
    operator: Caller
    operator2: Caller
    regulator: Caller
    bank: Caller
    bank_name: str
    hair: Shop
    gym: Shop
    dance: Shop
    wang: Person
    li: Person
    zhang: Person
    cards: list[HeldCard] = field(default_factory=list[HeldCard])
    refusals: list[Refusal] = field(default_factory=list[Refusal])

    @property
    def shops(self) -> tuple[Shop, Shop, Shop]:
        return (self.hair, self.gym, self.dance)

    @property
    def people(self) -> tuple[Person, Person, Person]:
        return (self.wang, self.li, self.zhang)

    def scene(self, title: str) -> None:
        """Begin a scene."""
        self.console.rule(f"[bold]{title}")

    def show(self, table: Table) -> None:
        """Print a table: on a narrow terminal words are broken, and amounts stay whole."""
        for column in table.columns:
            column.overflow = "fold"
            column.no_wrap = column.justify == "right"
        self.console.print(table)

    def refused(self, attempt: str, caller: Caller, call: Call, code: str) -> None:
        """Make a call that must be refused with this code, and note it."""
        problem = caller.refused(call)
        self.figures.same(f"the refusal of: {attempt}", problem.code, code)
        self.refusals.append(Refusal(attempt, problem.status, problem.code))

    def refused_post(
        self, attempt: str, caller: Caller, path: str, body: Body | None, code: str
    ) -> None:
        """Make a POST that must be refused with this code, and note it."""
        self.refused(attempt, caller, Call("POST", path, body, key=new_key()), code)

    def two_persons(self, path: str, body: Body | None, *, by: Caller | None = None) -> Approval:
        """Let one person propose, and another approve; who proposes cannot."""
        proposal = (by or self.operator).propose(Approval, path, body)
        self.figures.same("a proposal's status", proposal.status, "proposed")
        approve = f"/v1/approvals/{proposal.id}/approve"
        if by is None:
            own = "approving one's own proposal"
            self.refused_post(own, self.operator, approve, None, "own_proposal")
        approved = self.operator2.act(Approval, approve)
        self.figures.same("an approval's status", approved.status, "approved")
        return approved

    def shop_of(self, charge: Charge) -> Shop:
        """Give the shop that charges."""
        return next(shop for shop in self.shops if shop.merchant_id == charge.merchant_id)

    def cards_of(self, holder: Person, shop: Shop) -> list[HeldCard]:
        """Give a person's cards at a shop that can be used, oldest payment first."""
        return [
            card
            for card in self.cards
            if card.holder is holder and card.shop is shop and not card.expected.is_over
        ]


def make_world(console: Console, sandbox: Sandbox, anybody: Caller) -> World:
    """Make new shops at a new bank, and new consumers: no figure of an earlier run is touched."""
    run = secrets.token_hex(4)
    bank_name = f"DEMO{run.upper()}"
    made = [_open_shop(anybody, name, bank_name, kind) for name, *kind in _SHOPS]
    hair, gym, dance = (shop for shop, _ in made)
    wang, li, zhang = (
        _meet(anybody, name, f"demo-{run}-{number}") for number, name in enumerate(_PEOPLE)
    )
    return World(
        console=console,
        figures=Figures(),
        anybody=anybody,
        operator=anybody.as_(sandbox.operator_key),
        operator2=anybody.as_(sandbox.operator2_key),
        regulator=anybody.as_(sandbox.regulator_key),
        bank=anybody.as_(made[0][1]),
        bank_name=bank_name,
        hair=hair,
        gym=gym,
        dance=dance,
        wang=wang,
        li=li,
        zhang=zhang,
    )


def _open_shop(anybody: Caller, name: str, bank: str, kind: list[str]) -> tuple[Shop, str]:
    """Make a shop; give it with the key of its bank."""
    industry, district = kind
    body: Body = {"name": name, "industry": industry, "district": district, "bank": bank}
    made = anybody.expect(Sandbox, Call("POST", "/v1/sandbox/merchants", body), 201)
    till = anybody.as_(made.merchant_key)
    shop = Shop(name, till, made.merchant_id, made.store_id, made.custody_account, made.products)
    return shop, made.bank_key


def _meet(anybody: Caller, name: str, consumer_id: str) -> Person:
    body: Body = {"consumer_id": consumer_id}
    token = anybody.expect(Token, Call("POST", "/v1/sandbox/consumer-tokens", body), 201).token
    account = f"6222{secrets.randbelow(10**15):015}"
    return Person(name, consumer_id, anybody.as_(token), account)
