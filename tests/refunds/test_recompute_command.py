"""`anxin refunds recompute` as an operator runs it: what it says, and how it exits."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from app.db.engine import Database
from app.refunds.domain import RefundReason
from tests.builder import Trader, a_consumer, writing
from tests.cluster import Cluster, DatabaseUrls
from tests.refunds.conftest import Refunder


async def run_recompute(database_url: str, folder: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        "refunds",
        "recompute",
        env={**os.environ, "DATABASE_URL": database_url, "DATA": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


@pytest_asyncio.fixture
async def refunded(cluster: Cluster) -> AsyncIterator[DatabaseUrls]:
    """Give a database with one refund."""
    made = await cluster.clone("refunded")
    db = Database.connect(made.database_url)
    async with writing(made.database_url) as writer:
        given = Trader(db, writer=writer)
        shop, consumer = await given.shop(), a_consumer()
        card_id = await given.card(shop, consumer)
        await Refunder(given).refunded(consumer, card_id, RefundReason.CONSUMER_CHOICE)
    await db.close()
    yield made
    await cluster.drop(made.name)


async def test_true_refunds_are_said_to_be_so_and_a_changed_one_is_named(
    cluster: Cluster, refunded: DatabaseUrls, tmp_path: Path
) -> None:
    ran = await run_recompute(refunded.database_url, tmp_path)
    assert ran == (0, "Every refund comes to what was decided: 1 computed again.\n", "")
    await cluster.execute("UPDATE refund SET amount = amount - 1", database=refunded.name)

    status, said, _ = await run_recompute(refunded.database_url, tmp_path)

    assert status == 1
    assert "merchant_no=1, refund_id=" in said
    assert "expected  amount 50000, residue 0" in said
    assert "found     amount 49999, residue 0" in said


async def test_a_database_that_is_not_there_is_another_status(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"

    status, _, complained = await run_recompute(url, tmp_path)

    assert status == 2
    assert "could not be read" in complained
