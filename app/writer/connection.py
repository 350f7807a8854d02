"""A lane's connection: plain asyncpg, made anew after every break."""

from __future__ import annotations

from time import monotonic
from typing import Final

import asyncpg

_CONNECT_TIMEOUT_SECONDS: Final = 3.0
_COMMAND_TIMEOUT_SECONDS: Final = 8.0

_PLANS_SECONDS_MIN: Final = 0.25
_PLANS_SECONDS_MAX: Final = 10.0
"""A generic plan that was made over empty tables reads whole indexes once they are full, and
nothing replaces it before autovacuum comes: so plans are made anew, soon on a new connection and
then ever less often, which costs a few milliseconds. The planner looks at the files' present size,
analysed or not."""

_SERVER_SETTINGS: Final = {
    "application_name": "anxin-writer",
    "timezone": "UTC",
    "jit": "off",
    # A book that another process holds is waited for this long, then tried again.
    "lock_timeout": "2s",
    # A batch takes a tenth of a second. Short, so that one that times out can be tried again, and
    # then each of its commands alone, while their callers still wait.
    "statement_timeout": "3s",
    "idle_in_transaction_session_timeout": "15s",
    # Every join starts from a few keys and ends at an index. The planner cannot know how few,
    # and with a bad guess reads whole tables; a generic plan also saves planning each batch.
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
}


class Lane:
    """One connection to the database with what its batches need made in it."""

    def __init__(self, dsn: str, create: str) -> None:
        """Prepare; connecting is for the first use."""
        self._dsn = dsn
        self._create = create
        self._connection: asyncpg.Connection | None = None
        self._planned_at = 0.0
        self._plans_seconds = _PLANS_SECONDS_MIN

    async def connection(self) -> asyncpg.Connection:
        """Give the connection, connecting where there is none.

        Raises:
            OSError, asyncpg.PostgresError, TimeoutError: The database cannot be reached.
        """
        if self._connection is None or self._connection.is_closed():
            connection = await asyncpg.connect(
                self._dsn,
                timeout=_CONNECT_TIMEOUT_SECONDS,
                command_timeout=_COMMAND_TIMEOUT_SECONDS,
                server_settings=_SERVER_SETTINGS,
            )
            try:
                await connection.execute(self._create)
            except BaseException:
                # Nobody else knows of it, so nobody else would hang up.
                connection.terminate()
                raise
            self._connection = connection
            self._planned_at = monotonic()
            self._plans_seconds = _PLANS_SECONDS_MIN
        elif monotonic() - self._planned_at > self._plans_seconds:
            await self._connection.execute("DISCARD PLANS")
            self._planned_at = monotonic()
            self._plans_seconds = min(2 * self._plans_seconds, _PLANS_SECONDS_MAX)
        return self._connection

    def abandon(self) -> None:
        """Drop a connection whose state is not known."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Close in good order."""
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=_CONNECT_TIMEOUT_SECONDS)
        self._connection = None
