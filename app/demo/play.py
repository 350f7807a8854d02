"""The order of the scenes."""

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from rich.console import Console

from app.demo.client import Caller, DemoFailed, open_http
from app.demo.closing import close
from app.demo.ending import end
from app.demo.files import Cuts
from app.demo.judging import judge
from app.demo.life import live
from app.demo.money_shapes import TrialBalance
from app.demo.paying import pay_out
from app.demo.refunding import refund
from app.demo.selling import sell
from app.demo.shapes import Sandbox
from app.demo.suspense import suspend
from app.demo.using import use
from app.demo.world import make_world

SANDBOX_FILE: Final = "sandbox.json"


def play(data: Path, console: Console) -> int:
    """Play the whole loop against the running service; give how many figures were checked.

    Playing it again on the same data is harmless: each run has its own bank, shops and people.

    Raises:
        DemoFailed: No service runs, or it did something else than API.md or arithmetic says.
    """
    sandbox = _sandbox(data)
    with open_http(sandbox.base_url) as http:
        world = make_world(console, sandbox, Caller(http))
        before = world.operator.get(TrialBalance, "/v1/ledger/trial-balance")
        names = "、".join(shop.name for shop in world.shops)
        console.print(f"{sandbox.base_url}: {names} with custody at the bank {world.bank_name}")
        console.print(
            "Each figure is what plain arithmetic beside the service says, or the demo stops."
        )
        sell(world)
        later = use(world)
        returned = suspend(world)
        cuts = Cuts()
        pay_out(world, cuts, later, returned)
        refund(world, cuts)
        judge(world, cuts)
        live(world)
        end(world, cuts)
        close(world, before, cuts)
        return world.figures.checked


def _sandbox(data: Path) -> Sandbox:
    path = data / SANDBOX_FILE
    try:
        return Sandbox.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DemoFailed(f"{path} is not there: start the service with `make run`") from None
    except (OSError, ValueError, ValidationError) as error:
        raise DemoFailed(f"{path} cannot be read: {error}") from error
