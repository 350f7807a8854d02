"""What production refuses to start with, each by a sentence that says what to set."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import (
    SANDBOX_ISSUER,
    Issuer,
    Mode,
    Settings,
    StartRefused,
    refuse_unsafe_production,
)


def issuer(name: str) -> Issuer:
    return Issuer(issuer=name, audience="anxin", jwks={"keys": []})


@pytest.fixture
def production(tmp_path: Path) -> Settings:
    key = tmp_path / "signing.pem"
    key.touch(mode=0o600)
    return Settings(
        mode=Mode.PRODUCTION,
        data=tmp_path / "data",
        base_url="https://pay.example",
        data_key=SecretStr("32 bytes in base64"),
        signing_key_file=key,
        issuers=(issuer("https://bank.example"),),
    )


def test_production_is_not_refused_with_all_that_it_needs(production: Settings) -> None:
    refuse_unsafe_production(production)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data_key": None}, "DATA_KEY and SIGNING_KEY_FILE"),
        ({"signing_key_file": None}, "DATA_KEY and SIGNING_KEY_FILE"),
        ({"base_url": "http://127.0.0.1:8000"}, "BASE_URL"),
        ({"issuers": ()}, "needs ISSUERS"),
        ({"issuers": (issuer(SANDBOX_ISSUER),)}, "sandbox's issuer"),
    ],
)
def test_production_is_refused_without(
    production: Settings, change: dict[str, object], said: str
) -> None:
    with pytest.raises(StartRefused, match=said):
        refuse_unsafe_production(production.model_copy(update=change))


def test_production_is_refused_with_the_address_that_it_listens_at(production: Settings) -> None:
    # As the image listens.
    own = {"base_url": "", "host": "0.0.0.0", "port": 80}  # noqa: S104
    listening = Settings.model_validate({**production.model_dump(), **own})

    with pytest.raises(StartRefused, match="BASE_URL"):
        refuse_unsafe_production(listening)


def test_production_is_refused_with_a_key_that_others_can_read(production: Settings) -> None:
    assert production.signing_key_file is not None
    production.signing_key_file.chmod(0o640)

    with pytest.raises(StartRefused, match="mode 0600"):
        refuse_unsafe_production(production)


def test_production_is_refused_with_the_sandbox_s_signing_key(production: Settings) -> None:
    production.data.mkdir()
    key = production.data / "signing.pem"
    key.touch(mode=0o600)

    with pytest.raises(StartRefused, match="of its own"):
        refuse_unsafe_production(production.model_copy(update={"signing_key_file": key}))


def test_a_sandbox_needs_none_of_it() -> None:
    refuse_unsafe_production(Settings(mode=Mode.SANDBOX))
