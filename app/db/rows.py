"""Rows as named tuples, and their way into Postgres: an array a column, a statement a table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic_core import to_json

Json = NewType("Json", str)
"""The text of a jsonb column."""


def json_text(value: object) -> Json:
    """Write a jsonb column's text."""
    return Json(to_json(value, fallback=str).decode())


Row = tuple[Any, ...]
"""Any named tuple whose fields are a table's columns."""

RowT = TypeVar("RowT", bound=Row)

row_of: Final = cast("Callable[[type[Any], Iterable[object]], Any]", tuple.__new__)
"""Make a named tuple of as many values as it has fields: what `_make` does, without its check of
their number and its frame of Python."""


def wide(shape: type[RowT]) -> type[RowT]:
    """Decorate a named tuple that every use changes.

    The `_replace` that it comes with asks of each field whether it changes; this one looks at
    the changes alone, which for a card is three times as fast. A name that is no field of it is
    a KeyError.
    """
    named: Any = shape
    places = {name: place for place, name in enumerate(named._fields)}

    def replace(row: RowT, /, **changes: object) -> RowT:
        values = list(row)
        for name, value in changes.items():
            values[places[name]] = value
        return row_of(shape, values)

    named._replace = replace
    return shape


_SCALARS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"),  # before int, of which it is a subclass
    (int, "bigint"),
    (datetime, "timestamptz"),  # before date, of which it is a subclass
    (date, "date"),
    (UUID, "uuid"),
    (bytes, "bytea"),
    (str, "text"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the type of the array that carries it, and how it is read from that."""

    name: str
    type: str
    json: bool = False

    @property
    def read(self) -> str:
        """The expression that gives the column from the unnested arrays `new`."""
        return f"new.{self.name}::jsonb" if self.json else f"new.{self.name}"


@cache
def columns_of(shape: type[Row]) -> tuple[Column, ...]:
    """Read a row type's columns from its annotations."""
    return tuple(_column(name, hint) for name, hint in get_type_hints(shape).items())


def insert_sql(table: str, columns: Sequence[Column], source: str) -> str:
    """Write the statement that inserts the rows of a FROM item named `new`."""
    names = ", ".join(column.name for column in columns)
    values = ", ".join(column.read for column in columns)
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {source}"  # noqa: S608  # names from our own row types


def update_sql(table: str, columns: Sequence[Column], source: str, *, key: Sequence[str]) -> str:
    """Write the statement that updates by key with the rows of a FROM item named `new`."""
    settings = ", ".join(
        f"{column.name} = {column.read}" for column in columns if column.name not in key
    )
    matches = " AND ".join(f"{table}.{name} = new.{name}" for name in key)
    return f"UPDATE {table} SET {settings} FROM {source} WHERE {matches}"  # noqa: S608  # names from our own row types


def unnested(columns: Sequence[Column]) -> str:
    """Write the FROM item that turns one array per column back into rows named `new`.

    The arrays are the statement's parameters, numbered from 1.
    """
    arrays = ", ".join(
        f"${number}::{column.type}[]" for number, column in enumerate(columns, start=1)
    )
    return f"unnest({arrays}) AS new ({', '.join(column.name for column in columns)})"


def transposed(shape: type[Row], rows: Sequence[Row]) -> list[list[Any]]:
    """Turn rows into one list per column."""
    if not rows:
        return [[] for _ in columns_of(shape)]
    return [list(column) for column in zip(*rows, strict=True)]


def _column(name: str, hint: Any) -> Column:
    if hint is Json:
        return Column(name, "text", json=True)
    if isinstance(hint, NewType):
        return _column(name, hint.__supertype__)
    if get_origin(hint) in (Union, UnionType):
        (inner,) = [argument for argument in get_args(hint) if argument is not NoneType]
        return _column(name, inner)
    if name == "merchant_no":
        # The book's number is 32 bits wide in every table, and so in every index.
        return Column(name, "integer")
    for kind, sql_type in _SCALARS:
        if issubclass(hint, kind):
            return Column(name, sql_type)
    raise TypeError(f"column {name}: no Postgres type for {hint}")
