"""Understand a refusal of Postgres by its SQLSTATE and constraint, never by its prose."""

from dataclasses import dataclass
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError

_RETRYABLE: Final = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not available: nothing was done, try again."""

_TIMED_OUT: Final = "57014"
_READ_ONLY: Final = "25006"
"""What a primary answers that a failover made a standby; a new connection finds the other."""

_GONE_CLASSES: Final = frozenset({"08", "53", "57", "58"})
"""Connection, resources, operator intervention (shutdown, crash recovery), system error."""


_REQUEST_KEPT_TWICE: Final = "stored_request_pkey"
"""Two calls of different kinds came at once under one key: on another try the first is found."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a driver error means."""

    sqlstate: str | None = None
    constraint: str | None = None

    @property
    def retryable(self) -> bool:
        """Nothing was done, and the same may succeed now."""
        return self.sqlstate in _RETRYABLE or self.constraint == _REQUEST_KEPT_TWICE

    @property
    def unavailable(self) -> bool:
        """The database cannot be reached or does not serve just now."""
        return (
            self.sqlstate is None
            or self.sqlstate[:2] in _GONE_CLASSES
            or self.sqlstate == _READ_ONLY
        )

    @property
    def timed_out(self) -> bool:
        """The server stopped a statement that took too long."""
        return self.sqlstate == _TIMED_OUT


def diagnose(error: BaseException) -> Diagnosis | None:
    """Read an error of asyncpg, bare or wrapped by SQLAlchemy; None for anything else."""
    if isinstance(error, DBAPIError):
        original: BaseException | None = error.orig
        cause = original.__cause__ if original is not None else None
        return diagnose(cause) if cause is not None else Diagnosis()
    if isinstance(error, asyncpg.PostgresError):
        # The driver's stubs leave its error fields out.
        sqlstate: str | None = getattr(error, "sqlstate", None)
        constraint: str | None = getattr(error, "constraint_name", None)
        return Diagnosis(sqlstate, constraint)
    # InternalClientError and InterfaceError: the driver lost its place after a broken connection.
    if isinstance(
        error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError
    ):
        return Diagnosis()
    return None
