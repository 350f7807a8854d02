"""Holds on cards, payables and custody accounts."""

from pathlib import Path

from alembic import op

from app.db.migrating import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
