"""The closing of a large merchant by the worker, while others' customers go on using cards."""

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Final
from uuid import uuid4

import asyncpg

from app.access import approvals
from app.access.principals import OperatorPrincipal
from app.closures import executing, service
from app.closures.domain import ClosureKind
from app.db.engine import Database
from app.db.rows import columns_of
from app.evidence.verification import verify
from app.writer.requests import RequestKey
from bench.making import make_book
from bench.measuring import Measured, MeasurementFailed
from bench.plan import Bench
from bench.processes import Server
from bench.rows import TABLES, Rows
from bench.seeding import Till

CONNECTIONS: Final = 8
_POLL_SECONDS: Final = 0.2
_SECONDS_MAX: Final = 600
_LEAD_SECONDS: Final = 3.0
"""So long the load runs before the closure begins: it has warmed up."""
_MEGABYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class ClosureRun:
    """How long every card of a merchant took to be refunded, and what it cost the others."""

    cards: int
    seconds: float
    memory_before_bytes: int
    """Of the worker, before its first step."""
    memory_most_bytes: int
    alone: Measured
    """Uses at other merchants, without a closure."""
    meanwhile: Measured
    """Uses at other merchants, while the cards were refunded."""
    findings: int

    def said(self) -> str:
        """Say it in a sentence."""
        before, most = self.memory_before_bytes / _MEGABYTE, self.memory_most_bytes / _MEGABYTE
        return (
            f"closure: {self.cards:,} cards in {self.seconds:.1f} s"
            f" ({self.cards / self.seconds:,.0f}/s), worker {before:.0f} MB before and at most"
            f" {most:.0f} MB; uses at other merchants {_rate(self.meanwhile)} meanwhile,"
            f" {_rate(self.alone)} without; verify: {self.findings} findings"
        )

    def facts(self) -> dict[str, object]:
        """Say it as JSON."""
        return asdict(self)


def seed_large_merchant(dsn: str, cards: int) -> None:
    """Add one merchant with so many cards to a seeded ledger."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_seed, dsn, cards).result()


async def measure_closure(bench: Bench, server: Server, worker_pid: int, large: Till) -> ClosureRun:
    """Close the large merchant under load, and prove the ledger.

    Raises:
        MeasurementFailed: Not every card was refunded, or an answer to a use was wrong.
    """
    alone = await bench.by_code(server, CONNECTIONS, "use_by_code, no closure")
    load = asyncio.create_task(bench.by_code(server, CONNECTIONS, "use_by_code, during a closure"))
    await asyncio.sleep(_LEAD_SECONDS)
    database = Database.connect(bench.dsn)
    try:
        before = _memory(worker_pid)
        started = perf_counter()
        await _execute(database, large)
        most = await _refunded(bench.dsn, large, worker_pid)
        seconds = perf_counter() - started
    finally:
        await database.close()
    meanwhile = await load
    report = await verify(bench.dsn)
    cards = len(large.cards)
    return ClosureRun(cards, seconds, before, most, alone, meanwhile, len(report.findings))


async def _execute(database: Database, large: Till) -> None:
    first, second = OperatorPrincipal(uuid4(), "bench-1"), "bench-2"
    made = await service.order_closure(
        database,
        large.merchant_id,
        ClosureKind.IMMEDIATE,
        "benchmark",
        by=first,
        request=_key("order"),
    )
    proposed = await executing.propose_execution(
        database, made.value.closure.closure_id, by=first, request=_key("execute")
    )
    await approvals.approve(
        database,
        executing.EXECUTORS,
        proposed.value.approval_id,
        person_id=second,
        request=None,
    )


async def _refunded(dsn: str, large: Till, worker_pid: int) -> int:
    """Wait until every card is refunded; give the most memory that the worker held."""
    connection = await asyncpg.connect(dsn)
    done, most, wanted = 0, 0, len(large.cards)
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            while True:
                most = max(most, _memory(worker_pid))
                done = await connection.fetchval(
                    "SELECT refunded_count FROM closure WHERE merchant_no = $1", large.merchant_no
                )
                if done >= wanted:
                    break
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise MeasurementFailed(f"only {done} of {wanted} cards were refunded") from None
    finally:
        await connection.close()
    if done != wanted:
        raise MeasurementFailed(f"{done} refunds of {wanted} cards")
    return most


def _memory(pid: int) -> int:
    """Give a process's resident memory in bytes."""
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise MeasurementFailed("the worker died")


def _key(name: str) -> RequestKey:
    return RequestKey.of(tenant="bench", key=f"{name}-{uuid4()}", fingerprint=bytes(32))


def _rate(measured: Measured) -> str:
    p99 = (measured.p99_seconds or 0.0) * 1000
    return f"{measured.rate:,.0f}/s (p99 {p99:.0f} ms)"


def _seed(dsn: str, cards: int) -> None:
    asyncio.run(add_large_merchant(dsn, cards))


async def add_large_merchant(dsn: str, cards: int) -> int:
    """Add one merchant with so many cards to a seeded ledger; give its number."""
    connection = await asyncpg.connect(dsn)
    try:
        at: datetime = await connection.fetchval("SELECT anxin_now()")
        number: int = await connection.fetchval("SELECT max(merchant_no) + 1 FROM merchant")
        rows = Rows()
        make_book(rows, number, cards, 0, at)
        async with connection.transaction():
            for table, row_type in TABLES.items():
                await connection.copy_records_to_table(
                    table,
                    records=rows.by_table[table],
                    columns=[column.name for column in columns_of(row_type)],
                )
        await connection.execute("VACUUM (ANALYZE)")
        return number
    finally:
        await connection.close()


def without(tills: Sequence[Till], large: Till) -> list[Till]:
    """Give all merchants but the large one."""
    return [till for till in tills if till.merchant_no != large.merchant_no]
