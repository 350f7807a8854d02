"""`python -m bench`: print what the service does on this machine, and prove the ledger after."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from app.settings import StartRefused
from bench.measuring import MeasurementFailed
from bench.plan import Times
from bench.running import Options, run
from bench.seeding import Shape

_WIDTH: Final = 200


def main(  # noqa: PLR0913  # each parameter is an option of the command
    *,
    merchants: int = 5_000,
    cards: int = 200_000,
    seconds: float = 20,
    warm_up: float = 5,
    rounds: int = 3,
    connections: Annotated[str, typer.Option(help="Counts for use_by_code.")] = "1,8,32,128,512",
    tpcb_scale: int = 100,
    stored: Annotated[
        str, typer.Option(help="Histories to compare, in transfers; may be empty.")
    ] = "10000,1000000",
    closing_cards: Annotated[
        int, typer.Option(help="Cards of the merchant that closes; 0 leaves that out.")
    ] = 100_000,
    log_level: Annotated[str, typer.Option(help="Of the service.")] = "INFO",
    smoke: Annotated[bool, typer.Option("--smoke", help="Small and quick.")] = False,
    json_file: Annotated[Path, typer.Option("--json")] = Path("bench.json"),
) -> None:
    """Measure the service and its yardsticks; exit status 1 if anything was wrong."""
    options = Options(
        Shape(50, 500) if smoke else Shape(merchants, cards),
        Times(1, 2) if smoke else Times(warm_up, seconds),
        1 if smoke else rounds,
        _numbers(connections),
        5 if smoke else tpcb_scale,
        (10_000,) if smoke else _numbers(stored),
        log_level,
        min(closing_cards, 2_000) if smoke else closing_cards,
    )
    console = Console()
    if not console.is_terminal:
        # A file has room for every column.
        console = Console(width=_WIDTH)
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    try:
        done = run(options, command, Console(stderr=True, soft_wrap=True))
    except (MeasurementFailed, StartRefused) as failed:
        console.print(f"bench: {failed}", markup=False)
        raise typer.Exit(1) from None
    done.show(console)
    done.write(json_file)
    console.print(f"Everything is in {json_file}.")
    if not done.is_proved:
        raise typer.Exit(1)


def _numbers(text: str) -> Sequence[int]:
    return [int(part) for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    typer.run(main)
