"""How decisions on uses find their rows."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.cards.tables import CARDS, STORES, cards_that_matter
from app.charges.domain import Charge
from app.money import Fen
from app.writer.book import ACCOUNTS
from app.writer.tables import Index, Lookup, Table

CHARGES: Final = Table(
    "charge",
    Charge,
    ("charge_id",),
    (
        "status",
        "release_amount",
        "draws",
        "confirmation_id",
        "confirmation_method",
        "confirmation_hash",
        "confirmed_at",
        "balance_face_amount",
        "balance_sessions",
        "balance_valid_until",
        "reversal_status",
        "reversal_requested_at",
        "reversal_done_at",
        "reversal_amount",
        "reversal_reason",
        "ended_at",
        "dispute_id",
        "dispute_case_id",
        "dispute_status",
    ),
)
CHARGES_BY_CODE: Final = Index(CHARGES, ("code_hash",))
CHARGES_BY_REFERENCE: Final = Index(CHARGES, ("client_reference",))
CHARGES_BY_STATE: Final = Index(CHARGES, ("consumer", "status"))
CHARGES_BY_KIND: Final = Index(CHARGES, ("kind", "status"))
CHARGES_BY_REVERSAL: Final = Index(CHARGES, ("reversal_status",))


class ConsumerCode(NamedTuple):
    """A one-time code that a consumer shows; known by its hash alone."""

    merchant_no: int
    code_hash: bytes
    consumer: UUID
    card_id: UUID | None
    product_id: UUID | None
    store_id: UUID | None
    max_amount: Fen | None
    created_at: datetime
    expires_at: datetime

    def allows(self, store_id: UUID, product_id: UUID | None) -> bool:
        """Say whether it was shown for this store, and this product where the till names one."""
        return self.store_id in {None, store_id} and (
            self.product_id is None or product_id in {None, self.product_id}
        )


CODES: Final = Table("consumer_code", ConsumerCode, ("code_hash",))

# A code that was used stays so when it has been forgotten itself.
_CODE: Final = (
    "LEFT JOIN charge AS used ON used.merchant_no = need.merchant_no AND used.code_hash = need.v1"
    " LEFT JOIN consumer_code ON consumer_code.merchant_no = need.merchant_no"
    " AND consumer_code.code_hash = need.v1"
)
# What waits is looked for only where a card holds something for it.
_WAITING_ON_CARD: Final = (
    " LEFT JOIN LATERAL (SELECT charge AS charge FROM charge WHERE card.pending_count > 0"
    " AND charge.merchant_no = card.merchant_no AND charge.consumer = card.consumer"
    " AND charge.status = 'pending_confirmation' OFFSET 0) AS waiting ON true"
)
# Outer joins: a code of somebody without a card is a code.
_BY_CODE: Final = (
    f"{_CODE} LEFT JOIN card ON card.merchant_no = need.merchant_no"
    f" AND card.consumer = consumer_code.consumer {cards_that_matter('consumer_code.card_id')}"
    " LEFT JOIN account ON account.merchant_no = card.merchant_no"
    f" AND account.account_id = card.card_id{_WAITING_ON_CARD}"
)
# The cards of a charge's draws, whoever holds them by now, and the others that its consumer can
# use.
_CARDS_OF: Final = (
    " JOIN LATERAL (SELECT (draw ->> 'card_id')::uuid AS card_id"
    " FROM jsonb_array_elements({charge}.draws) AS draw"
    " UNION SELECT own.card_id FROM card AS own"
    " WHERE own.merchant_no = need.merchant_no AND own.consumer = {charge}.consumer"
    " AND own.status NOT IN ('used_up', 'refunded', 'recalled', 'replaced')) AS near ON true"
    " JOIN card ON card.merchant_no = need.merchant_no AND card.card_id = near.card_id"
)
_CARDS_OF_CHARGE: Final = (
    "JOIN charge AS named ON named.merchant_no = need.merchant_no AND named.charge_id = need.v1"
    + _CARDS_OF.format(charge="named")
)
_ACCOUNT_OF_CARD: Final = (
    " JOIN account ON account.merchant_no = card.merchant_no AND account.account_id = card.card_id"
)
SERVED_MAX: Final = 100
"""Reversals that one step serves at most; who credited payable goes on until none is left."""

# Those of upheld disputes are the first (`reversing.turn_of` is the same order).
WAITING: Final = (
    "JOIN book ON book.merchant_no = need.merchant_no AND book.waiting_reversal_amount > 0"  # noqa: S608  # our own number
    " JOIN LATERAL (SELECT charge_id, consumer, draws FROM charge AS oldest"
    " WHERE oldest.merchant_no = book.merchant_no AND oldest.reversal_status = 'pending'"
    " ORDER BY (oldest.status <> 'disputed'), oldest.reversal_requested_at, oldest.charge_id"
    f" LIMIT {SERVED_MAX}) AS waiting ON true"
)
_CARDS_WAITING: Final = WAITING + _CARDS_OF.format(charge="waiting")

CODE_BY_HASH: Final = Lookup(
    "code_by_hash",
    CODES,
    ("bytea",),
    _BY_CODE,
    beside={"used": CHARGES, "card": CARDS, "account": ACCOUNTS, "waiting.charge": CHARGES},
)
"""The code and the charge that used it, with the cards of who showed it, their accounts, and what
waits on them."""
STORE_AND_ACCOUNT: Final = Lookup(
    "store_and_account",
    STORES,
    ("uuid", "uuid"),
    "LEFT JOIN store ON store.merchant_no = need.merchant_no AND store.store_id = need.v1"
    " LEFT JOIN account ON account.merchant_no = need.merchant_no"
    " AND account.account_id = need.v2",
    beside={"account": ACCOUNTS},
)
"""The store of a use, and the account that the use is credited to."""
CHARGE_BY_ID: Final = Lookup(
    "charge_by_id",
    CHARGES,
    ("uuid",),
    "JOIN charge ON charge.merchant_no = need.merchant_no AND charge.charge_id = need.v1",
)
CHARGE_BY_REFERENCE: Final = Lookup(
    "charge_by_reference",
    CHARGES,
    ("text",),
    "JOIN charge ON charge.merchant_no = need.merchant_no AND charge.client_reference = need.v1",
)
PENDING_WITH_CARD: Final = Lookup(
    "pending_with_card",
    CHARGES,
    ("uuid",),
    "JOIN card AS named ON named.merchant_no = need.merchant_no AND named.card_id = need.v1"
    " JOIN charge ON charge.merchant_no = need.merchant_no AND charge.consumer = named.consumer"
    " AND charge.status = 'pending_confirmation'",
)
PENDING_OF: Final = Lookup(
    "pending_of",
    CHARGES,
    ("uuid",),
    "JOIN charge ON charge.merchant_no = need.merchant_no AND charge.consumer = need.v1"
    " AND charge.status = 'pending_confirmation'",
)
CARDS_OF_CHARGE: Final = Lookup("cards_of_charge", CARDS, ("uuid",), _CARDS_OF_CHARGE)
ACCOUNTS_OF_CHARGE: Final = Lookup(
    "accounts_of_charge", ACCOUNTS, ("uuid",), _CARDS_OF_CHARGE + _ACCOUNT_OF_CARD
)
VISITS_OF_CARD: Final = Lookup(
    "visits_of_card",
    CHARGES,
    ("uuid",),
    "JOIN card_entry ON card_entry.merchant_no = need.merchant_no"
    " AND card_entry.card_id = need.v1 AND card_entry.kind = 'used'"
    " AND card_entry.visit_day IS NOT NULL"
    " JOIN charge ON charge.merchant_no = need.merchant_no"
    " AND charge.charge_id = card_entry.subject_id",
)
"""All confirmed visits on a card: reversing the last needs the one before it."""
WAITING_CHARGES: Final = Lookup(
    "waiting_charges",
    CHARGES,
    (),
    f"{WAITING} JOIN charge ON charge.merchant_no = need.merchant_no"
    " AND charge.charge_id = waiting.charge_id",
)
CARDS_WAITING: Final = Lookup("cards_waiting", CARDS, (), _CARDS_WAITING)
ACCOUNTS_WAITING: Final = Lookup(
    "accounts_waiting", ACCOUNTS, (), _CARDS_WAITING + _ACCOUNT_OF_CARD
)

TABLES: Final[tuple[Table[Any], ...]] = (CHARGES, CODES)
INDEXES: Final[tuple[Index[Any], ...]] = (
    CHARGES_BY_CODE,
    CHARGES_BY_REFERENCE,
    CHARGES_BY_STATE,
    CHARGES_BY_KIND,
    CHARGES_BY_REVERSAL,
)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (
    CODE_BY_HASH,
    CHARGE_BY_ID,
    STORE_AND_ACCOUNT,
    CHARGE_BY_REFERENCE,
    PENDING_WITH_CARD,
    PENDING_OF,
    CARDS_OF_CHARGE,
    ACCOUNTS_OF_CHARGE,
    VISITS_OF_CARD,
    WAITING_CHARGES,
    CARDS_WAITING,
    ACCOUNTS_WAITING,
)
