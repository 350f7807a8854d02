"""Refunds of cards: what was asked, by which rule it was decided, and from what."""

from pathlib import Path

from alembic import op

from app.db.migrating import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Widen the table of money on its way back to payers by what a card's refund needs."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
