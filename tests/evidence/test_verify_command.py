"""`anxin verify` as an operator runs it: what it says, and how it exits."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest_asyncio

from app.db.engine import Database
from app.ledger.chart import AccountType, account_id
from tests.builder import Builder
from tests.cluster import Cluster, DatabaseUrls


class Ran(NamedTuple):
    status: int
    said: str
    complained: str


async def run_verify(database_url: str, folder: Path) -> Ran:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        "verify",
        env={**os.environ, "DATABASE_URL": database_url, "DATA": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, said.decode(), complained.decode())


@pytest_asyncio.fixture
async def tampered(cluster: Cluster) -> AsyncIterator[DatabaseUrls]:
    """Give a database in which somebody took one of merchant 1's accounts away."""
    made = await cluster.clone("tampered")
    db = Database.connect(made.database_url)
    shop = await Builder(db).shop()
    await db.close()
    assert shop.merchant_no == 1
    await cluster.execute("DELETE FROM account WHERE type = 'suspense'", database=made.name)
    yield made
    await cluster.drop(made.name)


async def test_a_true_ledger_is_said_to_be_one(
    fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    ran = await run_verify(fresh_database.database_url, tmp_path)

    assert ran.status == 0
    assert "Everything holds" in ran.said
    assert ran.complained == ""


async def test_a_row_that_is_wrong_is_named_and_the_status_is_1(
    tampered: DatabaseUrls, tmp_path: Path
) -> None:
    ran = await run_verify(tampered.database_url, tmp_path)

    suspense = account_id(1, AccountType.SUSPENSE)
    assert ran.status == 1
    assert f"account: merchant_no=1, account_id={suspense}" in ran.said
    assert "expected  suspense" in ran.said
    assert "found     nothing" in ran.said


async def test_a_database_that_is_not_there_is_not_said_to_be_true(tmp_path: Path) -> None:
    ran = await run_verify(f"postgresql://nobody@/none?host={tmp_path}", tmp_path)

    assert ran.status == 2
    assert "could not be checked" in ran.complained
    assert "Traceback" not in ran.complained
