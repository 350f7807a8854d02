"""Sizes are a smell to look at: what is larger than the limit is named here with its reason."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FUNCTION_LINES_MAX: Final = 50
MODULE_LINES_MAX: Final = 300

LARGER: Final[Mapping[str, str]] = {
    "app/db/embedded.py": "One lifecycle, in the order in which it runs.",
}
"""`path` or `path:function`, and why splitting it would make it harder to read."""


def _sources() -> Iterator[Path]:
    for folder in ("app", "bench", "openapi"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _large() -> set[str]:
    found: set[str] = set()
    for path in _sources():
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        if len(text.splitlines()) > MODULE_LINES_MAX:
            found.add(name)
        found.update(f"{name}:{function}" for function in _large_functions(text))
    return found


def _large_functions(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX:
                yield node.name


def test_what_is_large_is_known_and_has_a_reason() -> None:
    assert _large() == set(LARGER)
