"""Two of everything behind one service, and what a test needs to have happened before it acts.

Side A and side B have a merchant, a bank and a consumer each, so whatever is made on one side
is somebody else's on the other.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx
from pydantic import JsonValue

from app import ids
from app.access.principals import Role
from app.access.tokens import LocalIssuer
from app.closures import upkeep
from app.closures.preparing import Tools
from app.ids import Prefix
from app.main import create_app
from app.payment_files.routes import parts_of
from app.sandbox import files
from app.sandbox.service import seed
from app.settings import Settings
from tests.api.serving import Served, given_key, sandbox_settings, served
from tests.cluster import DatabaseUrls

Headers = Mapping[str, str]
NOBODY: Final[Headers] = {}

LIMITS: Final[dict[str, JsonValue]] = {"pending_per_card": 10_000, "code_day_amount": 100_000_00}
"""Wide enough for all that the tests of one module do to a card on a day."""

_NUMBERS = count(1)


def unique(prefix: str = "t") -> str:
    """Make a text that this run uses once."""
    return f"{prefix}-{next(_NUMBERS)}-{uuid4().hex[:8]}"


def bearer(credential: str) -> Headers:
    return {"authorization": f"Bearer {credential}"}


@dataclass(frozen=True)
class Side:
    """A merchant, its bank and a consumer, with their credentials and what they have."""

    merchant_id: str
    store_id: str
    other_store_id: str
    custody_account: str
    bank_name: str
    products: Mapping[str, str]
    contracts: Mapping[str, str]
    merchant: Headers
    narrowed: Headers
    """A key of the same merchant that reaches `other_store_id` alone."""
    bank: Headers
    consumer: Headers
    consumer_id: str
    cards: Mapping[str, str] = field(default_factory=dict[str, str])

    def as_role(self, role: Role) -> Headers:
        return {Role.MERCHANT: self.merchant, Role.BANK: self.bank, Role.CONSUMER: self.consumer}[
            role
        ]


class World:
    """The service with both sides; each call is one HTTP request."""

    def __init__(self, settings: Settings, urls: DatabaseUrls) -> None:
        self.settings = settings
        self.urls = urls
        self.operator: Headers = NOBODY
        self.operator2: Headers = NOBODY
        self.regulator: Headers = NOBODY
        self.wallet: Headers = NOBODY
        self._stack = AsyncExitStack()
        self._served: Served | None = None
        self.a: Side
        self.b: Side

    @property
    def served(self) -> Served:
        assert self._served is not None
        return self._served

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.a, self.b

    async def start(self) -> None:
        """Start the service, or start it again: another process would know no more."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()
        self._served = await self._stack.enter_async_context(served(create_app(self.settings)))
        # Guessing is limited by a test of its own; here hundreds of guesses are the matrix.
        self._served.services.keys.failures.failures_max = 1_000_000

    async def stop(self) -> None:
        await self._stack.aclose()

    async def call(
        self, method: str, path: str, who: Headers = NOBODY, body: object = None, **headers: str
    ) -> httpx.Response:
        """Call; every POST has a key of its own unless `key` gives one, or "" for none."""
        given = headers.pop("key", None)
        sent = {**who, **headers}
        if method == "POST" and given is None:
            given = uuid4().hex
        if given:
            sent["idempotency-key"] = given
        return await self.served.client.request(method, path, headers=sent, json=body)

    async def made(
        self, path: str, who: Headers = NOBODY, body: object = None, **headers: str
    ) -> Any:
        """POST what must succeed; give its answer."""
        answer = await self.call("POST", path, who, body, **headers)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    async def got(self, path: str, who: Headers = NOBODY) -> Any:
        answer = await self.call("GET", path, who)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    async def key(self, role: Role, **narrowing: Any) -> Headers:
        """Make a key as if two persons had."""
        return await given_key(self.served.services.db, role, **narrowing)

    async def merchant_key(self, side: Side, **narrowing: Any) -> Headers:
        merchant_id = ids.parse(Prefix.MERCHANT, side.merchant_id)
        return await self.key(Role.MERCHANT, merchant_id=merchant_id, **narrowing)

    async def revoked(self, key: Headers) -> Headers:
        """Revoke a key, and wait until it counts nowhere."""
        services = self.served.services
        async with services.db.transaction() as tx:
            known = await services.keys.authenticate(key["authorization"][7:], writes=False)
            await tx.execute(
                "UPDATE api_key SET revoked_at = clock_timestamp() WHERE key_id = :id",
                id=known.key_id,
            )
        await services.keys.read_revocations()
        return key

    def token(self, consumer_id: str, *, seconds: int = 3600) -> Headers:
        return bearer(LocalIssuer.of(self.settings.data).mint(consumer_id, seconds=seconds))

    async def digest(self) -> Mapping[str, str]:
        """Digest every table: equal digests say that nothing at all was changed."""
        connection = await asyncpg.connect(self.urls.owner_url)
        try:
            tables = [
                row["name"]
                for row in await connection.fetch(
                    "SELECT relname AS name FROM pg_class WHERE relkind = 'r' "
                    "AND relnamespace = 'public'::regnamespace"
                )
            ]
            union = " UNION ALL ".join(
                f"SELECT '{name}' AS name, md5(coalesce(string_agg(t::text, '|' "
                f"ORDER BY t::text), '')) AS digest FROM \"{name}\" t"
                for name in tables
            )
            return {row["name"]: row["digest"] for row in await connection.fetch(union)}
        finally:
            await connection.close()

    # What was there before.

    async def purchase(self, side: Side, kind: str = "stored_value", **fields: object) -> Any:
        """Let the POS start a sale that nobody has accepted."""
        body = {"product_id": side.products[kind], "store_id": side.store_id, **fields}
        return await self.made("/v1/purchases", side.merchant, body)

    async def card(
        self, side: Side, kind: str = "stored_value", consumer: Headers | None = None
    ) -> str:
        """Sell a card to the side's consumer, or another, and pay for it."""
        bought = await self.made(
            "/v1/me/purchases", consumer or side.consumer, self.own_purchase(side, kind)
        )
        receipt = await self.made("/v1/bank/receipts", side.bank, self.receipt(side, bought))
        assert receipt["status"] == "matched", receipt
        return receipt["card_id"]

    async def refund_body(self, side: Side, card_id: str) -> dict[str, object]:
        """Preview a refund, and echo it."""
        body = {"reason": "consumer_choice"}
        shown = await self.made(f"/v1/me/cards/{card_id}/refunds/preview", side.consumer, body)
        return {**body, **{name: shown[name] for name in ("amount", "residue_amount", "as_of")}}

    async def returned_refund(self, side: Side) -> str:
        """Refund a card, and let the bank give the payment back."""
        card_id = await self.card(side)
        body = await self.refund_body(side, card_id)
        refund = await self.made(f"/v1/me/cards/{card_id}/refunds", side.consumer, body)
        await self.made("/v1/payment-files/cut", self.operator, {"kind": "refund"})
        files = await self.got("/v1/bank/files?kind=refund&status=ready", side.bank)
        for file in files["data"]:
            path = f"/v1/bank/files/{file['id']}"
            orders = (await self.got(f"{path}/orders?limit=200", side.bank))["data"]
            said = [
                {"order_id": order["id"], "status": status, **reason}
                for order in orders
                for status, reason in (("paid", {}), ("returned", {"reason": "account_closed"}))
            ]
            await self.made(f"{path}/results", side.bank, {"results": said})
        return refund["id"]

    def own_purchase(self, side: Side, kind: str = "stored_value") -> dict[str, object]:
        return {
            "product_id": side.products[kind],
            "store_id": side.store_id,
            "contract_sha256": side.contracts[kind],
        }

    def receipt(self, side: Side, purchase: Any = None, **fields: object) -> dict[str, object]:
        """Say what the bank reports of a payment; without a purchase, of one for nothing."""
        purchase = purchase or {
            "amount": 4_321,
            "payment_reference": "没有备注",
            "created_at": datetime.now(timezone(timedelta(hours=8))).isoformat(),
        }
        return {
            "bank_reference": unique("br"),
            "custody_account": side.custody_account,
            "amount": purchase["amount"],
            "payment_reference": purchase["payment_reference"],
            "paid_at": purchase["created_at"],
            "payer": {"name": "王芳", "account_number": "6222020200112233445"},
            **fields,
        }

    async def suspense(self, side: Side) -> str:
        """Give the id of money that funds nothing."""
        made = await self.made("/v1/bank/receipts", side.bank, self.receipt(side))
        assert made["status"] == "suspense"
        return made["id"]

    async def code(self, side: Side, **fields: object) -> str:
        wanted = {"merchant_id": side.merchant_id, **fields}
        return (await self.made("/v1/me/codes", side.consumer, wanted, key=""))["code"]

    async def charge_body(self, side: Side, **fields: object) -> dict[str, object]:
        """Say a use of 1 fen by a fresh code."""
        code = await self.code(side)
        return {"store_id": side.store_id, "consumer_code": code, "amount": 1, **fields}

    async def confirmed(self, side: Side, amount: int = 1) -> Any:
        body = await self.charge_body(side, amount=amount)
        charge = await self.made("/v1/charges", side.merchant, body)
        assert charge["status"] == "confirmed", charge
        return charge

    async def pending(self, side: Side, amount: int = 1, **fields: object) -> Any:
        """Charge a card, whose holder has not answered."""
        card = await self.card(side)
        return await self.pending_on(side, card, amount=amount, **fields)

    async def pending_on(self, side: Side, card: str, **fields: object) -> Any:
        body = {"store_id": side.store_id, "card_id": card, "amount": 1, **fields}
        charge = await self.made("/v1/charges", side.merchant, body)
        assert charge["status"] == "pending_confirmation", charge
        return charge

    async def file(self, side: Side) -> Any:
        """Cut a release file of the side's bank with one order."""
        await self.confirmed(side, 600)
        made = (await self.made("/v1/payment-files/cut", self.operator, {"kind": "release"}))[
            "data"
        ]
        return next(file for file in made if file["bank"] == side.bank_name)

    async def order(self, side: Side, file: Any) -> Any:
        return (await self.got(f"/v1/bank/files/{file['id']}/orders", side.bank))["data"][0]

    async def finished(self, closure: Any) -> None:
        """Let two persons execute a closure, and the worker come round."""
        approval = await self.made(f"/v1/closures/{closure['id']}/execute", self.operator)
        await self.made(f"/v1/approvals/{approval['id']}/approve", self.operator2)
        services = self.served.services
        await upkeep.carry_on(Tools(services.writer, parts_of(services)))

    async def proposal(self) -> Any:
        """Give a proposal that another operator made."""
        body = {"role": "bank", "person_id": unique("p"), "bank": "CCB"}
        return await self.made("/v1/api-keys", self.operator2, body)


