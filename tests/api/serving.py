"""The service in this process, with its lifespan, called over ASGI."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import service as access
from app.access.domain import KeyRequest
from app.access.principals import Role
from app.api.services import Services
from app.commands.starting import with_sandbox_keys
from app.db.engine import Database
from app.settings import Settings


def sandbox_settings(database_url: str, data: Path) -> Settings:
    """Settings of a sandbox on a free port with its own data folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return with_sandbox_keys(Settings(data=data, database_url=database_url, metrics_port=port))


class Served:
    """A service that runs, and a client of it."""

    def __init__(self, app: ASGIApp, state: MutableMapping[str, Any]) -> None:
        self._app = app
        self._state = state
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self, raise_app_exceptions=False),
            base_url="http://anxin.test",
        )

    @property
    def services(self) -> Services:
        return self._state["services"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": dict(self._state)}, receive, send)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[Served, None]:
    """Run the lifespan of a service around the block."""
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    serving = cast("Coroutine[Any, Any, None]", app(scope, to_app.get, from_app.put))
    task = asyncio.create_task(serving)
    await to_app.put({"type": "lifespan.startup"})
    started = await from_app.get()
    assert started["type"] == "lifespan.startup.complete", started
    running = Served(app, state)
    try:
        async with running.client:
            yield running
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await task


async def given_key(db: Database, role: Role = Role.OPERATOR, **narrowing: Any) -> dict[str, str]:
    """Make a key as if two persons had; give the headers of a call with it."""
    if role is Role.BANK:
        narrowing.setdefault("bank", "HZCB")
    wanted = KeyRequest(role=role, person_id=narrowing.pop("person_id", "li.na"), **narrowing)
    async with db.transaction() as tx:
        issued = await access.insert_key(tx, wanted)
    assert issued.secret is not None
    return {"authorization": f"Bearer {issued.secret}"}
