"""Policies as rows: versioned by date and region."""

from pathlib import Path

from alembic import op

from app.db.migrating import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table; until it has rows, what is built in counts."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
