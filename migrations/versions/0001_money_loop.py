"""The money loop: merchants and their books, cards, purchases, receipts, charges, bank files."""

from pathlib import Path

from alembic import op

from app.db.migrating import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table from nothing."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
