"""Read refunds of cards, and what decides a preview."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.cards import queries as card_queries
from app.dates import business_date
from app.db.rows import columns_of
from app.errors import NotFound
from app.refunds.quoting import Facts
from app.refunds.rows import CardRefund
from app.refunds.tables import CardSale

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from app.cards.domain import Card
    from app.db.engine import Transaction

COLUMNS: Final = ", ".join(
    f"CAST({column.name} AS text) AS {column.name}" if column.json else column.name
    for column in columns_of(CardRefund)
)


_STANDING_OF: Final = """
SELECT book.status AS book_status,
       EXISTS (
           SELECT FROM charge
           CROSS JOIN LATERAL jsonb_array_elements(charge.draws) AS draw
           JOIN card ON card.merchant_no = charge.merchant_no
               AND card.card_id = CAST(draw ->> 'card_id' AS uuid)
               AND card.product_id = :product
           WHERE charge.merchant_no = book.merchant_no AND charge.consumer IN (:consumer, :buyer)
               AND charge.status IN ('confirmed', 'disputed')
               AND charge.confirmed_at < :paid_at) AS used_before,
       coalesce(disputes.is_open, false) AS disputed,
       coalesce(disputes.was_upheld, false) AS dispute_upheld,
       (SELECT min(CAST(refund_id AS text)) FROM refund
        WHERE refund.merchant_no = book.merchant_no AND refund.card_id = :id
            AND refund.status NOT IN ('offered', 'declined', 'rejected', 'withdrawn')
       )::uuid AS refund_id
FROM book
CROSS JOIN LATERAL (
    SELECT bool_or(charge.dispute_status = 'open') AS is_open,
           bool_or(charge.dispute_status = 'upheld') AS was_upheld
    FROM card_entry AS line
    JOIN charge ON charge.merchant_no = line.merchant_no AND charge.charge_id = line.subject_id
    WHERE line.merchant_no = book.merchant_no AND line.card_id = :id AND line.kind = 'used'
) AS disputes
WHERE book.merchant_no = :no
"""


@dataclass(frozen=True, slots=True)
class _CardId:
    card_id: UUID


@dataclass(frozen=True, slots=True)
class _Standing:
    book_status: str
    used_before: bool
    disputed: bool
    dispute_upheld: bool
    refund_id: UUID | None


async def find_own_card(tx: Transaction, merchant_no: int, card_id: UUID, consumer: UUID) -> Card:
    """Read a card of a consumer.

    Raises:
        NotFound: No such card, or it is another's.
    """
    card = await card_queries.find_card(tx, merchant_no, card_id)
    if card is None or card.consumer != consumer:
        raise NotFound
    return card


async def find_sale(tx: Transaction, merchant_no: int, card_id: UUID) -> CardSale:
    """Read how a card was sold."""
    sale = await tx.fetch_one(
        CardSale,
        """
        SELECT merchant_no, card_id, buyer, store_id, store_status, payer_name,
               payer_account_number
        FROM card_sale WHERE merchant_no = :no AND card_id = :id
        """,
        no=merchant_no,
        id=card_id,
    )
    assert sale is not None, "a card was sold"
    return sale


async def read_facts(tx: Transaction, card: Card, sale: CardSale) -> Facts:
    """Read what decides a refund of a card: as `finding.facts_in` reads it from a locked book."""
    standing = await tx.fetch_one(
        _Standing,
        _STANDING_OF,
        no=card.merchant_no,
        id=card.card_id,
        consumer=card.consumer,
        buyer=sale.buyer,
        product=card.product_id,
        paid_at=card.paid_at,
    )
    assert standing is not None, "a card's merchant has a book"
    return Facts(
        card=card,
        day=business_date(await tx.now()),
        book_status=standing.book_status,
        store_status=sale.store_status,
        used_before=standing.used_before,
        disputed=standing.disputed,
        dispute_upheld=standing.dispute_upheld,
        refund_id=standing.refund_id,
        holds=(await card_queries.holds_on(tx, [card])).get(card.card_id, ()),
    )


async def find_refund(tx: Transaction, merchant_no: int, refund_id: UUID) -> CardRefund | None:
    """Read one refund of a card."""
    return await tx.fetch_one(
        CardRefund,
        f"SELECT {COLUMNS} FROM refund"  # noqa: S608  # our own column names
        " WHERE merchant_no = :no AND refund_id = :id AND card_id IS NOT NULL",
        no=merchant_no,
        id=refund_id,
    )


async def list_of_consumer(
    tx: Transaction, consumer: UUID, *, before: UUID | None, count: int
) -> Sequence[CardRefund]:
    """Read a page of a consumer's refunds over all their merchants, newest first."""
    return await tx.fetch(
        CardRefund,
        f"""
        SELECT newest.* FROM consumer_merchant
        CROSS JOIN LATERAL (
            SELECT {COLUMNS} FROM refund
            WHERE refund.merchant_no = consumer_merchant.merchant_no
              AND refund.consumer = consumer_merchant.consumer
              AND (CAST(:before AS uuid) IS NULL OR refund_id < CAST(:before AS uuid))
            ORDER BY refund_id DESC LIMIT :count
        ) AS newest
        WHERE consumer_merchant.consumer = :consumer
        ORDER BY newest.refund_id DESC LIMIT :count
        """,  # noqa: S608  # our own column names
        consumer=consumer,
        before=before,
        count=count,
    )


async def cards_with_claims(tx: Transaction, merchant_no: int) -> Sequence[UUID]:
    """Name the cards of a merchant whose claims are judged; one card has at most one."""
    rows = await tx.fetch(
        _CardId,
        "SELECT card_id FROM refund WHERE merchant_no = :no AND status = 'case_open'"
        " ORDER BY card_id",
        no=merchant_no,
    )
    return [row.card_id for row in rows]


async def is_proposed(tx: Transaction, action: str, seal: str) -> bool:
    """Say whether an account was put before a person, by the hash of its sealed number."""
    found = await tx.value(
        "SELECT EXISTS (SELECT FROM approval WHERE action = :action"
        " AND request ->> 'seal' = :seal)",
        action=action,
        seal=seal,
    )
    return bool(found)
