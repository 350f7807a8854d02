"""The load generator: a bare HTTP client in a process of its own, for loopback only.

Requests are bytes that were made before the time starts. Of an answer it reads the status, the
length, and the two fields that prove a use; it is meant to cost the machine a tenth of what the
service does, and its own CPU time is reported.
"""

import asyncio
import contextlib
from array import array
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import Any, Final, cast

import uvloop

from bench.answers import CHECKS, CREATED, Answer, Check, Exchange, Kind

_HOST: Final = "127.0.0.1"
_CONNECTIONS_MAX: Final = 1_024
_SECONDS_MAX: Final = 600
_DRAIN_SECONDS: Final = 10
_WRONG_KEPT: Final = 3
_LENGTH: Final = b"content-length: "
_HEAD_END: Final = b"\r\n\r\n"
_REPLAYED: Final = b"\r\nidempotency-replayed: true"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, over how many connections, and for how long."""

    kind: Kind
    port: int
    connections: int
    warm_up_seconds: float
    seconds: float
    exchanges: Sequence[Exchange]

    def check(self) -> None:
        """Refuse what could go on for ever or reach another machine."""
        if not 1 <= self.connections <= _CONNECTIONS_MAX:
            raise ValueError(f"between 1 and {_CONNECTIONS_MAX} connections")
        if self.warm_up_seconds + self.seconds > _SECONDS_MAX:
            raise ValueError(f"at most {_SECONDS_MAX} seconds")


@dataclass(slots=True)
class Counted:
    """What came back in the timed window, and what was wrong at any time."""

    units: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    released_amount: int = 0
    """Over the whole time, warm-up and rest included, for comparison with the ledger."""
    confirmed: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list[str])
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    made: list[str] = field(default_factory=list[str])
    sent: int = 0
    ran_out: bool = False


def run_load(load: Load, pipe: Connection) -> None:
    """Say `begin` when the warm-up is over, `end` when the time is, then give what was counted."""
    load.check()
    run_timed(_send_all(load, pipe))


def run_timed(main: Coroutine[Any, Any, None]) -> None:
    """Run a load on the fast loop, as the service runs on it."""
    uvloop.run(main)


class _Run:
    """What all connections share."""

    def __init__(self, load: Load, pipe: Connection) -> None:
        self.load = load
        self.pipe = pipe
        self.counted = Counted()
        self.exchanges: Iterator[Exchange] = iter(load.exchanges)
        self.check: Check = CHECKS[load.kind]
        self.timing = False
        self.stopping = False
        self.open = 0
        self.ended = asyncio.Event()
        self.idle = asyncio.Event()
        self._began = self._cpu = 0.0

    def begin(self) -> None:
        if self.stopping:
            return
        self.pipe.send("begin")
        self.timing = True
        self._began, self._cpu = perf_counter(), process_time()

    def end(self) -> None:
        if self.stopping:
            return
        counted = self.counted
        if self.timing:
            counted.seconds = perf_counter() - self._began
            counted.cpu_seconds = process_time() - self._cpu
        self.timing, self.stopping = False, True
        self.pipe.send("end")
        self.ended.set()

    def next(self) -> Exchange | None:
        if self.stopping:
            return None
        exchange = next(self.exchanges, None)
        if exchange is None:
            self.counted.ran_out = True
            self.end()
        else:
            self.counted.sent += 1
        return exchange

    def answered(self, answer: Answer, exchange: Exchange, started: float) -> None:
        counted = self.counted
        confirmed = None if answer.replayed else self.check(answer, exchange)
        if confirmed is None:
            self.refused(answer)
            return
        counted.confirmed += confirmed.units
        counted.released_amount += confirmed.released_amount
        if self.timing:
            counted.units += confirmed.units
            counted.latencies.append(perf_counter() - started)
        if self.load.kind is Kind.MINT:
            counted.made.append(_text_field(answer.body, b'"code":"'))

    def refused(self, answer: Answer) -> None:
        counted = self.counted
        counted.wrong += 1
        if len(counted.examples) < _WRONG_KEPT:
            counted.examples.append(f"{answer.status} {answer.body[:300]!r}")


class _Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._second = False
        self._started = 0.0
        self._buffer = b""
        self._wanted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._run.open += 1

    def connection_lost(self, exc: Exception | None) -> None:
        run = self._run
        if self._exchange is not None:
            run.refused(Answer(0, f"connection lost: {exc!r}".encode()))
        run.open -= 1
        if run.open == 0:
            run.idle.set()

    def start(self) -> None:
        """Send the next request, or hang up."""
        assert self._transport is not None
        exchange = self._exchange = self._run.next()
        if exchange is None:
            self._transport.close()
            return
        self._second = False
        self._started = perf_counter()
        self._transport.write(exchange.request)

    def data_received(self, data: bytes) -> None:
        """Gather one answer; the server never sends two, because we never ask for two."""
        if self._buffer:
            data = self._buffer + data
        if not self._wanted:
            head = data.find(_HEAD_END)
            if head < 0:
                self._buffer = data
                return
            self._wanted = head + len(_HEAD_END) + _length_in(data[: head + 2])
        if len(data) < self._wanted:
            self._buffer = data
            return
        self._buffer, self._wanted = b"", 0
        head, _, body = data.partition(_HEAD_END)
        self._answered(Answer(int(data[9:12]), body, _REPLAYED in head))

    def _answered(self, answer: Answer) -> None:
        exchange = self._exchange
        assert exchange is not None, "an answer follows a request"
        if exchange.before_id and not self._second:
            if answer.status == CREATED and b'"status":"pending_confirmation"' in answer.body:
                self._second = True
                assert self._transport is not None
                id_ = _text_field(answer.body, b'"id":"').encode()
                self._transport.write(exchange.before_id + id_ + exchange.after_id)
                return
            self._run.refused(answer)
        else:
            self._run.answered(answer, exchange, self._started)
        self.start()


async def _send_all(load: Load, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    run = _Run(load, pipe)
    connections = [
        (await loop.create_connection(lambda: _Connection(run), _HOST, load.port))[1]
        for _ in range(load.connections)
    ]
    loop.call_later(load.warm_up_seconds, run.begin)
    loop.call_later(load.warm_up_seconds + load.seconds, run.end)
    for connection in connections:
        connection.start()
    await run.ended.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(run.idle.wait(), _DRAIN_SECONDS)
    pipe.send(run.counted)


def _length_in(head: bytes) -> int:
    at = head.lower().find(_LENGTH)
    if at < 0:
        return 0
    at += len(_LENGTH)
    return int(head[at : head.find(b"\r", at)])


def _text_field(body: bytes, name: bytes) -> str:
    at = body.find(name) + len(name)
    return body[at : body.find(b'"', at)].decode()
