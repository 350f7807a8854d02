"""What is compiled for the image is what `make test COMPILED=1` tests, and nothing else is."""

import os
import re
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

_MAKEFILE: Final = Path(__file__).parents[2] / "Makefile"
_RUN_IN_THREADS: Final = frozenset({"app.api.bodies"})
"""Read large bodies while others are served: a loop in C lets no other thread go on."""


def _way_of_a_use() -> list[str]:
    found = re.search(r"^WAY_OF_A_USE := ((?:.*\\\n)*.*)$", _MAKEFILE.read_text(), re.MULTILINE)
    assert found is not None
    paths = found[1].replace("\\\n", " ").split()
    return ["app." + path.replace("/", ".") for path in paths]


def test_the_way_of_a_use_is_tested_as_it_was_asked_for() -> None:
    files = {name: import_module(name).__file__ or "" for name in _way_of_a_use()}
    compiled = {name for name, file in files.items() if file.endswith(tuple(EXTENSION_SUFFIXES))}
    assert compiled == (set(files) if os.environ.get("COMPILED") else set())


def test_what_threads_do_while_others_are_served_is_not_compiled() -> None:
    assert not _RUN_IN_THREADS.intersection(_way_of_a_use())
