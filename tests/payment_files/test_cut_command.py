"""`anxin cut-files` as an operator runs it: what it says, and what it makes."""

import asyncio
import base64
import os
import sys
from pathlib import Path

from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World


async def run_cut_files(urls: DatabaseUrls, folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "cut-files", "--kind", "release"),
        env={
            **os.environ,
            "DATABASE_URL": urls.database_url,
            "DATA": str(folder),
            "DATA_KEY": base64.b64encode(bytes(32)).decode(),
            "COLUMNS": "200",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_what_is_payable_is_cut_once_and_shown(
    world: World, fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    await world.earned(await world.shop(), 1_234_56)

    status, said = await run_cut_files(fresh_database, tmp_path)
    again_status, again_said = await run_cut_files(fresh_database, tmp_path)

    assert (status, again_status) == (0, 0)
    assert "1,234.56" in said
    assert "Nothing is payable" in again_said
    assert await world.count("payment_file") == 1
