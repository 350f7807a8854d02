"""The embedded Postgres, by really starting and killing it."""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from app.db.embedded import SUPERUSER, EmbeddedPostgres, embedded_postgres, run_sql
from app.db.placement import place
from app.settings import CONNECTION_FILE, StartRefused

_WAIT_SECONDS_MAX = 60
_HOLDER = """
import sys, time
from pathlib import Path
from app.db.embedded import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as postgres:
    print(postgres.server_pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """Give a place for a data folder below one that nobody else may enter, as `mktemp -d` is."""
    with tempfile.TemporaryDirectory(prefix="anxin-test-") as folder:
        path = Path(folder) / "data"
        yield path
        pointer = path / "postgres"
        if pointer.exists():  # as root the cluster lies outside
            shutil.rmtree(Path(pointer.read_text().strip()))


@contextlib.contextmanager
def _holding(data: Path) -> Generator[tuple[subprocess.Popen[str], int], None, None]:
    """Run a process that holds the folder's Postgres; give it and the server's process id."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(data)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        try:
            yield holder, int(holder.stdout.readline())
        finally:
            holder.kill()


def _ask(postgres: EmbeddedPostgres, sql: str) -> str:
    return run_sql(postgres.programs, postgres.owner_url, sql).strip()


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS_MAX
    while _is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie has ended; its parent, which we killed, will not say so


def test_it_keeps_what_was_written_and_forces_it_to_disk(data: Path) -> None:
    with embedded_postgres(data) as postgres:
        _ask(postgres, "CREATE TABLE kept AS SELECT 80_00 AS amount")

    with embedded_postgres(data) as postgres:
        assert _ask(postgres, "SELECT amount FROM kept") == "8000"
        assert _ask(postgres, "SHOW fsync") == "on"
        assert _ask(postgres, "SHOW listen_addresses") == ""


def test_nothing_of_it_is_open_to_others(data: Path) -> None:
    with embedded_postgres(data) as postgres:
        home = Path((data / "postgres").read_text().strip())
        private = [home, postgres.socket_folder, data / "passwords.json", data / CONNECTION_FILE]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private}
        # A password is asked for even of those who reach the socket.
        with pytest.raises(StartRefused, match="no password supplied"):
            run_sql(postgres.programs, f"postgresql:///?host={postgres.socket_folder}", "SELECT 1")

    assert set(modes.values()) == {0}


def test_a_folder_that_was_there_keeps_its_permissions(data: Path) -> None:
    data.mkdir(mode=0o700)
    before = [stat.S_IMODE(path.stat().st_mode) for path in (data, data.parent)]

    with embedded_postgres(data) as postgres:
        assert _ask(postgres, "SELECT 1") == "1"

    assert [stat.S_IMODE(path.stat().st_mode) for path in (data, data.parent)] == before


def test_its_addresses_are_those_of_the_running_server(data: Path) -> None:
    with embedded_postgres(data) as postgres:
        told = json.loads((data / CONNECTION_FILE).read_text())

        assert told["database_url"] == postgres.service_url
        assert run_sql(postgres.programs, told["database_url"], "SELECT current_user") == (
            "anxin_service\n"
        )


def test_a_second_start_on_the_same_folder_is_refused_and_harms_nothing(data: Path) -> None:
    with embedded_postgres(data) as postgres:
        with pytest.raises(StartRefused, match="running on the data folder"), _second(data):
            pass

        assert _ask(postgres, "SELECT 1") == "1"


@contextlib.contextmanager
def _second(data: Path) -> Generator[None, None, None]:
    with embedded_postgres(data):
        yield


def test_a_copied_data_folder_does_not_share_the_cluster(data: Path) -> None:
    copy = data.with_name("copy")
    with embedded_postgres(data):
        shutil.copytree(data, copy, ignore=shutil.ignore_patterns("pg"))

        with pytest.raises(StartRefused, match="running on the data folder"), _second(copy):
            pass


def test_a_server_whose_launcher_was_killed_is_replaced(data: Path) -> None:
    with _holding(data) as (holder, server_pid):
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert _is_running(server_pid)

        with embedded_postgres(data) as postgres:
            assert postgres.server_pid != server_pid
            assert _ask(postgres, "SELECT 1") == "1"

    assert not _is_running(server_pid)


def test_it_recovers_after_everything_was_killed(data: Path) -> None:
    with embedded_postgres(data) as postgres:
        _ask(postgres, "CREATE TABLE kept (amount bigint)")
    with _holding(data) as (holder, server_pid):
        _write_one(data)
        os.kill(server_pid, signal.SIGKILL)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        _wait_until_gone(server_pid)

    with embedded_postgres(data) as postgres:
        assert _ask(postgres, "SELECT sum(amount) FROM kept") == "8000"


def _write_one(data: Path) -> None:
    told = json.loads((data / CONNECTION_FILE).read_text())
    run_sql(place(data).programs, told["migration_database_url"], "INSERT INTO kept VALUES (80_00)")


def test_a_strangers_process_id_in_the_pid_file_is_left_alone(data: Path) -> None:
    with embedded_postgres(data):
        pass
    home = Path((data / "postgres").read_text().strip())
    with subprocess.Popen(
        ["/bin/sleep", "600"], user=home.stat().st_uid if os.geteuid() == 0 else None
    ) as stranger:
        try:
            pid_file = home / "cluster" / "postmaster.pid"
            pid_file.write_text(f"{stranger.pid}\n{home / 'cluster'}\n0\n5432\n\n\n\n")

            with embedded_postgres(data) as postgres:
                assert _ask(postgres, "SELECT 1") == "1"

            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_half_made_cluster_is_made_anew(data: Path) -> None:
    with embedded_postgres(data):
        pass
    home = Path((data / "postgres").read_text().strip())
    (home / "cluster").rename(home / "cluster.unfinished")

    with embedded_postgres(data) as postgres:
        assert _ask(postgres, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'anxin%'") == "2"


def test_a_socket_path_that_is_too_long_for_the_kernel_is_shortened(data: Path) -> None:
    data.parent.chmod(0o711)  # ours; as root the cluster then lies in the data folder
    long = data.with_name("a" * 120)

    with embedded_postgres(long) as postgres:
        assert len(bytes(postgres.socket_folder / ".s.PGSQL.5432")) <= 107
        assert run_sql(postgres.programs, postgres.url(SUPERUSER), "SELECT 1") == "1\n"
        folder = postgres.socket_folder

    assert not folder.exists()
