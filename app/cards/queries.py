"""Read cards and their statements."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from app.cards.domain import Card
from app.cards.holding import CardHold
from app.db.rows import columns_of
from app.money import Fen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.db.engine import Transaction

# What expired charges still hold, until the worker has been there, is held no longer.
_FREED: Final = """
LEFT JOIN LATERAL (
    SELECT coalesce(sum((draw ->> 'face_amount')::bigint), 0)::bigint AS face,
           coalesce(sum((draw ->> 'sessions')::integer), 0)::integer AS sessions,
           count(*)::integer AS count
    FROM charge CROSS JOIN LATERAL jsonb_array_elements(charge.draws) AS draw
    WHERE charge.merchant_no = card.merchant_no AND charge.consumer = card.consumer
      AND charge.status = 'pending_confirmation' AND charge.expires_at <= anxin_now()
      AND (draw ->> 'card_id')::uuid = card.card_id
) AS freed ON true
"""
# A hold that has ended by the clock holds no longer, whether the worker has been there or not.
_HOLDING: Final = """
    FROM hold WHERE hold.merchant_no = card.merchant_no AND hold.target_id = card.card_id
        AND hold.status = 'active' AND (hold.expires_at > anxin_now()) IS NOT FALSE
"""
_REPLACED: Final = {
    "on_hold": f"(card.on_hold AND EXISTS (SELECT {_HOLDING})) AS on_hold",
    "face_held_amount": "card.face_held_amount - freed.face AS face_held_amount",
    "sessions_held": "card.sessions_held - freed.sessions AS sessions_held",
    "pending_count": "card.pending_count - freed.count AS pending_count",
}
_SELECT: Final = (
    "SELECT "  # noqa: S608  # our own column names
    + ", ".join(_REPLACED.get(column.name, f"card.{column.name}") for column in columns_of(Card))
    + f" FROM card {_FREED} "
)


class StatementRow(NamedTuple):
    """One line of a card's statement, with what its charge says."""

    merchant_no: int
    card_id: UUID
    entry_no: int
    kind: str
    subject_id: UUID
    store_id: UUID | None
    amount: Fen | None
    sessions: int | None
    release_amount: Fen
    adjusted_amount: Fen | None
    balance_face_amount: Fen | None
    balance_sessions: int | None
    custody_amount: Fen
    description: str | None
    at: datetime


async def find_card(tx: Transaction, merchant_no: int, card_id: UUID) -> Card | None:
    """Read one card."""
    return await tx.fetch_one(
        Card,
        _SELECT + "WHERE card.merchant_no = :no AND card.card_id = :id",
        no=merchant_no,
        id=card_id,
    )


async def list_of_merchant(
    tx: Transaction, merchant_no: int, *, before: UUID | None, count: int
) -> Sequence[Card]:
    """Read a page of a merchant's cards, newest first."""
    return await tx.fetch(
        Card,
        _SELECT
        + """
        WHERE card.merchant_no = :no
          AND (CAST(:before AS uuid) IS NULL OR card.card_id < CAST(:before AS uuid))
        ORDER BY card.card_id DESC LIMIT :count
        """,
        no=merchant_no,
        before=before,
        count=count,
    )


async def list_of_consumer(
    tx: Transaction, consumer: UUID, *, before: UUID | None, count: int
) -> Sequence[Card]:
    """Read a page of a consumer's cards over all their merchants, newest first."""
    return await tx.fetch(
        Card,
        f"""
        SELECT newest.* FROM consumer_merchant
        CROSS JOIN LATERAL (
            {_SELECT}
            WHERE card.merchant_no = consumer_merchant.merchant_no
              AND card.consumer = consumer_merchant.consumer
              AND (CAST(:before AS uuid) IS NULL OR card.card_id < CAST(:before AS uuid))
            ORDER BY card.card_id DESC LIMIT :count
        ) AS newest
        WHERE consumer_merchant.consumer = :consumer
        ORDER BY newest.card_id DESC LIMIT :count
        """,  # noqa: S608  # our own column names
        consumer=consumer,
        before=before,
        count=count,
    )


async def holds_on(tx: Transaction, cards: Sequence[Card]) -> Mapping[UUID, Sequence[CardHold]]:
    """Read what holds these cards, oldest first; nothing is asked where none is held."""
    held = [card for card in cards if card.on_hold]
    if not held:
        return {}
    rows = await tx.fetch(
        CardHold,
        f"""
        SELECT card.card_id, hold.document_number, hold.reason, hold.expires_at
        FROM unnest(CAST(:nos AS integer[]), CAST(:ids AS uuid[])) AS card (merchant_no, card_id)
        CROSS JOIN LATERAL (SELECT hold.* {_HOLDING}) AS hold
        ORDER BY hold.seq
        """,  # noqa: S608  # our own condition
        nos=[card.merchant_no for card in held],
        ids=[card.card_id for card in held],
    )
    found: dict[UUID, list[CardHold]] = defaultdict(list)
    for row in rows:
        found[row.card_id].append(row)
    return found


async def statement_of(
    tx: Transaction, merchant_no: int, card_id: UUID, *, before: int | None, count: int
) -> Sequence[StatementRow]:
    """Read a page of a card's statement, newest first."""
    return await tx.fetch(
        StatementRow,
        """
        SELECT entry.merchant_no, entry.card_id, entry.entry_no, entry.kind, entry.subject_id,
               entry.store_id, entry.amount, entry.sessions, entry.release_amount,
               entry.adjusted_amount,
               entry.balance_face_amount, entry.balance_sessions, entry.custody_amount,
               -- What was written for a former holder is not the new one's to read.
               CASE WHEN charge.consumer = card.consumer THEN charge.description END
                   AS description,
               entry.at
        FROM card_entry AS entry
        JOIN card ON card.merchant_no = entry.merchant_no AND card.card_id = entry.card_id
        LEFT JOIN charge
          ON charge.merchant_no = entry.merchant_no AND charge.charge_id = entry.subject_id
        WHERE entry.merchant_no = :no AND entry.card_id = :id
          AND (CAST(:before AS bigint) IS NULL OR entry.entry_no < CAST(:before AS bigint))
        ORDER BY entry.entry_no DESC LIMIT :count
        """,
        no=merchant_no,
        id=card_id,
        before=before,
        count=count,
    )


async def remember_consumer(tx: Transaction, consumer: UUID, merchant_no: int) -> None:
    """Note that a consumer has something at a merchant; done before the book says so."""
    await tx.execute(
        """
        INSERT INTO consumer_merchant (consumer, merchant_no) VALUES (:consumer, :no)
        ON CONFLICT DO NOTHING
        """,
        consumer=consumer,
        no=merchant_no,
    )
