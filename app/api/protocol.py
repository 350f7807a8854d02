"""uvicorn's HTTP protocol with what it lacks.

Limits: a connection that sends one byte of a header a minute, or a header without end, before the
body or after it, or the rest of a body that was answered already, or that never reads its answers,
costs the service a socket for as long as its client likes, and calls sent ahead cost it memory
without end; none of that reaches the application.

And a way to answer at once: two ASGI messages, each looked at anew, cost a use more than its
decision's arithmetic.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import structlog
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app.api.errors import HeadersTooLarge
from app.api.problems import render
from app.api.unswitched import UnswitchedProtocol

HEAD_BYTES_MAX: Final = 16 * 1024
HEAD_SECONDS: Final = 10.0
DRAIN_BYTES_MAX: Final = 32 * 1024 * 1024
"""The largest body that any call takes."""
DRAIN_SECONDS: Final = 20.0
AHEAD_MAX: Final = 100
"""Calls that wait on one connection while another is served. The last of them ends it, so that a
client knows which of those behind it to send again."""
UNREAD_SECONDS: Final = 30.0
"""For a client to take what waits for it, or `UNREAD_BYTES_MIN` of that. What waits here is what
the kernel did not take, so hundreds of kilobytes lie unread before the time begins."""
UNREAD_BYTES_MIN: Final = 64 * 1024
"""2 kB a second: less than a phone's worst line, so that a large answer may take long."""

WHOLE_ANSWER: Final = "anxin.http.response"
"""A message that only the front takes: `status`, `headers` and `body` of an answer in one."""

_CYCLE: Final = "anxin.cycle"
_CLOSE: Final = (b"connection", b"close")
_NOWHERE: Final[Any] = deque[object](maxlen=0)
_DROP_AT_ONCE: Final = struct.pack("ii", 1, 0)

_log = structlog.stdlib.get_logger()


class _InTurn(FlowControl):
    """Reads no more while calls that were sent ahead wait: each answer else made room for more."""

    def __init__(self, transport: asyncio.Transport, ahead: deque[Any]) -> None:
        super().__init__(transport)
        self._ahead = ahead

    def resume_reading(self) -> None:
        if self.read_paused and not self._ahead:
            super().resume_reading()


