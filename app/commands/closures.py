"""`anxin closures`: how far the closing of a merchant is, once or until its end.

Exit status: 0 it was shown, 1 there is no such closure, 2 the database could not be read.
"""

import asyncio
from datetime import datetime
from time import sleep
from typing import Annotated, Final
from uuid import UUID

import asyncpg
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.table import Table
from rich.text import Text

from app.closures.answer import shown
from app.closures.domain import Closure, ClosureStatus
from app.closures.service import view_anyones
from app.commands.cut_files import yuan
from app.commands.starting import database_url
from app.db.engine import Database
from app.errors import DatabaseUnavailable, NotFound
from app.ids import Prefix, parse
from app.money import Fen
from app.settings import StartRefused, load_settings

NOT_FOUND: Final = 1
NOT_READ: Final = 2

_POLL_SECONDS: Final = 0.5
_DONE: Final = frozenset(
    {ClosureStatus.CLOSED, ClosureStatus.CLOSED_WITH_SHORTFALL, ClosureStatus.CANCELLED}
)

closures = typer.Typer(name="closures", help="Closures of merchants.", no_args_is_help=True)

ClosureArgument = Annotated[str, typer.Argument(help="The closure's id, clo_….")]


@closures.command()
def show(closure_id: ClosureArgument) -> None:
    """Show how far a closure is."""
    closure = _read(_dsn(), closure_id)
    table = Table(show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in _facts(closure):
        table.add_row(name, value)
    Console().print(table)


@closures.command()
def watch(closure_id: ClosureArgument) -> None:
    """Watch a closure until every card is refunded: rate and time left with the bar."""
    dsn = _dsn()
    closure = _read(dsn, closure_id)
    with _bar() as progress:
        task = progress.add_task(str(closure.status), total=closure.card_count or None)
        while True:
            progress.update(
                task,
                description=str(closure.status),
                total=closure.card_count or None,
                completed=closure.refunded_count,
                closure=closure,
            )
            if closure.status in _DONE or _is_refunded(closure):
                break
            sleep(_POLL_SECONDS)
            closure = _read(dsn, closure_id)
    Console().print(
        f"{closure.status}: {closure.refunded_count:,} of {closure.card_count:,} cards refunded,"
        f" {yuan(closure.refunded_amount)} yuan."
    )


class _Rate(ProgressColumn):
    """Cards in a second of work, and how long the rest takes at that."""

    def render(self, task: Task) -> Text:
        """Say both, where they are known."""
        closure = task.fields.get("closure")
        if not isinstance(closure, Closure) or closure.rate_per_second is None:
            return Text("")
        left = closure.seconds_left
        told = f"{closure.rate_per_second:,.0f}/s"
        return Text(told if left is None else f"{told}, {_time(left)} left", style="cyan")


def _bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        console=console,
        # A pipe gets the result alone.
        disable=not console.is_terminal,
    )


def _facts(closure: Closure) -> list[tuple[str, str]]:
    rate, left = closure.rate_per_second, closure.seconds_left
    return [
        ("status", str(closure.status)),
        ("kind", closure.kind),
        ("cards", f"{closure.refunded_count:,} of {closure.card_count:,}"),
        ("yuan", f"{yuan(closure.refunded_amount)} of {yuan(closure.refund_amount)}"),
        ("short of", yuan(Fen(closure.shortfall_amount))),
        ("cards a second", "—" if rate is None else f"{rate:,.0f}"),
        ("time left", "—" if left is None else _time(left)),
        ("notice ends", _moment(closure.notice_ends_at)),
        ("started", _moment(closure.started_at)),
        ("finished", _moment(closure.finished_at)),
    ]


def _is_refunded(closure: Closure) -> bool:
    """Say whether the worker is through: what is left is for banks and people."""
    refunding = closure.status == ClosureStatus.REFUNDING
    return refunding and closure.refunded_count >= closure.card_count


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _moment(at: datetime | None) -> str:
    return (shown(at) or "—")[:19].replace("T", " ")


def _dsn() -> str:
    try:
        return database_url(load_settings())
    except StartRefused as refused:
        Console(stderr=True, soft_wrap=True).print(f"anxin: {refused}", markup=False)
        raise typer.Exit(NOT_READ) from None


def _read(dsn: str, closure_id: str) -> Closure:
    errors = Console(stderr=True, soft_wrap=True)
    try:
        return asyncio.run(_found(dsn, parse(Prefix.CLOSURE, closure_id)))
    except NotFound:
        errors.print(f"anxin: There is no closure {closure_id}.", markup=False)
        raise typer.Exit(NOT_FOUND) from None
    except (DatabaseUnavailable, OSError, asyncpg.PostgresError) as error:
        errors.print(f"anxin: The closure could not be read: {error}", markup=False)
        raise typer.Exit(NOT_READ) from None


async def _found(dsn: str, closure_id: UUID) -> Closure:
    database = Database.connect(dsn, pool_max=1)
    try:
        return await view_anyones(database, closure_id)
    finally:
        await database.close()
