"""`anxin verify-evidence`: check a card's evidence without the service.

Exit status: 0 it is true, 1 it is not, and where, 2 it could not be checked.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.api.schemas import shown_time
from app.card_products.contract import yuan
from app.cards.statement import CardEntryKind
from app.commands.verify import FOUND, NOT_CHECKED
from app.evidence.keys import KeysUnreadable, read_keys
from app.evidence.offline import EvidenceUnreadable, Verdict, verify_file
from app.evidence.schemas import EvidenceRead
from app.money import Fen


def verify_evidence(
    file: Annotated[Path, typer.Argument(help="What GET /v1/me/cards/{id}/evidence gave.")],
    keys: Annotated[
        str,
        typer.Option(
            help="The service's public keys: a file, or the address of"
            " /.well-known/anxin-keys.json. A file kept since before is worth more."
        ),
    ],
) -> None:
    """Check a card's evidence offline: signature, contract, every use and balance, the chain.

    Exit status 1: it is not true, and each place is named. Exit status 2: it cannot be read.
    """
    console = Console(soft_wrap=True, highlight=False)
    try:
        verdict = verify_file(file, read_keys(keys))
    except (EvidenceUnreadable, KeysUnreadable) as error:
        Console(stderr=True, soft_wrap=True).print(f"anxin: {error}", markup=False)
        raise typer.Exit(NOT_CHECKED) from None
    if verdict.count or verdict.evidence is None:
        _print_faults(console, verdict)
        raise typer.Exit(FOUND)
    _print_true(console, verdict.evidence, verdict.key_id)


def _print_true(console: Console, evidence: EvidenceRead, key_id: str) -> None:
    kinds = [line.kind for line in evidence.lines]
    head, balances = evidence.head, evidence.balances
    console.print("[bold green]The evidence is true.[/]")
    table = Table(show_header=False, box=None)
    for name, value in (
        ("card", f"{evidence.terms.card_id} ({evidence.terms.kind}, {balances.status})"),
        ("merchant", f"{evidence.merchant.name}, {evidence.merchant.licence_number}"),
        ("issued at", shown_time(evidence.issued_at)),
        ("signed by", f"key {key_id}"),
        ("paid", yuan(Fen(evidence.terms.paid_amount))),
        ("uses", f"{kinds.count(CardEntryKind.USED)}, each confirmed by the holder"),
        ("reversed", str(kinds.count(CardEntryKind.REVERSED))),
        ("released", yuan(Fen(balances.released_amount))),
        ("left in custody", yuan(Fen(balances.custody_amount))),
        ("chain", f"{len(kinds)} entries of the book that stood at seq {head.seq}"),
    ):
        table.add_row(name, value)
    console.print(table)


def _print_faults(console: Console, verdict: Verdict) -> None:
    places = "place" if verdict.count == 1 else "places"
    console.print(f"[bold red]The evidence is not true[/], in {verdict.count} {places}:")
    for fault in verdict.faults:
        console.print(f"\n{fault.place}", style="bold", markup=False)
        console.print(f"    {fault.rule}", markup=False)
        console.print(f"    expected  {fault.expected}", markup=False)
        console.print(f"    found     {fault.found}", markup=False)
    if verdict.count > len(verdict.faults):
        console.print(f"\nand {verdict.count - len(verdict.faults)} more")
