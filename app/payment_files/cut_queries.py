"""Rows that a cut reads and writes beside orders: who can be paid, and unsealed files."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Transaction
from app.ledger.chart import AccountType, account_id
from app.money import Fen
from app.payment_files.domain import FileKind
from app.payment_files.order_queries import OrderRow

_CHUNK: Final = 5_000

_DECIDED: Final = (
    "refund_id, amount, payee_name, payee_account_number, payee_bank_code, attempt, decided_at"
)
# By the time of the locked book, whether the worker has ended the hold or not.
_HOLD: Final = """
    FROM hold WHERE hold.merchant_no = :no AND hold.target = 'card' AND hold.status = 'active'
        AND (hold.expires_at > :at) IS NOT FALSE
"""


class Number(NamedTuple):
    """A merchant."""

    merchant_no: int


class Bank(NamedTuple):
    """A bank with custody accounts."""

    bank: str


class FileId(NamedTuple):
    """A file."""

    file_id: UUID


class WayToPay(NamedTuple):
    """From where to where a merchant is paid; the payee's number is sealed."""

    custody_account: str
    payee_account_id: UUID
    holder_name: str
    account_number: bytes
    bank_code: str


class DecidedRefund(NamedTuple):
    """A refund that waits to be paid; its payee is sealed."""

    refund_id: UUID
    amount: Fen
    payee_name: bytes
    payee_account_number: bytes
    payee_bank_code: str | None
    attempt: int
    decided_at: datetime
    on_hold: bool
    """Whether its card is held: then it waits, decided as it is."""


async def banks(tx: Transaction) -> list[str]:
    """Give every bank that has a custody account."""
    rows = await tx.fetch(Bank, "SELECT DISTINCT bank FROM custody_account ORDER BY bank")
    return [row.bank for row in rows]


async def merchants_to_pay(tx: Transaction, bank: str, kind: FileKind) -> list[int]:
    """Give, ascending, the bank's merchants for which a cut may find something."""
    if kind is FileKind.REFUND:
        rows = await tx.fetch(
            Number,
            """
            SELECT DISTINCT merchant_no FROM refund JOIN custody_account USING (merchant_no)
            WHERE refund.status = 'decided' AND bank = :bank ORDER BY merchant_no
            """,
            bank=bank,
        )
        return [row.merchant_no for row in rows]
    rows = await tx.fetch(
        Number, "SELECT merchant_no FROM custody_account WHERE bank = :bank ORDER BY 1", bank=bank
    )
    numbers = [row.merchant_no for row in rows]
    found: list[int] = []
    for start in range(0, len(numbers), _CHUNK):
        found += await with_payable(tx, numbers[start : start + _CHUNK])
    return found


async def with_payable(tx: Transaction, numbers: Sequence[int]) -> list[int]:
    """Give those of the merchants that are owed something, ascending."""
    # An account's id is computed from its merchant, so that this is one lookup by key each.
    rows = await tx.fetch(
        Number,
        """
        SELECT merchant_no
        FROM unnest(CAST(:nos AS integer[]), CAST(:ids AS uuid[])) AS own (merchant_no, account_id)
        JOIN account USING (merchant_no, account_id)
        WHERE balance > 0 ORDER BY merchant_no
        """,
        nos=list(numbers),
        ids=[account_id(no, AccountType.MERCHANT_PAYABLE) for no in numbers],
    )
    return [row.merchant_no for row in rows]


async def begin_file(
    tx: Transaction, file_id: UUID, *, kind: FileKind, bank: str, business_date: date
) -> bool:
    """Begin a file; False if one of its bank and kind is being cut, maybe by a dead process."""
    return (
        await tx.execute(
            """
        INSERT INTO payment_file (file_id, kind, bank, business_date, status, created_at)
        VALUES (:id, :kind, :bank, :business_date, 'cutting', anxin_now())
        ON CONFLICT (bank, kind) WHERE status = 'cutting' DO NOTHING
        """,
            id=file_id,
            kind=kind,
            bank=bank,
            business_date=business_date,
        )
        == 1
    )


async def files_being_cut(tx: Transaction, kind: FileKind | None = None) -> list[UUID]:
    """Give the files that are not sealed yet."""
    rows = await tx.fetch(
        FileId,
        """
        SELECT file_id FROM payment_file
        WHERE status = 'cutting' AND kind = coalesce(CAST(:kind AS text), kind)
        ORDER BY file_id
        """,
        kind=kind,
    )
    return [row.file_id for row in rows]


async def is_being_cut(tx: Transaction, file_id: UUID) -> bool:
    """Keep the file from being sealed during this transaction; False if it is not being cut.

    The lock is shared: processes that finish the same file together lock books by turns, and
    only the one that seals waits for all.
    """
    status = await tx.value(
        "SELECT status FROM payment_file WHERE file_id = :id FOR SHARE", id=file_id
    )
    return status == "cutting"


