"""What the writer knows of rows: their tables, and the ways to find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from app.db.rows import Row

RowT = TypeVar("RowT", bound=Row)


def _no_key(_: object) -> None:
    """Read the key of a table that has one row per book."""


@dataclass(frozen=True, slots=True, eq=False)
class Table(Generic[RowT]):
    """A table whose rows a decision may read and write.

    `key` are its key's columns beside merchant_no; `mutable` are the columns that an update
    sets, none for a table of facts.
    """

    name: str
    shape: type[RowT]
    key: tuple[str, ...]
    mutable: tuple[str, ...] = ()
    key_of: Callable[[Any], Any] = field(init=False)

    def __post_init__(self) -> None:
        """Make the key's reader."""
        object.__setattr__(self, "key_of", attrgetter(*self.key) if self.key else _no_key)


@dataclass(frozen=True, slots=True, eq=False)
class Index(Generic[RowT]):
    """A way to find loaded rows of a table by other columns than its key."""

    table: Table[RowT]
    columns: tuple[str, ...]
    value_of: Callable[[Any], Any] = field(init=False)

    def __post_init__(self) -> None:
        """Make the value's reader."""
        object.__setattr__(self, "value_of", attrgetter(*self.columns))


@dataclass(frozen=True, slots=True, eq=False)
class Lookup(Generic[RowT]):
    """Which rows of a table to load for a command.

    `join` is SQL that joins the table to `need (merchant_no, v1, v2, …)`, whose columns after
    the merchant's number have the given Postgres types. What the same join finds of other tables
    may be loaded with it: `beside` names those rows as SQL; what an outer join leaves empty is
    no row.
    """

    name: str
    table: Table[RowT]
    parameters: tuple[str, ...]
    join: str
    beside: Mapping[str, Table[Any]] = field(default_factory=dict[str, Table[Any]])

    @property
    def tables(self) -> Mapping[str, Table[Any]]:
        """Whose rows it loads, by the SQL that names them."""
        return {self.table.name: self.table, **self.beside}

    def __call__(self, *values: object) -> Need:
        """Ask for the rows that these values find."""
        return Need(self, values)


class Need(NamedTuple):
    """A lookup with its values, for one command."""

    lookup: Lookup[Any]
    values: tuple[object, ...]
