"""Bring a database to this version's schema, and say whether it is there.

The owner's role migrates; the service's role is granted what `migrations/grants.sql` says,
and refuses to serve with anything that could change the past.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.settings import StartRefused

MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"

_CONNECT_TIMEOUT_SECONDS: Final = 5

_FORBIDDEN_SQL: Final = """
SELECT c.relname
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_roles r ON r.rolname = current_user
 WHERE n.nspname = 'public'
   AND c.relname IN ('transfer', 'fact', 'card_entry')
   AND (r.rolsuper
        OR pg_has_role(current_user, c.relowner, 'MEMBER')
        OR pg_has_role(current_user, n.nspowner, 'MEMBER')
        OR has_table_privilege(current_user, c.oid, 'DELETE, TRUNCATE, TRIGGER')
        OR has_any_column_privilege(current_user, c.oid, 'UPDATE'))
 ORDER BY c.relname
"""
"""The tables of facts that the role could rewrite, by itself or through another role."""


def migrate(owner_url: str, service_url: str) -> None:
    """Upgrade the schema to head, then grant the service's role its rights.

    Running it again changes nothing. It must not run inside an event loop: Alembic starts one.

    Raises:
        StartRefused: The database cannot be reached or does not allow it; the schema is as
            it was.
    """
    if urlsplit(owner_url).username == urlsplit(service_url).username:
        raise StartRefused(
            "DATABASE_URL and MIGRATION_DATABASE_URL name the same role: the service's own "
            "role must not own the tables, or it could rewrite what has happened."
        )
    config = _config()
    config.attributes["url"] = owner_url
    try:
        command.upgrade(config, "head")
    except OSError as error:
        raise unreachable(owner_url, error) from error
    except DBAPIError as error:
        raise unreachable(owner_url, error.orig or error) from error
    asyncio.run(_grant(owner_url, service_url))


async def _grant(owner_url: str, service_url: str) -> None:
    grants = (MIGRATIONS / "grants.sql").read_text(encoding="utf-8")
    connection = await connect(owner_url)
    try:
        database: str = await connection.fetchval("SELECT current_database()")
        service = urlsplit(service_url).username or ""
        sql = grants.replace(":service", _quoted(service)).replace(":database", _quoted(database))
        async with connection.transaction():
            await connection.execute(sql)
    except asyncpg.PostgresError as error:
        raise StartRefused(f"The service's role could not get its rights: {error}.") from error
    finally:
        await connection.close()


async def check_database(service_url: str) -> None:
    """Check that this service may serve from this database.

    Raises:
        StartRefused: It cannot be reached, its schema is another version's, or the role could
            rewrite what has happened.
    """
    connection = await connect(service_url)
    try:
        await _check_schema(connection)
        await _check_role(connection)
    finally:
        await connection.close()


async def connect(url: str) -> asyncpg.Connection:
    """Open one plain connection.

    Raises:
        StartRefused: The database cannot be reached; the sentence holds no password.
    """
    try:
        return await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_SECONDS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise unreachable(url, error) from error


def unreachable(url: str, error: BaseException) -> StartRefused:
    """Say which database does not answer, and why, without its password."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2] or parts.query.removeprefix("host=")
    reason = str(error) or type(error).__name__
    return StartRefused(f"The database at {where}{parts.path} cannot be used: {reason}.")


async def _check_schema(connection: asyncpg.Connection) -> None:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    try:
        found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        found = None
    except asyncpg.InsufficientPrivilegeError:
        raise StartRefused(
            "The service's role may not read the schema's version: run `anxin migrate`."
        ) from None
    if found != head:
        raise StartRefused(
            f"The database has schema {found or 'none'}, this service needs {head}: "
            "run `anxin migrate`."
        )


async def _check_role(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(_FORBIDDEN_SQL)
    if rows:
        tables = ", ".join(str(row["relname"]) for row in rows)
        role: str = await connection.fetchval("SELECT current_user")
        raise StartRefused(
            f"The role {role} in DATABASE_URL could rewrite what has happened ({tables}): "
            "name the service's role there and the owner's in MIGRATION_DATABASE_URL, "
            "and run `anxin migrate`."
        )


class _AsyncDriver(Protocol):
    """What SQLAlchemy's asyncpg connection offers beside the DBAPI."""

    def run_async(self, work: Callable[[asyncpg.Connection], Awaitable[object]]) -> object: ...


def run_script(bind: Connection, sql: str) -> None:
    """Run many statements at once, in the migration's transaction.

    asyncpg prepares what SQLAlchemy sends, and a prepared statement is one statement.
    """
    bind.exec_driver_sql("SELECT 1")  # SQLAlchemy opens the transaction with a statement of its own
    driver: _AsyncDriver = bind.connection.dbapi_connection  # pyright: ignore[reportAssignmentType]
    driver.run_async(lambda connection: connection.execute(sql))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
