"""The head of a request over a real socket: bounded in size and in time."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from starlette.types import Receive, Scope, Send

from app.api import protocol
from app.api.protocol import BoundedProtocol


async def _answers(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest_asyncio.fixture(loop_scope="session")
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_answers, http=BoundedProtocol, lifespan="off", log_config=None)
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


async def test_one_connection_serves_many_calls(port: int) -> None:
    call = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n" + b"x" * 20_000
    last = b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    answer = await _exchange(port, call, call, last)
    assert answer.count(b"HTTP/1.1 204") == 3


async def test_a_head_without_end_is_refused(port: int) -> None:
    answer = await _exchange(port, b"GET /x HTTP/1.1\r\nx-long: ", *([b"x" * 4096] * 50))
    assert answer == b"" or b" 431 " in answer.split(b"\r\n")[0]
    assert b" 204 " not in answer


async def test_a_head_that_does_not_come_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    assert await _exchange(port, b"GET /x HT") == b""
    assert await _exchange(port) == b""
