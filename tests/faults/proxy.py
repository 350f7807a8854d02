"""A proxy between the service and Postgres that can be slow, silent, rude, or lose one answer.

It listens on TCP and passes everything on to the server's unix socket. Of the protocol it knows
how messages are framed, which application speaks, and what COMMIT looks like.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final
from urllib.parse import quote

from app.db.embedded import SERVICE
from tests.faults.world import World

_SSL_REQUEST: Final = 80_877_103
_GSS_REQUEST: Final = 80_877_104
_CANCEL_REQUEST: Final = 80_877_102
_READY_FOR_QUERY: Final = b"Z\x00\x00\x00\x05I"
_CHUNK: Final = 65_536
_COMMIT_SECONDS_MAX: Final = 60
_TURN_SECONDS: Final = 0.01

WRITER: Final = "anxin-writer"
POOL: Final = "anxin"


class Loss(Enum):
    """What becomes of a COMMIT; its sender never learns which."""

    ANSWER = auto()
    """It is carried out, and the answer is lost."""
    REQUEST = auto()
    """It never arrives."""
    LATE = auto()
    """Its sender has lost the connection before it arrives."""


@dataclass(slots=True, eq=False)
class _Session:
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    application: str = ""
    swallowing: bool = False
    swallowed: bytes = b""
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """End both sides at once; the client gets a reset, not an end of file."""
        raw: socket.socket | None = self.client[1].get_extra_info("socket")
        with contextlib.suppress(OSError):
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client[1].transport.abort()
        self.server[1].transport.abort()


@dataclass(slots=True)
class Proxy:
    """The network between the service and its database."""

    target: Path
    port: int = 0
    delay_seconds: float = 0.0
    late_seconds: float = 0.3
    refusing: bool = False
    losing: str = WRITER
    lost: list[Loss] = field(default_factory=list[Loss])
    shut_after_loss: bool = False
    """Whether nobody gets through any more once a COMMIT was lost."""
    sessions: set[_Session] = field(default_factory=set[_Session])
    _losses: list[Loss] = field(default_factory=list[Loss])
    _armed: set[_Session] | None = None
    """The writer's connections that may lose a COMMIT; any may while none is lost yet."""
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def url(self, world: World) -> str:
        password = quote(world.postgres.address.passwords[SERVICE])
        return f"postgresql://{SERVICE}:{password}@127.0.0.1:{self.port}/{world.database}"

    async def lose(self, losses: Sequence[Loss]) -> None:
        """Lose the next COMMITs, one a connection.

        The writer's are lost by connections that are there when the first is lost: who connects
        anew to find out what became of a batch is heard. So this waits until there are as many as
        COMMITs to lose. A pool ends connections that it does not need, and any of its later ones
        may lose a COMMIT.
        """
        while self.losing == WRITER and len(self._of_losing()) < len(losses):
            await asyncio.sleep(_TURN_SECONDS)
        self._armed = None
        self._losses = [*losses]

    def _of_losing(self) -> set[_Session]:
        return {one for one in self.sessions if one.application == self.losing}

    def hold(self) -> None:
        """Let nothing through any more, in silence: a black hole."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def reset(self) -> int:
        """Break every connection; give how many."""
        broken = len(self.sessions)
        for session in list(self.sessions):
            session.reset()
        return broken

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        if self.refusing:
            writer.transport.abort()
            return
        try:
            upstream = await asyncio.open_unix_connection(str(self.target))
        except OSError:  # Postgres is not there: so is nobody here
            writer.transport.abort()
            return
        session = _Session((reader, writer), upstream)
        self.sessions.add(session)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._start(session)
                await self._carry(session)
        finally:
            self.sessions.discard(session)
            session.client[1].transport.abort()
            session.server[1].transport.abort()

    async def _carry(self, session: _Session) -> None:
        both = [
            asyncio.create_task(self._to_server(session)),
            asyncio.create_task(self._to_client(session)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _start(self, session: _Session) -> None:
        """Carry what comes before the first framed message."""
        while True:
            length, code = struct.unpack("!ii", await session.client[0].readexactly(8))
            rest = await session.client[0].readexactly(length - 8)
            if code in (_SSL_REQUEST, _GSS_REQUEST):
                session.client[1].write(b"N")
                continue
            if code != _CANCEL_REQUEST:
                words = rest.split(b"\0")
                told = dict(zip(words[::2], words[1::2], strict=False))
                session.application = told.get(b"application_name", b"").decode()
            await self._pass(session.server[1], struct.pack("!ii", length, code) + rest)
            return

    async def _to_server(self, session: _Session) -> None:
        reader = session.client[0]
        while True:
            head = await reader.readexactly(5)
            message = head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            if self._loses(session) and _is_commit(message):
                await self._lose(session, message)
                return
            await self._pass(session.server[1], message)

    def _loses(self, session: _Session) -> bool:
        if not self._losses or session.application != self.losing:
            return False
        return self.losing == POOL or self._armed is None or session in self._armed

    async def _to_client(self, session: _Session) -> None:
        while chunk := await session.server[0].read(_CHUNK):
            if not session.swallowing:
                await self._pass(session.client[1], chunk)
                continue
            session.swallowed += chunk
            if session.swallowed.endswith(_READY_FOR_QUERY):
                session.answered.set()

    async def _pass(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        await self._flowing.wait()
        writer.write(data)
        await writer.drain()

    async def _lose(self, session: _Session, commit: bytes) -> None:
        if self._armed is None:
            self._armed = self._of_losing() - {session}
        loss = self._losses.pop(0)
        session.swallowing = True
        if self.shut_after_loss:
            self.refusing = True
        if loss is Loss.ANSWER:
            await _carried_out(session, commit)
        session.client[1].transport.abort()
        if loss is Loss.LATE:
            await asyncio.sleep(self.late_seconds)
            await _carried_out(session, commit)
        self.lost.append(loss)


async def _carried_out(session: _Session, commit: bytes) -> None:
    """Let Postgres commit; what it says is read by the other direction, and kept there."""
    session.server[1].write(commit)
    async with asyncio.timeout(_COMMIT_SECONDS_MAX):
        await session.answered.wait()


def _is_commit(message: bytes) -> bool:
    return message[:1] == b"Q" and message[5:].strip(b"\0; ").upper() == b"COMMIT"


@asynccontextmanager
async def a_proxy(world: World) -> AsyncGenerator[Proxy, None]:
    """Run a proxy before the world's Postgres."""
    proxy = Proxy(world.postgres.socket)
    proxy.flow()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.flow()
        proxy.reset()
