"""Transactions over SQLAlchemy's pool, for all that is not the writer's."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import CursorResult, event
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.db.diagnosis import diagnose
from app.db.parameters import numbered
from app.db.rows import Row, columns_of, insert_sql, transposed, unnested, update_sql
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
_CONNECT_TIMEOUT_SECONDS: Final = 3
_COMMAND_TIMEOUT_SECONDS: Final = 35
_TURN_SECONDS: Final = 3.0
"""How long to wait for a connection that others have."""
_PATIENCE_SECONDS: Final = 10.0
"""How long a transaction may take, waiting for a connection included: callers wait for it."""

POOL_MAX: Final = 10
"""Connections of a process for all that is not the writer's."""

BULK_PATIENCE_SECONDS: Final = 120.0
"""The same where one transaction reads or writes a whole file."""

_DRIVER_ERRORS: Final = (
    DBAPIError,
    # The driver's own, where SQLAlchemy lets them through.
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True)
class Transaction:
    """Statements on a lent connection: they count when their block ends, or at once."""

    connection: AsyncConnection

    async def fetch(self, shape: type[Shape], sql: str, **params: object) -> list[Shape]:
        """Run a query; give each row as a `shape`, whose fields are the selected columns."""
        result = await self._run(sql, params)
        names = tuple(result.keys())
        return [shape(**dict(zip(names, row, strict=True))) for row in result]

    async def fetch_one(self, shape: type[Shape], sql: str, **params: object) -> Shape | None:
        """Run a query of at most one row."""
        result = await self._run(sql, params)
        row = result.mappings().one_or_none()
        return None if row is None else shape(**row)

    async def value(self, sql: str, **params: object) -> object:
        """Run a query; give the first column of its first row, None where there is none."""
        return (await self._run(sql, params)).scalar()

    async def execute(self, sql: str, **params: object) -> int:
        """Run a statement; say how many rows it touched."""
        return (await self._run(sql, params)).rowcount

    async def insert(
        self,
        table: str,
        shape: type[RowShape],
        rows: Sequence[RowShape],
        *,
        unless_there: bool = False,
    ) -> int:
        """Insert named tuples whose fields are the table's columns; say how many it inserted.

        One statement. With `unless_there`, a row whose key is taken is left out; one that
        another transaction is inserting is waited for.
        """
        if not rows:
            return 0
        columns = columns_of(shape)
        sql = insert_sql(table, columns, unnested(columns))
        if unless_there:
            sql += " ON CONFLICT DO NOTHING"
        return (await self._send(sql, transposed(shape, rows))).rowcount

    async def update(
        self,
        table: str,
        shape: type[RowShape],
        rows: Sequence[RowShape],
        *,
        key: Sequence[str],
        mutable: Sequence[str],
    ) -> None:
        """Store the mutable columns of rows that are there, in one statement."""
        if not rows:
            return
        by_name = {column.name: column for column in columns_of(shape)}
        columns = [by_name[name] for name in (*key, *mutable)]
        sql = update_sql(table, columns, unnested(columns), key=key)
        await self._send(sql, [[getattr(row, column.name) for row in rows] for column in columns])

    async def now(self) -> datetime:
        """Read domain time from the database."""
        at = await self.value("SELECT anxin_now()")
        assert isinstance(at, datetime)
        return at

    async def _run(self, sql: str, params: Mapping[str, object]) -> CursorResult[Any]:
        types = tuple((name, type(value)) for name, value in params.items())
        statement, names = numbered(sql, types)
        return await self._send(statement, [params[name] for name in names])

    async def _send(self, statement: str, values: Sequence[object]) -> CursorResult[Any]:
        # As the driver takes it: SQLAlchemy would make the same of a `text()`, and take longer.
        return await self.connection.exec_driver_sql(statement, tuple(values) or None)


