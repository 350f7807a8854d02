"""A world of its own for each test: cuts take every merchant's money."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app import ids
from app.calendar import queries as calendar_queries
from app.calendar.current import CurrentCalendar
from app.calendar.domain import days_of
from app.calendar.official import official_years
from app.db.engine import Database
from app.db.sealing import Sealer
from app.db.signing import Ed25519Signer
from app.ledger.books import locked_books
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.payment_files import cutting, results, service
from app.payment_files.domain import (
    AppliedReport,
    FileKind,
    FileStatus,
    PaymentFile,
    Reason,
    ReportedResult,
    ReportedStatus,
)
from app.payment_files.parts import Parts
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from app.writer.requests import RequestKey
from tests.builder import BANK, SEALER, Builder, Shop, unique
from tests.cluster import DatabaseUrls


class Order(NamedTuple):
    """What tests look at of an order."""

    order_id: UUID
    file_id: UUID
    merchant_no: int
    amount: int
    status: str
    reason: str | None
    claimed_amount: int
    refund_id: UUID | None
    attempt: int | None


class Broken(NamedTuple):
    """A row that should not be there."""

    merchant_no: int
    what: str


class Alert(NamedTuple):
    """An alert."""

    merchant_no: int
    kind: str
    subject_id: UUID


@dataclass(frozen=True, slots=True)
class World:
    """What a test of files starts from and looks at."""

    parts: Parts
    given: Builder
    served: list[int] = field(default_factory=list[int])

    @property
    def db(self) -> Database:
        return self.parts.db

    async def shop(self, *, bank: str = BANK) -> Shop:
        return await self.given.shop(bank=bank)

    async def earned(self, shop: Shop, amount: int) -> None:
        """Let money come into custody and become payable: as interest, which needs no card."""
        async with self.db.transaction() as tx, locked_books(tx, [shop.merchant_no]) as books:
            book = books[shop.merchant_no]
            for kind, debit, credit in (
                ("interest_credited", AccountType.CUSTODY, AccountType.CUSTODY_YIELD),
                ("interest_allotted", AccountType.CUSTODY_YIELD, AccountType.MERCHANT_PAYABLE),
            ):
                moved = Movement(book.own(debit), book.own(credit), Fen(amount))
                book.append(Entry(kind, shop.merchant.merchant_id, moved))

    async def posted(
        self, shop: Shop, debit: AccountType, credit: AccountType, amount: int
    ) -> None:
        """Post anything."""
        async with self.db.transaction() as tx, locked_books(tx, [shop.merchant_no]) as books:
            book = books[shop.merchant_no]
            moved = Movement(book.own(debit), book.own(credit), Fen(amount))
            book.append(Entry("test", shop.merchant.merchant_id, moved))

    async def waiting_reversals(self, shop: Shop, amount: int) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(
                "UPDATE book SET waiting_reversal_amount = :amount WHERE merchant_no = :no",
                amount=amount,
                no=shop.merchant_no,
            )

    async def refund(self, shop: Shop, amount: int) -> UUID:
        """Decide to give a receipt that funded nothing back to its payer."""
        no = shop.merchant_no
        receipt_id, refund_id = ids.new_id(no), ids.new_id(no)
        async with self.db.transaction() as tx, locked_books(tx, [no]) as books:
            book = books[no]
            await tx.execute(
                """
                INSERT INTO receipt (merchant_no, receipt_id, status, suspense_reason, bank,
                    bank_reference, custody_account, amount, payment_reference, payer_name,
                    payer_account_number, payer_index, refund_id, paid_at, received_at)
                VALUES (:no, :id, 'returned', 'unknown_reference', :bank, :reference, :custody,
                    :amount, '', :name, :number, :index, :refund_id, :at, :at)
                """,
                no=no,
                id=receipt_id,
                bank=shop.custody_account.bank,
                reference=unique("ref"),
                custody=shop.custody_account.account_number,
                amount=amount,
                name=SEALER.seal("王小明"),
                number=SEALER.seal("6217000010001234567"),
                index=SEALER.index("6217000010001234567"),
                refund_id=refund_id,
                at=book.at,
            )
            await tx.execute(
                """
                INSERT INTO refund (merchant_no, refund_id, receipt_id, status, amount, payee_name,
                    payee_account_number, decided_at)
                VALUES (:no, :id, :receipt_id, 'decided', :amount, :name, :number, :at)
                """,
                no=no,
                id=refund_id,
                receipt_id=receipt_id,
                amount=amount,
                name=SEALER.seal("王小明"),
                number=SEALER.seal("6217000010001234567"),
                at=book.at,
            )
            for kind, debit, credit in (
                ("receipt_suspended", AccountType.CUSTODY, AccountType.SUSPENSE),
                ("receipt_given_back", AccountType.SUSPENSE, AccountType.REFUND_PAYABLE),
            ):
                moved = Movement(book.own(debit), book.own(credit), Fen(amount))
                book.append(Entry(kind, receipt_id, moved))
        return refund_id

    async def refund_status(self, refund_id: UUID) -> object:
        async with self.db.snapshot() as tx:
            return await tx.value("SELECT status FROM refund WHERE refund_id = :id", id=refund_id)

    async def cut(
        self, kind: FileKind = FileKind.RELEASE, *, request: RequestKey | None = None
    ) -> list[PaymentFile]:
        return (await cutting.cut(self.parts, kind, asked=None, request=request)).value

    async def one_file(self, kind: FileKind = FileKind.RELEASE) -> PaymentFile:
        (file,) = await self.cut(kind)
        return file

    async def report(
        self,
        file: PaymentFile,
        *said: ReportedResult,
        request: RequestKey | None = None,
    ) -> AppliedReport:
        answer = await results.report_results(
            self.parts, file.bank, file.file_id, said, request=request
        )
        return answer.value

    async def cancelled(self, file: PaymentFile) -> PaymentFile:
        return (await service.cancel(self.parts, file.file_id, request=None)).value

    async def content(self, file: PaymentFile) -> bytes:
        handed = await service.hand_out(self.db, self.parts.sealer, file.bank, file.file_id)
        return handed.content

    async def orders(self, file: PaymentFile) -> list[Order]:
        async with self.db.snapshot() as tx:
            return await tx.fetch(
                Order,
                """
                SELECT order_id, file_id, merchant_no, amount, status, reason, claimed_amount,
                       refund_id, attempt
                FROM payment_order WHERE file_id = :id ORDER BY order_id
                """,
                id=file.file_id,
            )

    async def only_order(self, file: PaymentFile) -> Order:
        (order,) = await self.orders(file)
        return order

    async def file_status(self, file: PaymentFile) -> FileStatus:
        return (await service.read_file(self.db, file.bank, file.file_id)).status

    async def balance(self, shop: Shop, kind: AccountType) -> int:
        async with self.db.snapshot() as tx:
            found = await tx.value(
                "SELECT balance FROM account WHERE merchant_no = :no AND account_id = :id",
                no=shop.merchant_no,
                id=account_id(shop.merchant_no, kind),
            )
        assert isinstance(found, int)
        return found

    async def balances(self, shop: Shop) -> dict[str, int]:
        """Give the accounts that are not empty."""
        named = {
            str(kind): await self.balance(shop, kind) for kind in AccountType if kind != "card"
        }
        return {name: balance for name, balance in named.items() if balance}

    async def alerts(self) -> list[Alert]:
        async with self.db.snapshot() as tx:
            return await tx.fetch(Alert, "SELECT merchant_no, kind, subject_id FROM alert")

    async def count(self, table: str) -> object:
        async with self.db.snapshot() as tx:
            return await tx.value(f"SELECT count(*) FROM {table}")  # our own tables

    async def payee_changed(self, shop: Shop) -> None:
        """Let the merchant name another account, and time pass until it counts."""
        async with self.db.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO payee_account
                SELECT merchant_no, :id, holder_name, account_number, account_number_mask,
                       bank_code, 'approved', approval_id, proposed_at, anxin_now(), NULL, NULL
                FROM payee_account WHERE merchant_no = :no LIMIT 1
                """,
                id=ids.new_id(shop.merchant_no),
                no=shop.merchant_no,
            )

    async def advance(self, by: timedelta) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO sandbox_clock (offset_seconds) VALUES (:by)
                ON CONFLICT (only_row) DO UPDATE
                SET offset_seconds = sandbox_clock.offset_seconds + excluded.offset_seconds
                """,
                by=int(by.total_seconds()),
            )

    async def broken(self) -> list[Broken]:
        """Look for anything that breaks an invariant that files could break."""
        async with self.db.snapshot() as tx:
            return await tx.fetch(Broken, _BROKEN)


_BROKEN = """
WITH moved AS (
    SELECT merchant_no, account_id,
           sum(CASE WHEN (side = 'debit') = (type IN ('custody', 'bank_claim'))
                    THEN amount ELSE -amount END) AS total
    FROM ledger_entry JOIN account USING (merchant_no, account_id)
    GROUP BY merchant_no, account_id
), pending AS (
    SELECT merchant_no, kind || '_in_transit' AS type, sum(amount) AS total
    FROM payment_order WHERE status = 'pending' GROUP BY merchant_no, kind
)
SELECT merchant_no, 'account is not its transfers: ' || type AS what
FROM account LEFT JOIN moved USING (merchant_no, account_id)
WHERE balance <> coalesce(total, 0)
UNION ALL
SELECT merchant_no, 'negative ' || type FROM account WHERE balance < 0 AND type <> 'custody'
UNION ALL
SELECT merchant_no, 'in transit is not its pending orders: ' || type
FROM account LEFT JOIN pending USING (merchant_no, type)
WHERE type IN ('release_in_transit', 'refund_in_transit') AND balance <> coalesce(total, 0)
UNION ALL
SELECT merchant_no, 'assets are not liabilities' FROM account GROUP BY merchant_no
HAVING sum(CASE WHEN type IN ('custody', 'bank_claim') THEN balance ELSE -balance END) <> 0
UNION ALL
SELECT merchant_no, 'refund payable is not its uncut refunds'
FROM account
WHERE type = 'refund_payable' AND balance <> (
    SELECT coalesce(sum(amount), 0) FROM refund
    WHERE refund.merchant_no = account.merchant_no AND status IN ('decided', 'account_needed'))
