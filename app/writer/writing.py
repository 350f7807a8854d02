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
    from collections.abc import Iterable, Sequence

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
            for update in ((False, True) if table.mutable else (False,))
        }
        self._order = {key: number for number, key in enumerate(self._changes)}
        self._sql: dict[tuple[int, ...], str] = {}

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
        arguments = [
            column
            for key, part in zip(keys, parts, strict=True)
            for column in part.columns(changes[key])
        ]
        await connection.execute(sql, *arguments)


class _Change:
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


def _writing_sql(changes: Sequence[_Change]) -> str:
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


def _changes_of(books: Sequence[Book]) -> dict[tuple[Table[Any], bool], list[Row]]:
    """Collect what a batch writes: rows to insert (False) and to update (True), per table."""
    collected: dict[tuple[Table[Any], bool], list[Row]] = {}
    for book in books:
        for update, by_table in ((False, book.inserted), (True, book.updated)):
            for table, rows in by_table.items():
                if rows:
                    collected.setdefault((table, update), []).extend(rows.values())
    return collected
