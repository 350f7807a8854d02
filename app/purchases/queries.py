"""Read purchases and receipts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from app.cards import queries as card_queries
from app.db.rows import columns_of
from app.ids import PLATFORM_NO, new_platform_id
from app.purchases.domain import Purchase, Receipt, ReceiptStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from app.db.engine import Transaction

_PURCHASE: Final = (
    f"SELECT {', '.join(column.name for column in columns_of(Purchase))} FROM purchase "  # noqa: S608  # our own column names
)
_RECEIPT: Final = f"SELECT {', '.join(column.name for column in columns_of(Receipt))} FROM receipt "  # noqa: S608  # our own column names

remember_consumer = card_queries.remember_consumer


@dataclass(frozen=True, slots=True)
class CustodyAccount:
    """A custody account, found by its number, and where its merchant does business."""

    merchant_no: int
    bank: str
    account_number: str
    district: str


@dataclass(frozen=True, slots=True)
class DueReceipt:
    """Money that has waited in suspense for its full time."""

    merchant_no: int
    receipt_id: UUID


async def find_purchase(tx: Transaction, merchant_no: int, purchase_id: UUID) -> Purchase | None:
    """Read one purchase."""
    return await tx.fetch_one(
        Purchase,
        _PURCHASE + "WHERE merchant_no = :no AND purchase_id = :id",
        no=merchant_no,
        id=purchase_id,
    )


async def sells(tx: Transaction, merchant_no: int, product_id: UUID) -> bool:
    """Say whether the merchant has this product."""
    found = await tx.value(
        """
        SELECT EXISTS (
            SELECT FROM card_product WHERE merchant_no = :no AND product_id = :product)
        """,
        no=merchant_no,
        product=product_id,
    )
    return bool(found)


async def list_purchases(
    tx: Transaction,
    merchant_no: int,
    stores: frozenset[UUID] | None,
    *,
    before: UUID | None,
    count: int,
) -> Sequence[Purchase]:
    """Read a page of a merchant's purchases, newest first."""
    return await tx.fetch(
        Purchase,
        _PURCHASE
        + """
        WHERE merchant_no = :no
          AND (CAST(:before AS uuid) IS NULL OR purchase_id < CAST(:before AS uuid))
          AND (CAST(:stores AS uuid[]) IS NULL OR store_id = ANY (CAST(:stores AS uuid[])))
        ORDER BY purchase_id DESC LIMIT :count
        """,
        no=merchant_no,
        before=before,
        stores=None if stores is None else list(stores),
        count=count,
    )


async def find_receipt(tx: Transaction, merchant_no: int, receipt_id: UUID) -> Receipt | None:
    """Read one receipt."""
    return await tx.fetch_one(
        Receipt,
        _RECEIPT + "WHERE merchant_no = :no AND receipt_id = :id",
        no=merchant_no,
        id=receipt_id,
    )


async def list_receipts(
    tx: Transaction, status: ReceiptStatus | None, *, before: UUID | None, count: int
) -> Sequence[Receipt]:
    """Read a page of all receipts, newest first."""
    return await tx.fetch(
        Receipt,
        _RECEIPT
        + """
        WHERE (CAST(:status AS text) IS NULL OR status = CAST(:status AS text))
          AND (CAST(:before AS uuid) IS NULL OR receipt_id < CAST(:before AS uuid))
        ORDER BY receipt_id DESC LIMIT :count
        """,
        status=None if status is None else str(status),
        before=before,
        count=count,
    )


async def find_custody_account(tx: Transaction, number: str) -> CustodyAccount | None:
    """Find a custody account by its number."""
    return await tx.fetch_one(
        CustodyAccount,
        """
        SELECT merchant_no, bank, account_number, district
        FROM custody_account JOIN merchant USING (merchant_no)
        WHERE account_number = :number
        """,
        number=number,
    )


async def find_stray(tx: Transaction, receipt: Receipt) -> Receipt | None:
    """Find an earlier report of the same receipt for an account that nobody has here.

    Two reports at once wait for each other, so that only the first is kept.
    """
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(:reference, 0))",
        reference=f"{receipt.bank}|{receipt.custody_account}|{receipt.bank_reference}",
    )
    return await tx.fetch_one(
        Receipt,
        _RECEIPT
        + """
        WHERE merchant_no = :no AND custody_account = :account AND bank_reference = :reference
          AND bank = :bank
        """,
        no=PLATFORM_NO,
        bank=receipt.bank,
        account=receipt.custody_account,
        reference=receipt.bank_reference,
    )


async def keep_stray(tx: Transaction, receipt: Receipt) -> None:
    """Keep a receipt for an account that nobody has here, and alert the operators."""
    await tx.insert("receipt", Receipt, [receipt])
    await tx.execute(
        """
        INSERT INTO alert (alert_id, merchant_no, kind, subject_id, detail, created_at)
        VALUES (:id, :no, 'receipt_for_unknown_custody_account', :receipt,
                CAST(:detail AS jsonb), anxin_now())
        """,
        id=new_platform_id(),
        no=PLATFORM_NO,
        receipt=receipt.receipt_id,
        detail=json.dumps({"bank": receipt.bank, "amount": receipt.amount}),
    )


class _District(NamedTuple):
    district: str


async def districts_in_suspense(tx: Transaction) -> Sequence[str]:
    """List the districts of merchants for whom money lies in suspense."""
    rows = await tx.fetch(
        _District,
        """
        SELECT DISTINCT district FROM receipt JOIN merchant USING (merchant_no)
        WHERE receipt.status = 'suspense'
        """,
    )
    return [row.district for row in rows]


async def due_receipts(
    tx: Transaction,
    *,
    received_before: Mapping[str, datetime],
    count: int,
    except_at: Sequence[int] = (),
) -> Sequence[DueReceipt]:
    """Find money that nobody matched in time, but for some merchants'; times are by district."""
    return await tx.fetch(
        DueReceipt,
        """
        SELECT receipt.merchant_no, receipt.receipt_id
        FROM receipt JOIN merchant USING (merchant_no)
        JOIN unnest(CAST(:districts AS text[]), CAST(:moments AS timestamptz[]))
             AS due (district, moment) USING (district)
        WHERE receipt.status = 'suspense' AND receipt.received_at <= due.moment
            AND receipt.merchant_no <> ALL (CAST(:except_at AS integer[]))
        ORDER BY receipt.received_at LIMIT :count
        """,
        districts=list(received_before),
        moments=list(received_before.values()),
        count=count,
        except_at=list(except_at),
    )
