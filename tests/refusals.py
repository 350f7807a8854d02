"""A refusal leaves all rows unchanged."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from app.errors import DomainError
from tests.builder import Shop, Trader


@asynccontextmanager
async def refused(given: Trader, shop: Shop, code: str) -> AsyncGenerator[None]:
    """Expect a refusal with this code, and every row of the shop's book as it was."""
    before = await given.rows(shop)
    with pytest.raises(DomainError) as error:
        yield
    assert error.value.code == code
    assert await given.rows(shop) == before
