"""Statements with named parameters, as the driver takes them: numbered, each with its type."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

_TYPES: Final[Mapping[type[object], str]] = {
    bool: "boolean",
    int: "bigint",
    float: "double precision",
    str: "text",
    bytes: "bytea",
    date: "date",
    datetime: "timestamptz",
    timedelta: "interval",
    UUID: "uuid",
}
_NAMED: Final = re.compile(r"(?<![:\w]):(\w+)")
"""`:name`, and not the cast `::type`."""


@lru_cache(maxsize=1024)
def numbered(sql: str, types: Sequence[tuple[str, type[object]]]) -> tuple[str, Sequence[str]]:
    """Number a statement's parameters; give it with their names in that order.

    Each gets the Postgres type of its Python value, so that int is bigint and time has a zone.
    What has none here (None, a list, a member of an enumeration) is for the statement to say.

    Raises:
        TypeError: A parameter is missing, or given in vain.
    """
    names = tuple(dict.fromkeys(_NAMED.findall(sql)))
    given = dict(types)
    wrong = set(names) ^ given.keys()
    if wrong:
        raise TypeError(f"missing or in vain: {sorted(wrong)} of {sql}")
    numbers = {name: _number(number, given[name]) for number, name in enumerate(names, start=1)}
    return _NAMED.sub(lambda found: numbers[found[1]], sql), names


def _number(number: int, kind: type[object]) -> str:
    # The driver's own UUIDs are a subclass.
    to = _TYPES.get(UUID if issubclass(kind, UUID) else kind)
    return f"${number}" if to is None else f"${number}::{to}"
