"""The schema, the roles' rights, and what a service refuses to serve from."""

import asyncio

import asyncpg
import pytest

from app.db.engine import Database
from app.db.migrating import check_database, migrate
from app.settings import StartRefused
from tests.cluster import Cluster, DatabaseUrls


async def test_a_migrated_database_may_be_served(db: Database, database_url: str) -> None:
    await check_database(database_url)

    async with db.transaction() as tx:
        assert await tx.value("SELECT current_user") == "anxin_service"


async def test_migrating_again_changes_nothing(fresh_database: DatabaseUrls) -> None:
    await asyncio.to_thread(migrate, fresh_database.owner_url, fresh_database.database_url)

    await check_database(fresh_database.database_url)


async def test_an_old_schema_is_not_served(cluster: Cluster, fresh_database: DatabaseUrls) -> None:
    await cluster.execute(
        "UPDATE alembic_version SET version_num = '0000'", database=fresh_database.name
    )

    with pytest.raises(StartRefused, match=r"schema 0000.*run `anxin migrate`"):
        await check_database(fresh_database.database_url)

    await cluster.execute(
        "UPDATE alembic_version SET version_num = '0002'", database=fresh_database.name
    )


@pytest.mark.parametrize("table", ["transfer", "fact", "card_entry"])
@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE", "TRIGGER"])
async def test_a_role_that_could_rewrite_the_past_is_refused(
    cluster: Cluster, fresh_database: DatabaseUrls, right: str, table: str
) -> None:
    await cluster.execute(
        f"GRANT {right} ON {table} TO anxin_service", database=fresh_database.name
    )

    with pytest.raises(StartRefused, match=rf"could rewrite what has happened \({table}\)"):
        await check_database(fresh_database.database_url)


async def test_the_owner_and_the_superuser_are_refused(
    cluster: Cluster, fresh_database: DatabaseUrls
) -> None:
    for url in (fresh_database.owner_url, cluster.superuser_url(fresh_database.name)):
        with pytest.raises(StartRefused, match="could rewrite"):
            await check_database(url)


async def test_one_role_for_both_is_refused(fresh_database: DatabaseUrls) -> None:
    with pytest.raises(StartRefused, match="the same role"):
        migrate(fresh_database.owner_url, fresh_database.owner_url)


@pytest.mark.parametrize("statement", ["UPDATE {} SET seq = 1", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["transfer", "fact", "card_entry"])
async def test_the_service_cannot_change_facts(
    database_url: str, statement: str, table: str
) -> None:
    connection = await asyncpg.connect(database_url)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement.format(table))

    await connection.close()


async def test_an_unreachable_database_is_named_without_its_password() -> None:
    with pytest.raises(StartRefused) as refused:
        await check_database("postgresql://anxin:hush@127.0.0.1:1/anxin")

    assert "127.0.0.1:1/anxin" in str(refused.value)
    assert "hush" not in str(refused.value)
