"""Rows of what applying a bank's report changes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.db.engine import Transaction
from app.db.rows import Json
from app.money import Fen
from app.payment_files.domain import Reason, RefundStatus


class OutcomeRow(NamedTuple):
    """What a line of a report did."""

    merchant_no: int
    report_id: UUID
    position: int
    order_id: UUID
    outcome: str


class LiveOrder(NamedTuple):
    """An order as results change it."""

    merchant_no: int
    order_id: UUID
    kind: str
    refund_id: UUID | None
    payee_account_id: UUID | None
    amount: Fen
    status: str
    reason: str | None
    claimed_amount: Fen


class LiveRefund(NamedTuple):
    """A refund as results of its orders change it."""

    refund_id: UUID
    card_id: UUID | None
    receipt_id: UUID | None
    status: str
    amount: Fen


class AlertRow(NamedTuple):
    """Something that people must look at; no personal data."""

    alert_id: UUID
    merchant_no: int
    kind: str
    subject_id: UUID | None
    detail: Json
    created_at: datetime


class _Position(NamedTuple):
    position: int


async def positions_done(
    tx: Transaction, merchant_no: int, report_id: UUID, positions: Sequence[int]
) -> frozenset[int]:
    """Say which of a report's lines were applied to this merchant's book."""
    rows = await tx.fetch(
        _Position,
        """
        SELECT position FROM result_outcome
        WHERE merchant_no = :no AND report_id = :id
            AND position = ANY (CAST(:positions AS integer[]))
        """,
        no=merchant_no,
        id=report_id,
        positions=list(positions),
    )
    return frozenset(row.position for row in rows)


async def live_orders(
    tx: Transaction, merchant_no: int, order_ids: Sequence[UUID]
) -> dict[UUID, LiveOrder]:
    """Give orders of a merchant whose book is locked, which keeps them as they are."""
    rows = await tx.fetch(
        LiveOrder,
        """
        SELECT merchant_no, order_id, kind, refund_id, payee_account_id, amount, status, reason,
               claimed_amount
        FROM payment_order
        WHERE merchant_no = :no AND order_id = ANY(CAST(:ids AS uuid[]))
        """,
        no=merchant_no,
        ids=list(order_ids),
    )
    return {row.order_id: row for row in rows}


async def pending_order_ids(
    tx: Transaction, merchant_no: int, file_id: UUID, limit: int
) -> list[UUID]:
    """Give orders of a file that the bank has not answered."""

    class OrderId(NamedTuple):
        order_id: UUID

    rows = await tx.fetch(
        OrderId,
        """
        SELECT order_id FROM payment_order
        WHERE merchant_no = :no AND file_id = :file_id AND status = 'pending'
        ORDER BY order_id LIMIT :limit
        """,
        no=merchant_no,
        file_id=file_id,
        limit=limit,
    )
    return [row.order_id for row in rows]


async def live_refunds(
    tx: Transaction, merchant_no: int, refund_ids: Sequence[UUID]
) -> dict[UUID, LiveRefund]:
    """Give refunds of a merchant whose book is locked."""
    rows = await tx.fetch(
        LiveRefund,
        """
        SELECT refund_id, card_id, receipt_id, status, amount FROM refund
        WHERE merchant_no = :no AND refund_id = ANY(CAST(:ids AS uuid[]))
        """,
        no=merchant_no,
        ids=list(refund_ids),
    )
    return {row.refund_id: row for row in rows}


async def update_orders(tx: Transaction, merchant_no: int, orders: Sequence[LiveOrder]) -> None:
    """Store how orders stand."""
    await tx.execute(
        """
        UPDATE payment_order
        SET status = new.status, reason = new.reason, claimed_amount = new.claimed_amount
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:reasons AS text[]),
            CAST(:claimed AS bigint[])
        ) AS new (order_id, status, reason, claimed_amount)
        WHERE payment_order.merchant_no = :no AND payment_order.order_id = new.order_id
        """,
        no=merchant_no,
        ids=[order.order_id for order in orders],
        statuses=[str(order.status) for order in orders],
        reasons=[None if order.reason is None else str(order.reason) for order in orders],
        claimed=[order.claimed_amount for order in orders],
    )


async def update_refunds(
    tx: Transaction, merchant_no: int, statuses: Mapping[UUID, RefundStatus]
) -> None:
    """Store how refunds stand."""
    await tx.execute(
        """
        UPDATE refund SET status = new.status
        FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[])) AS new (refund_id, status)
        WHERE refund.merchant_no = :no AND refund.refund_id = new.refund_id
        """,
        no=merchant_no,
        ids=list(statuses),
        statuses=[str(status) for status in statuses.values()],
    )


async def has_unsettled_refunds(tx: Transaction, merchant_no: int) -> bool:
    """Say whether refunds of cards were paid whose cards are not finished."""
    found = await tx.value(
        """
        SELECT EXISTS (
            SELECT FROM refund WHERE merchant_no = :no AND status = 'paid'
                AND settled_at IS NULL AND card_id IS NOT NULL)
        """,
        no=merchant_no,
    )
    return bool(found)


async def block_payee(
    tx: Transaction, merchant_no: int, payee_account_id: UUID, reason: Reason
) -> None:
    """Send nothing more to this account; the first reason stays."""
    await tx.execute(
        """
        UPDATE payee_account
        SET blocked_at = anxin_now(), blocked_reason = :reason
        WHERE merchant_no = :no AND payee_account_id = :id AND blocked_at IS NULL
        """,
        no=merchant_no,
        id=payee_account_id,
        reason=str(reason),
    )


async def insert_outcomes(tx: Transaction, rows: Sequence[OutcomeRow]) -> None:
    """Store what lines of a report did, with their bookings."""
    await tx.insert("result_outcome", OutcomeRow, rows)


async def insert_alerts(tx: Transaction, rows: Sequence[AlertRow]) -> None:
    """Raise alerts."""
    await tx.insert("alert", AlertRow, rows)
