"""`anxin demo`: from sale to closure over HTTP, every figure checked, then `verify`.

Exit status: 0 every figure is right and the ledger holds, 1 something is not, 2 the ledger
could not be checked.
"""

import typer
from rich.console import Console

from app.commands.verify import verify_ledger
from app.demo.client import DemoFailed
from app.demo.play import play
from app.settings import read_environment

_WIDTH_MIN = 110
"""Of a table with its columns side by side, where the output is no terminal."""


def demo() -> None:
    """Play sales, uses, files, refunds, cases, a card's life and a closure, and check each figure.

    It needs `make run` in another shell, uses the same DATA, and can be played again. Its shops
    are its own, but a cut takes in what other sandbox shops have payable, and its clock is the
    sandbox's: 61 seconds further each time.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_MIN)
    settings = read_environment()
    try:
        checked = play(settings.data, console)
    except DemoFailed as failure:
        Console(stderr=True, soft_wrap=True).print(f"anxin demo failed: {failure}", markup=False)
        raise typer.Exit(1) from None
    console.print(f"\n{checked} figures are what plain arithmetic says. Now `anxin verify`:")
    verify_ledger()
