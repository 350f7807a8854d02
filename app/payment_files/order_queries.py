"""Rows of orders."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Transaction
from app.db.rows import Json
from app.db.sealing import Sealer
from app.ids import merchant_no_of
from app.money import Fen
from app.payment_files.domain import Below, FileKind, OrderStatus, PaymentOrder, Reason

_PIECE: Final = 2_000
"""Orders that are read at once: some ten milliseconds of this process."""

_ORDERS: Final = """
SELECT merchant_no, merchant_id, order_id, file_id, kind, custody_account, payee_name,
       payee_account_number, payee_bank_code, amount, remittance, status, reason
FROM payment_order JOIN merchant USING (merchant_no)
"""


class OrderRow(NamedTuple):
    """A new order, as it is inserted."""

    merchant_no: int
    order_id: UUID
    file_id: UUID
    kind: str
    refund_id: UUID | None
    attempt: int | None
    custody_account: str
    payee_account_id: UUID | None
    payee_name: bytes
    payee_account_number: bytes
    payee_bank_code: str | None
    amount: Fen
    remittance: str
    status: str
    seq: int
    deductions: Json
    created_at: datetime


class SealedOrder(NamedTuple):
    """An order whose payee is still sealed."""

    merchant_no: int
    merchant_id: UUID
    order_id: UUID
    file_id: UUID
    kind: str
    custody_account: str
    payee_name: bytes
    payee_account_number: bytes
    payee_bank_code: str | None
    amount: Fen
    remittance: str
    status: str
    reason: str | None

    def opened(self, sealer: Sealer) -> PaymentOrder:
        """Give the order with its payee in clear text."""
        return PaymentOrder(
            merchant_no=self.merchant_no,
            merchant_id=self.merchant_id,
            order_id=self.order_id,
            file_id=self.file_id,
            kind=FileKind(self.kind),
            custody_account=self.custody_account,
            payee_name=sealer.open(self.payee_name),
            payee_account_number=sealer.open(self.payee_account_number),
            payee_bank_code=self.payee_bank_code,
            amount=self.amount,
            remittance=self.remittance,
            status=OrderStatus(self.status),
            reason=None if self.reason is None else Reason(self.reason),
        )


class OrderCounts(NamedTuple):
    """How a file's orders stand."""

    orders: int
    total_amount: Fen
    pending: int
    rejected: int


async def orders_of_file(tx: Transaction, file_id: UUID) -> list[SealedOrder]:
    """Give all orders of a file, by id: the order of the file's rows.

    Asked for in pieces, so that others are served while a hundred thousand are read.
    """
    orders: list[SealedOrder] = []
    more = True
    while more:
        piece = await tx.fetch(
            SealedOrder,
            f"""{_ORDERS}
            WHERE file_id = :id
              AND (CAST(:after AS uuid) IS NULL OR order_id > CAST(:after AS uuid))
            ORDER BY order_id LIMIT :limit
            """,
            id=file_id,
            after=orders[-1].order_id if orders else None,
            limit=_PIECE,
        )
        orders += piece
        more = len(piece) == _PIECE
    return orders


async def orders_below(tx: Transaction, file_id: UUID, below: Below) -> list[SealedOrder]:
    """Give a file's orders, newest first, below an order's id."""
    return await tx.fetch(
        SealedOrder,
        f"""{_ORDERS}
        WHERE file_id = :id
          AND (CAST(:before AS uuid) IS NULL OR order_id < CAST(:before AS uuid))
        ORDER BY order_id DESC LIMIT :limit
        """,
        id=file_id,
        before=below.before,
        limit=below.limit,
    )


async def order_ids_in_file(
    tx: Transaction, file_id: UUID, order_ids: Sequence[UUID]
) -> frozenset[UUID]:
    """Say which of the orders are the file's."""

    class Known(NamedTuple):
        order_id: UUID

    rows = await tx.fetch(
        Known,
        """
        SELECT order_id
        FROM unnest(CAST(:nos AS bigint[]), CAST(:ids AS uuid[])) AS asked (merchant_no, order_id)
        JOIN payment_order USING (merchant_no, order_id)
        WHERE file_id = :file_id
        """,
        nos=[merchant_no_of(order_id) for order_id in order_ids],
        ids=list(order_ids),
        file_id=file_id,
    )
    return frozenset(row.order_id for row in rows)


async def count_orders(tx: Transaction, file_id: UUID) -> OrderCounts:
    """Count a file's orders by how they stand."""
    counts = await tx.fetch_one(
        OrderCounts,
        """
        SELECT count(*) AS orders, CAST(coalesce(sum(amount), 0) AS bigint) AS total_amount,
               count(*) FILTER (WHERE status = 'pending') AS pending,
               count(*) FILTER (WHERE status = 'rejected') AS rejected
        FROM payment_order WHERE file_id = :id
        """,
        id=file_id,
    )
    assert counts is not None
    return counts


async def merchants_with_pending(tx: Transaction, file_id: UUID) -> list[int]:
    """Give, ascending, the merchants of the file's pending orders."""

    class Number(NamedTuple):
        merchant_no: int

    rows = await tx.fetch(
        Number,
        """
        SELECT DISTINCT merchant_no FROM payment_order
        WHERE file_id = :id AND status = 'pending' ORDER BY merchant_no
        """,
        id=file_id,
    )
    return [row.merchant_no for row in rows]
