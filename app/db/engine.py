"""Transactions over SQLAlchemy's pool, for all that is not the writer's."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, DateTime, LargeBinary, TextClause, Uuid, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeEngine

from app.db.diagnosis import diagnose
from app.db.rows import Row, columns_of, insert_sql, transposed
from app.errors import DatabaseUnavailable

Shape = TypeVar("Shape")
RowShape = TypeVar("RowShape", bound=Row)

_SERVER_SETTINGS: Final = {
    "application_name": "anxin",
    "timezone": "UTC",
    "jit": "off",
    # A statement or a wait for a lock that takes this long is a fault, not work.
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
_CONNECT_TIMEOUT_SECONDS: Final = 5
_COMMAND_TIMEOUT_SECONDS: Final = 35

_TYPES: Final[Mapping[type, TypeEngine[Any]]] = {
    bool: Boolean(),
    int: BigInteger(),
    bytes: LargeBinary(),
    datetime: DateTime(timezone=True),
    UUID: Uuid(),
}


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction; what it does counts when its `async with` block ends."""

    connection: AsyncConnection

    async def fetch(self, shape: type[Shape], sql: str, **params: object) -> list[Shape]:
        """Run a query; give each row as a `shape`, whose fields are the selected columns."""
        result = await self.connection.execute(_statement(sql, params), params)
        return [shape(**row) for row in result.mappings()]

    async def fetch_one(self, shape: type[Shape], sql: str, **params: object) -> Shape | None:
        """Run a query of at most one row."""
        result = await self.connection.execute(_statement(sql, params), params)
        row = result.mappings().one_or_none()
        return None if row is None else shape(**row)

    async def value(self, sql: str, **params: object) -> object:
        """Run a query; give the first column of its first row, None where there is none."""
        result = await self.connection.execute(_statement(sql, params), params)
        return result.scalar()

    async def execute(self, sql: str, **params: object) -> int:
        """Run a statement; say how many rows it touched."""
        result = await self.connection.execute(_statement(sql, params), params)
        return result.rowcount

    async def insert(self, table: str, shape: type[RowShape], rows: Sequence[RowShape]) -> None:
        """Insert named tuples whose fields are the table's columns, in one statement."""
        if not rows:
            return
        names = [f"c{number}" for number in range(len(columns_of(shape)))]
        sql = insert_sql(table, shape, [f":{name}" for name in names])
        params = dict(zip(names, transposed(shape, rows), strict=True))
        # "new.c::jsonb" reads like a bind parameter to SQLAlchemy.
        await self.connection.execute(text(sql.replace("::", r"\:\:")), params)

    async def now(self) -> datetime:
        """Read domain time from the database."""
        at = await self.value("SELECT anxin_now()")
        assert isinstance(at, datetime)
        return at


@dataclass(frozen=True, slots=True)
class Database:
    """The pool of one process. READ COMMITTED: rows that decide are locked first."""

    engine: AsyncEngine

    @staticmethod
    def connect(url: str, *, pool_max: int = 10) -> "Database":
        """Make a pool; no connection is opened before the first use."""
        return Database(
            create_async_engine(
                sqlalchemy_url(url),
                pool_size=pool_max,
                max_overflow=0,
                pool_timeout=_CONNECT_TIMEOUT_SECONDS,
                pool_pre_ping=True,
                connect_args={
                    "timeout": _CONNECT_TIMEOUT_SECONDS,
                    "command_timeout": _COMMAND_TIMEOUT_SECONDS,
                    "server_settings": _SERVER_SETTINGS,
                },
            )
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction, None]:
        """Open a transaction that commits where the block ends, and rolls back if it raises.

        Raises:
            DatabaseUnavailable: The database cannot be reached; after a lost COMMIT the
                outcome is unknown, and the caller's retry finds it.
        """
        with _unavailable_is_said():
            async with self.engine.begin() as connection:
                yield Transaction(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Transaction, None]:
        """Open a read-only transaction in which all queries see the same moment."""
        with _unavailable_is_said():
            async with self.engine.connect() as connection:
                await connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                async with connection.begin():
                    yield Transaction(connection)

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()


@contextmanager
def _unavailable_is_said() -> Generator[None, None, None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable from error
    except (DBAPIError, OSError, TimeoutError) as error:
        diagnosis = diagnose(error)
        if diagnosis is not None and (diagnosis.unavailable or diagnosis.retryable):
            raise DatabaseUnavailable from error
        raise


def sqlalchemy_url(url: str) -> str:
    """Say a `postgresql://` URL with the driver that this service uses."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)


def _statement(sql: str, params: Mapping[str, object]) -> TextClause:
    """Give each parameter the Postgres type of its Python value: int is bigint, time has a zone."""
    typed = [
        bindparam(name, type_=kind)
        for name, value in params.items()
        if (kind := _TYPES.get(UUID if isinstance(value, UUID) else type(value))) is not None
    ]
    return text(sql).bindparams(*typed)
