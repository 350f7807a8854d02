"""A whole run: an own cluster in a temporary folder, seeded, measured, and proved in the end."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from time import perf_counter
from typing import Final

import asyncpg
from rich.console import Console

from app.access.tokens import LocalIssuer
from app.db.embedded import OWNER, SERVICE, SUPERUSER, EmbeddedPostgres, embedded_postgres
from app.db.migrating import migrate
from app.db.placement import POINTER_FILE
from app.evidence.verification import verify
from app.writer import batch
from bench.closure import ClosureRun, measure_closure, seed_large_merchant, without
from bench.machine import Probe, describe
from bench.measuring import Measured
from bench.plan import USE_BY_CODE, Bench, Servers, Times, round_of
from bench.processes import POLICIES, empty_service, service, worker
from bench.report import Run
from bench.seeding import Shape, read_tills, seed
from bench.tpcb import Tpcb
from bench.traffic import Traffic

_SEED: Final = 20_261_122
_STORED_MERCHANTS: Final = 1_000
_STORED_CARDS: Final = 10_000

_SETTINGS: Final = ("max_connections=200",)
"""pgbench's 128 clients are more than the service ever opens."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to run, and how large."""

    shape: Shape
    times: Times
    rounds: int
    connections: Sequence[int]
    tpcb_scale: int
    stored: Sequence[int]
    log_level: str
    closing_cards: int
    """Of the merchant that closes; 0 leaves that out."""

    def conditions(self) -> dict[str, object]:
        """Say under what conditions the figures hold."""
        return {
            "ledger": f"{self.shape.merchants:,} merchants, {self.shape.cards:,} cards",
            "uses": "merchants and cards by Zipf (exponent 1), 100-20,000 fen",
            "time": f"{self.times.warm_up_seconds:g} s warm-up, {self.times.seconds:g} s each, "
            f"{self.rounds} rounds",
            "postgres": "embedded, fsync on, synchronous_commit on, shared_buffers 256 MB",
            "service": "one process, two lanes; where the line says two, one lane each, "
            f"log level {self.log_level} to a file",
            "policies raised": dict(POLICIES),
            "codes": "made in bulk before the timed part, as rows like those of POST /v1/me/codes, "
            "whose own rate is `mint a code`",
            "code": "the way of a use compiled (make bench COMPILED=1)"
            if batch.__file__.endswith(tuple(EXTENSION_SUFFIXES))
            else "interpreted",
            "history": f"{_STORED_MERCHANTS:,} merchants, {_STORED_CARDS:,} cards",
            "random seed": _SEED,
        }