UNION ALL
SELECT 0, 'file is not its orders: ' || file_id FROM payment_file
WHERE status <> 'cutting' AND (order_count, total_amount) <> (
    SELECT count(*), sum(amount) FROM payment_order
    WHERE payment_order.file_id = payment_file.file_id)
UNION ALL
SELECT 0, 'a number is lost or used twice: ' || bank || ' ' || kind FROM payment_file
WHERE status <> 'cutting' GROUP BY bank, kind
HAVING min(sequence) <> 1 OR max(sequence) <> count(*)
UNION ALL
SELECT payment_order.merchant_no, 'a release order is not what its deductions allow'
FROM payment_order JOIN transfer USING (merchant_no, seq)
WHERE payment_order.kind = 'release' AND (
    transfer.amount <> payment_order.amount
    OR transfer.debit_balance + transfer.amount <> CAST(deductions ->> 'payable_amount' AS bigint)
    OR payment_order.amount <> least(
        CAST(deductions ->> 'payable_amount' AS bigint)
        - CAST(deductions ->> 'waiting_reversal_amount' AS bigint)
        - CAST(deductions ->> 'held_amount' AS bigint)
        - CAST(deductions ->> 'bank_claim_amount' AS bigint),
        CAST(deductions ->> 'custody_amount' AS bigint)
        - CAST(deductions ->> 'in_transit_amount' AS bigint)
        - CAST(deductions ->> 'held_custody_amount' AS bigint)))
