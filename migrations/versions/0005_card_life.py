"""What a holder may do with a card: freeze, transfer, report lost, reactivate."""

from pathlib import Path

from alembic import op

from app.db.migrating import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
