"""What import-linter's layers cannot say: inside a capability, and between two of them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

APP: Final = Path(__file__).parents[2] / "app"
CAPABILITIES: Final = frozenset(
    folder.name
    for folder in APP.iterdir()
    if folder.is_dir()
    and folder.name
    not in {"__pycache__", "access", "api", "cards", "commands", "db", "ledger", "outbox", "writer"}
)
HTTP_MODULES: Final = frozenset({"routes", "schemas", "page"})
INSIDES: Final = frozenset({"queries", "routes"})


def _imports() -> Iterator[tuple[Path, str]]:
    """Give each module of a capability with each dotted name that it takes from `app`."""
    for path in sorted(APP.rglob("*.py")):
        if path.relative_to(APP).parts[0] not in CAPABILITIES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app"):
                for name in node.names:
                    yield path.relative_to(APP), f"{node.module}.{name.name}"


def test_only_routes_and_schemas_know_http() -> None:
    breaches = [
        f"{path}: {name}"
        for path, name in _imports()
        if name.startswith(("app.api.", "fastapi."))
        and path.stem.split("_")[-1] not in HTTP_MODULES
    ]

    assert not breaches


def test_no_capability_takes_the_insides_of_another() -> None:
    breaches = [
        f"{path}: {name}"
        for path, name in _imports()
        if name.split(".")[1] in CAPABILITIES - {path.parts[0]}
        and INSIDES.intersection(name.split(".")[2:3])
    ]

    assert not breaches
