"""`anxin closures`: how far a closure is, for an operator at a shell."""

import asyncio
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.ids import Prefix, new_id, to_text
from tests.builder import a_consumer
from tests.closures.conftest import Closer
from tests.cluster import DatabaseUrls

RUNNER = CliRunner()


async def _ran(
    monkeypatch: pytest.MonkeyPatch, database: DatabaseUrls, *words: str
) -> tuple[int, str]:
    monkeypatch.setenv("DATABASE_URL", database.database_url)
    result = await asyncio.to_thread(RUNNER.invoke, app, ["closures", *words])
    return result.exit_code, result.output


async def test_a_closure_is_shown_and_watched_to_its_end(
    closer: Closer, fresh_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await closer.given.shop()
    await closer.given.card(shop, a_consumer())
    view = await closer.closed(shop)
    closure_id = to_text(Prefix.CLOSURE, view.closure.closure_id)

    shown = await _ran(monkeypatch, fresh_database, "show", closure_id)
    watched = await _ran(monkeypatch, fresh_database, "watch", closure_id)

    assert shown[0] == watched[0] == 0
    assert "closed" in shown[1]
    assert "1 of 1" in shown[1]
    assert "500.00 of 500.00" in shown[1]
    assert "closed: 1 of 1 cards refunded, 500.00 yuan." in watched[1]


async def test_what_is_no_closure_is_said_and_shows_in_the_status(
    fresh_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = to_text(Prefix.CLOSURE, new_id(7))
    for wrong in (unknown, "nonsense"):
        code, said = await _ran(monkeypatch, fresh_database, "show", wrong)
        assert (code, f"There is no closure {wrong}." in said) == (1, True)


async def test_a_database_that_is_gone_is_said(
    fresh_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = replace(fresh_database, database_url="postgresql://nobody@127.0.0.1:1/none")
    code, said = await _ran(monkeypatch, gone, "show", to_text(Prefix.CLOSURE, new_id(7)))
    assert (code, "could not be read" in said) == (2, True)
