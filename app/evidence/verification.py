"""`anxin verify`: every invariant that the rows alone can prove, over one moment of the database.

All checks read one snapshot, so that the service may go on meanwhile. They change nothing, and
the service's own role may run them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import asyncpg

from app.card_life.proofs import LIFE_RULES, check_lives
from app.card_life.verification import CARD_LIFE_CHECKS
from app.cards.proofs import check_lines, check_terms
from app.cards.verification import CARD_CHECKS
from app.cases.verification import CASE_CHECKS, CASE_RULES, check_cases
from app.charges.verification import CHARGE_CHECKS, check_confirmations
from app.closures.proofs import CLOSURE_RULES, check_certificates, check_closures
from app.closures.verification import CLOSURE_CHECKS
from app.disputes.verification import DISPUTE_CHECKS, DISPUTE_RULES, check_disputes
from app.holds.proofs import HOLD_RULES, check_holds
from app.holds.verification import HOLD_CHECKS
from app.ledger.checkpoints import check_checkpoints
from app.ledger.checks import LEDGER_CHECKS
from app.ledger.verification import (
    FINDINGS_MAX,
    Finding,
    Reader,
    Tell,
    entries_to_walk,
    offenders,
    walk_chain,
)
from app.payment_files.verification import FILE_CHECKS
from app.purchases.verification import SALE_CHECKS
from app.refunds.proofs import REFUND_RULES, check_refunded_cards, check_refunds
from app.refunds.verification import REFUND_CHECKS

CHECKS: Final = (
    *LEDGER_CHECKS,
    *SALE_CHECKS,
    *CARD_CHECKS,
    *CARD_LIFE_CHECKS,
    *CASE_CHECKS,
    *CHARGE_CHECKS,
    *DISPUTE_CHECKS,
    *REFUND_CHECKS,
    *FILE_CHECKS,
    *CLOSURE_CHECKS,
    *HOLD_CHECKS,
)

_CONNECT_SECONDS_MAX: Final = 10
_QUERIES: Final = "queries"

_SERVER_SETTINGS: Final = {
    "application_name": "anxin verify",
    "timezone": "UTC",
    "jit": "off",
    # A whole ledger takes as long as it takes.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # Sorting the entries of every account is most of the work. A hash table has twice as much.
    "work_mem": "64MB",
    # One process walks and one queries: with more, a live service has no core left, and each has
    # that memory again.
    "max_parallel_workers_per_gather": "0",
    # Whole tables are joined with whole tables, and by hash of the whole key. Where statistics are
    # of before the tables grew, the planner expects a row and takes a loop, or merges by the
    # merchant alone: both go through all entries of a merchant again for each of them.
    "enable_nestloop": "off",
    "enable_mergejoin": "off",
    # A cursor is read to its end here; the plan that gives the first row soonest is the wrong one.
    "cursor_tuple_fraction": "1.0",
}


class Progress(Protocol):
    """Is told how far the checks are; two steps are under way at a time."""

    def begin(self, name: str, rows: int) -> Tell:
        """Start a step of about so many rows, 0 where nobody knows; give what counts them."""
        ...

    def end(self, name: str) -> None:
        """Say that the step is over."""
        ...


class Silent:
    """For those who do not watch."""

    def begin(self, name: str, rows: int) -> Tell:
        """Count nothing."""
        del name, rows
        return lambda _: None

    def end(self, name: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found."""

    findings: Sequence[Finding]
    checks: int
    entries: int

    @property
    def cut_off(self) -> frozenset[str]:
        """Name the checks that found more than they report."""
        found = Counter(finding.check for finding in self.findings)
        return frozenset(name for name, rows in found.items() if rows >= FINDINGS_MAX)


_WALKED_RULES: Final = {
    "seq_without_gap": "A book's entries are numbered without a gap.",
    "hash_chain": "An entry's chain_hash covers the entry and the hash before it.",
    "checkpoint_is_signed": "A checkpoint is signed by a key of the service.",
    "checkpoint_head_is_in_its_book": "What a checkpoint signed is still there.",
    "line_is_in_the_chain": "A statement's line is the one whose hash is in the chain.",
    "terms_are_those_of_the_sale": "A card's terms are those whose hash is in its first line.",
    "confirmation_binds_the_use": "A confirmation's hash binds what the charge says.",
    **CASE_RULES,
    **DISPUTE_RULES,
    **LIFE_RULES,
    **CLOSURE_RULES,
    **REFUND_RULES,
    **HOLD_RULES,
}


