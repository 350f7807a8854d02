"""What operators see: JSON log lines and Prometheus metrics.

Log lines hold ids and integers. An unexpected error is logged by its type and its frames,
never by its message: drivers put rows and parameters into messages, and those are personal data.
"""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from functools import cache
from http.server import ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import Final, NamedTuple, cast
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from pydantic_core import from_json, to_json

from app.db.engine import Database
from app.writer.engine import BatchObserved

_FRAMES_MAX: Final = 30
_LINE_BYTES_MAX: Final = 4_095
"""With its end, what a pipe takes in one piece (PIPE_BUF), whoever else writes to it: the lines of
several processes never lie within each other."""
_KEPT: Final = ("at", "event", "level", "request_id")
"""Of a line that stays too long whatever is cut."""
_QUOTES: Final = 2
_LOOPBACK: Final = "127.0.0.1"
_SECRET_NAMES: Final = ("authorization", "password", "secret", "token")

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class _Cut(NamedTuple):
    """What is left of each text, and of each list and mapping within a line."""

    text_bytes: int
    items: int


_CUTS: Final = (_Cut(500, 8), _Cut(100, 4))
"""Tried in turn."""

_context: Final[ContextVar[Mapping[str, object]]] = ContextVar(
    "log_context",
    default=MappingProxyType({}),  # a view that nobody can write to
)
"""One variable: structlog has one for each value, and looks through all that there are."""

EventDict = MutableMapping[str, object]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure_logging(level: str) -> None:
    """Send every log line, ours and the libraries', to standard output as one line of JSON."""
    shared: list[structlog.typing.Processor] = [
        add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        hide_secrets,
        show_error,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dump)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dump),
            ],
        )
    )
    # A library's information is about itself; its warnings are about us.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Blank what is named like a secret: the last line of defence, not the first."""
    for name in event:
        if _is_secret(name):
            event[name] = "***"
    return event


@cache
def _is_secret(name: str) -> bool:
    return any(secret in name for secret in _SECRET_NAMES)


