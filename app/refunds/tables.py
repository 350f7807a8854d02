"""How decisions on refunds find their rows."""

from typing import Any, Final, NamedTuple
from uuid import UUID

from app.cards.tables import CARDS
from app.charges.tables import CHARGES, WAITING
from app.refunds.rows import CardRefund
from app.writer.book import ACCOUNTS
from app.writer.tables import Index, Lookup, Table

REFUNDS: Final = Table(
    "refund",
    CardRefund,
    ("refund_id",),
    (
        "status",
        "reason",
        "refund_class",
        "formula",
        "formula_version",
        "policy_version",
        "inputs",
        "as_of",
        "amount",
        "residue_amount",
        "interest_claim_amount",
        "former_status",
        "payee_name",
        "payee_account_number",
        "payee_bank_code",
        "new_payee_name",
        "new_payee_account_number",
        "new_payee_bank_code",
        "decided_at",
        "settled_at",
        "closure_id",
        "unpaid_amount",
    ),
)
"""A card's refunds; its money from suspense has rows of the same table and its own shape."""
REFUNDS_OF_CARD: Final = Index(REFUNDS, ("card_id",))
REFUNDS_BY_SETTLEMENT: Final = Index(REFUNDS, ("status", "settled_at"))


class CardSale(NamedTuple):
    """How a card was sold: by whom, to whom, and from which account it was paid (sealed)."""

    merchant_no: int
    card_id: UUID
    buyer: UUID
    store_id: UUID
    store_status: str
    payer_name: bytes
    payer_account_number: bytes


SALES: Final = Table("card_sale", CardSale, ("card_id",))

_BY_CARD: Final = " ON {table}.merchant_no = need.merchant_no AND {table}.card_id = need.v1"
# The uses of a product before a card of it was paid: art. 14 asks for one that stands, of its
# holder's or of its buyer's. A transfer makes nobody new to what they know.
_EARLIER: Final = (
    "JOIN card AS named ON named.merchant_no = need.merchant_no AND named.card_id = need.v1"
    " JOIN purchase AS bought ON bought.merchant_no = named.merchant_no"
    " AND bought.purchase_id = named.purchase_id"
    " JOIN LATERAL (SELECT use.charge_id, other.card_id FROM charge AS use"
    " CROSS JOIN LATERAL jsonb_array_elements(use.draws) AS draw"
    " JOIN card AS other ON other.merchant_no = named.merchant_no"
    " AND other.card_id = (draw ->> 'card_id')::uuid AND other.product_id = named.product_id"
    " WHERE use.merchant_no = named.merchant_no"
    " AND use.consumer IN (named.consumer, bought.consumer)"
    " AND use.status IN ('confirmed', 'disputed') AND use.confirmed_at < named.paid_at"
    " LIMIT 20) AS earlier ON true"
)
_TO_SETTLE: Final = (
    "JOIN LATERAL (SELECT refund_id, card_id FROM refund AS paid"
    " WHERE paid.merchant_no = need.merchant_no AND paid.status = 'paid'"
    " AND paid.settled_at IS NULL AND paid.card_id IS NOT NULL"
    " ORDER BY paid.refund_id LIMIT {limit}) AS paid ON true"
)
SETTLED_MAX: Final = 200
"""How many refunds one command settles; the caller goes on until none is left."""
_PAID: Final = _TO_SETTLE.format(limit=SETTLED_MAX)

