"""`anxin cut-files`: cut the bank's files now, for an operator at a shell."""

import asyncio
from datetime import date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.calendar.errors import CalendarNotCovered
from app.commands.starting import check_before_start, prepared_settings
from app.ids import Prefix, to_text
from app.main import open_services
from app.money import Fen
from app.payment_files.cutting import cut
from app.payment_files.domain import FileKind, PaymentFile
from app.payment_files.routes import parts_of
from app.settings import Settings, StartRefused

_FEN_A_YUAN = 100


def cut_files(
    kind: Annotated[
        FileKind | None, typer.Option(help="Releases to merchants or refunds; else both.")
    ] = None,
    business_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Banking day; else the next after today."),
    ] = None,
) -> None:
    """Cut what is payable into files that the banks can pull; nothing payable makes no file."""
    settings = prepared_settings()
    check_before_start(settings)
    on = None if business_date is None else business_date.date()
    kinds = tuple(FileKind) if kind is None else (kind,)
    files = asyncio.run(_cut(settings, kinds, on))
    if not files:
        Console().print("Nothing is payable; no file was made.")
        return
    table = Table("file", "kind", "bank", "business date", "sequence", "orders", "yuan")
    for file in files:
        table.add_row(
            to_text(Prefix.FILE, file.file_id),
            file.kind,
            file.bank,
            file.business_date.isoformat(),
            str(file.sequence),
            str(file.order_count),
            yuan(file.total_amount),
        )
    Console().print(table)


def yuan(amount: Fen) -> str:
    """Show an amount in yuan, exactly."""
    return f"{amount // _FEN_A_YUAN:,}.{amount % _FEN_A_YUAN:02d}"


async def _cut(
    settings: Settings, kinds: tuple[FileKind, ...], on: date | None
) -> list[PaymentFile]:
    async with open_services(settings) as services:
        parts = parts_of(services)
        try:
            return [
                file
                for kind in kinds
                for file in (await cut(parts, kind, asked=on, request=None)).value
            ]
        except CalendarNotCovered as refused:
            raise StartRefused(refused.detail) from refused
