"""How decisions find cards and write their statement."""

from typing import Any, Final, NamedTuple
from uuid import UUID

from app.cards.domain import Card
from app.cards.statement import CardEntry
from app.writer.book import ACCOUNTS
from app.writer.tables import Index, Lookup, Table


class Store(NamedTuple):
    """What of a store a sale or a use needs."""

    merchant_no: int
    store_id: UUID
    status: str


STORES: Final = Table("store", Store, ("store_id",))
STORE_BY_ID: Final = Lookup(
    "store_by_id",
    STORES,
    ("uuid",),
    "JOIN store ON store.merchant_no = need.merchant_no AND store.store_id = need.v1",
)

CARDS: Final = Table(
    "card",
    Card,
    ("card_id",),
    (
        "consumer",
        "consumer_id",
        "status",
        "on_hold",
        "face_used_amount",
        "face_held_amount",
        "list_used_amount",
        "list_price_missing",
        "sessions_used",
        "sessions_held",
        "last_visit_day",
        "valid_until",
        "frozen_days",
        "frozen_on",
        "codes_from",
        "refundable_from",
        "released_amount",
        "refunded_amount",
        "adjusted_amount",
        "pending_count",
        "code_day",
        "code_day_amount",
        "entry_count",
    ),
)
CARD_ENTRIES: Final = Table("card_entry", CardEntry, ("card_id", "entry_no"))
CARDS_OF_CONSUMER: Final = Index(CARDS, ("consumer",))

# A consumer's finished cards are left out, but for those that today's code limit still counts.
_CARDS_THAT_MATTER: Final = (
    "AND (card.status NOT IN ('used_up', 'refunded', 'recalled', 'replaced')"
    " OR card.card_id = {named} OR card.code_day >= (anxin_now() - interval '2 days')::date)"
)

_ACCOUNT_OF_CARD: Final = (
    " JOIN account ON account.merchant_no = card.merchant_no AND account.account_id = card.card_id"
)
_CARDS_BY_CARD: Final = (
    "JOIN card AS named ON named.merchant_no = need.merchant_no AND named.card_id = need.v1"
    " JOIN card ON card.merchant_no = named.merchant_no AND card.consumer = named.consumer "
    + _CARDS_THAT_MATTER.format(named="need.v1")
)
CARDS_WITH: Final = Lookup("cards_with", CARDS, ("uuid",), _CARDS_BY_CARD)
"""The card with this id, and the other cards of the same consumer at this merchant."""
ACCOUNTS_OF_CARDS_WITH: Final = Lookup(
    "accounts_of_cards_with",
    ACCOUNTS,
    ("uuid",),
    _CARDS_BY_CARD + _ACCOUNT_OF_CARD,
)
_CARDS_OF: Final = (
    "JOIN card ON card.merchant_no = need.merchant_no AND card.consumer = need.v1 "
    + _CARDS_THAT_MATTER.format(named="NULL")
)
CARDS_OF: Final = Lookup("cards_of", CARDS, ("uuid",), _CARDS_OF)
"""The cards of this consumer."""
ACCOUNTS_OF_CARDS_OF: Final = Lookup(
    "accounts_of_cards_of", ACCOUNTS, ("uuid",), _CARDS_OF + _ACCOUNT_OF_CARD
)

TABLES: Final[tuple[Table[Any], ...]] = (STORES, CARDS, CARD_ENTRIES)
INDEXES: Final[tuple[Index[Any], ...]] = (CARDS_OF_CONSUMER,)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (
    STORE_BY_ID,
    CARDS_WITH,
    ACCOUNTS_OF_CARDS_WITH,
    CARDS_OF,
    ACCOUNTS_OF_CARDS_OF,
)


def cards_that_matter(named: str) -> str:
    """Write the condition that leaves a consumer's finished cards out; `named` always stays."""
    return _CARDS_THAT_MATTER.format(named=named)
