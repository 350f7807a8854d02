"""Shops and their customers: many clients that sell, charge, confirm and take back at random."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from tests.faults.client import Client, new_key
from tests.faults.history import Answer, Asked, Body, History, Kind
from tests.faults.world import World

_AMOUNT_MAX = 300
_PRICE = 500_00
_SETTLE_SECONDS_MAX = 300


@dataclass(slots=True)
class Customer:
    """A client with a consumer of its own at one merchant."""

    world: World
    client: Client
    random: Random
    shop: Body
    token: str
    cards: list[str] = field(default_factory=list[str])
    confirmed: list[str] = field(default_factory=list[str])

    async def act(self) -> None:
        """Do one thing, to its end."""
        if not self.cards:
            await self.buy()
            return
        choice = self.random.random()
        if choice < 0.08:
            await self.buy(exact=self.random.random() < 0.8)
        elif 0.45 <= choice < 0.55:
            await self.reverse()
        elif choice >= 0.7 or not self.client.takes_codes(self.shop["merchant_id"]):
            await self.use_in_two_steps()
        elif choice < 0.45:
            await self.use_by_code()
        else:
            await self.batch()

    async def buy(self, *, exact: bool = True) -> None:
        """Buy a card and let the bank report its money, sometimes not the right amount."""
        bought = await self._ask(
            Kind.BUY,
            "/v1/me/purchases",
            self.token,
            {
                "product_id": self.shop["products"]["stored_value"],
                "store_id": self.shop["store_id"],
                "contract_sha256": self.shop["contract_sha256"],
            },
        )
        if bought is None or not bought.accepted:
            return
        paid = await self._ask(
            Kind.RECEIPT,
            "/v1/bank/receipts",
            self.shop["bank_key"],
            {
                "bank_reference": new_key(),
                "custody_account": self.shop["custody_account"],
                "amount": _PRICE if exact else _PRICE - self.random.randint(1, 99),
                "payment_reference": bought.body["payment_reference"],
                "paid_at": bought.body["created_at"],
                "payer": {"name": "王芳", "account_number": "6222020200112233445"},
            },
        )
        if paid is not None and paid.accepted and paid.body["card_id"]:
            self.cards.append(paid.body["card_id"])

    async def use_by_code(self) -> None:
        code = await self.client.mint(self.token, self.shop["merchant_id"])
        if code is not None:
            self._remember(await self._place({"consumer_code": code}))

    async def use_in_two_steps(self) -> None:
        card = self.random.choice(self.cards)
        placed = await self._place({"card_id": card})
        if placed is None or not placed.accepted:
            return
        charge = placed.body
        path = f"/v1/me/charges/{charge['id']}"
        if self.random.random() < 0.1:
            await self._ask(Kind.DECLINE, f"{path}/decline", self.token, {})
            return
        echo = {"store_id": charge["store_id"], "amount": charge["amount"]}
        self._remember(await self._ask(Kind.CONFIRM, f"{path}/confirm", self.token, echo))

    async def reverse(self) -> None:
        if self.confirmed:
            charge = self.confirmed.pop(self.random.randrange(len(self.confirmed)))
            await self._ask(
                Kind.REVERSE, f"/v1/charges/{charge}/reverse", self.shop["merchant_key"], {}
            )

    async def batch(self) -> None:
        items: list[Body] = []
        for _ in range(self.random.randint(2, 5)):
            code = await self.client.mint(self.token, self.shop["merchant_id"])
            if code is not None:
                items.append(self._charge({"consumer_code": code}))
        if items:
            await self._ask(
                Kind.BATCH, "/v1/charges/batch", self.shop["merchant_key"], {"items": items}
            )

    def _charge(self, source: Body) -> Body:
        return {
            **source,
            "store_id": self.shop["store_id"],
            "amount": self.random.randint(1, _AMOUNT_MAX),
            "client_reference": new_key(),
        }

    async def _place(self, source: Body) -> Answer | None:
        return await self._ask(
            Kind.PLACE, "/v1/charges", self.shop["merchant_key"], self._charge(source)
        )

    def _remember(self, answer: Answer | None) -> None:
        if answer is not None and answer.accepted and answer.body["status"] == "confirmed":
            self.confirmed.append(answer.body["id"])

    async def _ask(self, kind: Kind, path: str, credential: str, body: Body) -> Answer | None:
        asked = Asked(kind, path, credential, new_key(), body, self.shop["merchant_id"])
        return await self.client.ask(asked)


@dataclass(slots=True)
class Crowd:
    """Customers who act one after another for as long as they are let."""

    history: History
    client: Client
    customers: Sequence[Customer]

    @asynccontextmanager
    async def acting(self) -> AsyncGenerator[None, None]:
        """Let them act; at the end each brings to its end what it has begun."""
        open_ = asyncio.Event()
        open_.set()
        tasks = [asyncio.create_task(_act(customer, open_)) for customer in self.customers]
        try:
            yield
        finally:
            open_.clear()
            async with asyncio.timeout(_SETTLE_SECONDS_MAX):
                await asyncio.gather(*tasks)


async def _act(customer: Customer, open_: asyncio.Event) -> None:
    while open_.is_set():
        await customer.act()


@asynccontextmanager
async def a_crowd(
    world: World, bases: Sequence[str], *, seed: int, clients: int, walks_away: float = 0.05
) -> AsyncGenerator[Crowd, None]:
    """Give customers spread over the world's shops, half of them at the first."""
    random = Random(seed)
    history = History()
    client = Client(history, random, bases, walks_away)
    shops = [await world.contract_of(client, shop) for shop in world.shops]
    customers = [
        Customer(
            world,
            client,
            Random(seed * 1_000 + number),
            shops[0 if number % 2 else number // 2 % len(shops)],
            world.token(f"{seed}-{number}"),
        )
        for number in range(clients)
    ]
    try:
        yield Crowd(history, client, customers)
    finally:
        client.close()
