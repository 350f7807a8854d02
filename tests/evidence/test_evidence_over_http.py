"""The export over HTTP, the command that checks it, and a card with very many uses."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from app import ids
from app.charges.domain import Use
from app.cli import app
from app.db.engine import Database
from app.evidence.keys import KeysUnreadable, keys_in, read_keys
from app.evidence.offline import verify_evidence
from app.ids import Prefix
from app.money import Fen
from tests.builder import Trader, a_consumer, writing
from tests.cluster import Cluster
from tests.contract.world import NOBODY, World, open_world
from tests.evidence.telling import KEYS, Told, evidence_of, issuing

_USES = 520
"""More than two pages of rows."""
_TERMINAL = {"COLUMNS": "200", "NO_COLOR": "1"}


class Files(NamedTuple):
    evidence: Path
    keys: Path


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    urls = await cluster.clone("evidence_http")
    async with open_world(urls, tmp_path_factory.mktemp("data")) as opened:
        await opened.confirmed(opened.a, 50_00)
        yield opened
    await cluster.drop(urls.name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Keep what a consumer would keep: the evidence and the published keys."""
    folder = tmp_path_factory.mktemp("kept")
    kept = Files(folder / "card.evidence.json", folder / "keys.json")
    answer = await world.call("GET", _path(world), world.a.consumer)
    kept.evidence.write_bytes(answer.content)
    keys = await world.call("GET", "/.well-known/anxin-keys.json")
    kept.keys.write_bytes(keys.content)
    return kept


def _path(world: World) -> str:
    return f"/v1/me/cards/{world.a.cards['stored_value']}/evidence"


async def test_the_holder_gets_a_signed_file(world: World) -> None:
    answer = await world.call("GET", _path(world), world.a.consumer)
    keys = await world.call("GET", "/.well-known/anxin-keys.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].endswith('.evidence.json"')
    verdict = verify_evidence(answer.content, keys_in(keys.content))
    assert verdict.faults == []
    assert verdict.evidence is not None
    assert verdict.evidence.terms.card_id == world.a.cards["stored_value"]


async def test_nobody_else_gets_it(world: World) -> None:
    path = _path(world)
    for who, status in (
        (world.b.consumer, 404),
        (world.a.merchant, 403),
        (world.operator, 403),
        (world.a.bank, 403),
        (world.regulator, 403),
        (NOBODY, 401),
    ):
        answer = await world.call("GET", path, who)
        assert answer.status_code == status
        assert "evidence" not in answer.json()


@pytest.mark.parametrize("card", ["card_01h455vb4pex5vsknk084sn02q", "card_x", "x"])
async def test_a_card_that_is_not_there_is_not_found(world: World, card: str) -> None:
    answer = await world.call("GET", f"/v1/me/cards/{card}/evidence", world.a.consumer)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_reading_it_changes_nothing(world: World) -> None:
    before = await world.digest()
    await world.call("GET", _path(world), world.a.consumer)

    assert await world.digest() == before


def _run(*arguments: str | Path) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["verify-evidence", *map(str, arguments)], env=_TERMINAL)
    return ran.exit_code, ran.output


def test_the_command_says_that_true_evidence_is_true(files: Files) -> None:
    status, said = _run(files.evidence, "--keys", files.keys)

    assert status == 0
    assert "The evidence is true" in said
    assert "500.00元" in said


def test_the_command_names_the_very_place_that_was_changed(files: Files, tmp_path: Path) -> None:
    document = json.loads(files.evidence.read_bytes())
    document["evidence"]["lines"][1]["amount"] -= 1
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document))

    status, said = _run(changed, "--keys", files.keys)

    assert status == 1
    assert "/signature/sha256" in said
    assert "/evidence/lines/1/amount" in said
    assert "expected  5000" in said
    assert "found     4999" in said


def test_the_command_says_what_it_could_not_read(files: Files, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"

    for arguments in (
        (nowhere, "--keys", files.keys),
        (files.keys, "--keys", files.keys),
        (files.evidence, "--keys", nowhere),
        (files.evidence, "--keys", files.evidence),
        (files.evidence, "--keys", "http://127.0.0.1:1/keys.json"),
        (files.evidence,),
    ):
        status, said = _run(*arguments)
        assert status == 2, said
        assert "Traceback" not in said


def test_a_key_under_another_ones_name_is_refused(files: Files) -> None:
    jwks = json.loads(files.keys.read_bytes())
    jwks["keys"][0]["kid"] = "0" * 16

    with pytest.raises(KeysUnreadable):
        keys_in(json.dumps(jwks).encode())


def test_keys_are_read_from_a_file(files: Files) -> None:
    assert set(read_keys(str(files.keys))) == {
        key["kid"] for key in json.loads(files.keys.read_bytes())["keys"]
    }


async def test_a_card_of_many_pages_of_uses_is_true(cluster: Cluster) -> None:
    urls = await cluster.clone("many")
    db = Database.connect(urls.database_url)
    async with writing(urls.database_url) as writer:
        given = Trader(db, writer=writer)
        shop, consumer = await given.shop(), a_consumer()
        card = await given.card(shop, consumer)
        gate = asyncio.Semaphore(8)

        async def use() -> None:
            async with gate:
                await given.used_by_code(shop, consumer, Use(amount=Fen(1)))

        await asyncio.gather(*(use() for _ in range(_USES)))
    await db.close()

    async with issuing(urls) as issuer:
        content = await evidence_of(issuer, Told(consumer, {"many": card}), "many")

    verdict = verify_evidence(content, {**KEYS})
    assert verdict.faults == []
    assert verdict.evidence is not None
    assert [line.no for line in verdict.evidence.lines] == list(range(1, _USES + 2))
    assert verdict.evidence.terms.card_id == ids.to_text(Prefix.CARD, card)
    await cluster.drop(urls.name)