REFUND_BY_ID: Final = Lookup(
    "card_refund_by_id",
    REFUNDS,
    ("uuid",),
    "JOIN refund ON refund.merchant_no = need.merchant_no AND refund.refund_id = need.v1"
    " AND refund.card_id IS NOT NULL",
)
REFUNDS_WITH_CARD: Final = Lookup(
    "refunds_with_card", REFUNDS, ("uuid",), "JOIN refund" + _BY_CARD.format(table="refund")
)
_OF_DRAWS: Final = (
    " CROSS JOIN LATERAL jsonb_array_elements({charge}.draws) AS draw"
    " JOIN refund ON refund.merchant_no = need.merchant_no"
    " AND refund.card_id = (draw ->> 'card_id')::uuid"
)
REFUNDS_OF_CHARGE: Final = Lookup(
    "refunds_of_charge",
    REFUNDS,
    ("uuid",),
    "JOIN charge AS named ON named.merchant_no = need.merchant_no AND named.charge_id = need.v1"
    + _OF_DRAWS.format(charge="named"),
)
"""The refunds of all cards on which a charge drew."""
REFUNDS_WAITING: Final = Lookup(
    "refunds_waiting", REFUNDS, (), WAITING + _OF_DRAWS.format(charge="waiting")
)
"""The refunds of all cards of which a use waits to be taken back."""
SALE_OF_CARD: Final = Lookup(
    "sale_of_card", SALES, ("uuid",), "JOIN card_sale" + _BY_CARD.format(table="card_sale")
)
EARLIER_USES: Final = Lookup(
    "earlier_uses",
    CHARGES,
    ("uuid",),
    f"{_EARLIER} JOIN charge ON charge.merchant_no = need.merchant_no"
    " AND charge.charge_id = earlier.charge_id",
)
CARDS_USED_EARLIER: Final = Lookup(
    "cards_used_earlier",
    CARDS,
    ("uuid",),
    f"{_EARLIER} JOIN card ON card.merchant_no = need.merchant_no"
    " AND card.card_id = earlier.card_id",
)
DISPUTED_WITH_CARD: Final = Lookup(
    "disputed_with_card",
    CHARGES,
    ("uuid",),
    "JOIN card_entry ON card_entry.merchant_no = need.merchant_no"
    " AND card_entry.card_id = need.v1 AND card_entry.kind = 'used'"
    " JOIN charge ON charge.merchant_no = need.merchant_no"
    " AND charge.charge_id = card_entry.subject_id"
    " AND charge.dispute_status IN ('open', 'upheld')",
)
"""The card's uses whose dispute is open, or was upheld."""
REFUNDS_TO_SETTLE: Final = Lookup(
    "refunds_to_settle",
    REFUNDS,
    (),
    f"{_PAID} JOIN refund ON refund.merchant_no = need.merchant_no"
    " AND refund.refund_id = paid.refund_id",
)
REFUNDS_BESIDE: Final = Lookup(
    "refunds_beside",
    REFUNDS,
    (),
    f"{_PAID} JOIN refund ON refund.merchant_no = need.merchant_no"
    " AND refund.card_id = paid.card_id",
)
"""All refunds of the cards of those to settle: a card is refunded when each of them is."""
CARDS_TO_SETTLE: Final = Lookup(
    "cards_to_settle",
    CARDS,
    (),
    f"{_PAID} JOIN card ON card.merchant_no = need.merchant_no AND card.card_id = paid.card_id",
)
ACCOUNTS_TO_SETTLE: Final = Lookup(
    "accounts_to_settle",
    ACCOUNTS,
    (),
    f"{_PAID} JOIN account ON account.merchant_no = need.merchant_no"
    " AND account.account_id = paid.card_id",
)

TABLES: Final[tuple[Table[Any], ...]] = (REFUNDS, SALES)
INDEXES: Final[tuple[Index[Any], ...]] = (REFUNDS_OF_CARD, REFUNDS_BY_SETTLEMENT)
LOOKUPS: Final[tuple[Lookup[Any], ...]] = (
    REFUND_BY_ID,
    REFUNDS_WITH_CARD,
    REFUNDS_OF_CHARGE,
    REFUNDS_WAITING,
    REFUNDS_BESIDE,
    SALE_OF_CARD,
    EARLIER_USES,
    CARDS_USED_EARLIER,
    DISPUTED_WITH_CARD,
    REFUNDS_TO_SETTLE,
    CARDS_TO_SETTLE,
    ACCOUNTS_TO_SETTLE,
)
