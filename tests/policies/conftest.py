"""Databases of their own: a rule for everywhere would reach other tests' merchants."""

from collections.abc import AsyncIterator

import pytest

from app.db.engine import Database
from tests.cluster import DatabaseUrls


@pytest.fixture
async def empty_db(fresh_database: DatabaseUrls) -> AsyncIterator[Database]:
    db = Database.connect(fresh_database.database_url)
    yield db
    await db.close()
