"""Break one merchant's steps for real: the database refuses a row of it, and of nobody else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'broken by a test' USING ERRCODE = '22000'; END $$
"""


@asynccontextmanager
async def broken_at(owner_url: str, table: str, merchant_no: int) -> AsyncGenerator[None, None]:
    """Let no row of a merchant be written to a table while the block lasts."""
    name = f"broken_at_{merchant_no}"
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(_REFUSE)
        await connection.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW"
            f" WHEN (NEW.merchant_no = {merchant_no}) EXECUTE FUNCTION refuse_row()"
        )
        yield
        await connection.execute(f"DROP TRIGGER {name} ON {table}")
    finally:
        await connection.close()