async def way_to_pay(tx: Transaction, merchant_no: int, file_id: UUID) -> WayToPay | None:
    """Give how to pay a merchant; None where it cannot be paid, or is in the file already.

    It cannot without an approved payee account, and while the one that counts now is blocked.
    """
    return await tx.fetch_one(
        WayToPay,
        """
        SELECT custody_account.account_number AS custody_account, payee_account_id,
               payee.holder_name, payee.account_number, payee.bank_code
        FROM custody_account CROSS JOIN LATERAL (
            SELECT * FROM payee_account
            WHERE payee_account.merchant_no = custody_account.merchant_no
              AND status = 'approved' AND effective_from <= anxin_now()
            ORDER BY effective_from DESC, proposed_at DESC LIMIT 1
        ) AS payee
        WHERE custody_account.merchant_no = :no AND payee.blocked_at IS NULL AND NOT EXISTS (
            SELECT FROM payment_order
            WHERE merchant_no = :no AND file_id = :file_id AND kind = 'release')
        """,
        no=merchant_no,
        file_id=file_id,
    )


async def custody_account_of(tx: Transaction, merchant_no: int) -> str:
    """Give the number of the merchant's custody account, which is never taken away."""
    number = await tx.value(
        "SELECT account_number FROM custody_account WHERE merchant_no = :no", no=merchant_no
    )
    assert isinstance(number, str)
    return number


async def decided_refunds(
    tx: Transaction, merchant_no: int, at: datetime, limit: int
) -> list[DecidedRefund]:
    """Give the merchant's refunds that wait to be paid and that no hold keeps, oldest first."""
    return await tx.fetch(
        DecidedRefund,
        f"""
        SELECT {_DECIDED}, false AS on_hold
        FROM refund WHERE merchant_no = :no AND status = 'decided'
            AND (card_id IS NULL OR NOT EXISTS (SELECT {_HOLD} AND hold.target_id = card_id))
        ORDER BY decided_at, refund_id LIMIT :limit
        """,  # noqa: S608  # our own column names
        no=merchant_no,
        at=at,
        limit=limit,
    )


async def held_refunds(tx: Transaction, merchant_no: int, at: datetime) -> list[DecidedRefund]:
    """Give the merchant's refunds that would be paid, were their cards not held."""
    return await tx.fetch(
        DecidedRefund,
        f"""
        SELECT DISTINCT {_DECIDED}, true AS on_hold
        FROM (SELECT hold.target_id AS card_id {_HOLD}) AS held JOIN refund USING (card_id)
        WHERE refund.merchant_no = :no AND refund.status = 'decided'
        """,  # noqa: S608  # our own column names
        no=merchant_no,
        at=at,
    )


async def put_refunds_in_transit(
    tx: Transaction, merchant_no: int, refund_ids: Sequence[UUID]
) -> None:
    """Record that the refunds are in a file, each for one more time."""
    await tx.execute(
        """
        UPDATE refund SET status = 'in_transit', attempt = attempt + 1
        WHERE merchant_no = :no AND refund_id = ANY(CAST(:ids AS uuid[]))
        """,
        no=merchant_no,
        ids=list(refund_ids),
    )


async def move_file(tx: Transaction, file_id: UUID, business_date: date) -> None:
    """Let a file that is still being cut be executed on another day."""
    await tx.execute(
        """
        UPDATE payment_file SET business_date = :business_date
        WHERE file_id = :id AND status = 'cutting'
        """,
        id=file_id,
        business_date=business_date,
    )


async def insert_orders(tx: Transaction, orders: Sequence[OrderRow]) -> None:
    """Store new orders."""
    await tx.insert("payment_order", OrderRow, orders)


async def drop_file(tx: Transaction, file_id: UUID) -> None:
    """Forget a file that found nothing to pay; it never had a number."""
    await tx.execute("DELETE FROM payment_file WHERE file_id = :id", id=file_id)


async def next_sequence(tx: Transaction, bank: str, kind: FileKind) -> int:
    """Take the next number; it counts only if this transaction commits, so that none is lost."""
    number = await tx.value(
        """
        INSERT INTO file_sequence (bank, kind, last_sequence) VALUES (:bank, :kind, 1)
        ON CONFLICT (bank, kind) DO UPDATE SET last_sequence = file_sequence.last_sequence + 1
        RETURNING last_sequence
        """,
        bank=bank,
        kind=kind,
    )
    assert isinstance(number, int)
    return number


class Seal(NamedTuple):
    """What a file gets when it is sealed."""

    sequence: int
    order_count: int
    total_amount: Fen
    sha256: bytes
    signature: bytes
    key_id: str


async def seal_file(tx: Transaction, file_id: UUID, seal: Seal) -> None:
    """Show a file to its bank."""
    await tx.execute(
        """
        UPDATE payment_file
        SET status = 'ready', sequence = :sequence, order_count = :order_count,
            total_amount = :total_amount, sha256 = :sha256, signature = :signature,
            key_id = :key_id
        WHERE file_id = :id
        """,
        id=file_id,
        **seal._asdict(),
    )