def run(options: Options, command: str, progress: Console) -> Run:
    """Measure everything.

    Raises:
        MeasurementFailed: An answer was wrong, so that no figure means anything.
    """
    with _folder() as data, embedded_postgres(data, settings=_SETTINGS) as postgres:
        main = _database(postgres, "anxin", options.shape, progress)
        stored = [
            _database(
                postgres,
                f"stored_{count}",
                Shape(_STORED_MERCHANTS, _STORED_CARDS, max(0, count // _STORED_CARDS - 1)),
                progress,
            )
            for count in options.stored
        ]
        with ExitStack() as stack:
            servers = Servers(
                stack.enter_context(service(data, main.service_url, log_level=options.log_level)),
                stack.enter_context(
                    service(data, main.service_url, log_level=options.log_level, web_processes=2)
                ),
                stack.enter_context(
                    service(data, main.service_url, log_level=options.log_level, batch_max=1)
                ),
                stack.enter_context(empty_service(data)),
            )
            measurement = _Measurement(options, postgres, data, main, stored, progress)
            return asyncio.run(measurement.run(servers, command))


@dataclass(frozen=True, slots=True)
class _Ledger:
    """A seeded database."""

    name: str
    shape: Shape
    owner_url: str
    service_url: str


@dataclass(frozen=True, slots=True)
class _Measurement:
    """The asynchronous part of a run."""

    options: Options
    postgres: EmbeddedPostgres
    data: Path
    main: _Ledger
    stored: Sequence[_Ledger]
    progress: Console

    async def run(self, servers: Servers, command: str) -> Run:
        """Run all rounds, then compare with the ledger and verify it."""
        async with _probing(self.postgres) as probe:
            tpcb = await Tpcb.fill(self.postgres, self.options.tpcb_scale)
            bench = await self._bench(self.main, probe)
            payable = await self._payable_amount()
            rounds = [
                [
                    self._told(row)
                    async for row in round_of(bench, servers, tpcb, self.options.connections)
                ]
                for _ in range(self.options.rounds)
            ]
            booked = await self._payable_amount() - payable
            histories = await self._histories(probe)
            closure = await self._closure(probe) if self.options.closing_cards else None
            return Run(
                command,
                await describe(probe),
                self.options.conditions(),
                rounds,
                histories,
                closure,
                *await self._verified(bench, booked),
            )

    async def _bench(self, ledger: _Ledger, probe: Probe) -> Bench:
        tills = await read_tills(ledger.owner_url)
        draw = random.Random(_SEED)
        return Bench(
            tills,
            ledger.service_url,
            ledger.owner_url,
            LocalIssuer.of(self.data),
            probe,
            self.options.times,
            Traffic(tills, draw),
        )

    async def _histories(self, probe: Probe) -> Sequence[Measured]:
        """Measure uses by code on ledgers that differ in the length of their history alone."""
        callers = max(self.options.connections)
        measured: list[Measured] = []
        # One for all rounds: a second would draw the same uses, under the same keys.
        benches = [(ledger, await self._bench(ledger, probe)) for ledger in self.stored]
        for _ in range(self.options.rounds):
            for ledger, bench in benches:
                name = f"{USE_BY_CODE}, {ledger.shape.transfers:,} transfers stored"
                level = self.options.log_level
                with service(self.data, ledger.service_url, log_level=level) as server:
                    measured.append(self._told(await bench.by_code(server, callers, name)))
        return measured

    async def _closure(self, probe: Probe) -> ClosureRun:
        """Close a large merchant beside many small ones."""
        shape = Shape(_STORED_MERCHANTS, _STORED_CARDS)
        ledger = await asyncio.to_thread(_database, self.postgres, "closure", shape, self.progress)
        await asyncio.to_thread(seed_large_merchant, ledger.owner_url, self.options.closing_cards)
        bench = await self._bench(ledger, probe)
        large = bench.tills[-1]
        others = without(bench.tills, large)
        bench = replace(bench, tills=others, traffic=Traffic(others, random.Random(_SEED)))
        level = self.options.log_level
        with (
            service(self.data, ledger.service_url, log_level=level) as server,
            worker(self.data, ledger.service_url, log_level=level) as worker_pid,
        ):
            measured = await measure_closure(bench, server, worker_pid, large)
        self.progress.print(measured.said(), highlight=False)
        return measured

    async def _payable_amount(self) -> int:
        connection = await asyncpg.connect(self.main.service_url)
        amount: int = await connection.fetchval(
            "SELECT coalesce(sum(balance), 0)::bigint FROM account WHERE type = 'merchant_payable'"
        )
        await connection.close()
        return amount

    async def _verified(self, bench: Bench, booked: int) -> tuple[str, int]:
        """Prove the ledger by its rows, and compare it with what the answers said."""
        started = perf_counter()
        told = sum(counted.released_amount for counted in bench.counted)
        uses = sum(counted.confirmed for counted in bench.counted)
        report = await verify(self.main.service_url)
        found = len(report.findings) + (told != booked)
        said = (
            f"verify: {found} findings, {report.checks} checks over {report.entries:,} entries in "
            f"{perf_counter() - started:.0f} s; the answers to {uses:,} uses said {told:,} fen "
            f"released, the ledger says {booked:,}"
        )
        return said, found

    def _told(self, row: Measured) -> Measured:
        self.progress.print(
            f"{row.name} at {row.callers}: {row.rate:,.0f}/s"
            + (" (ran out of prepared requests, so shorter)" if row.ran_out else ""),
            highlight=False,
        )
        return row


def _database(postgres: EmbeddedPostgres, name: str, shape: Shape, progress: Console) -> _Ledger:
    started = perf_counter()
    ledger = _Ledger(name, shape, postgres.url(OWNER, name), postgres.url(SERVICE, name))
    asyncio.run(_create(postgres, name))
    migrate(ledger.owner_url, ledger.service_url)
    seed(ledger.owner_url, shape)
    progress.print(
        f"{name}: {shape.cards:,} cards and {shape.transfers:,} transfers in "
        f"{perf_counter() - started:.0f} s"
    )
    return ledger


async def _create(postgres: EmbeddedPostgres, name: str) -> None:
    connection = await asyncpg.connect(postgres.url(SUPERUSER, "postgres"))
    exists = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
    if not exists:
        await connection.execute(f'CREATE DATABASE "{name}" OWNER {OWNER}')
    await connection.close()


@asynccontextmanager
async def _probing(postgres: EmbeddedPostgres) -> AsyncGenerator[Probe, None]:
    probe = await Probe.of(postgres)
    yield probe
    await probe.connection.close()


@contextmanager
def _folder() -> Generator[Path, None, None]:
    """Give a data folder, and take everything away that was made for it."""
    folder = Path(tempfile.mkdtemp(prefix="anxin-bench-"))
    # The account that Postgres runs as must pass through; nobody can list it.
    folder.chmod(0o711)
    data = folder / "data"
    try:
        yield data
    finally:
        pointer = data / POINTER_FILE
        if pointer.exists():
            shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
