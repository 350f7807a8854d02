"""What a merchant sees of its money: its balances, and each payment with what is in it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Database, Transaction
from app.errors import NotFound
from app.holds.domain import Held, Hold, held_by
from app.holds.service import holds_in_force
from app.ids import merchant_no_of
from app.ledger.chart import AccountType, account_id
from app.money import Fen
from app.payment_files.domain import Below, OrderStatus, Reason, Standing
from app.writer.answers import from_facts

ITEMS_MAX: Final = 200
"""Items shown with a settlement; all of them are listed by themselves."""

_SETTLEMENTS: Final = """
SELECT payment_order.merchant_no, order_id, file_id, business_date, payment_order.amount,
       payment_order.status, reason, remittance, seq, CAST(deductions AS text) AS deductions,
       payment_order.created_at, coalesce((
           SELECT max(earlier.seq) FROM payment_order AS earlier
           WHERE earlier.merchant_no = payment_order.merchant_no AND earlier.kind = 'release'
             AND earlier.seq < payment_order.seq), 0) AS after_seq
FROM payment_order JOIN payment_file USING (file_id)
"""
_IN_SETTLEMENT: Final = """
FROM transfer
WHERE merchant_no = :no AND seq > :after AND seq < :until
  AND (debit_account_id = :payable OR credit_account_id = :payable)
"""


class _BalanceRow(NamedTuple):
    type: str
    balance: Fen


class _SettlementRow(NamedTuple):
    merchant_no: int
    order_id: UUID
    file_id: UUID
    business_date: date
    amount: Fen
    status: str
    reason: str | None
    remittance: str
    seq: int
    deductions: str
    created_at: datetime
    after_seq: int


class Item(NamedTuple):
    """What was credited to payable, or debited from it, since the settlement before."""

    seq: int
    kind: str
    subject_id: UUID
    is_credit: bool
    amount: Fen
    at: datetime


@dataclass(frozen=True, slots=True)
class Balances:
    """A merchant's accounts at one moment; all cards are one sum."""

    amounts: dict[AccountType, Fen]
    waiting_reversal_amount: Fen
    holds: Sequence[Hold]
    """What stands against payable or custody."""
    as_of: datetime

    @property
    def held(self) -> Held:
        """Say what holds keep of payable and custody."""
        return held_by(self.holds, self.as_of)

    @property
    def coverable_amount(self) -> int:
        """What custody has beyond all that banks were told to pay."""
        return (
            self.amounts[AccountType.CUSTODY]
            - self.amounts[AccountType.RELEASE_IN_TRANSIT]
            - self.amounts[AccountType.REFUND_IN_TRANSIT]
        )


@dataclass(frozen=True, slots=True)
class Settlement:
    """One payment to a merchant: what was payable, what was left behind, and what it is for.

    `items` are those since the settlement before, oldest first, at most `ITEMS_MAX`.
    """

    order_id: UUID
    file_id: UUID
    business_date: date
    amount: Fen
    status: OrderStatus
    reason: Reason | None
    remittance: str
    standing: Standing
    created_at: datetime
    item_count: int
    items: tuple[Item, ...]


async def read_balances(db: Database, merchant_no: int) -> Balances:
    """Give a merchant's balances, all of the same moment."""
    async with db.snapshot() as tx:
        rows = await tx.fetch(
            _BalanceRow,
            """
            SELECT type, CAST(sum(balance) AS bigint) AS balance
            FROM account WHERE merchant_no = :no GROUP BY type
            """,
            no=merchant_no,
        )
        waiting = await tx.value(
            "SELECT waiting_reversal_amount FROM book WHERE merchant_no = :no", no=merchant_no
        )
        as_of = await tx.now()
        holds = await holds_in_force(tx, merchant_no, as_of)
    assert isinstance(waiting, int)
    amounts = {kind: Fen(0) for kind in AccountType}
    amounts.update({AccountType(row.type): row.balance for row in rows})
    return Balances(amounts, Fen(waiting), holds, as_of)


async def list_settlements(db: Database, merchant_no: int, below: Below) -> list[Settlement]:
    """Give a merchant's payments, newest first, of sealed files only."""
    async with db.snapshot() as tx:
        rows = await tx.fetch(
            _SettlementRow,
            f"""{_SETTLEMENTS}
            WHERE payment_order.merchant_no = :no AND payment_order.kind = 'release'
              AND payment_file.status <> 'cutting'
              AND (CAST(:before AS uuid) IS NULL OR order_id < CAST(:before AS uuid))
            ORDER BY order_id DESC LIMIT :limit
            """,
            no=merchant_no,
            before=below.before,
            limit=below.limit,
        )
        return [await _settlement(tx, row) for row in rows]


async def list_items(
    db: Database, merchant_no: int, order_id: UUID, *, before: int | None, limit: int
) -> list[Item]:
    """Give what a settlement is for, newest first, below a `seq`.

    Raises:
        NotFound: The merchant has no such settlement.
    """
    async with db.snapshot() as tx:
        row = await tx.fetch_one(
            _SettlementRow,
            f"""{_SETTLEMENTS}
            WHERE payment_order.merchant_no = :no AND order_id = :id
              AND payment_order.kind = 'release' AND payment_file.status <> 'cutting'
            """,
            no=merchant_no,
            id=order_id,
        )
        if row is None or merchant_no_of(order_id) != merchant_no:
            raise NotFound
        until = row.seq if before is None else min(before, row.seq)
        return await _items(tx, row, until=until, newest_first=True, limit=limit)


async def _settlement(tx: Transaction, row: _SettlementRow) -> Settlement:
    count = await tx.value(
        f"SELECT count(*) {_IN_SETTLEMENT}",
        no=row.merchant_no,
        after=row.after_seq,
        until=row.seq,
        payable=account_id(row.merchant_no, AccountType.MERCHANT_PAYABLE),
    )
    assert isinstance(count, int)
    items = await _items(tx, row, until=row.seq, newest_first=False, limit=ITEMS_MAX)
    return Settlement(
        order_id=row.order_id,
        file_id=row.file_id,
        business_date=row.business_date,
        amount=row.amount,
        status=OrderStatus(row.status),
        reason=None if row.reason is None else Reason(row.reason),
        remittance=row.remittance,
        standing=from_facts(Standing, json.loads(row.deductions)),
        created_at=row.created_at,
        item_count=count,
        items=tuple(items),
    )


async def _items(
    tx: Transaction, row: _SettlementRow, *, until: int, newest_first: bool, limit: int
) -> list[Item]:
    return await tx.fetch(
        Item,
        f"""
        SELECT seq, kind,
               -- Of a dispute it is the use that a merchant knows.
               coalesce((
                   SELECT charge_id FROM dispute
                   WHERE dispute.merchant_no = transfer.merchant_no
                     AND dispute.dispute_id = transfer.subject_id), subject_id) AS subject_id,
               credit_account_id = :payable AS is_credit, amount, recorded_at AS at
        {_IN_SETTLEMENT} ORDER BY seq {"DESC" if newest_first else ""} LIMIT :limit
        """,  # noqa: S608  # our own texts
        no=row.merchant_no,
        after=row.after_seq,
        until=until,
        payable=account_id(row.merchant_no, AccountType.MERCHANT_PAYABLE),
        limit=limit,
    )
