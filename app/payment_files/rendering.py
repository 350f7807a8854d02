"""The bytes of a file, made from its orders alone: the same orders give the same bytes.

A change of a column or of the quoting would change the bytes of files that were signed before,
so a new form gets a new function beside `csv_v1`.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from app import ids
from app.ids import Prefix
from app.money import CURRENCY
from app.payment_files.domain import FileKind, PaymentOrder

COLUMNS: Final[tuple[str, ...]] = (
    "record_type",
    "file_id",
    "kind",
    "bank",
    "business_date",
    "sequence",
    "order_id",
    "merchant_id",
    "custody_account",
    "payee_name",
    "payee_account_number",
    "payee_bank_code",
    "amount",
    "currency",
    "remittance",
    "order_count",
    "total_amount",
)


@dataclass(frozen=True, slots=True)
class Heading:
    """What identifies a file."""

    file_id: UUID
    kind: FileKind
    bank: str
    business_date: date
    sequence: int


def csv_v1(heading: Heading, orders: Sequence[PaymentOrder]) -> bytes:
    """Write a file as CSV (RFC 4180, UTF-8): the file, its orders by id, the total."""
    file_id = ids.to_text(Prefix.FILE, heading.file_id)
    text = io.StringIO(newline="")
    columns: list[str] = list(COLUMNS)
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerow(
        {
            "record_type": "file",
            "file_id": file_id,
            "kind": heading.kind,
            "bank": heading.bank,
            "business_date": heading.business_date.isoformat(),
            "sequence": heading.sequence,
        }
    )
    writer.writerows(_order(file_id, order) for order in orders)
    writer.writerow(
        {
            "record_type": "total",
            "file_id": file_id,
            "currency": CURRENCY,
            "order_count": len(orders),
            "total_amount": sum(order.amount for order in orders),
        }
    )
    return text.getvalue().encode()


def _order(file_id: str, order: PaymentOrder) -> dict[str, object]:
    return {
        "record_type": "order",
        "file_id": file_id,
        "order_id": ids.to_text(Prefix.ORDER, order.order_id),
        "merchant_id": ids.to_text(Prefix.MERCHANT, order.merchant_id),
        "custody_account": order.custody_account,
        "payee_name": order.payee_name,
        "payee_account_number": order.payee_account_number,
        "payee_bank_code": order.payee_bank_code or "",
        "amount": order.amount,
        "currency": CURRENCY,
        "remittance": order.remittance,
    }
