"""What the writer carries out: the rows and decisions of all capabilities, put together."""

from typing import Final

from app.card_life import deciding as deciding_terms
from app.card_life import tables as card_life_tables
from app.card_life import transferring
from app.cards import tables as card_tables
from app.cases import tables as case_tables
from app.charges import confirming, placing, reversing
from app.charges import tables as charge_tables
from app.closures import voiding as closing
from app.disputes import deciding as deciding_disputes
from app.disputes import opening as opening_disputes
from app.disputes import tables as dispute_tables
from app.holds import deciding as deciding_holds
from app.holds import tables as hold_tables
from app.purchases import funding, selling
from app.purchases import tables as purchase_tables
from app.refunds import deciding as refunding
from app.refunds import tables as refund_tables
from app.writer.engine import Registry

_ROWS: Final = (
    card_tables,
    case_tables,
    purchase_tables,
    charge_tables,
    dispute_tables,
    refund_tables,
    hold_tables,
    card_life_tables,
)
_DECISIONS: Final = (
    selling,
    funding,
    placing,
    confirming,
    reversing,
    closing,
    opening_disputes,
    deciding_disputes,
    refunding,
    deciding_holds,
    deciding_terms,
    transferring,
)

REGISTRY: Final = Registry(
    tables=[table for rows in _ROWS for table in rows.TABLES],
    indexes=[index for rows in _ROWS for index in rows.INDEXES],
    lookups=[lookup for rows in _ROWS for lookup in rows.LOOKUPS],
    plans=[plan for decisions in _DECISIONS for plan in decisions.PLANS],
)
"""What the writer knows of the capabilities."""