def show_error(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and frames."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    if isinstance(given, BaseException):
        error: BaseException | None = given
    elif isinstance(given, tuple):
        error = cast("ExcInfo", given)[1]
    else:
        error = sys.exc_info()[1]
    if error is not None:
        event["error"] = type(error).__qualname__
        event["causes"] = [type(cause).__qualname__ for cause in _causes(error)]
        event["frames"] = _frames(error)
    return event


def _causes(error: BaseException) -> Sequence[BaseException]:
    causes: list[BaseException] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < _FRAMES_MAX:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _frames(error: BaseException) -> Sequence[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames][-_FRAMES_MAX:]


def _dump(event: EventDict, **_options: object) -> str:
    line = to_json(event, fallback=str)
    if len(line) > _LINE_BYTES_MAX:
        line = _shortened_line(line)
    return line.decode()


def _shortened_line(line: bytes) -> bytes:
    """Cut what is long; where that is not enough, keep what tells which line it was."""
    event = cast("dict[str, object]", from_json(line))
    for text_bytes, items in _CUTS:
        cut = to_json({name: _shortened(it, text_bytes, items) for name, it in event.items()})
        if len(cut) <= _LINE_BYTES_MAX:
            return cut
    kept = {name: _end(str(event[name]), _CUTS[-1].text_bytes) for name in _KEPT if name in event}
    return to_json({**kept, "left_out": len(event) - len(kept)})


def _shortened(value: object, text_bytes: int, items: int) -> object:
    """Keep the end: of frames, and of a library's traceback in a text, it says the most."""
    if isinstance(value, str):
        return _end(value, text_bytes)
    if isinstance(value, list):
        last = cast("list[object]", value)[-items:]
        return [_shortened(one, text_bytes, items) for one in last]
    if isinstance(value, dict):
        members = list(cast("dict[str, object]", value).items())[-items:]
        return {name: _shortened(one, text_bytes, items) for name, one in members}
    return value


def _end(text: str, bytes_max: int) -> str:
    """Give the end of a text that takes at most so many bytes in a line."""
    # What a cut left of a character is dropped.
    end = text[-bytes_max:].encode()[-bytes_max:].decode(errors="ignore")
    while len(to_json(end)) - _QUOTES > bytes_max:
        # Escapes take up to six bytes for one.
        end = end[(len(end) + 1) // 2 :]
    return end


class CustodyTotal(NamedTuple):
    """What the ledger says lies at one bank."""

    bank: str
    amount: int


class AlertCount(NamedTuple):
    """How many alerts of one kind there are."""

    kind: str
    raised: int


class Metrics:
    """The figures of one process, in a registry of their own."""

    def __init__(self) -> None:
        """Declare every figure."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Histogram(
            "anxin_request_seconds",
            "Time to serve a call.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.uses = Counter(
            "anxin_uses", "Uses confirmed through this process.", registry=self.registry
        )
        self.batch_size = Histogram(
            "anxin_batch_commands", "Commands a batch.", buckets=_SIZES, registry=self.registry
        )
        self.batch_seconds = Histogram(
            "anxin_batch_seconds", "Time a batch.", buckets=_SECONDS, registry=self.registry
        )
        self.commit_seconds = Histogram(
            "anxin_commit_seconds", "Time a COMMIT.", buckets=_SECONDS, registry=self.registry
        )
        self.queue_length = Gauge(
            "anxin_queue_commands", "Commands that wait.", registry=self.registry
        )
        self.custody = Gauge(
            "anxin_custody_fen", "Custody by the ledger, in fen.", ("bank",), registry=self.registry
        )
        self.alerts = Gauge(
            "anxin_alerts_day",
            "Alerts of the last 24 hours, raised by any process.",
            ("kind",),
            registry=self.registry,
        )
        self._served: dict[tuple[str, str, int], Histogram] = {}

    def observe_batch(self, batch: BatchObserved) -> None:
        """Take in what the writer did."""
        self.uses.inc(batch.events.get("charge.confirmed", 0))
        self.batch_size.observe(batch.size)
        self.batch_seconds.observe(batch.seconds)
        self.commit_seconds.observe(batch.commit_seconds)
        self.queue_length.set(batch.queued)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take in a call; `route` is the declared path, so labels stay few."""
        key = (method, route, status)
        served = self._served.get(key)
        if served is None:
            # Looking up labels costs more than counting.
            served = self._served[key] = self.requests.labels(method, route, str(status))
        served.observe(seconds)

    async def read_custody(self, db: Database) -> None:
        """Read the custody total of each bank: a sum over merchants, not one torn read."""
        async with db.snapshot() as tx:
            totals = await tx.fetch(
                CustodyTotal,
                """
                SELECT c.bank, CAST(sum(a.balance) AS bigint) AS amount
                FROM custody_account c JOIN account a USING (merchant_no)
                WHERE a.type = 'custody' GROUP BY c.bank
                """,
            )
        for total in totals:
            self.custody.labels(total.bank).set(total.amount)

    async def read_alerts(self, db: Database) -> None:
        """Count what was put before people within a day, by web or worker, by its kind."""
        async with db.snapshot() as tx:
            counts = await tx.fetch(
                AlertCount,
                """
                SELECT kind, count(*) AS raised FROM alert
                WHERE created_at > anxin_now() - interval '1 day' GROUP BY kind
                """,
            )
        self.alerts.clear()
        for count in counts:
            self.alerts.labels(count.kind).set(count.raised)

    def serve(self, port: int) -> WSGIServer | ThreadingHTTPServer:
        """Serve `/metrics` on loopback, in a thread, away from the public port.

        Raises:
            OSError: The port is taken.
        """
        server, _thread = start_http_server(port, addr=_LOOPBACK, registry=self.registry)
        return server


def forget_log_context() -> None:
    """Begin a call: one that was sent ahead of its turn begins in the context of the one before."""
    _context.set({})


def log_context(**values: object) -> None:
    """Put values on every further log line of this call."""
    _context.set({**_context.get(), **values})


def add_context(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Put what this call is about on a line; what the line itself says counts more."""
    return {**_context.get(), **event}
