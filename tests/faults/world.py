"""A seeded database, its Postgres and the keys to it: what every fault starts from."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from app.access.tokens import LocalIssuer
from app.commands.starting import with_sandbox_keys
from app.db.engine import Database
from app.db.migrating import migrate
from app.db.sealing import Sealer
from app.merchants.domain import Industry
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from app.sandbox.domain import BANK, DISTRICT
from app.sandbox.files import shown
from app.sandbox.service import MerchantWish, SandboxMaker
from app.settings import Settings
from tests.faults.client import Client
from tests.faults.history import Body
from tests.faults.postgres import Postgres

TEMPLATE = "template_faults"
_SHOPS = 3


@dataclass(frozen=True, slots=True)
class World:
    """One database with shops that can sell."""

    postgres: Postgres
    data: Path
    database: str
    shops: Sequence[Body]
    """Each in the shape of `sandbox.json`."""

    @property
    def database_url(self) -> str:
        return self.postgres.service_url(self.database)

    def token(self, consumer_id: str) -> str:
        return LocalIssuer.of(self.data).mint(consumer_id)

    async def contract_of(self, client: Client, shop: Body) -> Body:
        """Give a shop with the contract that it sells under."""
        seen = await client.get(f"/v1/public/stores/{shop['store_id']}", shop["merchant_key"])
        sold = shop["products"]["stored_value"]
        contract = next(one["contract"] for one in seen["products"] if one["id"] == sold)
        return {**shop, "contract_sha256": contract["sha256"]}

    @asynccontextmanager
    async def witness(self) -> AsyncGenerator[asyncpg.Connection, None]:
        """Give a superuser's connection, past every proxy."""
        connection = await self.postgres.ask(self.database)
        try:
            yield connection
        finally:
            await connection.close()

    async def more_shops(self, count: int) -> Sequence[Body]:
        return await _make_shops(self.postgres, self.data, self.database, count)


async def seed_template(postgres: Postgres, data: Path) -> Sequence[Body]:
    """Make the database that each test clones."""
    await postgres.create(TEMPLATE, template="template0")
    owner, service = postgres.owner_url(TEMPLATE), postgres.service_url(TEMPLATE)
    await asyncio.to_thread(migrate, owner, service)
    return await _make_shops(postgres, data, TEMPLATE, _SHOPS)


async def _make_shops(postgres: Postgres, data: Path, database: str, count: int) -> Sequence[Body]:
    settings = with_sandbox_keys(Settings(data=data, database_url=postgres.service_url(database)))
    assert settings.data_key is not None
    sealer = Sealer.from_base64(settings.data_key.get_secret_value())
    db = Database.connect(postgres.service_url(database))
    try:
        maker = SandboxMaker(settings, db, sealer, CurrentPolicies(db, Policies()))
        made = [await maker.seed()]
        for number in range(count - 1):
            wish = MerchantWish(f"店 {number}", Industry.BEAUTY, DISTRICT, BANK)
            made.append(await maker.another_merchant(wish))
    finally:
        await db.close()
    return [dict(shown(sandbox)) for sandbox in made]
