"""Settings: everything the environment may say, typed, checked once at start.

Names are the environment variables in lower case; a nested value is written
`WRITER__LANES=4` or as JSON, `POLICIES='{"code_lifetime_seconds": 3600}'`.
"""

import json
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

SANDBOX_ISSUER: Final = "https://sandbox.anxin.invalid"
"""The issuer of the sandbox's consumer tokens. Production refuses it."""

CONNECTION_FILE: Final = "database.json"
"""Where, in the data folder, the embedded Postgres says how to reach it (mode 0600)."""

_PORT_MAX: Final = 65_535
_METRICS_PORT_OFFSET: Final = 1_000


class StartRefused(Exception):
    """The service does not start like this; the message is one sentence for whoever starts it."""


class Mode(StrEnum):
    """`sandbox` has a local issuer, seeded principals and `/v1/sandbox/*`; production has none."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class Issuer(BaseModel):
    """An issuer of consumer tokens that this service trusts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    audience: str
    algorithms: tuple[Literal["EdDSA", "ES256", "RS256"], ...] = ("EdDSA",)
    jwks_file: Path | None = None
    """A JSON Web Key Set in a file; read again when a token names an unknown key."""
    jwks: dict[str, JsonValue] | None = None
    """The key set itself."""

    @model_validator(mode="after")
    def _has_one_key_set(self) -> Self:
        if (self.jwks_file is None) == (self.jwks is None):
            raise ValueError(f"Give the issuer {self.issuer} either jwks_file or jwks.")
        return self


class WriterSettings(BaseModel):
    """How the writer groups commands; measured by `make bench`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lanes: int = Field(default=2, ge=1, le=16)
    """Batches in flight at once, each on its own connection."""
    batch_max: int = Field(default=512, ge=1, le=4_096)
    """Commands in one transaction."""
    queue_max: int = Field(default=8_192, ge=1, le=1_000_000)
    """Commands waiting; past it, callers get 503 `overloaded`."""

    @property
    def connections(self) -> int:
        """How many it takes: one a lane, and one to wait for books that others hold."""
        return self.lanes + 1


def _plain_url(url: str) -> str:
    """Take SQLAlchemy's spelling too: drivers and psql want the plain one."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


DatabaseUrl = Annotated[str, AfterValidator(_plain_url)]


