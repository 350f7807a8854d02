"""How decisions find holds."""

from typing import Any, Final

from app.holds.domain import Hold
from app.writer.tables import Index, Lookup, Table

HOLDS: Final = Table("hold", Hold, ("hold_id",), ("status", "ended_at", "ended_seq"))
HOLDS_BY_TARGET: Final = Index(HOLDS, ("target_id",))

HOLD_BY_ID: Final = Lookup(
    "hold_by_id",
    HOLDS,
    ("uuid",),
    "JOIN hold ON hold.merchant_no = need.merchant_no AND hold.hold_id = need.v1",
)
HOLDS_ON: Final = Lookup(
    "holds_on",
    HOLDS,
    ("uuid",),
    "JOIN hold ON hold.merchant_no = need.merchant_no AND hold.target_id = need.v1"
    " AND hold.status = 'active'",
)
"""What stands against a card, or, by the merchant's id, against its payable and custody."""

TABLES: Final[tuple[Table[Any], ...]] = (HOLDS,)
INDEXES: Final[tuple[Index[Any], ...]] = (HOLDS_BY_TARGET,)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (HOLD_BY_ID, HOLDS_ON)