class _Walk(NamedTuple):
    """A check that reads rows one by one."""

    name: str
    table: str
    read: Reader


_WALKS: Final = (
    _Walk("certificates", "closure_certificate", check_certificates),
    _Walk("closures", "closure", check_closures),
    _Walk("hash_chain", "book", walk_chain),
    _Walk("checkpoints", "checkpoint", check_checkpoints),
    _Walk("lines_in_the_chain", "card_entry", check_lines),
    _Walk("terms_of_the_sale", "card", check_terms),
    _Walk("confirmations", "charge", check_confirmations),
    _Walk("lives", "card_life", check_lives),
    _Walk("cases", "case_file", check_cases),
    _Walk("disputes", "dispute", check_disputes),
    _Walk("refunds", "refund", check_refunds),
    _Walk("holds", "hold", check_holds),
    _Walk("refunded cards", "refund", check_refunded_cards),
)


def rules() -> Mapping[str, str]:
    """Say in a sentence what each check's name stands for."""
    return {**_WALKED_RULES, **{check.name: check.rule for check in CHECKS}}


_CHECKS_ALL: Final = len(_WALKS) + len(CHECKS)


async def verify(dsn: str, *, progress: Progress | None = None) -> Report:
    """Check every invariant over one moment of a database.

    The queries run beside the walks, on a second connection with the same snapshot.

    Args:
        dsn: A `postgresql://` address; any role that may read all tables will do.
        progress: Is told how far it is.

    Raises:
        OSError: The database cannot be reached.
        asyncpg.PostgresError: It refused; nothing is known then.
    """
    told = progress or Silent()
    async with _snapshot(dsn) as walking:
        name = await walking.fetchval("SELECT pg_export_snapshot()")
        async with _snapshot(dsn, name) as querying:
            walked = asyncio.create_task(_walk(walking, told))
            try:
                queried = await _query(querying, told)
                findings = [*await walked, *queried]
            finally:
                walked.cancel()
                await asyncio.wait([walked])
        return Report(findings, _CHECKS_ALL, await entries_to_walk(walking))


async def verify_in(connection: asyncpg.Connection) -> Report:
    """Check every invariant as this transaction sees the rows."""
    findings = [*await _walk(connection, Silent()), *await _query(connection, Silent())]
    return Report(findings, _CHECKS_ALL, await entries_to_walk(connection))


@asynccontextmanager
async def _snapshot(dsn: str, name: str | None = None) -> AsyncGenerator[asyncpg.Connection]:
    """Read one moment of the database: that of the named snapshot, or now."""
    connection = await asyncpg.connect(
        dsn, timeout=_CONNECT_SECONDS_MAX, server_settings=_SERVER_SETTINGS
    )
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if name is not None:
                await connection.execute(f"SET TRANSACTION SNAPSHOT '{name}'")
            yield connection
    finally:
        await connection.close()


async def _walk(connection: asyncpg.Connection, progress: Progress) -> list[Finding]:
    findings: list[Finding] = []
    for walk in _WALKS:
        tell = progress.begin(walk.name, await _rows_in(connection, walk.table))
        findings += await walk.read(connection, tell)
        progress.end(walk.name)
    return findings


async def _query(connection: asyncpg.Connection, progress: Progress) -> list[Finding]:
    findings: list[Finding] = []
    tell = progress.begin(_QUERIES, len(CHECKS))
    for check in CHECKS:
        findings += await offenders(connection, check)
        tell(1)
    progress.end(_QUERIES)
    return findings


async def _rows_in(connection: asyncpg.Connection, table: str) -> int:
    if table == "book":
        return await entries_to_walk(connection)
    guess = await connection.fetchval(
        "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($1)", table
    )
    return max(int(guess), 0)
