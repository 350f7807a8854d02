"""The front of the service: what every call meets before its route, in one pass.

Request id, limits of headers, body and time, the line in the log, the figures, and the last
answer when something fails that should not. Plain ASGI, because a middleware class per concern
costs more than a confirmed use.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable
from time import perf_counter
from typing import Final, cast

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from app.api.call import Call, begin
from app.api.errors import HeadersTooLarge, InternalFault, RequestTimedOut
from app.api.problems import RenderedProblem, render
from app.api.protocol import WHOLE_ANSWER, answer_at_once, take_exchange
from app.api.services import Services
from app.errors import BodyTooLarge, DomainError
from app.observability import forget_log_context, log_context

_log = structlog.stdlib.get_logger()

HEADERS_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 1024 * 1024
LARGE_BODY_BYTES_MAX: Final = 32 * 1024 * 1024

_BODY_SECONDS: Final = 20.0
_LARGE_BODY_SECONDS: Final = 120.0
_LARGE_PATHS: Final = re.compile(r"/v1/bank/(files/[^/]+/results|statements)")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_GONE: Final = 499
"""What the log says of a caller who hung up; nothing is sent."""

Header = tuple[bytes, bytes]
Observe = Callable[[str, str, int, float], None]


class Front:
    """Meets every call."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        """Stand before `app`; `observe` takes method, route, status and seconds."""
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            # No websocket is served: only the lifespan goes on.
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        await _Serving(self._app, self._observe, scope, receive, send).run()


class _Serving:
    """One call at the front."""

    __slots__ = (
        "_app",
        "_bytes_max",
        "_call",
        "_deadline",
        "_exchange",
        "_observe",
        "_read",
        "_receive",
        "_scope",
        "_send",
        "_status",
        "_whole",
    )

    def __init__(
        self, app: ASGIApp, observe: Observe, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app, self._observe = app, observe
        self._scope, self._receive, self._send = scope, receive, send
        self._exchange = take_exchange(scope)
        services = scope["state"]["services"]
        assert isinstance(services, Services)
        self._call = Call(services, "")
        self._status = 0
        self._read = 0
        self._whole = False
        self._deadline: float | None = None
        self._bytes_max = BODY_BYTES_MAX

    async def run(self) -> None:
        """Serve the call, and log it whatever becomes of it."""
        started = perf_counter()
        begin(self._scope, self._call)
        forget_log_context()
        try:
            self._admit()
            log_context(request_id=self._call.request_id)
            await self._app(self._scope, self._bounded_receive, self._marked_send)
        except DomainError as error:
            await self._answer(render(error, self._scope["path"]))
        except ClientDisconnect:
            self._status = self._status or _GONE
        except Exception:  # noqa: BLE001  # one of the two outermost loops
            _log.exception("request.failed", route=self._call.route)
            await self._answer(render(InternalFault(), self._scope["path"]))
        finally:
            seconds = perf_counter() - started
            status = self._status or _GONE
            self._observe(self._scope["method"], self._call.route, status, seconds)
            _log.info(
                "request.served",
                method=self._scope["method"],
                route=self._call.route,
                status=status,
                duration_us=int(seconds * 1_000_000),
                request_id=self._call.request_id,
            )

    def _admit(self) -> None:
        """Look at the headers once: their size, the request's id, the length of the body."""
        if _LARGE_PATHS.fullmatch(self._scope["path"]):
            self._bytes_max = LARGE_BODY_BYTES_MAX
        size = len(self._scope.get("raw_path") or b"") + len(self._scope["query_string"])
        given: bytes | None = None
        length = 0
        for name, value in self._scope["headers"]:
            size += len(name) + len(value) + 4
            if name == b"x-request-id":
                given = value
            elif name == b"content-length" and value.isdigit():
                length = int(value[:20])
        if given is not None and _REQUEST_ID.fullmatch(given):
            self._call.request_id = given.decode("ascii")
        else:
            self._call.request_id = f"req_{uuid7().hex}"
        if size > HEADERS_BYTES_MAX:
            raise HeadersTooLarge
        if length > self._bytes_max:
            raise self._too_large()

    async def _bounded_receive(self) -> Message:
        if self._whole:
            # After the body only a disconnect comes; waiting for it has no limit.
            return await self._receive()
        message = _at_once(self._receive) or await self._in_time()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._bytes_max:
                raise self._too_large()
            self._whole = not message.get("more_body", False)
        return message

    async def _in_time(self) -> Message:
        if self._deadline is None:
            large = self._bytes_max > BODY_BYTES_MAX
            seconds = _LARGE_BODY_SECONDS if large else _BODY_SECONDS
            self._deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            raise RequestTimedOut from None

    async def _marked_send(self, message: Message) -> None:
        kind = message["type"]
        if kind == WHOLE_ANSWER:
            await self._send_whole(message["status"], message["headers"], message["body"])
            return
        if kind == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ())]
            headers.append((b"x-request-id", self._call.request_id.encode()))
            message["headers"] = headers
        await self._send(message)

    async def _send_whole(self, status: int, own: Iterable[Header], body: bytes) -> None:
        headers = [*own, (b"x-request-id", self._call.request_id.encode())]
        self._status = status
        if not answer_at_once(self._exchange, status, headers, body):
            start = {"type": "http.response.start", "status": status, "headers": headers}
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body})

    async def _answer(self, problem: RenderedProblem) -> None:
        if not self._status:
            await self._send_whole(problem.status, problem.headers, problem.body)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"This call reads at most {self._bytes_max} bytes.", bytes_max=self._bytes_max
        )


def _at_once(receive: Receive) -> Message | None:
    """Give a message that is there already, as most bodies are with their heads.

    A time limit for what needs no waiting would cost each call more than reading it.
    """
    receiving = cast("Coroutine[None, None, Message]", receive())
    try:
        receiving.send(None)
    except StopIteration as got:
        return got.value
    receiving.close()
    return None
