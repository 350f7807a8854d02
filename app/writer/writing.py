"""Write what a batch decided: one statement over all its books and tables."""

from __future__ import annotations

from datetime import datetime  # read at run time: a row's column
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from app.db.rows import Json, Row, columns_of, insert_sql, json_text, update_sql
from app.writer.book import HEADS
from app.writer.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import asyncpg

    from app.writer.book import Book

BatchEvent = tuple[int, str, str]
"""What happened in a batch: the merchant's number, the event's name, its subject."""


class OutboxRow(NamedTuple):
    """One batch and what happened in it, as a JSON array of `BatchEvent`."""

    batch_id: UUID
    events: Json
    created_at: datetime


_OUTBOX: Final = Table("outbox", OutboxRow, ("batch_id",))


class Writing:
    """Writes batches. Keeps the statement for each set of tables that batches change."""

    def __init__(self, tables: Iterable[Table[Any]]) -> None:
        """Prepare for these tables; heads and the outbox come with them."""
        self._changes = {
            (table, update): _Change(table, update=update)
            for table in (*tables, HEADS, _OUTBOX)
            for update in (False, True)
            if table.mutable or not update
        }
        self._order = {key: number for number, key in enumerate(self._changes)}
        self._sql: dict[tuple[int, ...], str] = {}
        self.create = " ".join(change.create for change in self._changes.values())

    async def write(
        self,
        connection: asyncpg.Connection,
        books: Sequence[Book],
        *,
        batch_id: UUID,
        events: Sequence[BatchEvent],
        at: datetime,
    ) -> None:
        """Write what the decisions left in the books; nothing where they left nothing."""
        changes = _changes_of(books)
        if not changes:
            return
        changes[HEADS, True] = [book.head for book in books if book.inserted or book.updated]
        happened = json_text(events)
        changes[_OUTBOX, False] = [OutboxRow(batch_id, happened, at)]
        keys = sorted(changes, key=self._order.__getitem__)
        parts = [self._changes[key] for key in keys]
        signature = tuple(self._order[key] for key in keys)
        sql = self._sql.get(signature)
        if sql is None:
            sql = self._sql[signature] = _writing_sql(parts)
        rows = (part.laid_out(changes[key]) for key, part in zip(keys, parts, strict=True))
        await connection.execute(sql, *rows)


class _Change:
    """Rows of one table to insert or to update, in one statement with one parameter.

    The parameter is an array of rows of a type made for it. An array a column would be walked
    and kept by Postgres column by column, which costs it and the driver twice as much.
    """

    def __init__(self, table: Table[Any], *, update: bool) -> None:
        """Prepare the type, the statement and the way to lay rows out for it."""
        self.table = table
        self.update = update
        self._columns = columns_of(table.shape)
        self._pick: Callable[[Any], tuple[Any, ...]] | None = None
        if update:
            names = ("merchant_no", *table.key, *table.mutable)
            by_name = {column.name: column for column in self._columns}
            self._columns = tuple(by_name[name] for name in names)
            self._pick = attrgetter(*names)
        self._type = f"pg_temp.{'changed' if update else 'new'}_{table.shape.__name__}"

    @property
    def create(self) -> str:
        """Write the statement that makes the type in a session."""
        columns = ", ".join(f"{column.name} {column.type}" for column in self._columns)
        return f"CREATE TYPE {self._type} AS ({columns});"

    def sql(self, placeholder: int) -> str:
        """Write the statement with its parameter numbered so."""
        source = f"unnest(CAST(${placeholder} AS {self._type}[])) AS new"
        table = self.table
        if not self.update:
            return insert_sql(table.name, self._columns, source)
        return update_sql(table.name, self._columns, source, key=("merchant_no", *table.key))

    def laid_out(self, rows: list[Row]) -> list[Row]:
        """Give the rows as the type has them."""
        return rows if self._pick is None else [self._pick(row) for row in rows]


def _writing_sql(changes: Sequence[_Change]) -> str:
    """Write the one statement that makes all these changes, parameters in their order."""
    *first, last = [change.sql(number + 1) for number, change in enumerate(changes)]
    if not first:
        return last
    named = ", ".join(f"w{number} AS ({sql})" for number, sql in enumerate(first))
    return f"WITH {named} {last}"


def _changes_of(books: Sequence[Book]) -> dict[tuple[Table[Any], bool], list[Row]]:
    """Collect what a batch writes: rows to insert (False) and to update (True), per table."""
    collected: dict[tuple[Table[Any], bool], list[Row]] = {}
    for book in books:
        for update, by_table in ((False, book.inserted), (True, book.updated)):
            for table, rows in by_table.items():
                if rows:
                    collected.setdefault((table, update), []).extend(rows.values())
    return collected
