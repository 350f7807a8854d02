"""The service behind a real socket: huge, slow and half-open senders cost it nothing."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from app.commands import serve as command
from app.settings import Settings
from tests.cluster import Cluster
from tests.contract.running import running

MEMORY_GROWTH_BYTES_MAX = 64 * 1024 * 1024
HALF_OPEN = 300


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    urls = await cluster.clone("socket")
    with running(urls, tmp_path_factory.mktemp("data")) as seeded:
        yield seeded
    await cluster.drop(urls.name)


@pytest.fixture
def port(sandbox: Any) -> int:
    found = urlsplit(str(sandbox["base_url"])).port
    assert found is not None
    return found


def _head(path: str, sandbox: Any, *lines: str, method: str = "POST") -> bytes:
    key = f"authorization: Bearer {sandbox['bank_key']}"
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "host: a", key, "idempotency-key: k",
         "content-type: application/json", *lines, "", ""]
    ).encode()  # fmt: skip


async def _answer(port: int, *parts: bytes, seconds: float = 40) -> bytes:
    """Send the parts until the other side has had enough; give what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                if reader.at_eof():
                    break
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(seconds):
                return await reader.read()
        return b""
    finally:
        writer.close()


def _web_process(port: int) -> Path:
    """Find who listens on the port: the process whose memory counts."""
    listening = f":{port:04X} 00000000:0000 0A"
    line = next(
        line for line in Path("/proc/net/tcp").read_text().splitlines() if listening in line
    )
    socket = f"socket:[{line.split()[9]}]"
    for link in _links():
        with contextlib.suppress(OSError):
            if str(link.readlink()) == socket:
                return link.parents[1]
    raise AssertionError("nobody listens")


def _links() -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield from (process / "fd").iterdir()


def _memory(process: Path) -> int:
    status = (process / "status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_the_web_process_bounds_heads() -> None:
    """`anxin serve` gives uvicorn the protocol that has limits."""
    settings = Settings(database_url="postgresql://nobody@localhost/none")
    assert command.server_config(settings).http is command.BoundedProtocol


async def test_a_body_of_300_mb_is_refused_and_never_held(sandbox: Any, port: int) -> None:
    process = _web_process(port)
    before = _memory(process)
    block = b"x" * 2**20

    announced = await _answer(
        port, _head("/v1/bank/receipts", sandbox, f"content-length: {300 * 2**20}"), *[block] * 300
    )
    chunk = b"%x\r\n%b\r\n" % (len(block), block)
    chunked = await _answer(
        port, _head("/v1/bank/receipts", sandbox, "transfer-encoding: chunked"), *[chunk] * 300
    )

    for answer in (announced, chunked):
        assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
        assert answer.count(b"HTTP/1.1 ") <= 1
    assert _memory(process) - before < MEMORY_GROWTH_BYTES_MAX


async def test_a_head_of_200_kb_is_refused(sandbox: Any, port: int) -> None:
    process = _web_process(port)
    before = _memory(process)
    many = [f"x-{number}: {'y' * 100}" for number in range(2000)]

    answers = [
        await _answer(port, _head("/v1/charges", sandbox, "x: " + "y" * 200_000, method="GET")),
        await _answer(port, _head("/v1/charges", sandbox, *many, method="GET")),
        await _answer(port, _head("/v1/charges?" + "q" * 200_000, sandbox, method="GET")),
        await _answer(port, _head("/v1/charges", sandbox, "x: " + "y" * 17_000, method="GET")),
    ]

    for answer in answers:
        assert answer == b"" or answer.split(b" ")[1] in {b"431", b"400"}, answer[:200]
    assert _memory(process) - before < MEMORY_GROWTH_BYTES_MAX


async def test_half_open_and_slow_senders_are_let_go_while_others_are_served(
    sandbox: Any, port: int
) -> None:
    base = sandbox["base_url"]
    unfinished_head = b"GET /healthz HTTP/1.1\r\nx: "
    unfinished_body = _head("/v1/bank/receipts", sandbox, "content-length: 1000") + b'{"a'
    started = time.monotonic()
    waiting = [
        asyncio.create_task(_answer(port, *parts))
        for parts in (*[()] * HALF_OPEN, *[(unfinished_head,)] * HALF_OPEN, (unfinished_body,))
    ]
    trickling = asyncio.create_task(_trickle(port))
    await asyncio.sleep(0.5)

    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        served = [(await client.get("/readyz")).status_code for _ in range(20)]
    answers = await asyncio.gather(*waiting)

    assert served == [200] * 20
    assert set(answers[:-1]) == {b""}
    assert answers[-1].startswith(b"HTTP/1.1 408 ")
    assert b"request_timed_out" in answers[-1]
    assert await trickling < 40
    assert time.monotonic() - started < 60


async def _trickle(port: int) -> float:
    """Send a head byte by byte, for ever; say how long that was suffered."""
    started = time.monotonic()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        while time.monotonic() - started < 40:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.2)
    writer.close()
    return time.monotonic() - started


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_an_upgrade_is_answered_as_any_other_call(port: int, protocol: str) -> None:
    """No websocket library stands beside the front, which sees and logs every call."""
    call = "\r\n".join(
        ["GET /v1/charges HTTP/1.1", "host: a", "connection: close, upgrade",
         f"upgrade: {protocol}", "sec-websocket-version: 13",
         "sec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==", "", ""]
    ).encode()  # fmt: skip

    answer = await _answer(port, call)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"content-type: application/problem+json" in head
    assert b"x-request-id: req_" in head
    assert json.loads(body)["code"] == "unauthenticated"


async def test_a_body_behind_the_wish_for_an_upgrade_is_read(sandbox: Any, port: int) -> None:
    """As `curl --http2 -d` sends it."""
    body = b'{"receipts": "none"}'
    wishes = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    head = _head("/v1/bank/receipts", sandbox, *wishes, f"content-length: {len(body)}")
    last = _head("/healthz", sandbox, "connection: close", method="GET")

    answer = await _answer(port, head, body, last)

    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b'"pointer":"/receipts"' in answer, "the body was read"
    assert answer.count(b"HTTP/1.1 200 ") == 1


async def test_what_is_no_http_is_let_go(port: int) -> None:
    call = b"POST /v1/charges HTTP/1.1\r\nhost: a\r\n"
    two_bodies = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        call + b"content-length: -1\r\n\r\n",
        call + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n" + two_bodies,
        call + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        call + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    ):
        answer = await _answer(port, garbage)
        assert b" 200 " not in answer, garbage[:60]
        assert answer == b"" or answer.split(b" ")[1] in {b"400", b"401"}, answer[:200]
