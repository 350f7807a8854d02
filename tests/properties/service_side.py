"""The service side of a merchant's life: a database of its own, all who ask, and what it says."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from app.access import approvals
from app.access.principals import ConsumerPrincipal
from app.cases import service as cases
from app.cases.domain import Step
from app.cases.rows import CaseFile
from app.charges.commands import ExpireCharges
from app.charges.domain import Charge
from app.closures import service as closures
from app.closures.domain import Closure, View
from app.dates import SHANGHAI, business_date
from app.db.engine import Database
from app.evidence.verification import verify
from app.payment_files import cutting, results
from app.payment_files import service as files
from app.payment_files.domain import (
    FileKind,
    PaymentFile,
    Reason,
    ReportedResult,
    ReportedStatus,
)
from app.purchases.commands import ReturnReceipt
from app.refunds import payees
from app.refunds import service as refunds
from app.refunds.payees import NamedAccount
from app.refunds.rows import CardRefund
from tests.builder import APPROVER, SEALER, Shop, Trader, a_consumer, a_key
from tests.card_life.conftest import Life
from tests.closures.conftest import OPERATOR, Closer
from tests.cluster import Cluster, DatabaseUrls
from tests.disputes.conftest import Disputer
from tests.holds.conftest import Bailiff
from tests.payment_files.conftest import World
from tests.refunds.bank import Bank, banking
from tests.refunds.claiming import Claimant
from tests.refunds.conftest import Refunder

Result = TypeVar("Result")
NEW_ACCOUNT: Final = "6222020200112233445"

_PUT_OFF: Final = """
kind = 'step_failed' AND detail ->> 'error' IN ('DatabaseUnavailable', 'Overloaded')
"""
# Each row is something that must not be (DOMAIN §4, invariants 1 to 4).
_BROKEN: Final = rf"""
WITH taken AS (
    SELECT charge.merchant_no, CAST(draw ->> 'card_id' AS uuid) AS card_id, charge.status,
           CAST(draw ->> 'face_amount' AS bigint) AS face,
           CAST(draw ->> 'sessions' AS bigint) AS sessions,
           CAST(draw ->> 'visit_day' AS bigint) AS visit_day
    FROM charge CROSS JOIN LATERAL jsonb_array_elements(draws) AS draw
), uses AS (
    SELECT merchant_no, card_id,
           coalesce(sum(face) FILTER (WHERE stands), 0) AS face_used,
           coalesce(sum(face) FILTER (WHERE waits), 0) AS face_held,
           coalesce(sum(sessions) FILTER (WHERE stands), 0) AS sessions_used,
           coalesce(sum(sessions) FILTER (WHERE waits), 0) AS sessions_held,
           coalesce(max(visit_day) FILTER (WHERE stands), 0) AS last_visit
    FROM (SELECT *, status IN ('confirmed', 'disputed') AS stands,
                 status = 'pending_confirmation' AS waits FROM taken) AS one
    GROUP BY merchant_no, card_id
), used AS (
    SELECT card.*, account.balance, coalesce(uses.face_used, 0) AS of_face,
           coalesce(uses.face_held, 0) AS held_face, coalesce(uses.sessions_used, 0) AS of_sessions,
           coalesce(uses.sessions_held, 0) AS held_sessions, coalesce(last_visit, 0) AS of_term,
           CAST(paid_amount + bonus_amount AS numeric) AS face
    FROM card JOIN account ON account.merchant_no = card.merchant_no
        AND account.account_id = card.card_id
    LEFT JOIN uses ON uses.merchant_no = card.merchant_no AND uses.card_id = card.card_id
)
SELECT '1: a card is not P = released + refunded + adjusted + recalled + left' FROM used
WHERE paid_amount <> released_amount + refunded_amount + adjusted_amount + recalled_amount + balance
    OR least(released_amount, refunded_amount, adjusted_amount, recalled_amount) < 0
