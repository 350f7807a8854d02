"""pgbench's TPC-B on the same cluster and socket: the yardstick that everybody knows."""

import asyncio
import os
import re
from dataclasses import dataclass
from typing import Final

import asyncpg

from app.db.embedded import OWNER, SUPERUSER, EmbeddedPostgres
from bench.measuring import MeasurementFailed

_DATABASE: Final = "tpcb"
_TPS: Final = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_LATENCY: Final = re.compile(r"^latency average = ([0-9.]+) ms", re.MULTILINE)
_THREADS: Final = 2
_SAID_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Tpcb:
    """A filled TPC-B database."""

    postgres: EmbeddedPostgres

    @staticmethod
    async def fill(postgres: EmbeddedPostgres, scale: int) -> "Tpcb":
        """Make the database and fill it (`pgbench -i -s …`)."""
        connection = await asyncpg.connect(postgres.url(SUPERUSER, "postgres"))
        await connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {OWNER}")
        await connection.close()
        tpcb = Tpcb(postgres)
        await tpcb._pgbench("--initialize", "--quiet", "--scale", str(scale))
        return tpcb

    async def warm_up(self, *, clients: int, seconds: float) -> None:
        """Run it for nothing."""
        await self._timed(clients, seconds)

    async def run(self, *, clients: int, seconds: float) -> tuple[float, float]:
        """Run it; give transactions a second, and the mean latency in seconds."""
        output = await self._timed(clients, seconds)
        tps, latency = _TPS.search(output), _LATENCY.search(output)
        if tps is None or latency is None:
            raise MeasurementFailed(f"pgbench said: {output[-_SAID_MAX:]}")
        return float(tps[1]), float(latency[1]) / 1000

    async def _timed(self, clients: int, seconds: float) -> str:
        return await self._pgbench(
            *("--protocol", "prepared", "--jobs", str(_THREADS), "--no-vacuum"),
            *("--client", str(clients), "--time", str(max(1, round(seconds)))),
        )

    async def _pgbench(self, *arguments: str) -> str:
        password = self.postgres.passwords[OWNER]
        process = await asyncio.create_subprocess_exec(
            str(self.postgres.programs / "pgbench"),
            *arguments,
            *("--host", str(self.postgres.socket_folder), "--username", OWNER, _DATABASE),
            env={"PATH": os.defpath, "PGPASSWORD": password, "LC_ALL": "C"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise MeasurementFailed(f"pgbench failed: {output.decode()[-_SAID_MAX:]}")
        return output.decode()
