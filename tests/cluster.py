"""The test run's Postgres, and its keeper: `python -m tests.cluster RUN_FOLDER RUN_PID`.

The keeper is a program of its own, so that the cluster belongs to the run and not to the
xdist worker that happened to be first. It stops and cleans up when the run is gone, however
that ended.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg

from app.db.embedded import OWNER, SERVICE, SUPERUSER, EmbeddedPostgres, embedded_postgres
from app.db.migrating import migrate

TEMPLATE: Final = "template_anxin"

_POLL_SECONDS: Final = 0.1
_START_SECONDS_MAX: Final = 240


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One database's two addresses."""

    name: str
    owner_url: str
    database_url: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The run's Postgres, seen from a worker."""

    postgres: EmbeddedPostgres

    def urls(self, name: str) -> DatabaseUrls:
        return DatabaseUrls(name, self.postgres.url(OWNER, name), self.postgres.url(SERVICE, name))

    def superuser_url(self, name: str) -> str:
        return self.postgres.url(SUPERUSER, name)

    async def clone(self, prefix: str, *, template: str = TEMPLATE) -> DatabaseUrls:
        """Make a migrated, empty database."""
        made = self.urls(f"{prefix}_{uuid4().hex[:12]}")
        await self.create(made.name, template=template)
        return made

    async def create(self, name: str, *, template: str) -> None:
        await self.execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER {OWNER}',
            f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO {SERVICE}',
        )

    async def drop(self, name: str) -> None:
        await self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser, each by itself."""
        connection = await asyncpg.connect(self.superuser_url(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


def join(run: Path, run_pid: int) -> Cluster:
    """Start the run's Postgres, or join the one that another worker started.

    Raises:
        RuntimeError: It did not start; the message is the keeper's log.
    """
    run.mkdir(mode=0o711, exist_ok=True)
    run.chmod(0o711)  # as root, the account that runs Postgres must pass through
    ready = run / "ready.json"
    with (run / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            _start_keeper(run, run_pid, ready)
    told = json.loads(ready.read_text())
    passwords = json.loads((run / "data" / "passwords.json").read_text())
    return Cluster(
        EmbeddedPostgres(
            Path(told["socket_folder"]), Path(told["programs"]), told["server_pid"], passwords
        )
    )


def _start_keeper(run: Path, run_pid: int, ready: Path) -> None:
    with (run / "keeper.log").open("w") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster", str(run), str(run_pid)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS_MAX
    while not ready.exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"No Postgres for the tests: {(run / 'keeper.log').read_text()}")
        time.sleep(_POLL_SECONDS)
    keeper.returncode = 0  # it outlives us on purpose; no warning that it does


def keep(run: Path, run_pid: int) -> None:
    """Start, say where, wait for the run's end, stop, clean up."""
    data = run / "data"
    with embedded_postgres(data) as postgres:
        cluster = Cluster(postgres)
        asyncio.run(cluster.create(TEMPLATE, template="template0"))
        template = cluster.urls(TEMPLATE)
        migrate(template.owner_url, template.database_url)
        told = {
            "socket_folder": str(postgres.socket_folder),
            "programs": str(postgres.programs),
            "server_pid": postgres.server_pid,
        }
        (run / "ready.unfinished").write_text(json.dumps(told))
        (run / "ready.unfinished").rename(run / "ready.json")
        while _is_alive(run_pid):
            time.sleep(_POLL_SECONDS)
    # The cluster may lie outside, below /var/lib/anxin.
    shutil.rmtree(Path((data / "postgres").read_text().strip()), ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]))