@dataclass(frozen=True, slots=True)
class Database:
    """The pool of one process. READ COMMITTED: rows that decide are locked first."""

    engine: AsyncEngine
    turns: asyncio.Semaphore
    """One a connection. The pool would lend one that comes back to whoever asks just then, and let
    those wait on who asked before: of 32 callers one in a hundred waited ten times the median."""

    @staticmethod
    def connect(url: str, *, pool_max: int = POOL_MAX) -> "Database":
        """Make a pool; no connection is opened before the first use."""
        database = Database(
            create_async_engine(
                sqlalchemy_url(url),
                pool_size=pool_max,
                max_overflow=0,
                pool_timeout=_CONNECT_TIMEOUT_SECONDS,
                hide_parameters=True,  # an error's text may reach a terminal: names, digests, seals
                connect_args={
                    "timeout": _CONNECT_TIMEOUT_SECONDS,
                    "command_timeout": _COMMAND_TIMEOUT_SECONDS,
                    "server_settings": _SERVER_SETTINGS,
                },
            ),
            asyncio.Semaphore(pool_max),
        )
        event.listen(database.engine.sync_engine, "checkout", _refuse_closed)
        return database

    @asynccontextmanager
    async def transaction(
        self, *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> AsyncGenerator[Transaction, None]:
        """Open a transaction that commits where the block ends, and rolls back if it raises.

        Raises:
            DatabaseUnavailable: The database cannot be reached or takes longer than the
                patience; after a lost COMMIT the outcome is unknown, and the caller's retry
                finds it.
        """
        async with self._lent(patience_seconds) as connection:
            yield Transaction(connection)
            await connection.commit()

    @asynccontextmanager
    async def at_once(
        self, *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> AsyncGenerator[Transaction, None]:
        """Lend a connection on which each statement is a transaction of its own.

        For queries that lock nothing, and for one statement that writes: they see and do what
        they would in a transaction, without the two round trips that begin and end one.

        Raises:
            DatabaseUnavailable: The database cannot be reached or takes longer than the patience.
        """
        async with self._lent(patience_seconds) as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            yield Transaction(connection)

    @asynccontextmanager
    async def snapshot(
        self, *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> AsyncGenerator[Transaction, None]:
        """Open a read-only transaction in which all queries see the same moment.

        Raises:
            DatabaseUnavailable: The database cannot be reached or takes longer than the patience.
        """
        async with self._lent(patience_seconds) as connection:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            yield Transaction(connection)
            await connection.commit()

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _lent(self, patience_seconds: float) -> AsyncGenerator[AsyncConnection, None]:
        with _unavailable_is_said():
            async with (
                asyncio.timeout(patience_seconds),
                _taken(self.turns),
                self.engine.connect() as connection,
                _kept_or_dropped(connection),
            ):
                yield connection


@asynccontextmanager
async def _taken(turns: asyncio.Semaphore) -> AsyncGenerator[None, None]:
    async with asyncio.timeout(_TURN_SECONDS):
        await turns.acquire()
    try:
        yield
    finally:
        turns.release()


@asynccontextmanager
async def _kept_or_dropped(connection: AsyncConnection) -> AsyncGenerator[None, None]:
    """Roll back where the block fails; where nobody knows if the server still hears, hang up.

    A rollback, or a polite goodbye, over a connection that has fallen silent waits as long as
    the statement did, and keeps its place in the pool for others to wait for.
    """
    try:
        yield
    except BaseException as error:
        if not connection.invalidated:
            if _leaves_it_usable(error):
                await connection.rollback()
            else:
                await _drop(connection)
        raise


def _leaves_it_usable(error: BaseException) -> bool:
    """Say whether a failed block leaves a connection that answers: the server refused, or we."""
    if isinstance(error, asyncio.CancelledError):
        return False
    diagnosis = diagnose(error)
    return diagnosis is None or not diagnosis.unavailable


async def _drop(connection: AsyncConnection) -> None:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, asyncpg.Connection)
    driver.terminate()
    await connection.invalidate()


def _refuse_closed(driver: AdaptedConnection, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that the server has closed while it lay idle.

    What the driver has heard of costs nothing to ask. A ping would cost every transaction three
    round trips, and find out no more than the first statement does.
    """
    connection: asyncpg.Connection = driver.driver_connection
    if connection.is_closed():
        raise DisconnectionError


@contextmanager
def _unavailable_is_said() -> Generator[None, None, None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable from error
    except _DRIVER_ERRORS as error:
        diagnosis = diagnose(error)
        if diagnosis is not None and (diagnosis.unavailable or diagnosis.retryable):
            raise DatabaseUnavailable from error
        raise


def sqlalchemy_url(url: str) -> str:
    """Say a `postgresql://` URL with the driver that this service uses."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)
