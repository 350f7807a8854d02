"""What every process does before it starts: complete settings, a usable database, free ports."""

import asyncio
import base64
import ctypes
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from app.db.engine import POOL_MAX
from app.db.migrating import check_database
from app.settings import Settings, StartRefused, load_settings, refuse_unsafe_production

SUPERVISOR_VARIABLE: Final = "ANXIN_SUPERVISOR"
"""Set for the processes that a command starts: the one to end with."""

_LOOPBACK: Final = "127.0.0.1"
_PR_SET_PDEATHSIG: Final = 1
_CONNECT_SECONDS: Final = 5

_CONNECTIONS_ALLOWED: Final = """
SELECT least(
    current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int,  -- since Postgres 16
    nullif(rolconnlimit, -1), nullif(datconnlimit, -1))
  FROM pg_roles, pg_database
 WHERE rolname = current_user AND datname = current_database()
"""


def prepared_settings() -> Settings:
    """Read and check the settings; the sandbox gets the keys that it made for itself.

    Raises:
        StartRefused: They are not usable, or not safe in production.
    """
    settings = load_settings()
    refuse_unsafe_production(settings)
    return with_sandbox_keys(settings)


def with_sandbox_keys(settings: Settings) -> Settings:
    """Fill in the keys that were not given from the data folder, made there the first time."""
    if not settings.is_sandbox:
        return settings
    data_key_file, signing_key_file = settings.data / "data_key", settings.data / "signing_key.pem"
    _make_private(data_key_file, base64.b64encode(secrets.token_bytes(32)))
    _make_private(signing_key_file, _new_signing_key())
    return settings.model_copy(
        update={
            "data_key": settings.data_key or SecretStr(data_key_file.read_text()),
            "signing_key_file": settings.signing_key_file or signing_key_file,
        }
    )


def _new_signing_key() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _make_private(path: Path, content: bytes) -> None:
    """Make a file of mode 0600, unless it is there: of two processes at once, one makes it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()


def check_before_start(settings: Settings) -> None:
    """Check the database that a process is about to use.

    Raises:
        StartRefused: The database or the role in DATABASE_URL will not do.
    """
    asyncio.run(check_database(database_url(settings)))


def database_url(settings: Settings) -> str:
    """Give the service's address; settings that were loaded always have one."""
    assert settings.database_url is not None, "load_settings fills it in or refuses"
    return settings.database_url


def refuse_too_many_processes(settings: Settings) -> None:
    """Refuse several web processes for which the database has not enough connections.

    One alone is started whatever the database allows: it says 503 where it gets none.

    Raises:
        StartRefused: With the worker they may need more than it allows.
    """
    needed = (settings.web_processes + 1) * (settings.writer.connections + POOL_MAX)
    allowed = asyncio.run(_connections_allowed(database_url(settings)))
    if needed > allowed:
        raise StartRefused(
            f"WEB_PROCESSES {settings.web_processes} and the worker may need {needed} connections "
            f"and the database allows {allowed}: raise its max_connections, or choose fewer."
        )


async def _connections_allowed(url: str) -> int:
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    try:
        allowed: int = await connection.fetchval(_CONNECTIONS_ALLOWED)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)
    return allowed


def refuse_busy_ports(settings: Settings, *, shares_port: bool = False) -> None:
    """Refuse ports of a web process that somebody listens on, before anything is started.

    With `shares_port` others of the same service may listen on PORT already.

    Raises:
        StartRefused: One of them cannot be had.
    """
    if not shares_port:
        _refuse_busy_port(settings.host, settings.port, setting="PORT")
    for port in settings.metrics_ports:
        _refuse_busy_port(_LOOPBACK, port, setting="METRICS_PORT")


def _refuse_busy_port(host: str, port: int, *, setting: str) -> None:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StartRefused(
            f"Port {port} on {host} cannot be used ({error.strerror}): "
            f"stop what listens there, or choose another with {setting}=…"
        ) from error


def end_with_supervisor() -> None:
    """Ask the kernel to stop this process when its starter is killed without a chance to do it."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE)
    if supervisor is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):  # it was gone before we asked
        raise StartRefused("The process that started this one is gone.")
