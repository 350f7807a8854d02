"""Rows that the steps of a closure read and change: cards, files, waiting charges, offers."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.cards.domain import Card
from app.closures.deciding import Sale
from app.closures.domain import REFUNDABLE
from app.closures.queries import DISPUTED, LEFT
from app.db.engine import Transaction
from app.db.rows import columns_of

_CARD_COLUMNS: Final = ", ".join(f"card.{column.name}" for column in columns_of(Card))


class CardId(NamedTuple):
    """A card."""

    card_id: UUID


async def disputed_cards(tx: Transaction, merchant_no: int) -> Sequence[UUID]:
    """Give the cards of which a use is disputed: each waits for that."""
    rows = await tx.fetch(
        CardId,
        f"SELECT DISTINCT disputed.card_id FROM ({DISPUTED}) AS disputed (card_id)",  # noqa: S608
        no=merchant_no,
    )
    return [row.card_id for row in rows]


async def cards_to_refund(
    tx: Transaction,
    merchant_no: int,
    *,
    after: UUID | None,
    without: Sequence[UUID],
    limit: int,
) -> Sequence[Card]:
    """Give the next cards with money that nobody refunds yet, in the order of their ids.

    Left out are cards under a hold, cards that hold something for a charge, which is voided
    first, and those named.
    """
    return await tx.fetch(
        Card,
        f"""
        SELECT {_CARD_COLUMNS} FROM card
        WHERE merchant_no = :no AND (CAST(:after AS uuid) IS NULL OR card_id > CAST(:after AS uuid))
            AND status = ANY(CAST(:statuses AS text[])) AND {LEFT} > 0
            AND NOT on_hold AND pending_count = 0
            AND card_id <> ALL(CAST(:without AS uuid[]))
        ORDER BY card_id LIMIT :limit
        """,  # noqa: S608  # our own column names
        no=merchant_no,
        after=after,
        statuses=list(REFUNDABLE),
        without=list(without),
        limit=limit,
    )


class Recut(NamedTuple):
    """A file to be cut again without a merchant that closes."""

    merchant_no: int
    file_id: UUID
    kind: str
    business_date: date
    done_at: datetime | None


async def files_to_cut_again(
    tx: Transaction, merchant_no: int, kinds: Sequence[str]
) -> Sequence[Recut]:
    """Give the sealed files of these kinds with the merchant's orders that no bank has got yet."""
    return await tx.fetch(
        Recut,
        """
        SELECT CAST(:no AS integer) AS merchant_no, file.file_id, file.kind,
               file.business_date, CAST(NULL AS timestamptz) AS done_at
        FROM payment_file AS file
        WHERE file.status = 'ready' AND file.kind = ANY(CAST(:kinds AS text[]))
            AND file.handed_out_at IS NULL
            AND file.cancelled_at IS NULL AND EXISTS (
                SELECT FROM payment_order AS orders
                WHERE orders.file_id = file.file_id AND orders.merchant_no = :no
                    AND orders.status = 'pending')
        """,
        no=merchant_no,
        kinds=list(kinds),
    )


async def is_being_cut(tx: Transaction, merchant_no: int) -> bool:
    """Say whether a file that is not sealed yet has orders of the merchant."""
    found = await tx.value(
        """
        SELECT EXISTS (
            SELECT FROM payment_file AS file
            WHERE file.status = 'cutting' AND EXISTS (
                SELECT FROM payment_order AS orders
                WHERE orders.file_id = file.file_id AND orders.merchant_no = :no))
        """,
        no=merchant_no,
    )
    return bool(found)


async def plan_recuts(tx: Transaction, recuts: Sequence[Recut]) -> None:
    """Remember which files to cut again, before they are cancelled."""
    for recut in recuts:
        await tx.execute(
            """
            INSERT INTO closure_recut (merchant_no, file_id, kind, business_date)
            VALUES (:no, :file_id, :kind, :business_date) ON CONFLICT DO NOTHING
            """,
            no=recut.merchant_no,
            file_id=recut.file_id,
            kind=recut.kind,
            business_date=recut.business_date,
        )


async def waiting_recuts(tx: Transaction, merchant_no: int) -> Sequence[Recut]:
    """Give the files that are still to be cut again."""
    return await tx.fetch(
        Recut,
        """
        SELECT merchant_no, file_id, kind, business_date, done_at FROM closure_recut
        WHERE merchant_no = :no AND done_at IS NULL ORDER BY file_id
        """,
        no=merchant_no,
    )


async def mark_recut(tx: Transaction, recut: Recut) -> None:
    """Record that a file was cut again, or that its bank had got it first."""
    await tx.execute(
        """
        UPDATE closure_recut SET done_at = anxin_now()
        WHERE merchant_no = :no AND file_id = :file_id
        """,
        no=recut.merchant_no,
        file_id=recut.file_id,
    )


async def pending_cards(tx: Transaction, merchant_no: int, limit: int) -> Sequence[UUID]:
    """Give cards on which charges wait for their consumers."""
    rows = await tx.fetch(
        CardId,
        """
        SELECT DISTINCT CAST(draw ->> 'card_id' AS uuid) AS card_id
        FROM (
            SELECT draws FROM charge
            WHERE merchant_no = :no AND status = 'pending_confirmation' LIMIT :limit
        ) AS pending CROSS JOIN LATERAL jsonb_array_elements(pending.draws) AS draw
        ORDER BY card_id
        """,
        no=merchant_no,
        limit=limit,
    )
    return [row.card_id for row in rows]


async def decline_offers(tx: Transaction, merchant_no: int) -> int:
    """End what the merchant offered: the closure refunds the cards whole."""
    return await tx.execute(
        "UPDATE refund SET status = 'declined' WHERE merchant_no = :no AND status = 'offered'",
        no=merchant_no,
    )


async def sales_of(tx: Transaction, merchant_no: int, cards: Sequence[UUID]) -> Sequence[Sale]:
    """Read who paid for cards, and from which accounts."""
    return await tx.fetch(
        Sale,
        """
        SELECT card_id, buyer, payer_name, payer_account_number
        FROM card_sale WHERE merchant_no = :no AND card_id = ANY(CAST(:ids AS uuid[]))
        """,
        no=merchant_no,
        ids=list(cards),
    )
