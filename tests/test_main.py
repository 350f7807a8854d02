"""What a process refuses to start with."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from app.db.engine import Database
from app.main import open_services
from app.settings import Mode, Settings, StartRefused
from tests.cluster import DatabaseUrls


def production(urls: DatabaseUrls, folder: Path) -> Settings:
    key = folder / "signing_key.pem"
    key.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    return Settings(
        mode=Mode.PRODUCTION,
        data=folder,
        database_url=urls.database_url,
        data_key=SecretStr(base64.b64encode(bytes(32)).decode()),
        signing_key_file=key,
    )


async def test_production_starts_on_a_database_that_no_sandbox_has_touched(
    fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    async with open_services(production(fresh_database, tmp_path)) as services:
        assert services.writer.is_running


async def test_production_refuses_a_clock_that_a_sandbox_has_moved(
    fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    db = Database.connect(fresh_database.database_url)
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO sandbox_clock (offset_seconds) VALUES (60)")
    await db.close()

    with pytest.raises(StartRefused, match="clock"):
        async with open_services(production(fresh_database, tmp_path)):
            pass


async def test_a_policy_that_would_have_no_effect_is_refused_by_name(
    fresh_database: DatabaseUrls, tmp_path: Path
) -> None:
    settings = production(fresh_database, tmp_path)
    settings = settings.model_copy(update={"policies": {"term_end_release": True}})

    with pytest.raises(StartRefused, match=r"POLICIES.*term_end_release: cannot be turned on"):
        async with open_services(settings):
            pass
