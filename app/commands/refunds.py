"""`anxin refunds`: compute again what every card's refund came to.

Exit status: 0 every refund comes to what was decided, 1 one does not, 2 it could not be checked.
"""

import asyncio
from typing import Final

import asyncpg
import typer
from rich.console import Console

from app.commands.starting import database_url
from app.ledger.verification import Finding
from app.refunds.proofs import REFUND_RULES, check_refunded_cards, check_refunds
from app.settings import StartRefused, load_settings

FOUND: Final = 1
NOT_CHECKED: Final = 2

refunds = typer.Typer(name="refunds", help="Refunds of cards.", no_args_is_help=True)


@refunds.callback()
def _refunds() -> None:
    """Keep `recompute` a command of its own while it is the only one."""


@refunds.command()
def recompute() -> None:
    """Compute every stored refund again from its inputs, with the formula that decided it.

    And every refunded card: what its refunds come to in sum follows the uses that stand. Changes
    nothing. Exit status 1: a refund comes to something else, and is named. Exit status 2: the
    database could not be read.
    """
    console, errors = Console(soft_wrap=True, highlight=False), Console(stderr=True)
    try:
        findings, count = asyncio.run(_recomputed(database_url(load_settings())))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        errors.print(f"anxin: The refunds could not be read: {error}", markup=False)
        raise typer.Exit(NOT_CHECKED) from None
    except StartRefused as refused:
        errors.print(f"anxin: {refused}", markup=False)
        raise typer.Exit(NOT_CHECKED) from None
    for finding in findings:
        console.print(
            f"{finding.table}: merchant_no={finding.merchant_no}, {finding.key}", markup=False
        )
        console.print(f"    {REFUND_RULES[finding.check]}", markup=False)
        console.print(f"    expected  {finding.expected}", markup=False)
        console.print(f"    found     {finding.found}", markup=False)
    if findings:
        raise typer.Exit(FOUND)
    console.print(f"Every refund comes to what was decided: {count:,} computed again.")


async def _recomputed(dsn: str) -> tuple[list[Finding], int]:
    connection = await asyncpg.connect(dsn)
    read = 0

    def tell(rows: int) -> None:
        nonlocal read
        read += rows

    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            findings = await check_refunds(connection, tell)
            count = read
            return findings + await check_refunded_cards(connection, tell), count
    finally:
        await connection.close()