@asynccontextmanager
async def open_world(urls: DatabaseUrls, data: Path) -> AsyncGenerator[World, None]:
    """Run the service over a database of its own, with both sides in it."""
    settings = sandbox_settings(urls.database_url, data).model_copy(update={"policies": LIMITS})
    first = files.shown(await seed(settings, publish=False))
    world = World(settings, urls)
    await world.start()
    try:
        for name in ("operator", "operator2", "regulator", "wallet"):
            setattr(world, name, bearer(str(first[f"{name}_key"])))
        second = await world.made("/v1/sandbox/merchants", body={"bank": "BCOM"}, key="")
        world.a = await _side(world, first, "consumer-1")
        world.b = await _side(world, second, "consumer-b")
        yield world
    finally:
        await world.stop()


async def _side(world: World, ready: Mapping[str, Any], consumer_id: str) -> Side:
    page = await world.got(f"/v1/public/stores/{ready['store_id']}")
    other = await world.made(
        f"/v1/merchants/{ready['merchant_id']}/stores", world.operator, {"name": "二店"}
    )
    side = Side(
        merchant_id=ready["merchant_id"],
        store_id=ready["store_id"],
        other_store_id=other["id"],
        custody_account=ready["custody_account"],
        bank_name=ready["bank"],
        products=ready["products"],
        contracts={offer["kind"]: offer["contract"]["sha256"] for offer in page["products"]},
        merchant=bearer(ready["merchant_key"]),
        narrowed=NOBODY,
        bank=bearer(ready["bank_key"]),
        consumer=world.token(consumer_id),
        consumer_id=consumer_id,
    )
    other_store: UUID = ids.parse(Prefix.STORE, other["id"])
    side = replace(side, narrowed=await world.merchant_key(side, store_ids=(other_store,)))
    cards = {kind: await world.card(side, kind) for kind in side.products}
    return replace(side, cards=cards)
