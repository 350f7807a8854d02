"""How the writer reads and writes rows: tables, the ways to find their rows, and the SQL of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar

from app.db.rows import Row, columns_of, insert_sql, update_sql

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
    the merchant's number have the given Postgres types.
    """

    name: str
    table: Table[RowT]
    parameters: tuple[str, ...]
    join: str

    def __call__(self, *values: object) -> Need:
        """Ask for the rows that these values find."""
        return Need(self, values)


@dataclass(frozen=True, slots=True)
class Need:
    """A lookup with its values, for one command."""

    lookup: Lookup[Any]
    values: tuple[object, ...]


class OpeningSql:
    """The function that opens a batch: it locks the books, then reads what the commands need.

    One call, so one round trip; volatile, so each of its statements has a snapshot of its own
    and reads what was committed before the locks were got.
    """

    def __init__(self, lookups: Sequence[Lookup[Any]]) -> None:
        """Write the function for these lookups."""
        self.lookups = tuple(lookups)
        parameters = ["p_nos integer[]", "p_wait boolean"]
        results = ["OUT o_at timestamptz", "OUT o_heads book[]"]
        reads: list[str] = []
        for number, lookup in enumerate(self.lookups):
            arguments = [f"p_{number}_{n}" for n in range(len(lookup.parameters) + 1)]
            types = ("integer", *lookup.parameters)
            parameters += [f"{name} {kind}[]" for name, kind in zip(arguments, types, strict=True)]
            results.append(f"OUT o_{number} {lookup.table.name}[]")
            names = ["merchant_no", *(f"v{n}" for n in range(1, len(types)))]
            # Most batches need a few of the lookups: an empty one costs a test, not a query.
            reads.append(
                f"IF cardinality({arguments[0]}) > 0 THEN"
                f" SELECT array_agg({lookup.table.name}) INTO o_{number}"  # our own names
                f" FROM unnest({', '.join(arguments)}) AS need ({', '.join(names)})"
                f" {lookup.join} WHERE need.merchant_no = ANY (v_locked);"
                " END IF;"
            )
        self.create = f"""
            CREATE FUNCTION pg_temp.open_batch({", ".join([*parameters, *results])})
            LANGUAGE plpgsql VOLATILE AS $$
            DECLARE v_locked integer[];
            BEGIN
                IF p_wait THEN
                    SELECT array_agg(head) INTO o_heads FROM (
                        SELECT book AS head FROM book WHERE merchant_no = ANY (p_nos)
                        ORDER BY merchant_no FOR NO KEY UPDATE) AS locked;
                ELSE
                    SELECT array_agg(head) INTO o_heads FROM (
                        SELECT book AS head FROM book WHERE merchant_no = ANY (p_nos)
                        ORDER BY merchant_no FOR NO KEY UPDATE SKIP LOCKED) AS locked;
                END IF;
                -- After the locks, so that time runs forward within each book.
                o_at := anxin_now();
                SELECT array_agg(head.merchant_no) INTO v_locked FROM unnest(o_heads) AS head;
                {" ".join(reads)}
            END $$
        """  # noqa: S608  # put together from our own names
        placeholders = ", ".join(f"${number + 1}" for number in range(len(parameters)))
        self.call = f"SELECT * FROM pg_temp.open_batch({placeholders})"  # noqa: S608

    def arguments(self, needs: Iterable[tuple[int, Need]]) -> list[list[Any]]:
        """Lay out what the commands need as the function's array arguments."""
        columns: dict[Lookup[Any], list[list[Any]]] = {
            lookup: [[] for _ in range(len(lookup.parameters) + 1)] for lookup in self.lookups
        }
        for merchant_no, need in needs:
            target = columns[need.lookup]
            target[0].append(merchant_no)
            for column, value in zip(target[1:], need.values, strict=True):
                column.append(value)
        return [column for lookup in self.lookups for column in columns[lookup]]


def reader(table: Table[Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Give the function that turns a record of the driver into the table's row.

    By name, so that a column added by a later migration changes nothing. Text stays `str`:
    a StrEnum equals and hashes like its value.
    """
    pick = itemgetter(*(column.name for column in columns_of(table.shape)))
    make: Callable[[Any], Any] = table.shape._make  # pyright: ignore[reportAttributeAccessIssue]  # a named tuple
    return lambda record: make(pick(record))


class Change:
    """Rows of one table to insert or to update, in one statement."""

    def __init__(self, table: Table[Any], *, update: bool) -> None:
        """Prepare the statement's width and the way to lay rows out for it."""
        self.table = table
        self.update = update
        names = [column.name for column in columns_of(table.shape)]
        if update:
            names = ["merchant_no", *table.key, *table.mutable]
        self.width = len(names)
        self._pick = attrgetter(*names) if update else None

    def sql(self, first_placeholder: int) -> str:
        """Write the statement with its parameters numbered from here."""
        placeholders = [f"${first_placeholder + number}" for number in range(self.width)]
        table = self.table
        if not self.update:
            return insert_sql(table.name, table.shape, placeholders)
        return update_sql(
            table.name,
            table.shape,
            placeholders,
            key=("merchant_no", *table.key),
            mutable=table.mutable,
        )

    def columns(self, rows: Iterable[Any]) -> list[tuple[Any, ...]]:
        """Lay the rows out as one tuple per column."""
        return list(zip(*(map(self._pick, rows) if self._pick else rows), strict=True))


def writing_sql(changes: Sequence[Change]) -> str:
    """Write the one statement that makes all these changes, parameters in their order."""
    statements: list[str] = []
    placeholder = 1
    for change in changes:
        statements.append(change.sql(placeholder))
        placeholder += change.width
    *first, last = statements
    if not first:
        return last
    named = ", ".join(f"w{number} AS ({sql})" for number, sql in enumerate(first))
    return f"WITH {named} {last}"
