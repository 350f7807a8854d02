"""`anxin serve`: the web process, or several of them on one port (`WEB_PROCESSES`).

Several share the port by SO_REUSEPORT: each has a socket of its own, and the kernel spreads
connections over them. What they share lies in the database; none knows of another.
"""

import os
import socket
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import typer
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from app.api.protocol import BoundedProtocol
from app.commands.pulses import Heart
from app.commands.starting import (
    SUPERVISOR_VARIABLE,
    check_before_start,
    end_with_supervisor,
    prepared_settings,
    refuse_busy_ports,
    refuse_too_many_processes,
)
from app.commands.supervising import Supervised, supervise
from app.observability import configure_logging
from app.settings import Settings, StartRefused

_GRACE_SECONDS: Final = 10
_IDLE_SECONDS: Final = 75


class _Server(uvicorn.Server):
    """Shows whoever started the process that its event loop goes on."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal to stop."""
        with Heart.of_this_process().beating():
            await super().serve(sockets)


def serve() -> None:
    """Serve the API and its docs from a migrated database."""
    end_with_supervisor()
    settings = prepared_settings()
    check_before_start(settings)
    refuse_busy_ports(settings)
    if settings.web_processes == 1:
        _serve(settings, None)
        return
    if sys.platform != "linux":
        raise StartRefused("WEB_PROCESSES above 1 needs Linux, whose kernel spreads connections.")
    refuse_too_many_processes(settings)
    configure_logging(settings.log_level)
    supervise([_supervised(settings, number) for number in range(1, settings.web_processes + 1)])


def web_process(
    number: Annotated[int, typer.Argument(help="Which one, for those who look at `ps`.")],
) -> None:
    """Be one of several web processes; only `anxin serve` starts it."""
    if SUPERVISOR_VARIABLE not in os.environ:
        raise StartRefused(f"Web process {number} is started by `anxin serve` alone.")
    end_with_supervisor()
    settings = prepared_settings()
    refuse_busy_ports(settings, shares_port=True)
    _serve(settings, _shared_sockets(settings))


def server_config(settings: Settings) -> uvicorn.Config:
    """Give what every web process is served with."""
    return uvicorn.Config(
        "app.asgi:app",
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        ws="none",  # a handshake is a call as any other: answered, counted and logged by the front
        access_log=False,  # a line per request, with its id, is written by the service itself
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=_IDLE_SECONDS,
    )


def _serve(settings: Settings, sockets: list[socket.socket] | None) -> None:
    config = server_config(settings)
    config.load()
    server = _Server(config)
    try:
        server.run(sockets)
    except KeyboardInterrupt:  # raised anew after all was stopped in good order
        return
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)


def _supervised(settings: Settings, number: int) -> Supervised:
    metrics_port = settings.metrics_ports[number - 1]
    environment: Mapping[str, str] = {
        **os.environ,
        SUPERVISOR_VARIABLE: str(os.getpid()),
        "WEB_PROCESSES": "1",
        "METRICS_PORT": str(metrics_port),
    }
    return Supervised(number, ("web-process", str(number)), environment, metrics_port)


def _shared_sockets(settings: Settings) -> list[socket.socket]:
    """Bind the port beside the other web processes.

    Whoever listens is in the kernel's choice, so a process that is not ready yet, or was
    killed, gets no connection: that is why each binds for itself, and nobody holds the port
    for another.

    Raises:
        StartRefused: Somebody else has the port now.
    """
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
        return [_shared_socket(family, address) for family, address in addresses]
    except OSError as error:
        raise StartRefused(
            f"Port {settings.port} on {settings.host} cannot be shared ({error.strerror})."
        ) from error


def _shared_socket(family: socket.AddressFamily, address: object) -> socket.socket:
    shared = socket.socket(family, socket.SOCK_STREAM)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        # As one process has it: "::" does not take the other family's address too.
        shared.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    shared.bind(address)  # pyright: ignore[reportArgumentType]  # as getaddrinfo gave it
    return shared
