"""Read transfers, with what a receiver needs to know before they accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.card_life.rows import CardTransfer
from app.db.rows import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from app.db.engine import Transaction

_COLUMNS: Final = ", ".join(column.name for column in columns_of(CardTransfer))


async def find_transfer(
    tx: Transaction, merchant_no: int, transfer_id: UUID
) -> CardTransfer | None:
    """Read one transfer."""
    return await tx.fetch_one(
        CardTransfer,
        f"SELECT {_COLUMNS} FROM card_transfer"  # noqa: S608  # our own column names
        " WHERE merchant_no = :no AND transfer_id = :id",
        no=merchant_no,
        id=transfer_id,
    )


async def list_of_consumer(
    tx: Transaction, consumer: UUID, *, before: UUID | None, count: int
) -> Sequence[CardTransfer]:
    """Read a page of what a consumer gave or was offered, over all merchants, newest first."""
    page = (
        "(CAST(:before AS uuid) IS NULL OR transfer_id < CAST(:before AS uuid))"
        " ORDER BY transfer_id DESC LIMIT :count"
    )
    return await tx.fetch(
        CardTransfer,
        f"""
        (SELECT {_COLUMNS} FROM card_transfer WHERE giver = :consumer AND {page})
        UNION ALL
        (SELECT {_COLUMNS} FROM card_transfer WHERE receiver = :consumer AND {page})
        ORDER BY transfer_id DESC LIMIT :count
        """,  # noqa: S608  # the same
        consumer=consumer,
        before=before,
        count=count,
    )