"""


def said(order_id: UUID, status: str, reason: Reason | None = None) -> ReportedResult:
    return ReportedResult(order_id, ReportedStatus(status), reason, None)


def a_key() -> RequestKey:
    return RequestKey.of(tenant="test", key=unique("key"), fingerprint=bytes(32))


@pytest_asyncio.fixture
async def world(fresh_database: DatabaseUrls) -> AsyncIterator[World]:
    db = Database.connect(fresh_database.database_url)
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    await signer.publish(db)
    async with db.transaction() as tx:
        for plan in official_years():
            await calendar_queries.add_days(tx, days_of(plan))
    served: list[int] = []

    async def serve(merchant_no: int) -> None:
        served.append(merchant_no)
        await asyncio.sleep(0)

    parts = Parts(
        db,
        Sealer(bytes(32)),
        signer,
        CurrentCalendar(db, provisional=True),
        CurrentPolicies(db, Policies()),
        serve,
    )
    made = World(parts, Builder(db), served)
    yield made
    assert await made.broken() == []
    # Waiting reversals are made up here without their charges; the rest must hold.
    async with db.transaction() as tx:
        await tx.execute(
            """
            UPDATE book SET waiting_reversal_amount = (
                SELECT coalesce(sum(reversal_amount), 0) FROM charge
                WHERE charge.merchant_no = book.merchant_no AND reversal_status = 'pending')
            """
        )
    await db.close()
