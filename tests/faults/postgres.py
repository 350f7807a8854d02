"""A Postgres that is stopped in every way in which a database can go, and started again."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import asyncpg

from app.db.embedded import (
    OWNER,
    SERVICE,
    SUPERUSER,
    EmbeddedPostgres,
    _processes_in,
    embedded_postgres,
)

_TURN_SECONDS = 0.02
_GONE_SECONDS_MAX = 120
_ASK_SECONDS_MAX = 30


class OpenBatch(NamedTuple):
    """A connection of the writer that is inside a transaction."""

    pid: int
    state: str
    query: str
    since: datetime
    """When it came into this state."""


@dataclass(slots=True)
class Postgres:
    """The embedded Postgres of a data folder, whose running is in the test's hands."""

    data: Path
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _address: EmbeddedPostgres | None = None

    @property
    def address(self) -> EmbeddedPostgres:
        assert self._address is not None, "it was never started"
        return self._address

    @property
    def socket(self) -> Path:
        return self.address.socket_folder / ".s.PGSQL.5432"

    def start(self) -> None:
        """Start it, after whatever end the last run came to."""
        self.close()
        self._address = self._running.enter_context(embedded_postgres(self.data))

    def close(self) -> None:
        self._running.close()

    async def stop(self, number: signal.Signals) -> None:
        """Stop the server: SIGINT is "fast", SIGQUIT "immediate", SIGKILL is a crash."""
        os.kill(self.address.server_pid, number)
        await self._gone()

    async def _gone(self) -> None:
        async with asyncio.timeout(_GONE_SECONDS_MAX):
            # Children of a killed server end by themselves, each when it looks up.
            while self._is_running():
                await asyncio.sleep(_TURN_SECONDS)

    def _is_running(self) -> bool:
        home = Path((self.data / "postgres").read_text().strip())
        return bool(_processes_in(home / "cluster"))

    async def ask(self, database: str = "postgres") -> asyncpg.Connection:
        """Open a superuser's connection, past every proxy."""
        return await asyncpg.connect(
            self.address.url(SUPERUSER, database),
            timeout=_ASK_SECONDS_MAX,
            command_timeout=_ASK_SECONDS_MAX,
            server_settings={"application_name": "faults"},
        )

    async def execute(self, *statements: str) -> None:
        connection = await self.ask()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def hurry(self) -> None:
        """Let recovery sync whole file systems, not thousands of files, before it begins."""
        await self.execute(
            "ALTER SYSTEM SET recovery_init_sync_method = 'syncfs'", "SELECT pg_reload_conf()"
        )

    async def drop(self, name: str) -> None:
        await self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def create(self, name: str, *, template: str) -> None:
        await self.execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER {OWNER}',
            f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO {SERVICE}',
        )

    async def clone(self, template: str) -> str:
        """Make a database like the template; give its name."""
        name = f"faults_{uuid4().hex[:12]}"
        await self.create(name, template=template)
        return name

    def service_url(self, database: str) -> str:
        return self.address.url(SERVICE, database)

    def owner_url(self, database: str) -> str:
        return self.address.url(OWNER, database)


async def open_batches(connection: asyncpg.Connection, database: str) -> list[OpenBatch]:
    """Say which batches of the writer are open at this moment."""
    rows = await connection.fetch(
        """
        SELECT pid, state, query, state_change FROM pg_stat_activity
        WHERE application_name = 'anxin-writer' AND datname = $1
          AND xact_start IS NOT NULL AND state IN ('active', 'idle in transaction')
        """,
        database,
    )
    return [OpenBatch(*row) for row in rows]


async def connections(connection: asyncpg.Connection, database: str) -> int:
    """Count the service's connections."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        " AND application_name LIKE 'anxin%'",
        database,
    )
    return found


@contextlib.contextmanager
def data_folder() -> Generator[Path, None, None]:
    """Give a data folder that is gone afterwards, with the cluster outside it if there is one."""
    with tempfile.TemporaryDirectory(prefix="anxin-faults-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        yield data
        pointer = data / "postgres"
        if pointer.exists():  # as root the cluster lies outside
            shutil.rmtree(Path(pointer.read_text().strip()), ignore_errors=True)
