"""`anxin migrate`: the schema of this version, and the rights of the service's role."""

from rich.console import Console

from app.commands.starting import database_url
from app.db import migrating
from app.settings import Settings, StartRefused, load_settings


def migrate() -> None:
    """Bring the database to this version's schema and grant the service its rights."""
    settings = load_settings()
    migrating.migrate(owner_url(settings), database_url(settings))
    Console().print("The schema and the service's rights are up to date.")


def owner_url(settings: Settings) -> str:
    """Give the owner's address.

    Raises:
        StartRefused: It was not set.
    """
    if settings.migration_database_url is None:
        raise StartRefused(
            "Migrations run as the owner of the tables: set MIGRATION_DATABASE_URL to that role. "
            "DATABASE_URL is the service's role, which must not own them."
        )
    return settings.migration_database_url
