"""How Alembic runs here: one transaction, one migrator at a time, and never a long wait.

A migration that waits for a lock keeps everybody behind it waiting too, so it gives up after
seconds and is simply run again. One that needs longer says so in its own file, with SET LOCAL.
"""

import asyncio

from alembic import context
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.db.engine import sqlalchemy_url
from app.settings import read_environment

_MIGRATOR_LOCK = 4_207_849_484
"""Any constant will do that nothing else uses: it keeps two migrators apart."""


def _url() -> str:
    url: object = context.config.attributes.get("url") or read_environment().migration_database_url
    if not isinstance(url, str):
        raise SystemExit("Set MIGRATION_DATABASE_URL, or run `anxin migrate`.")
    return sqlalchemy_url(url)


def _upgrade(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=False)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = '60s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATOR_LOCK})"))
        context.run_migrations()


async def _run() -> None:
    engine = create_async_engine(_url(), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(_run())
