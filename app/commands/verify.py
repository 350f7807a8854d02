"""`anxin verify`: prove from the rows alone that the book is true, or name each row that is not.

Exit status: 0 everything holds, 1 something does not, 2 it could not be checked.
"""

import asyncio
from time import perf_counter
from typing import Final, Self

import asyncpg
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from app.commands.starting import database_url
from app.evidence.verification import Report, rules, verify
from app.ledger.verification import Tell
from app.settings import StartRefused, load_settings

FOUND: Final = 1
NOT_CHECKED: Final = 2


def verify_ledger() -> None:
    """Check every invariant of the ledger, cards, charges and files in one moment.

    Changes nothing, and may run while the service works. Exit status 1: a row is not as it must
    be, and is named. Exit status 2: the database could not be checked.
    """
    console, errors = (
        Console(soft_wrap=True, highlight=False),
        Console(stderr=True, soft_wrap=True),
    )
    started = perf_counter()
    try:
        with _Bar(errors) as bar:
            report = asyncio.run(verify(database_url(load_settings()), progress=bar))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        errors.print(f"anxin: The database could not be checked: {error}", markup=False)
        raise typer.Exit(NOT_CHECKED) from None
    except StartRefused as refused:
        errors.print(f"anxin: {refused}", markup=False)
        raise typer.Exit(NOT_CHECKED) from None
    _print(console, report, perf_counter() - started)
    if report.findings:
        raise typer.Exit(FOUND)


class _Bar:
    """A line for each step under way, to a terminal only: pipes get the result alone."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<20}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, name: str, rows: int) -> Tell:
        """Show the step until its end."""
        task = self._progress.add_task(name.replace("_", " "), total=rows or None)
        self._tasks[name] = task
        return lambda read: self._progress.advance(task, read)

    def end(self, name: str) -> None:
        """Show it no more."""
        self._progress.remove_task(self._tasks.pop(name))


def _print(console: Console, report: Report, seconds: float) -> None:
    scope = f"{report.checks} checks over {report.entries:,} entries in {seconds:.1f} s"
    if not report.findings:
        console.print(f"Everything holds: {scope}.")
        return
    for number, finding in enumerate(report.findings):
        if not number or finding.check != report.findings[number - 1].check:
            console.print(f"\n[bold red]{finding.check}[/]: {rules()[finding.check]}")
        console.print(_row(finding.table, finding.merchant_no, finding.key), markup=False)
        console.print(f"    expected  {finding.expected}", markup=False)
        console.print(f"    found     {finding.found}", markup=False)
    summary = Table(title=f"What does not hold ({scope})", title_justify="left")
    summary.add_column("check")
    summary.add_column("rows", justify="right")
    for name in dict.fromkeys(finding.check for finding in report.findings):
        rows = sum(finding.check == name for finding in report.findings)
        summary.add_row(name, f"{rows} or more" if name in report.cut_off else str(rows))
    console.print()
    console.print(summary)


def _row(table: str, merchant_no: int | None, key: str) -> str:
    return (
        f"  {table}: {key}"
        if merchant_no is None
        else (f"  {table}: merchant_no={merchant_no}, {key}")
    )
