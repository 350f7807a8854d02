"""How decisions on a card's life find their rows."""

from typing import Any, Final

from app.card_life.rows import CardLife, CardTransfer
from app.writer.tables import Index, Lookup, Table

LIVES: Final = Table("card_life", CardLife, ("card_id", "entry_no"))
TRANSFERS: Final = Table(
    "card_transfer",
    CardTransfer,
    ("transfer_id",),
    (
        "status",
        "giver_salt",
        "receiver_salt",
        "giver_commitment",
        "receiver_commitment",
        "entry_no",
        "policy_version",
        "ended_at",
    ),
)
TRANSFERS_OF_CARD: Final = Index(TRANSFERS, ("card_id",))

TRANSFERS_WITH_CARD: Final = Lookup(
    "transfers_with_card",
    TRANSFERS,
    ("uuid",),
    "JOIN card_transfer ON card_transfer.merchant_no = need.merchant_no"
    " AND card_transfer.card_id = need.v1"
    # Those that came to nothing say nothing about the card; who asks again is told by name.
    " AND card_transfer.status IN ('offered', 'accepted')",
)
TRANSFER_BY_ID: Final = Lookup(
    "card_transfer_by_id",
    TRANSFERS,
    ("uuid",),
    "JOIN card_transfer ON card_transfer.merchant_no = need.merchant_no"
    " AND card_transfer.transfer_id = need.v1",
)

TABLES: Final[tuple[Table[Any], ...]] = (LIVES, TRANSFERS)
INDEXES: Final[tuple[Index[Any], ...]] = (TRANSFERS_OF_CARD,)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (TRANSFERS_WITH_CARD, TRANSFER_BY_ID)
