"""Pages: newest first, by cursor, without hole or repetition."""

import httpx
import pytest

from app.access.principals import Role
from tests.api.serving import Served, given_key


@pytest.fixture
async def operator(service: Served) -> dict[str, str]:
    return await given_key(service.services.db)


async def test_pages_hold_every_row_once_newest_first(
    client: httpx.AsyncClient, service: Served, operator: dict[str, str]
) -> None:
    for _ in range(7):
        await given_key(service.services.db, Role.BANK)
    found: list[str] = []
    url: str | None = "/v1/api-keys?limit=3"
    while url is not None:
        answer = await client.get(url, headers=operator)
        page = answer.json()
        found += [key["id"] for key in page["data"]]
        link = answer.links.get("next")
        assert (link is None) == (page["next_cursor"] is None)
        url = None if link is None else link["url"]
    assert len(found) == len(set(found)) >= 8
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=!", "cursor=AAAA"])
async def test_a_page_that_cannot_be_is_refused(
    client: httpx.AsyncClient, operator: dict[str, str], query: str
) -> None:
    answer = await client.get(f"/v1/api-keys?{query}", headers=operator)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"
