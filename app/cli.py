"""The command line: `anxin --help`. A command is a module of `app/commands` and a line below."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from typer.core import TyperGroup

from app.commands.closures import closures
from app.commands.cut_files import cut_files
from app.commands.demo import demo
from app.commands.migrate import migrate
from app.commands.refunds import refunds
from app.commands.run import run
from app.commands.seed import seed
from app.commands.serve import serve, web_process
from app.commands.verify import verify_ledger
from app.commands.verify_evidence import verify_evidence
from app.commands.worker import worker
from app.settings import StartRefused

if TYPE_CHECKING:
    # The class that typer's own signature names; the public one derives from it.
    from typer._click.core import Context


class _Sentences(TyperGroup):
    """Says a refusal as one sentence and exits with 1, where a traceback would bury it."""

    def invoke(self, ctx: "Context") -> object:
        try:
            return super().invoke(ctx)
        except StartRefused as refused:
            Console(stderr=True, soft_wrap=True).print(f"anxin: {refused}", markup=False)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="anxin",
    cls=_Sentences,
    help="Anxin, the book of record for prepaid money.",
    no_args_is_help=True,
    # A pretty traceback shows local variables, and those hold keys and passwords.
    pretty_exceptions_enable=False,
)

app.command()(run)
app.command()(serve)
app.command("web-process", hidden=True)(web_process)
app.command()(worker)
app.command()(migrate)
app.command()(seed)
app.command("verify")(verify_ledger)
app.command()(verify_evidence)
app.command()(cut_files)
app.add_typer(refunds)
app.add_typer(closures)
app.command()(demo)

if __name__ == "__main__":
    app()
