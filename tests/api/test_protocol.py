"""What a connection may cost, over a real socket: bounded in size and in time."""

import asyncio
import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from app.api import protocol
from app.api.protocol import BoundedProtocol, answer_at_once, take_exchange

_BODY = b'{"id": 1}'
_IDLE_SECONDS = 2
_LARGE = b"x" * 4 * 2**20
_FEW = b"x" * 40_000
"""More than the kernel takes here, and less than what a transport takes for little by itself."""
_KERNEL_BYTES = 4096


class _Kept:
    """Lives as long as the scope that it is put into."""


_KEPT: weakref.WeakSet[_Kept] = weakref.WeakSet()


async def _answers(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    if scope["path"] == "/whole":
        await _tells_names(scope, receive, send)
        return
    if scope["path"] in {"/large", "/few"}:
        await _tells_much(scope, send)
        return
    if scope["path"] == "/late":
        await asyncio.sleep(0.5)
    if scope["path"] != "/unread":
        await receive()
    headers = [(b"content-length", b"%d" % len(_BODY)), (b"content-type", b"application/json")]
    if scope["query_string"] == b"close":
        headers.append((b"connection", b"close"))
    exchange = take_exchange(scope)
    scope["kept"] = kept = _Kept()
    _KEPT.add(kept)
    if scope["path"] == "/at-once" and answer_at_once(exchange, 201, headers, _BODY):
        return
    if scope["path"] in {"/at-once", "/in-two"}:
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": _BODY})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _tells_names(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the whole body, then say which headers there are."""
    while (message := await receive()).get("more_body"):
        pass
    assert message["type"] == "http.request", "gone before the body was whole"
    names = b" ".join(name for name, _ in scope["headers"])
    headers = [(b"content-length", b"%d" % len(names))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": names})


async def _tells_much(scope: Scope, send: Send) -> None:
    body = _LARGE if scope["path"] == "/large" else _FEW
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest_asyncio.fixture(loop_scope="session")
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
    config = uvicorn.Config(
        _answers,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=_IDLE_SECONDS,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


async def _exchange(port: int, *parts: bytes) -> bytes:
    """Send the parts, then read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def _after_an_answer(port: int, call: bytes, *parts: bytes, pause: float = 0) -> bytes:
    """Send a call and, when it is answered, the parts; then read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(call)
        async with asyncio.timeout(10):
            await reader.readuntil(b"\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(pause)
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_one_connection_serves_many_calls(port: int) -> None:
    call = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n" + b"x" * 20_000
    last = b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    answer = await _exchange(port, call, call, last)
    assert answer.count(b"HTTP/1.1 204") == 3


@pytest.mark.parametrize("close", [b"connection: close\r\n", b""])
@pytest.mark.parametrize("method", [b"POST", b"HEAD"])
async def test_an_answer_at_once_is_what_two_messages_would_be(
    port: int, method: bytes, close: bytes
) -> None:
    # Either the client says that it will close, or the answer does.
    query = b"" if close else b"?close"
    answers = [
        await _exchange(
            port, b"%b /%b%b HTTP/1.1\r\nhost: a\r\n%b\r\n" % (method, path, query, close)
        )
        for path in (b"at-once", b"in-two")
    ]
    at_once, in_two = (
        sorted(line for line in answer.split(b"\r\n") if not line.startswith(b"date:"))
        for answer in answers
    )
    assert at_once == in_two
    assert answers[0].startswith(b"HTTP/1.1 201 Created\r\n")
    assert answers[0].endswith(b"\r\n\r\n" + (_BODY if method == b"POST" else b""))


async def test_calls_sent_ahead_are_answered_in_turn_at_once(port: int) -> None:
    call = b"POST /at-once HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
    last = b"POST /at-once?close HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
    answer = await _exchange(port, call * 50 + last)
    assert answer.count(b"HTTP/1.1 201") == 51
    assert answer.count(_BODY) == 51


async def test_the_last_of_many_calls_sent_ahead_says_that_no_more_are_answered(port: int) -> None:
    call = b"POST /late HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
    ahead = b"POST /at-once HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
    answer = await _exchange(port, call + ahead * (protocol.AHEAD_MAX + 5))
    assert answer.count(_BODY) == protocol.AHEAD_MAX
    assert b"connection: close" in answer.rpartition(b"HTTP/1.1 ")[2]
    assert answer.count(b"connection: close") == 1


async def test_calls_sent_ahead_one_after_the_other_are_all_answered(port: int) -> None:
    call = b"POST /at-once HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call * 50)
    for _ in range(10 * protocol.AHEAD_MAX):
        await reader.readuntil(_BODY)
        writer.write(call)
    writer.close()


async def test_nothing_of_a_call_waits_for_the_garbage_collector(port: int) -> None:
    call = b"POST /at-once HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
    last = b"POST /at-once?close HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
    gc.collect()
    gc.disable()
    try:
        answer = await _exchange(port, call * 20 + last)
        assert answer.count(_BODY) == 21
        # That of the last call belongs to its connection, while that is there.
        assert len(_KEPT) <= 1
    finally:
        gc.enable()


_WISHES = (b"websocket", b"h2c")


def _wishing(wish: bytes, line: bytes, *lines: bytes) -> bytes:
    """Give a head as curl has it with `--http2`, for another protocol too."""
    settings = b"http2-settings: AAMAAABkAAQCAAAAAAIAAAAA"
    wished = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: %b" % wish, settings)
    return b"\r\n".join([line + b" HTTP/1.1", b"host: a", *wished, *lines, b"", b""])


@pytest.mark.parametrize("wish", _WISHES)
async def test_a_call_that_asks_for_another_protocol_is_served_with_its_body(
    port: int, caplog: pytest.LogCaptureFixture, wish: bytes
) -> None:
    length = _wishing(wish, b"POST /whole", b"content-length: 20000")
    chunked = _wishing(wish, b"POST /whole", b"transfer-encoding: chunked")
    none = _wishing(wish, b"GET /whole")
    body, pieces = b"x" * 20_000, b"4e20\r\n" + b"x" * 20_000 + b"\r\n0\r\n\r\n"

    together = await _exchange(port, length + body + none + chunked + pieces + none + _LAST)
    apart = await _exchange(port, *(b"%c" % byte for byte in length), body, none, _LAST)

    assert together.count(b"HTTP/1.1 200 ") == 4
    assert apart.count(b"HTTP/1.1 200 ") == 2
    for answer in (together, apart):
        assert answer.count(b"HTTP/1.1 204 ") == 1
        assert b"host connection http2-settings content-length" in answer
        assert b"upgrade" not in answer
    assert not caplog.records


async def test_a_body_behind_a_wish_for_another_protocol_is_no_call(port: int) -> None:
    hidden = b"GET /in-two HTTP/1.1\r\nhost: a\r\n\r\n"
    head = _wishing(b"h2c", b"POST /unread", b"content-length: %d" % len(hidden))
    answer = await _exchange(port, head + hidden + _LAST)
    assert answer.count(b"HTTP/1.1 204 ") == 2
    assert b" 201 " not in answer


async def test_a_body_behind_a_wish_for_another_protocol_is_waited_for(port: int) -> None:
    lines = (b"expect: 100-continue", b"content-length: 2")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_wishing(b"h2c", b"POST /whole", *lines))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize("close", [b"connection: close", b"connection: keep-alive"])
async def test_many_calls_that_ask_for_another_protocol_are_served_in_turn(
    port: int, close: bytes
) -> None:
    call = _wishing(b"h2c", b"POST /at-once", b"content-length: 2") + b"{}"
    last = _wishing(b"h2c", b"POST /at-once", close, b"content-length: 2") + b"{}"
    answer = await _exchange(port, call * 49 + last + _LAST)
    assert answer.count(_BODY) == 50
    assert answer.count(b"HTTP/1.1 204 ") == int(b"close" not in close)


async def test_bad_heads_that_ask_for_another_protocol_are_refused_as_others_are(
    port: int,
) -> None:
    two = (b"content-length: 3", b"transfer-encoding: chunked")
    answer = await _exchange(port, _wishing(b"h2c", b"POST /whole", *two) + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    lines = b"x: y\r\n" * 10_000
    answer = await _exchange(port, _wishing(b"h2c", b"POST /whole")[:-2] + lines)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


async def test_nothing_is_served_after_a_connect(port: int) -> None:
    answer = await _exchange(port, b"CONNECT /in-two HTTP/1.1\r\nhost: a\r\n\r\n" + _LAST)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer


async def test_a_second_head_that_does_not_come_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    call = b"POST /at-once HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
    answer = await _exchange(port, call, b"POST /at-o")
    assert answer.count(_BODY) == 1


async def test_line_breaks_between_heads_keep_no_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    call = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
    assert await _after_an_answer(port, call, b"\r\n") == b""
    # Not each of them buys more time.
    assert await _after_an_answer(port, call, *([b"\r\n"] * 99), pause=0.05) == b""


async def test_a_call_after_line_breaks_is_served(port: int) -> None:
    call = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
    answer = await _after_an_answer(port, call, b"\r\n", b"\r\n" + _LAST, pause=0.02)
    assert answer.startswith(b"HTTP/1.1 204 ")


async def test_line_breaks_take_no_time_from_a_call_that_is_served(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    late = b"GET /late HTTP/1.1\r\nhost: a\r\n\r\n"
    answer = await _exchange(port, late, b"\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")


async def test_a_head_without_end_is_refused(port: int) -> None:
    answer = await _exchange(port, b"GET /x HTTP/1.1\r\nx-long: ", *([b"x" * 4096] * 50))
    assert answer == b"" or b" 431 " in answer.split(b"\r\n")[0]
    assert b" 204 " not in answer


async def test_a_head_without_end_is_not_refused_in_place_of_another_answer(port: int) -> None:
    late = b"GET /late HTTP/1.1\r\nhost: a\r\n\r\n"
    answer = await _exchange(port, late, b"GET /x HTTP/1.1\r\nx-long: ", *([b"x" * 4096] * 50))
    assert b" 431 " not in answer


_CHUNKED = b"POST /whole HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_headers_after_the_body_reach_nobody(port: int) -> None:
    ends = b"0\r\nx-request-id: other\r\nexpect: 100-continue\r\n\r\n"
    last = b"GET /whole HTTP/1.1\r\nconnection: close\r\n\r\n"
    answer = await _exchange(port, _CHUNKED, b"2\r\n{}\r\n", ends, last)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"host transfer-encoding" in answer
    assert answer.endswith(b"connection")
    assert b"x-request-id" not in answer


@pytest.mark.parametrize(
    ("begins", "more"),
    [
        (b"0\r\nx-long: ", b"x" * 4096),
        (b"0\r\n", b"x: y\r\n" * 700),
        (b"2;extended=", b"x" * 4096),
    ],
)
async def test_what_has_no_end_after_a_head_ends_the_connection(
    port: int, begins: bytes, more: bytes
) -> None:
    assert await _exchange(port, _CHUNKED, b"2\r\n{}\r\n", begins, *([more] * 50)) == b""


async def test_a_body_in_many_small_chunks_is_read(port: int) -> None:
    last = b"0\r\n\r\nGET /whole HTTP/1.1\r\nconnection: close\r\n\r\n"
    answer = await _exchange(port, _CHUNKED, *([b"1\r\nx\r\n" * 100] * 100), last)
    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_a_head_that_does_not_come_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    assert await _exchange(port, b"GET /x HT") == b""
    assert await _exchange(port) == b""


_UNREAD = b"POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n"
_LAST = b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


async def test_a_body_that_does_not_come_after_its_answer_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DRAIN_SECONDS", 0.1)
    assert await _after_an_answer(port, _UNREAD, b"x") == b""
    # Not each byte buys more time.
    assert await _after_an_answer(port, _UNREAD, *([b"x"] * 99), pause=0.05) == b""


async def test_a_body_without_end_after_its_answer_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DRAIN_BYTES_MAX", 64 * 1024)
    call = b"POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000000\r\n\r\n"
    assert await _after_an_answer(port, call, *([b"x" * 4096] * 100)) == b""


async def test_a_body_that_comes_after_its_answer_leaves_the_connection_as_any_other(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    # The next call is served, at once or after more than what the body was given.
    answer = await _after_an_answer(port, _UNREAD, b"x" * 60, b"x" * 40, pause=0.02)
    assert answer == b""  # it was idle for as long as any may be
    together = await _after_an_answer(port, _UNREAD, b"x" * 60, b"x" * 40 + _LAST)
    assert together.startswith(b"HTTP/1.1 204 ")
    later = await _after_an_answer(port, _UNREAD, b"x" * 100, _LAST, pause=0.3)
    assert later.startswith(b"HTTP/1.1 204 ")


async def test_a_body_of_a_call_sent_ahead_is_read_for_that_call(port: int) -> None:
    whole = b"POST /whole HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\nconnection: close\r\n\r\n"
    answer = await _exchange(port, _UNREAD, b"x" * 100 + whole, b"x" * 20_000)
    assert answer.count(b"HTTP/1.1 204 ") == 1
    assert answer.endswith(b"host content-length connection")


def _not_reading(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    return client


async def _dropped(logs: list[Any]) -> None:
    async with asyncio.timeout(10):
        while not logs:  # noqa: ASYNC110  # a line of the log sets no event
            await asyncio.sleep(0.01)


def _read_to_the_end(client: socket.socket) -> None:
    while client.recv(2**16):
        pass


@pytest.mark.parametrize(
    "call",
    [
        b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /few HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /few HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /few HTTP/1.1\r\nhost: a\r\n\r\n" * 99,
    ],
)
async def test_who_does_not_read_is_dropped(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: bytes
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.1)
    with capture_logs() as logs, _not_reading(port) as client:
        client.sendall(call)
        await _dropped(logs)
        # Nor does the kernel keep for it what it did not take.
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(_read_to_the_end, client)
    assert [line["reason"] for line in logs] == ["unread"]
    assert not caplog.records


async def test_who_never_reads_cannot_send_for_ever(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.1)
    calls = b"POST /at-once HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}" * 1000

    def send() -> None:
        with _not_reading(port) as client:
            while True:
                client.sendall(calls)

    with capture_logs() as logs, pytest.raises(ConnectionError):
        await asyncio.to_thread(send)
    await _dropped(logs)


async def test_who_reads_slowly_is_served_to_the_end(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.3)
    with capture_logs() as logs, socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        read = 0
        while part := await asyncio.to_thread(client.recv, 2**17, socket.MSG_WAITALL):
            read += len(part)
            await asyncio.sleep(0.03)
    assert read > len(_LARGE)
    assert not logs