UNION ALL
SELECT '1: released is not what the uses make it' FROM used
WHERE released_amount <> CASE kind
    WHEN 'stored_value' THEN floor((2 * paid_amount * of_face + face) / (2 * face))
    WHEN 'count' THEN floor((2 * paid_amount * CAST(of_sessions AS numeric) + sessions_total)
                            / (2 * sessions_total))
    ELSE floor((2 * paid_amount * CAST(of_term AS numeric) + term_days) / (2 * term_days)) END
UNION ALL
SELECT '1: negative ' || type FROM account WHERE balance < 0
UNION ALL
SELECT '2: custody and bank_claim are not the sum of all liabilities' FROM account
GROUP BY merchant_no
HAVING sum(CASE WHEN type IN ('custody', 'bank_claim') THEN balance ELSE -balance END) <> 0
UNION ALL
SELECT '3: a charge was confirmed twice' FROM card_entry WHERE kind = 'used'
GROUP BY merchant_no, card_id, subject_id HAVING count(*) > 1
UNION ALL
SELECT '3: orders took more than was credited to payable' FROM account
WHERE type = 'merchant_payable' AND account.balance <> (
    SELECT coalesce(sum(CASE WHEN credit_account_id = account.account_id THEN amount
                             ELSE -amount END), 0)
    FROM transfer WHERE transfer.merchant_no = account.merchant_no
        AND account.account_id IN (credit_account_id, debit_account_id))
UNION ALL
SELECT '3: in transit is not what pending orders are' FROM account
WHERE type IN ('release_in_transit', 'refund_in_transit') AND balance <> (
    SELECT coalesce(sum(amount), 0) FROM payment_order AS orders
    WHERE orders.merchant_no = account.merchant_no AND orders.status = 'pending'
        AND orders.kind || '_in_transit' = account.type)
UNION ALL
SELECT '4: what is used or held is more than there is, or not what charges say' FROM used
WHERE (face_used_amount, face_held_amount, sessions_used, sessions_held, last_visit_day)
        <> (of_face, held_face, of_sessions, held_sessions, of_term)
    OR (kind = 'stored_value' AND of_face + held_face > face)
    OR (kind = 'count' AND of_sessions + held_sessions > sessions_total)
UNION ALL
SELECT 'waiting reversals do not add up' FROM book
WHERE waiting_reversal_amount <> (
    SELECT coalesce(sum(reversal_amount), 0) FROM charge
    WHERE charge.merchant_no = book.merchant_no AND reversal_status = 'pending')
UNION ALL
SELECT 'what is set aside is not what is disputed' FROM account
WHERE type = 'release_disputed' AND balance <> (
    SELECT coalesce(sum(set_aside_amount), 0) FROM dispute
    WHERE dispute.merchant_no = account.merchant_no AND status = 'open')
UNION ALL
SELECT 'refund payable is not what was decided and not cut' FROM account
WHERE type = 'refund_payable' AND balance <> (
    SELECT coalesce(sum(amount), 0) FROM refund
    WHERE refund.merchant_no = account.merchant_no AND status IN ('decided', 'account_needed'))
UNION ALL
SELECT 'a step of the worker broke: ' || (detail ->> 'error') FROM alert
WHERE kind = 'step_failed' AND NOT ({_PUT_OFF})
UNION ALL
SELECT 'the sequence has a gap' FROM book
WHERE seq <> (SELECT count(*) FROM transfer WHERE transfer.merchant_no = book.merchant_no)
           + (SELECT count(*) FROM fact WHERE fact.merchant_no = book.merchant_no)