class Settings(BaseSettings):
    """One process's settings. Frozen: what changes at run time lies in the database."""

    model_config = SettingsConfigDict(env_nested_delimiter="__", extra="ignore", frozen=True)

    mode: Mode = Mode.SANDBOX
    data: Path = Path(".data")
    """The data folder: keys, `sandbox.json`, and the embedded Postgres or where it lies."""
    host: str = "127.0.0.1"
    port: int = Field(default=8_000, ge=1, le=_PORT_MAX)
    metrics_port: int = Field(default=0, ge=0, le=_PORT_MAX)
    """0 chooses: the port plus 1000 (9000), or minus 1000 where that is no port. Of several web
    processes the first has this one, and each further one the next."""
    web_processes: int = Field(default=1, ge=1, le=16)
    """How many processes `anxin serve` serves the port with; more than one needs Linux."""
    base_url: str = ""
    """Where clients reach the service, without `/v1`; empty means `http://HOST:PORT`."""
    database_url: DatabaseUrl | None = None
    """The service's role. Without it the embedded Postgres is used."""
    migration_database_url: DatabaseUrl | None = None
    """The owner's role, for migrations only."""
    issuers: tuple[Issuer, ...] = ()
    data_key: SecretStr | None = None
    """32 bytes in base64 that seal personal data. The sandbox makes its own."""
    signing_key_file: Path | None = None
    """An Ed25519 private key in PEM that signs files. The sandbox makes its own."""
    writer: WriterSettings = WriterSettings()
    policies: dict[str, JsonValue] = Field(default_factory=dict)
    """Policies that differ from the defaults, by their field names in `app/policies/domain.py`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="before")
    @classmethod
    def _fill_in_addresses(cls, values: dict[str, object]) -> dict[str, object]:
        """Derive what is said by the other settings, so that the fields are always complete."""
        port = int(str(values.get("port") or 8_000))
        if not int(str(values.get("metrics_port") or 0)):
            above = port + _METRICS_PORT_OFFSET
            last = above + int(str(values.get("web_processes") or 1)) - 1
            values["metrics_port"] = above if last <= _PORT_MAX else port - _METRICS_PORT_OFFSET
        if not values.get("base_url"):
            values["base_url"] = _own_address(str(values.get("host") or "127.0.0.1"), port)
        return values

    @model_validator(mode="after")
    def _has_a_metrics_port_for_each_process(self) -> Self:
        ports = self.metrics_ports
        if ports[-1] > _PORT_MAX or self.port in ports:
            raise ValueError(
                f"METRICS_PORT {ports[0]} leaves no port of its own to each of WEB_PROCESSES "
                f"{self.web_processes}: they are {ports[0]} to {ports[-1]}, PORT is {self.port}."
            )
        return self

    @property
    def metrics_ports(self) -> range:
        """The metrics port of each web process: several registries are not one."""
        return range(self.metrics_port, self.metrics_port + self.web_processes)

    @property
    def is_sandbox(self) -> bool:
        return self.mode is Mode.SANDBOX

    def embedded(self) -> Self:
        """Give these settings with the addresses of the running embedded Postgres.

        Raises:
            StartRefused: None was ever started for this data folder.
        """
        path = self.data / CONNECTION_FILE
        try:
            addresses: Mapping[str, str] = json.loads(path.read_text())
        except FileNotFoundError:
            raise StartRefused(
                f"DATABASE_URL is not set and no embedded Postgres runs for {self.data}: "
                "start one with `make run`, or set DATABASE_URL."
            ) from None
        return self.model_copy(
            update={
                "database_url": addresses["database_url"],
                "migration_database_url": addresses["migration_database_url"],
            }
        )


def load_settings() -> Settings:
    """Read the environment; without DATABASE_URL, take the running embedded Postgres.

    Raises:
        StartRefused: A value is wrong, or there is no database to use.
    """
    settings = read_environment()
    return settings if settings.database_url else settings.embedded()


def read_environment() -> Settings:
    """Read the environment alone.

    Raises:
        StartRefused: A value is wrong; the message names it and never repeats it.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'__'.join(map(str, item['loc'])).upper() or 'settings'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise StartRefused(f"The settings are not usable: {wrong}.") from None


def refuse_unsafe_production(settings: Settings) -> None:
    """Refuse to run production on anything that the sandbox made, or with a key left out.

    The keys in the database are checked by `app/access`, which knows them.

    Raises:
        StartRefused: The sentence says what to set.
    """
    if settings.is_sandbox:
        return
    if settings.data_key is None or settings.signing_key_file is None:
        raise StartRefused("Production needs DATA_KEY and SIGNING_KEY_FILE.")
    if settings.data in settings.signing_key_file.resolve().parents:
        raise StartRefused("Production needs a signing key of its own, not the sandbox's.")
    if stat.S_IMODE(settings.signing_key_file.stat().st_mode) & 0o077:
        raise StartRefused("SIGNING_KEY_FILE can be read by others: give it mode 0600.")
    if settings.base_url == _own_address(settings.host, settings.port):
        raise StartRefused("Production needs BASE_URL: it is in the codes that shops print.")
    if not settings.issuers:
        raise StartRefused("Production needs ISSUERS: without one no consumer can confirm.")
    if any(issuer.issuer == SANDBOX_ISSUER for issuer in settings.issuers):
        raise StartRefused("Production refuses the sandbox's issuer; take it out of ISSUERS.")


def _own_address(host: str, port: int) -> str:
    return f"http://{host}:{port}"
