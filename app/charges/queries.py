"""Read charges, and keep the codes that consumers show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from app.charges.domain import Charge, ChargeStatus
from app.charges.tables import ConsumerCode
from app.db.rows import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from app.db.engine import Transaction

_COLUMNS: Final = ", ".join(
    "CAST(draws AS text) AS draws" if column.json else column.name for column in columns_of(Charge)
)
# A charge past its time is expired, whether or not the worker has been there yet.
_STATUS: Final = (
    "CASE WHEN status = 'pending_confirmation' AND expires_at <= anxin_now()"
    " THEN 'expired' ELSE status END"
)
_SELECT: Final = (
    f"SELECT {_COLUMNS.replace('status, kind', f'{_STATUS} AS status, kind', 1)} FROM charge "  # noqa: S608  # our own column names
)


@dataclass(frozen=True, slots=True)
class ChargeFilter:
    """Which of a merchant's charges to list; None leaves a condition out."""

    client_reference: str | None = None
    status: ChargeStatus | None = None
    store_id: UUID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    store_ids: frozenset[UUID] | None = None
    """The stores that the caller's credential is narrowed to."""


async def find_charge(tx: Transaction, merchant_no: int, charge_id: UUID) -> Charge | None:
    """Read one charge."""
    return await tx.fetch_one(
        Charge,
        _SELECT + "WHERE merchant_no = :no AND charge_id = :id",
        no=merchant_no,
        id=charge_id,
    )


async def list_of_merchant(
    tx: Transaction,
    merchant_no: int,
    wanted: ChargeFilter,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[Charge]:
    """Read a page of a merchant's charges, newest first."""
    return await tx.fetch(
        Charge,
        _SELECT
        + f"""
        WHERE merchant_no = :no
          AND (CAST(:before AS uuid) IS NULL OR charge_id < CAST(:before AS uuid))
          AND (CAST(:stores AS uuid[]) IS NULL OR store_id = ANY (CAST(:stores AS uuid[])))
          AND (CAST(:store AS uuid) IS NULL OR store_id = CAST(:store AS uuid))
          AND (CAST(:reference AS text) IS NULL OR client_reference = CAST(:reference AS text))
          AND (CAST(:status AS text) IS NULL OR {_STATUS} = CAST(:status AS text))
          AND (CAST(:since AS timestamptz) IS NULL OR created_at >= CAST(:since AS timestamptz))
          AND (CAST(:until AS timestamptz) IS NULL OR created_at < CAST(:until AS timestamptz))
        ORDER BY charge_id DESC LIMIT :count
        """,
        no=merchant_no,
        before=before,
        stores=None if wanted.store_ids is None else list(wanted.store_ids),
        store=wanted.store_id,
        reference=wanted.client_reference,
        status=None if wanted.status is None else str(wanted.status),
        since=wanted.created_from,
        until=wanted.created_to,
        count=count,
    )


async def list_of_consumer(
    tx: Transaction,
    consumer: UUID,
    status: ChargeStatus | None,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[Charge]:
    """Read a page of a consumer's charges over all their merchants, newest first.

    Each of the consumer's books is asked for its newest, so the cost follows the number of
    merchants that one person uses, not the number of charges.
    """
    return await tx.fetch(
        Charge,
        f"""
        SELECT newest.* FROM consumer_merchant
        CROSS JOIN LATERAL (
            {_SELECT}
            WHERE charge.merchant_no = consumer_merchant.merchant_no
              AND charge.consumer = consumer_merchant.consumer
              AND (CAST(:before AS uuid) IS NULL OR charge_id < CAST(:before AS uuid))
              AND (CAST(:status AS text) IS NULL OR {_STATUS} = CAST(:status AS text))
            ORDER BY charge_id DESC LIMIT :count
        ) AS newest
        WHERE consumer_merchant.consumer = :consumer
        ORDER BY newest.charge_id DESC LIMIT :count
        """,  # noqa: S608  # our own column names
        consumer=consumer,
        before=before,
        status=None if status is None else str(status),
        count=count,
    )


async def time_where_there_is(
    tx: Transaction, merchant_no: int, *, store_id: UUID | None, product_id: UUID | None
) -> datetime | None:
    """Give the time; None where there is no such merchant, or no such store or product of it."""
    found = await tx.value(
        """
        SELECT anxin_now() FROM merchant WHERE merchant_no = :no
           AND (CAST(:store AS uuid) IS NULL OR EXISTS (
                SELECT FROM store WHERE merchant_no = :no AND store_id = CAST(:store AS uuid)))
           AND (CAST(:product AS uuid) IS NULL OR EXISTS (
                SELECT FROM card_product
                WHERE merchant_no = :no AND product_id = CAST(:product AS uuid)))
        """,
        no=merchant_no,
        store=store_id,
        product=product_id,
    )
    return cast("datetime | None", found)


async def keep_code(tx: Transaction, code: ConsumerCode) -> None:
    """Keep a code until it is used or its time is over."""
    await tx.insert("consumer_code", ConsumerCode, [code])


async def forget_codes(tx: Transaction, *, expired_before: datetime) -> int:
    """Drop codes whose time was over before a moment; say how many."""
    return await tx.execute(
        "DELETE FROM consumer_code WHERE expires_at < :moment", moment=expired_before
    )


@dataclass(frozen=True, slots=True)
class DueCharge:
    """A charge whose time is over and that still holds something."""

    merchant_no: int
    charge_id: UUID


async def due_charges(
    tx: Transaction, *, count: int, except_at: Sequence[int] = ()
) -> Sequence[DueCharge]:
    """Find charges whose time is over, oldest first, but for those at some merchants."""
    return await tx.fetch(
        DueCharge,
        """
        SELECT merchant_no, charge_id FROM charge
        WHERE status = 'pending_confirmation' AND expires_at <= anxin_now()
            AND merchant_no <> ALL (CAST(:except_at AS integer[]))
        ORDER BY expires_at LIMIT :count
        """,
        count=count,
        except_at=list(except_at),
    )
