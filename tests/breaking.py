"""Break one merchant's steps for real: the database refuses a row of it, and of nobody else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'broken by a test' USING ERRCODE = '22000'; END $$
"""


_STALL = """
CREATE OR REPLACE FUNCTION stall_row() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$
"""


@asynccontextmanager
async def broken_at(owner_url: str, table: str, merchant_no: int) -> AsyncGenerator[None, None]:
    """Let no row of a merchant be written to a table while the block lasts."""
    async with _triggered(owner_url, table, merchant_no, _REFUSE, "refuse_row"):
        yield


@asynccontextmanager
async def slow_at(owner_url: str, table: str, merchant_no: int) -> AsyncGenerator[None, None]:
    """Let a row of a merchant take a minute to be written to a table while the block lasts."""
    async with _triggered(owner_url, table, merchant_no, _STALL, "stall_row"):
        yield


@asynccontextmanager
async def _triggered(
    owner_url: str, table: str, merchant_no: int, create: str, function: str
) -> AsyncGenerator[None, None]:
    name = f"{function}_of_{merchant_no}"
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(create)
        await connection.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW"
            f" WHEN (NEW.merchant_no = {merchant_no}) EXECUTE FUNCTION {function}()"
        )
        yield
        await connection.execute(f"DROP TRIGGER {name} ON {table}")
    finally:
        await connection.close()
