"""How decisions on disputes find their rows."""

from typing import Any, Final

from app.disputes.rows import Dispute
from app.writer.tables import Index, Lookup, Table

DISPUTES: Final = Table("dispute", Dispute, ("dispute_id",), ("status", "decided_at"))
DISPUTES_BY_STATUS: Final = Index(DISPUTES, ("status",))

DISPUTE_OF_CHARGE: Final = Lookup(
    "dispute_of_charge",
    DISPUTES,
    ("uuid",),
    "JOIN dispute ON dispute.merchant_no = need.merchant_no AND dispute.charge_id = need.v1",
)

TABLES: Final[tuple[Table[Any], ...]] = (DISPUTES,)
INDEXES: Final[tuple[Index[Any], ...]] = (DISPUTES_BY_STATUS,)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (DISPUTE_OF_CHARGE,)
