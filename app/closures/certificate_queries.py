"""Rows that say how a closure ended, and what it takes to end."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from app.cards.domain import CardKind
from app.closures.certificate import Certificate
from app.closures.domain import REFUNDABLE, Closure, KindTotal
from app.closures.queries import LEFT
from app.db.engine import Transaction
from app.money import Fen


class _Paid(NamedTuple):
    refunds: int
    amount: int


class _Id(NamedTuple):
    charge_id: UUID


class Waits(NamedTuple):
    """What keeps a closure from its end."""

    others: bool
    """The bank has to pay, or people have to judge."""
    ours: bool
    """What was paid is still to be finished here."""

    def __bool__(self) -> bool:
        """Say whether anything does."""
        return self.others or self.ours


async def what_keeps(tx: Transaction, merchant_no: int) -> Waits:
    """Say whether something is still to be refunded, paid, judged or answered.

    What a hold keeps back, what waits for an account that its holder has to name, and release
    orders that the bank has not answered may take for ever: the certificate names them.
    """
    found = await tx.fetch_one(
        Waits,
        f"""
        SELECT EXISTS (
            SELECT FROM card WHERE merchant_no = :no
                AND status = ANY(CAST(:statuses AS text[])) AND {LEFT} > 0 AND NOT on_hold
        ) OR EXISTS (
            SELECT FROM refund
            LEFT JOIN card ON card.merchant_no = refund.merchant_no
                AND card.card_id = refund.card_id
            WHERE refund.merchant_no = :no AND (
                refund.status IN ('in_transit', 'case_open')
                OR (refund.status = 'decided' AND card.on_hold IS NOT TRUE))
        ) OR EXISTS (
            SELECT FROM charge WHERE merchant_no = :no AND status = 'disputed'
                AND reversal_status IS NULL
        ) AS others,
        EXISTS (
            SELECT FROM refund WHERE merchant_no = :no AND status = 'paid'
                AND settled_at IS NULL AND card_id IS NOT NULL
        ) AS ours
        """,  # noqa: S608  # our own column names
        no=merchant_no,
        statuses=list(REFUNDABLE),
    )
    assert found is not None, "two conditions give one row"
    return found


async def paid_refunds(tx: Transaction, closure: Closure) -> tuple[int, int]:
    """Count and add up the closure's refunds that were paid."""
    found = await tx.fetch_one(
        _Paid,
        """
        SELECT CAST(count(*) AS integer) AS refunds,
               CAST(coalesce(sum(amount), 0) AS bigint) AS amount
        FROM refund
        WHERE merchant_no = :no AND closure_id = :id AND status = 'paid' AND amount > 0
        """,
        no=closure.merchant_no,
        id=closure.closure_id,
    )
    assert found is not None, "an aggregate gives one row"
    return found.refunds, found.amount


async def refunded_kinds(tx: Transaction, closure: Closure) -> Sequence[KindTotal]:
    """Add up, per kind of card, what the closure refunded."""
    rows = await tx.fetch(
        KindTotal,
        """
        SELECT card.kind, CAST(count(*) FILTER (WHERE refund.supplements IS NULL) AS integer)
                   AS card_count,
               CAST(sum(refund.amount) AS bigint) AS refund_amount
        FROM refund JOIN card
            ON card.merchant_no = refund.merchant_no AND card.card_id = refund.card_id
        WHERE refund.merchant_no = :no AND refund.closure_id = :id
        GROUP BY card.kind ORDER BY card.kind
        """,
        no=closure.merchant_no,
        id=closure.closure_id,
    )
    return [row._replace(kind=CardKind(row.kind)) for row in rows]


async def end_reversals(
    tx: Transaction, merchant_no: int, *, but: Sequence[UUID]
) -> Sequence[UUID]:
    """End the reversals that still wait, but these; give the uses."""
    rows = await tx.fetch(
        _Id,
        """
        UPDATE charge SET reversal_status = 'failed'
        WHERE merchant_no = :no AND reversal_status = 'pending'
            AND charge_id <> ALL(CAST(:but AS uuid[]))
        RETURNING charge_id
        """,
        no=merchant_no,
        but=list(but),
    )
    await tx.execute(
        """
        UPDATE book SET waiting_reversal_amount = (
            SELECT coalesce(sum(reversal_amount), 0) FROM charge
            WHERE charge.merchant_no = :no AND reversal_status = 'pending')
        WHERE merchant_no = :no
        """,
        no=merchant_no,
    )
    return sorted(row.charge_id for row in rows)


async def last_certificate(tx: Transaction, closure: Closure) -> Certificate | None:
    """Give the certificate that counts: the last that was issued."""
    return await tx.fetch_one(
        Certificate,
        """
        SELECT merchant_no, closure_id, number, document, sha256, signature, key_id, issued_at
        FROM closure_certificate WHERE merchant_no = :no AND closure_id = :id
        ORDER BY number DESC LIMIT 1
        """,
        no=closure.merchant_no,
        id=closure.closure_id,
    )


async def insert_certificate(tx: Transaction, certificate: Certificate) -> None:
    """Keep a certificate."""
    await tx.insert("closure_certificate", Certificate, [certificate])


async def receipts_to_return(tx: Transaction, merchant_no: int, limit: int) -> Sequence[UUID]:
    """Give the receipts that fund nothing, and go back."""

    class ReceiptId(NamedTuple):
        receipt_id: UUID
        amount: Fen

    rows = await tx.fetch(
        ReceiptId,
        """
        SELECT receipt_id, amount FROM receipt
        WHERE merchant_no = :no AND status = 'suspense'
        ORDER BY receipt_id LIMIT :limit
        """,
        no=merchant_no,
        limit=limit,
    )
    return [row.receipt_id for row in rows]
