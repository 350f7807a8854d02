"""One merchant's rows as a batch sees them: as loaded, with what earlier commands left."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from app.db.rows import Row
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import append
from app.ledger.rows import Account, BookHead, Fact, Transfer
from app.money import Fen
from app.writer.requests import StoredRequest
from app.writer.tables import Index, Lookup, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from app.writer.commands import Decision

RowT = TypeVar("RowT", bound=Row)

HEADS: Final = Table(
    "book", BookHead, (), ("seq", "chain_hash", "last_at", "waiting_reversal_amount")
)
ACCOUNTS: Final = Table("account", Account, ("account_id",), ("balance", "version"))
TRANSFERS: Final = Table("transfer", Transfer, ("seq",))
FACTS: Final = Table("fact", Fact, ("seq",))
STORED_REQUESTS: Final = Table("stored_request", StoredRequest, ("request_id",))

REQUEST_BY_ID: Final = Lookup(
    "request_by_id",
    STORED_REQUESTS,
    ("uuid",),
    "JOIN stored_request ON stored_request.merchant_no = need.merchant_no"
    " AND stored_request.request_id = need.v1",
)
ACCOUNT_BY_ID: Final = Lookup(
    "account_by_id",
    ACCOUNTS,
    ("uuid",),
    "JOIN account ON account.merchant_no = need.merchant_no AND account.account_id = need.v1",
)

ENGINE_TABLES: Final[tuple[Table[Any], ...]] = (ACCOUNTS, TRANSFERS, FACTS, STORED_REQUESTS)
ENGINE_LOOKUPS: Final[tuple[Lookup[Any], ...]] = (REQUEST_BY_ID, ACCOUNT_BY_ID)


_RowsByTable = defaultdict["Table[Any]", dict[Any, Row]]


class Schema:
    """The tables and indexes that decisions use, found by the type of a row."""

    def __init__(self, tables: Iterable[Table[Any]], indexes: Iterable[Index[Any]]) -> None:
        """Register them; a row type belongs to one table."""
        self.tables = (*ENGINE_TABLES, *tables)
        self.table_of: Mapping[type[Row], Table[Any]] = {
            table.shape: table for table in self.tables
        }
        if len(self.table_of) != len(self.tables):
            raise ValueError("two tables share a row type")
        self.indexes_of: dict[Table[Any], list[Index[Any]]] = {table: [] for table in self.tables}
        for index in indexes:
            self.indexes_of[index.table].append(index)


class Book:
    """A locked book. Decisions read it; only the engine changes it, after each decision."""

    def __init__(self, head: BookHead, schema: Schema) -> None:
        """Start from the head as it was locked."""
        self.head = head
        self._schema = schema
        self._rows: _RowsByTable = defaultdict(dict)
        self._groups: dict[Index[Any], dict[Any, dict[Any, Row]]] = {}
        self.inserted: _RowsByTable = defaultdict(dict)
        self.updated: _RowsByTable = defaultdict(dict)

    # What decisions read.

    @property
    def merchant_no(self) -> int:
        """Whose book it is."""
        return self.head.merchant_no

    @property
    def next_seq(self) -> int:
        """The number that the next entry gets."""
        return self.head.seq + 1

    def find(self, table: Table[RowT], key: object) -> RowT | None:
        """Find a row by its key beside merchant_no, among what the command asked for."""
        return cast("RowT | None", self._rows[table].get(key))

    def group(self, index: Index[RowT], value: object) -> list[RowT]:
        """Find all loaded rows with this value of an index."""
        by_value = self._groups.get(index)
        if by_value is None:
            # Kept from now on: most indexes of most books are never asked.
            by_value = self._groups[index] = {}
            for key, row in self._rows[index.table].items():
                _regroup(by_value, index, key, None, row)
        rows = by_value.get(value)
        return [] if rows is None else cast("list[RowT]", list(rows.values()))

    def is_new(self, table: Table[Any], key: object) -> bool:
        """Say whether a row is of this batch, so that no query finds what belongs to it."""
        return key in self.inserted[table]

    def own(self, kind: AccountType) -> UUID:
        """Name one of the merchant's own accounts."""
        return account_id(self.merchant_no, kind)

    def balance(self, account: UUID) -> Fen:
        """Give an account's balance; the command must have asked for the account."""
        return cast("Account", self._rows[ACCOUNTS][account]).balance

    # What the engine does.

    def load(self, table: Table[Any], row: Row) -> None:
        """Take in a row as it lies in the database, before anything was asked of the book."""
        self._rows[table][table.key_of(row)] = row

    def load_missing(self, table: Table[Any], row: Row) -> None:
        """Take in a row unless the batch knows it already, perhaps in a later state."""
        key = table.key_of(row)
        if key not in self._rows[table]:
            self._set(table, key, row)

    def apply(self, decision: Decision[Any], at: datetime) -> None:
        """Let a decision take effect for the commands after it.

        Raises:
            FloorBroken: Its postings would break a floor; the book is as it was.
        """
        if not decision.rows and not decision.entries:
            # It leaves the head's time alone too, with others in a batch as by itself.
            return
        head = self.head
        opened: dict[UUID, Account] = {}
        rows: list[Row] = []
        for row in decision.rows:
            kind = type(row)
            if kind is BookHead:
                head = cast("BookHead", row)
            else:
                rows.append(row)
                if kind is Account:
                    account = cast("Account", row)
                    opened[account.account_id] = account
        known = cast("Mapping[UUID, Account]", self._rows[ACCOUNTS])
        appended = append(head, {**known, **opened} if opened else known, decision.entries, at)
        self.head = appended.head
        self.put_all([*rows, *appended.accounts.values(), *appended.transfers, *appended.facts])

    def put_all(self, rows: Iterable[Row]) -> None:
        """Take in rows that the batch writes."""
        table_of = self._schema.table_of
        for row in rows:
            table = table_of[type(row)]
            key = table.key_of(row)
            inserted = self.inserted[table]
            if self._set(table, key, row) is None or key in inserted:
                inserted[key] = row
            else:
                self.updated[table][key] = row

    def _set(self, table: Table[Any], key: object, row: Row) -> Row | None:
        """Take in a row under its key; give the one that was there."""
        rows = self._rows[table]
        before = rows.get(key)
        rows[key] = row
        if self._groups:
            for index in self._schema.indexes_of[table]:
                by_value = self._groups.get(index)
                if by_value is not None:
                    _regroup(by_value, index, key, before, row)
        return before


def _regroup(
    by_value: dict[Any, dict[Any, Row]],
    index: Index[Any],
    key: object,
    before: Row | None,
    row: Row,
) -> None:
    """Put a row where an index has it now."""
    value = index.value_of(row)
    if before is not None:
        was = index.value_of(before)
        if was is not None and was != value:
            by_value[was].pop(key, None)
    # Nobody asks for the rows that have no such value.
    if value is not None:
        by_value.setdefault(value, {})[key] = row
