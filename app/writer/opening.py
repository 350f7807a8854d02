"""Open a batch: lock its books, then read the rows that its commands name."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from app.db.rows import columns_of, row_of
from app.writer.book import HEADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    import asyncpg

    from app.ledger.rows import BookHead
    from app.writer.tables import Lookup, Need, Table


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening a batch gave: the time after the locks, the books got, and rows by table."""

    at: datetime
    heads: Sequence[BookHead]
    rows: Sequence[tuple[Table[Any], Sequence[Any]]]


class Opening:
    """The function that opens a batch: it locks the books, then reads what the commands need.

    One call, so one round trip; volatile, so each of its statements has a snapshot of its own
    and reads what was committed before the locks were got.
    """

    def __init__(self, lookups: Sequence[Lookup[Any]]) -> None:
        """Write the function for these lookups."""
        self.lookups = tuple(lookups)
        self._loaded = [
            (table, _reader(table)) for lookup in self.lookups for table in lookup.tables.values()
        ]
        self._read_heads = _reader(HEADS)
        reads = [_Read.of(number, lookup) for number, lookup in enumerate(self.lookups)]
        parameters = ["p_nos integer[]", "p_wait boolean"]
        parameters += [parameter for read in reads for parameter in read.parameters]
        results = ["OUT o_at timestamptz", "OUT o_heads book[]"]
        results += [result for read in reads for result in read.results]
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
                {" ".join(read.sql for read in reads)}
            END $$
        """  # noqa: S608  # put together from our own names
        placeholders = ", ".join(f"${number + 1}" for number in range(len(parameters)))
        self._call = f"SELECT * FROM pg_temp.open_batch({placeholders})"  # noqa: S608  # the same

    async def open(
        self,
        connection: asyncpg.Connection,
        nos: Sequence[int],
        needs: Iterable[tuple[int, Need]],
        *,
        wait: bool,
    ) -> Opened:
        """Lock books and read what commands on them need; a book held elsewhere is left out.

        With `wait` it is waited for instead, as long as the connection's `lock_timeout` allows.
        """
        record = await connection.fetchrow(self._call, nos, wait, *self._arguments(needs))
        at, heads, *loaded = record
        return Opened(
            at,
            self._read_heads(heads or ()),
            [
                (table, read(rows))
                for (table, read), rows in zip(self._loaded, loaded, strict=True)
                if rows
            ],
        )

    def _arguments(self, needs: Iterable[tuple[int, Need]]) -> list[list[Any]]:
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


@dataclass(frozen=True, slots=True)
class _Read:
    """How the function reads what one lookup finds: its parameters, results and statement."""

    parameters: Sequence[str]
    results: Sequence[str]
    sql: str

    @staticmethod
    def of(number: int, lookup: Lookup[Any]) -> _Read:
        """Write it; the lookup's number is in all names."""
        types = ("integer", *lookup.parameters)
        arguments = [f"p_{number}_{n}" for n in range(len(types))]
        names = ["merchant_no", *(f"v{n}" for n in range(1, len(types)))]
        found = {f"{number}_{n}": row for n, row in enumerate(lookup.tables)}
        results = ", ".join(f"o_{name}" for name in found)
        arrays = ", ".join(f"array_agg(r_{name})" for name in found)
        rows = ", ".join(f"{row} AS r_{name}" for name, row in found.items())
        return _Read(
            [f"{name} {kind}[]" for name, kind in zip(arguments, types, strict=True)],
            [f"OUT o_{name} {lookup.tables[row].name}[]" for name, row in found.items()],
            # Most batches need a few of the lookups: an empty one costs a test, not a query.
            f"IF cardinality({arguments[0]}) > 0 THEN SELECT {arrays} INTO {results}"  # noqa: S608  # our own names
            f" FROM unnest({', '.join(arguments)}) AS need ({', '.join(names)})"
            # Need by need: OFFSET 0 keeps the planner from turning the join around, which
            # over tables that were empty when it planned means to read whole indexes.
            f" CROSS JOIN LATERAL (SELECT {rows} FROM (VALUES (1)) AS one {lookup.join} OFFSET 0)"
            " AS by_need WHERE need.merchant_no = ANY (v_locked); END IF;",
        )


def _reader(table: Table[Any]) -> Callable[[Sequence[asyncpg.Record | None]], Sequence[Any]]:
    """Give the function that turns records of the driver into the table's rows; None is no row.

    By name, so that a column added by a later migration changes nothing; where each name lies is
    looked up once for all records. Text stays `str`: a StrEnum equals and hashes like its value.
    """
    shape = table.shape
    names = [column.name for column in columns_of(shape)]

    def read(records: Sequence[asyncpg.Record | None]) -> Sequence[Any]:
        there = [record for record in records if record is not None]
        if not there:
            return ()
        places = {name: place for place, name in enumerate(there[0].keys())}
        pick = itemgetter(*(places[name] for name in names))
        return [row_of(shape, pick(record)) for record in there]

    return read
