"""The ledger's own part of `anxin verify`: what must be true of books, by their rows alone.

A check is a query for the rows that break one rule. The hash chain is walked instead: every
entry of every book is read once, in order, by a server-side cursor, so that memory stays flat.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import asyncpg

from app.ledger import chain
from app.ledger.rows import Fact, Transfer

FINDINGS_MAX: Final = 100
"""What one check reports at most: past it, the database is not to be mended row by row."""

_ROWS_A_READ: Final = 2_000

# Both halves come from their primary keys, already in order; nothing is sorted.
_ENTRIES: Final = """
SELECT merchant_no, seq, kind, debit_account_id, credit_account_id, amount,
       debit_balance, credit_balance, debit_version, credit_version,
       subject_id, corrects_seq, content_hash, chain_hash, effective_at, recorded_at
FROM transfer
UNION ALL
SELECT merchant_no, seq, kind, NULL::uuid, NULL::uuid, NULL::bigint,
       NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
       subject_id, NULL::bigint, content_hash, chain_hash, effective_at, recorded_at
FROM fact
ORDER BY merchant_no, seq
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that is not as it must be."""

    check: str
    table: str
    merchant_no: int | None
    key: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Check:
    """One rule, and the query that gives the rows which break it.

    The query selects `merchant_no, key, expected, found`; the last three are text.
    """

    name: str
    table: str
    rule: str
    sql: str


Tell = Callable[[int], None]
"""Is told how many rows were read since it was told last."""

Reader = Callable[[asyncpg.Connection, Tell], Awaitable[list[Finding]]]
"""A check that no single query can make."""


async def offenders(connection: asyncpg.Connection, check: Check) -> list[Finding]:
    """Run one check; give what breaks its rule, at most `FINDINGS_MAX` rows."""
    # A sound ledger is read to its end: planned with the limit, a check would be quick to find the
    # first of many offenders, and take hours to find none.
    found = await connection.fetch(
        f"WITH offender AS MATERIALIZED ({check.sql}) SELECT * FROM offender LIMIT {FINDINGS_MAX}"
    )
    return [
        Finding(check.name, check.table, row[0], row[1], row[2] or "nothing", row[3] or "nothing")
        for row in found
    ]


async def rows_of(
    connection: asyncpg.Connection, sql: str, tell: Tell
) -> AsyncIterator[Sequence[object]]:
    """Read a query's rows by a server-side cursor, so that memory stays flat."""
    cursor = await connection.cursor(sql)
    while rows := cast("Sequence[Sequence[object]]", await cursor.fetch(_ROWS_A_READ)):
        for row in rows:
            yield row
        tell(len(rows))


class _Last(NamedTuple):
    """The entry before."""

    merchant_no: int
    seq: int
    chain_hash: bytes


async def walk_chain(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Compute every entry's hash anew from the rows, in every book from its first entry.

    After a broken link the walk goes on from the hash that is stored, so that it names the row
    that was changed and not all that follow it.
    """
    findings: list[Finding] = []
    last: _Last | None = None
    async for row in rows_of(connection, _ENTRIES, tell):
        entry = _entry(row)
        if last is None or last.merchant_no != entry.merchant_no:
            last = _Last(entry.merchant_no, 0, chain.genesis(entry.merchant_no))
        broken = _broken_link(last, entry)
        if broken is not None:
            findings.append(broken)
            if len(findings) >= FINDINGS_MAX:
                break
        last = _Last(entry.merchant_no, entry.seq, entry.chain_hash)
    return findings


def _entry(row: Sequence[object]) -> Transfer | Fact:
    if row[3] is not None:
        return Transfer(*row)  # pyright: ignore[reportArgumentType]  # the columns of _ENTRIES
    return Fact(row[0], row[1], row[2], *row[10:11], *row[12:])  # pyright: ignore[reportArgumentType]  # the same


def _broken_link(last: _Last, entry: Transfer | Fact) -> Finding | None:
    """Check one entry against the one before it."""
    if entry.seq != last.seq + 1:
        # Its hash covers an entry that is not there; the gap is the finding.
        return _found("seq_without_gap", entry, f"seq={last.seq + 1}", f"seq={entry.seq}")
    computed = (
        chain.after_transfer(last.chain_hash, entry)
        if isinstance(entry, Transfer)
        else chain.after_fact(last.chain_hash, entry)
    )
    if computed == entry.chain_hash:
        return None
    return _found("hash_chain", entry, computed.hex(), entry.chain_hash.hex())


def _found(check: str, entry: Transfer | Fact, expected: str, found: str) -> Finding:
    table = "transfer" if isinstance(entry, Transfer) else "fact"
    return Finding(check, table, entry.merchant_no, f"seq={entry.seq}", expected, found)


async def entries_to_walk(connection: asyncpg.Connection) -> int:
    """Say about how many entries the walk will read, for a progress bar."""
    return int(await connection.fetchval("SELECT coalesce(sum(seq), 0) FROM book"))
