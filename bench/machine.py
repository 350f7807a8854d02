"""What a run costs the machine: CPU by process, WAL by kind, the service's own figures."""

import asyncio
import os
import re
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from app.db.embedded import SUPERUSER, EmbeddedPostgres

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_METRIC: Final = re.compile(
    r"^anxin_(\w+?)_seconds_(sum|count) (\S+)$|^anxin_batch_commands_(sum|count) (\S+)$",
    re.MULTILINE,
)
_TOTAL: Final = re.compile(r"^Total\s+(\d+)\s+(\d+) \[[^]]*\]\s+(\d+)", re.MULTILINE)


class Machine(NamedTuple):
    """Where it ran."""

    cores: int
    memory_bytes: int
    postgres: str
    python: str


class Sample(NamedTuple):
    """All counters at one moment."""

    service_cpu: float
    postgres_cpu: float
    lsn: str
    wal_bytes: int
    batches: float
    commands: float
    commits: float
    commit_seconds: float


@dataclass(frozen=True, slots=True)
class Probe:
    """Reads the counters of a cluster and of the service that runs on it."""

    postgres: EmbeddedPostgres
    connection: asyncpg.Connection

    @staticmethod
    async def of(postgres: EmbeddedPostgres) -> "Probe":
        """Connect as the superuser, who may read all of it."""
        return Probe(postgres, await asyncpg.connect(postgres.url(SUPERUSER, "postgres")))

    async def sample(self, service_pid: int | None, metrics_ports: Sequence[int] = ()) -> Sample:
        """Read everything now; of several processes of a service, the sums."""
        lsn, wal_bytes = await self.connection.fetchrow(
            "SELECT lsn::text, (lsn - '0/0')::bigint FROM pg_current_wal_flush_lsn() AS at (lsn)"
        )
        figures: Counter[str] = Counter()
        for port in metrics_ports:
            figures.update(_figures(port))
        return Sample(
            0.0 if service_pid is None else _cpu_with_children(service_pid),
            self._postgres_cpu(),
            lsn,
            int(wal_bytes),
            figures["batch_commands_count"],
            figures["batch_commands_sum"],
            figures["commit_count"],
            figures["commit_sum"],
        )

    async def page_image_bytes(self, first: Sample, last: Sample) -> int | None:
        """Say how much of the WAL between two samples are images of whole pages."""
        folder = await self.connection.fetchval("SELECT current_setting('data_directory')")
        process = await asyncio.create_subprocess_exec(
            *(str(self.postgres.programs / "pg_waldump"), "--stats"),
            *("--path", f"{folder}/pg_wal", "--start", first.lsn, "--end", last.lsn),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await process.communicate()
        found = _TOTAL.search(output.decode())
        return None if found is None else int(found[3])

    def _postgres_cpu(self) -> float:
        """Add up the server and its backends."""
        return _cpu_with_children(self.postgres.server_pid)


async def describe(probe: Probe) -> Machine:
    """Say on what this runs."""
    version: str = await probe.connection.fetchval("SELECT current_setting('server_version')")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    return Machine(cores, memory, version, ".".join(map(str, sys.version_info[:3])))


def _figures(port: int) -> Mapping[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    figures: dict[str, float] = {}
    for name, kind, value, batch_kind, batch_value in _METRIC.findall(text):
        if batch_kind:
            figures[f"batch_commands_{batch_kind}"] = float(batch_value)
        else:
            figures[f"{name}_{kind}"] = float(value)
    return figures


def _cpu_with_children(pid: int) -> float:
    """Add up a process and its children; those that ended are in its account."""
    return _cpu_of(pid, with_reaped=True) + sum(
        _cpu_of(child, with_reaped=False) for child in _children_of(pid)
    )


def _cpu_of(pid: int, *, with_reaped: bool) -> float:
    """Give a process's CPU seconds, with those of its children that ended if wanted."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    ticks = fields[11:15] if with_reaped else fields[11:13]
    return sum(map(int, ticks)) / _TICKS


def _children_of(pid: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue
            if int(text.rpartition(")")[2].split()[1]) == pid:
                yield int(folder.name)
