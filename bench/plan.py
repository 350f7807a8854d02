"""The run: what is measured, in which order, round after round."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import asyncpg

from app.access.tokens import LocalIssuer
from bench import traffic as make
from bench.answers import Exchange, Kind
from bench.load import Counted, Load, run_load
from bench.machine import Probe
from bench.measuring import Measured, Work, measure
from bench.processes import Server
from bench.seeding import Till
from bench.tpcb import Tpcb
from bench.traffic import Traffic, Use, keep_codes
from bench.writing import Callers, Wanted, run_callers

USE_BY_CODE: Final = "use_by_code"
USE_BY_CODE_TWO: Final = f"{USE_BY_CODE} with two web processes"
MARKED: Final = (USE_BY_CODE, USE_BY_CODE_TWO)
"""The lines, at any number of connections, of which the best is held against TPC-B."""
TPCB: Final = "TPC-B (pgbench)"
TPCB_CLIENTS: Final = (8, 32, 64, 128)

_HEADROOM: Final = 2.0
"""Over the rate of the round before, which the machine may have been slow in."""
_FIRST_RATES: Final = {1: 3_000, 8: 9_000}
_FIRST_RATE: Final = 14_000
_FIRST_RATE_OF_CODES: Final = 3_000
_DRAWN_FOR_READS: Final = 2_000
_CALLERS_ONE_BY_ONE: Final = 128
"""Those of the most popular merchant wait for each other: more might wait past the time limit."""


class Times(NamedTuple):
    """How long each measurement takes."""

    warm_up_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A ledger with a service on it, and what it is measured against."""

    tills: Sequence[Till]
    dsn: str
    owner_dsn: str
    issuer: LocalIssuer
    probe: Probe
    times: Times
    traffic: Traffic
    rates: dict[tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])
    counted: list[Counted] = field(default_factory=list[Counted])

    async def by_code(
        self, server: Server, connections: int, name: str = USE_BY_CODE, *, of: Till | None = None
    ) -> Measured:
        """Measure uses by code."""
        uses = self.traffic.uses(self._wanted(name, connections), of=of)
        async with self._codes_of(uses):
            exchanges = make.use_by_code(self.traffic, uses)
            return await self._load(name, Kind.USE, server, connections, exchanges)

    async def two_steps(self, server: Server, connections: int) -> Measured:
        """Measure charges that consumers confirm."""
        name = "use_two_step"
        uses = self.traffic.uses(self._wanted(name, connections) // 2)
        exchanges = make.use_in_two_steps(self.traffic, uses, self.issuer)
        return await self._load(name, Kind.TWO_STEPS, server, connections, exchanges)

    async def batch(self, server: Server, connections: int, size: int) -> Measured:
        """Measure batches; a unit is one use."""
        name = f"batch of {size:,}"
        count = max(self._wanted(name, connections) // size, connections)
        groups = self.traffic.groups(count, size)
        async with self._codes_of([use for group in groups for use in group]):
            exchanges = make.batches(self.traffic, groups)
            return await self._load(name, Kind.BATCH, server, connections, exchanges)

    async def mint(self, server: Server, connections: int) -> Measured:
        """Measure the making of codes over HTTP."""
        uses = self.traffic.uses(
            self._wanted("mint a code", connections, first=_FIRST_RATE_OF_CODES)
        )
        exchanges = make.mint(uses, self.issuer)
        return await self._load("mint a code", Kind.MINT, server, connections, exchanges)

    async def read(self, server: Server, connections: int, name: str) -> Measured:
        """Measure `statement` or `balance`."""
        uses = self.traffic.uses(_DRAWN_FOR_READS)
        exchanges = (
            make.statements(uses, self.issuer) if name == "statement" else make.balances(uses)
        )
        times = 1 + self._wanted(name, connections) // len(exchanges)
        return await self._load(name, Kind.READ, server, connections, exchanges * times)

    async def empty(self, server: Server, connections: int) -> Measured:
        """Measure the empty route with the bodies of uses."""
        name = "empty FastAPI POST"
        exchanges = make.use_by_code(self.traffic, self.traffic.uses(_DRAWN_FOR_READS))
        times = 1 + self._wanted(name, connections) // len(exchanges)
        return await self._load(name, Kind.EMPTY, server, connections, exchanges * times)

    async def writer(self, callers: int) -> Measured:
        """Measure the writer without HTTP."""
        name = "writer without HTTP"
        uses = self.traffic.uses(self._wanted(name, callers))
        async with self._codes_of(uses):
            job = Callers(
                self.dsn,
                callers,
                *self.times,
                [
                    Wanted(use.till.merchant_no, use.till.store_id, use.code, use.amount)
                    for use in uses
                ],
            )
            measured, counted = await measure(name, callers, Work(run_callers, job), self.probe)
        return self._keep(measured, counted)

    async def tpcb(self, tpcb: Tpcb, clients: int) -> Measured:
        """Measure the yardstick."""
        warm_up, seconds = self.times
        await tpcb.warm_up(clients=clients, seconds=warm_up)
        first = await self.probe.sample(None)
        rate, latency = await tpcb.run(clients=clients, seconds=seconds)
        last = await self.probe.sample(None)
        images = await self.probe.page_image_bytes(first, last)
        count = rate * seconds
        wal_bytes = last.wal_bytes - first.wal_bytes
        return Measured(
            TPCB,
            clients,
            rate,
            p50_seconds=latency,
            postgres_cores=(last.postgres_cpu - first.postgres_cpu) / seconds,
            wal_bytes=wal_bytes / count,
            wal_record_bytes=None if images is None else (wal_bytes - images) / count,
        )

    def _wanted(self, name: str, connections: int, *, first: int = _FIRST_RATE) -> int:
        """Say how many units to make ready: more than can be used."""
        rate = self.rates.get((name, connections))
        expected = _FIRST_RATES.get(connections, first) if rate is None else rate * _HEADROOM
        return int(expected * sum(self.times)) + connections

    async def _load(
        self, name: str, kind: Kind, server: Server, connections: int, exchanges: Sequence[Exchange]
    ) -> Measured:
        job = Load(kind, server.port, connections, *self.times, exchanges)
        measured, counted = await measure(
            name, connections, Work(run_load, job, server), self.probe
        )
        uses = kind in {Kind.USE, Kind.TWO_STEPS, Kind.BATCH}
        return self._keep(measured, counted if uses else None)

    def _keep(self, measured: Measured, counted: Counted | None) -> Measured:
        self.rates[measured.key] = measured.rate
        if counted is not None:
            counted.latencies = type(counted.latencies)("d")
            self.counted.append(counted)
        return measured

    def _codes_of(self, uses: Sequence[Use]) -> "_Codes":
        return _Codes(self.owner_dsn, uses)


@dataclass(frozen=True, slots=True)
class _Codes:
    """Keeps the codes of uses for a while; then forgets all codes, as the worker does."""

    dsn: str
    uses: Sequence[Use]

    async def __aenter__(self) -> None:
        connection = await asyncpg.connect(self.dsn)
        await keep_codes(connection, self.uses)
        await connection.execute("VACUUM (ANALYZE) consumer_code")
        await connection.close()

    async def __aexit__(self, *_: object) -> None:
        connection = await asyncpg.connect(self.dsn)
        await connection.execute("TRUNCATE consumer_code")
        await connection.close()


@dataclass(frozen=True, slots=True)
class Servers:
    """What is measured over HTTP."""

    service: Server
    two_processes: Server
    batches_of_one: Server
    empty: Server


async def round_of(
    bench: Bench, servers: Servers, tpcb: Tpcb, connections: Sequence[int]
) -> AsyncIterator[Measured]:
    """Give one round: service and yardsticks in turn, so that both meet the same machine."""
    service, hot = servers.service, bench.tills[0]
    most = max(connections)
    yardstick = iter(TPCB_CLIENTS)
    for number in connections:
        yield await bench.by_code(service, number)
        yield await bench.by_code(servers.two_processes, number, USE_BY_CODE_TWO)
        clients = next(yardstick, None)
        if clients is not None:
            yield await bench.tpcb(tpcb, clients)
    for clients in yardstick:
        yield await bench.tpcb(tpcb, clients)
    yield await bench.by_code(service, most, f"{USE_BY_CODE}, one merchant", of=hot)
    yield await bench.writer(most)
    yield await bench.empty(servers.empty, most)
    one_by_one = min(most, _CALLERS_ONE_BY_ONE)
    yield await bench.by_code(servers.batches_of_one, one_by_one, f"{USE_BY_CODE}, batches of one")
    yield await bench.two_steps(service, most)
    yield await bench.batch(service, 8, 100)
    yield await bench.batch(service, 4, 1_000)
    yield await bench.mint(service, 32)
    yield await bench.read(service, 32, "statement")
    yield await bench.read(service, 32, "balance")