"""


class CardRow(NamedTuple):
    """What the service says of a card."""

    card_id: UUID
    consumer_id: str
    status: str
    paid_amount: int
    released_amount: int
    refunded_amount: int
    adjusted_amount: int
    frozen_days: int
    left_amount: int


class ChargeRow(NamedTuple):
    """What the service says of a charge."""

    charge_id: UUID
    status: str
    dispute_status: str | None
    waits: int | None


class RefundRow(NamedTuple):
    """What the service says of a refund."""

    refund_id: UUID
    card_id: UUID | None
    status: str
    amount: int
    unpaid_amount: int
    supplement: bool


class ShareRow(NamedTuple):
    """What the service says that a claim gets where custody does not cover all."""

    claim_id: UUID
    claim_amount: int
    amount: int


class OrderRow(NamedTuple):
    """What the service says of an order."""

    order_id: UUID
    file_id: UUID
    refund_id: UUID | None
    amount: int
    status: str


class KnownFile(NamedTuple):
    """A file that somebody else cut."""

    file_id: UUID
    bank: str


class _Balance(NamedTuple):
    type: str
    amount: int


@dataclass(slots=True)
class Service:
    """One merchant in a database of its own, with everybody who asks something of it."""

    loop: asyncio.Runner
    cluster: Cluster
    urls: DatabaseUrls
    stack: AsyncExitStack
    bank: Bank
    shop: Shop
    people: dict[str, ConsumerPrincipal] = field(default_factory=dict[str, ConsumerPrincipal])

    @staticmethod
    def open(loop: asyncio.Runner, cluster: Cluster) -> "Service":
        return loop.run(_open(loop, cluster))

    def close(self) -> None:
        """Verify all that happened, and forget it."""
        self.loop.run(self._close())

    async def _close(self) -> None:
        await self.stack.aclose()
        report = await verify(self.urls.database_url)
        await self.cluster.drop(self.urls.name)
        assert not report.findings, "\n".join(map(str, report.findings))

    def run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run(doing)

    @property
    def given(self) -> Trader:
        return self.bank.given

    @property
    def db(self) -> Database:
        return self.given.db

    @property
    def refunder(self) -> Refunder:
        return Refunder(self.given)

    @property
    def claimant(self) -> Claimant:
        return Claimant(self.refunder)

    @property
    def disputer(self) -> Disputer:
        return Disputer(self.given)

    @property
    def life(self) -> Life:
        return Life(self.given)

    @property
    def bailiff(self) -> Bailiff:
        return Bailiff(self.given)

    @property
    def world(self) -> World:
        return World(self.bank.parts, self.given)

    @property
    def closer(self) -> Closer:
        return Closer(self.given, self.world)

    # Time, and the worker.

    async def pass_time(self, by: timedelta) -> None:
        await self.world.advance(by)

    async def sweep(self) -> None:
        """Let the worker write down what the clock has ended."""
        await self.bailiff.swept()
        async with self.db.snapshot() as tx:
            due = await tx.fetch(
                _Id,
                "SELECT charge_id AS id FROM charge"
                " WHERE status = 'pending_confirmation' AND expires_at <= anxin_now()",
            )
        if due:
            ids = tuple(one.id for one in due)
            await self.given.writer.submit(ExpireCharges(self.shop.merchant_no, ids))

    async def steps_put_off(self) -> object:
        """Count the merchants' steps that the database or the writer could not take twice."""
        async with self.db.snapshot() as tx:
            return await tx.value(f"SELECT count(*) FROM alert WHERE {_PUT_OFF}")

    # Files.

    async def closing_status(self) -> str:
        async with self.db.snapshot() as tx:
            return str(await tx.value("SELECT status FROM book"))

    async def cut(self, kind: str) -> list[PaymentFile]:
        return (
            await cutting.cut(self.bank.parts, FileKind(kind), asked=None, request=a_key())
        ).value

    async def cancel(self, file: PaymentFile | KnownFile) -> None:
        await files.cancel(self.bank.parts, file.file_id, request=a_key())

    async def bank_says(
        self, file: PaymentFile | KnownFile, order_id: UUID, status: str, reason: str | None
    ) -> str:
        said = ReportedResult(
            order_id, ReportedStatus(status), None if reason is None else Reason(reason), None
        )
        told = await results.report_results(
            self.bank.parts, file.bank, file.file_id, [said], request=a_key()
        )
        (one,) = told.value.results
        return str(one.outcome)

    async def name_account(self, who: ConsumerPrincipal, refund_id: UUID) -> CardRefund:
        account = NamedAccount("李娜", NEW_ACCOUNT, "102331000012")
        done = await refunds.name_payee(
            self.refunder.counter, who.consumer, refund_id, account, a_key()
        )
        return done.value

    async def step_dispute(self, charge: Charge, step: Step) -> CaseFile:
        case = await self.disputer.case(charge)
        return (await cases.take_step(self.disputer.court, case, step, None)).value

    async def verify_account(self) -> None:
        """Let a person verify the account that was named last."""
        proposals = await approvals.list_approvals(self.db, limit=1, after=None, status=None)
        executors = payees.executors(self.given.writer, SEALER)
        await approvals.approve(
            self.db, executors, proposals[0].approval_id, person_id=APPROVER, request=a_key()
        )

    async def give_back(self, receipt_id: UUID, refund_id: UUID) -> None:
        """Let money that funds nothing go back to its payer."""
        no = self.shop.merchant_no
        await self.given.writer.submit(ReturnReceipt(no, None, receipt_id, refund_id))

    async def cancel_closure(self, closure: Closure) -> View:
        done = await closures.cancel_closure(
            self.db, closure.closure_id, by=OPERATOR, request=a_key()
        )
        return done.value

    async def receipt_for_nothing(self, amount: int) -> UUID:
        at = await self.given.now()
        reported = self.given.report(self.shop, amount, "会员卡", paid_at=at)
        return (await self.given.received(reported)).value.receipt.receipt_id

    async def store_status(self, status: str) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(
                "UPDATE store SET status = :status WHERE merchant_no = :no",
                status=status,
                no=self.shop.merchant_no,
            )

    # What it says.

    async def broken(self) -> object:
        async with self.db.snapshot() as tx:
            return await tx.value(_BROKEN)

    async def balances(self) -> dict[str, int]:
        async with self.db.snapshot() as tx:
            rows = await tx.fetch(
                _Balance,
                "SELECT type, CAST(sum(balance) AS bigint) AS amount FROM account GROUP BY type",
            )
        return {row.type: row.amount for row in rows}

    async def cards(self) -> dict[UUID, CardRow]:
        async with self.db.snapshot() as tx:
            rows = await tx.fetch(
                CardRow,
                """
                SELECT card_id, consumer_id, card.status, paid_amount, released_amount,
                       refunded_amount, adjusted_amount, frozen_days, balance AS left_amount
                FROM card JOIN account ON account.account_id = card.card_id
                """,
            )
        return {row.card_id: row for row in rows}

    async def charges(self) -> dict[UUID, ChargeRow]:
        async with self.db.snapshot() as tx:
            rows = await tx.fetch(
                ChargeRow,
                """
                SELECT charge_id, CASE WHEN status = 'pending_confirmation'
                           AND expires_at <= anxin_now() THEN 'expired' ELSE status END AS status,
                       dispute_status,
                       CASE WHEN reversal_status = 'pending' THEN reversal_amount END AS waits
                FROM charge
                """,
            )
        return {row.charge_id: row for row in rows}

    async def refunds(self) -> list[RefundRow]:
        async with self.db.snapshot() as tx:
            return await tx.fetch(
                RefundRow,
                "SELECT refund_id, card_id, status, amount, unpaid_amount,"
                " supplements IS NOT NULL AS supplement FROM refund ORDER BY decided_at, refund_id",
            )

    async def shares(self) -> list[ShareRow]:
        async with self.db.snapshot() as tx:
            return await tx.fetch(
                ShareRow, "SELECT claim_id, claim_amount, amount FROM closure_share"
            )

    async def orders(self) -> list[OrderRow]:
        async with self.db.snapshot() as tx:
            return await tx.fetch(
                OrderRow,
                "SELECT order_id, file_id, refund_id, amount, status FROM payment_order"
                " ORDER BY order_id",
            )


class _Id(NamedTuple):
    id: UUID


async def _open(loop: asyncio.Runner, cluster: Cluster) -> Service:
    urls = await cluster.clone("life")
    stack = AsyncExitStack()
    bank = await stack.enter_async_context(banking(urls))
    service = Service(loop, cluster, urls, stack, bank, await bank.given.shop())
    service.people = {name: a_consumer() for name in ("li", "wang")}
    now = await bank.given.now()
    noon = datetime.combine(business_date(now) + timedelta(days=1), time(12), SHANGHAI)
    # No step comes near midnight, where a day of the model's would not be the service's.
    await service.pass_time(noon - now)
    return service