class BoundedProtocol(UnswitchedProtocol):
    """For `uvicorn.Config(http=BoundedProtocol)`."""

    _head_timer: asyncio.TimerHandle | None = None
    _bytes: int = 0
    """What came since a head began or ended, or since the last of a body."""
    _drain_timer: asyncio.TimerHandle | None = None
    _drained: int = 0
    _unread_timer: asyncio.TimerHandle | None = None
    _unread: int = 0
    _served: RequestResponseCycle | None = None
    """The call that others behind it wait for."""

    def connection_made(self, transport: Any) -> None:
        """Give a new connection a while for its first head."""
        super().connection_made(transport)
        self.flow = _InTurn(transport, self.pipeline)
        # Each byte that the kernel does not take pauses writing: few are as bad as many.
        transport.set_write_buffer_limits(high=0)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._head_came()
        self._drained_in_time()
        self._read_in_time()
        if self._served is not None:
            # Only the newest is told by itself, and this one would write to what is closed.
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what is no body: heads, and what the parser gathers after a body or beside it."""
        self._bytes += len(data)
        super().data_received(data)
        if self._drain_timer is not None:
            self._drained += len(data)
        if self._bytes > HEAD_BYTES_MAX or self._drained > DRAIN_BYTES_MAX:
            self._refuse()
        elif self._head_timer is None and (self._in_head or self._is_left_alone()):
            # Most heads of a kept connection come in one packet, and need no timer.
            self._await_head()

    def on_message_begin(self) -> None:
        """Begin another head on a connection that is kept."""
        if not self._in_head:
            self._in_head = True
            self._bytes = 0
            # It runs already where this packet also ended a body that nobody read.
            self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop the time: the head came. Headers after the body, which nobody reads, are let go."""
        assert self.parser is not None
        leads_away = self.parser.should_upgrade()
        if leads_away and self._asks_to_switch():
            return
        self._in_head = False
        self._bytes = 0
        self._head_came()
        before = self.cycle
        super().on_headers_complete()
        self.headers = _NOWHERE
        self.scope[_CYCLE] = self.cycle  # pyright: ignore[reportGeneralTypeIssues]  # our own member
        if self.pipeline:
            self._wait_behind(before)
        if leads_away:
            # What follows a CONNECT is not read as HTTP, so that no call may come after it.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Begin to count anew: how long a body is, the front looks."""
        self._bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for another call where the rest of an answered one has come."""
        if self._in_head:
            return  # one that asks for another protocol, and comes again with its body
        if self._drained_in_time():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Bound the rest of a body that was answered before it was read.

        Closing at once would lose the answer: many clients send all before they look for it, and
        what comes to a closed socket resets the connection.
        """
        if self.pipeline:
            self._served = self.pipeline[-1][0]
        super().on_response_complete()
        cycle = self.cycle
        if cycle.response_complete and cycle.more_body and not self.transport.is_closing():
            self._drain_timer = self.loop.call_later(DRAIN_SECONDS, self._let_go)

    def pause_writing(self) -> None:
        """Give the client a while to read: what was written waits for it."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Stop the time: nothing waits."""
        super().resume_writing()
        self._read_in_time()

    def _wait_behind(self, before: RequestResponseCycle) -> None:
        """Leave out the newest call where too many wait. It stands first, the next to come last."""
        if len(self.pipeline) == 1:
            self._served = before
        elif len(self.pipeline) > AHEAD_MAX:
            self.pipeline.popleft()
            self.pipeline[0][0].keep_alive = False

    def _is_left_alone(self) -> bool:
        """Say whether nothing would end the connection: line breaks before a head begin none."""
        cycle = self.cycle
        return (
            bool(cycle)
            and cycle.response_complete
            and self.timeout_keep_alive_task is None
            and self._drain_timer is None
        )

    def _await_head(self) -> None:
        self._head_came()
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._let_go)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _drained_in_time(self) -> bool:
        """Stop the time of a body that is let go; say whether there was one."""
        if self._drain_timer is None:
            return False
        self._drain_timer.cancel()
        self._drain_timer = None
        self._drained = 0
        return True

    def _await_reader(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._look_at_reader)

    def _read_in_time(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _look_at_reader(self) -> None:
        """Drop a connection whose client took too little. Closing it would wait for the client."""
        unread = self.transport.get_write_buffer_size()
        if self._unread - unread >= UNREAD_BYTES_MIN:
            self._await_reader()
            return
        _log.info("connection.dropped", reason="unread", bytes=unread)
        # What the kernel holds for it goes too, which else would be offered for minutes more.
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _DROP_AT_ONCE
        )
        self.transport.abort()

    def _refuse(self) -> None:
        """Say why, where that can be taken for the answer of no other call."""
        if self._in_head and not self._is_serving() and not self.transport.is_closing():
            problem = render(HeadersTooLarge(), "/")
            lines = [b"HTTP/1.1 431 Request Header Fields Too Large"]
            lines += [name + b": " + value for name, value in problem.headers]
            self.transport.write(b"\r\n".join([*lines, b"", problem.body]))
        self._let_go()

    def _is_serving(self) -> bool:
        # There is none before the first head is whole.
        return bool(self.cycle) and not self.cycle.response_complete

    def _let_go(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def take_exchange(scope: Scope) -> RequestResponseCycle | None:
    """Take out of a call's scope what `answer_at_once` writes to; None under another server.

    It holds the scope itself: left there, each call would wait for the garbage collector.
    """
    return scope.pop(_CYCLE, None)


def answer_at_once(
    cycle: RequestResponseCycle | None,
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
) -> bool:
    """Write a whole answer to its connection: the same that two ASGI messages would write.

    The headers are our own, as the bytes that go out, without line breaks and with a
    `content-length` that is the body's: nothing here looks at them again. False where the answer
    cannot be written now: another server, or a client that is gone or does not read. Nothing was
    written then, and ASGI messages say what to do.
    """
    if cycle is None or cycle.disconnected or cycle.flow.write_paused or cycle.response_started:
        return False
    if cycle.scope["method"] == "HEAD":
        return False
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    parts = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        if (name, value) == _CLOSE:
            # Said once, in the last place, whoever wants it.
            cycle.keep_alive = False
        else:
            parts += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        parts.append(b"connection: close\r\n")
    parts += (b"\r\n", body)
    cycle.transport.write(b"".join(parts))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
