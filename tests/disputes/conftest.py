"""Disputes of uses that really happened, in the worker's own database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import pytest_asyncio

from app import ids
from app.access import approvals
from app.access.principals import ConsumerPrincipal
from app.calendar.current import CurrentCalendar
from app.calendar.service import load_official_years
from app.cards.directory import MerchantDirectory
from app.cases import rulings
from app.cases import service as cases
from app.cases.domain import Answer, Silence, Step
from app.cases.rows import CaseDecision, CaseFile, CaseKind
from app.charges.domain import Charge
from app.charges.queries import find_charge
from app.db.engine import Database
from app.db.rows import columns_of
from app.disputes import service
from app.disputes.deciding import conduct
from app.disputes.rows import Dispute
from app.disputes.service import Complaint, Desk
from app.writer.requests import RequestKey
from tests.builder import APPROVER, PROPOSER, SEALER, Shop, Trader, a_key, writing
from tests.cluster import DatabaseUrls

COMPLAINT = Complaint("not_provided", "当天没有剪发")
AGREES = Answer(agree=True, text=None, by="chen.wei")
OBJECTS = Answer(agree=False, text=None, by="chen.wei")
SILENCE = Silence()
DAY_SECONDS = 86_400


Found = TypeVar("Found", CaseFile, Dispute)
UPHELD, REJECTED = CaseDecision.UPHELD, CaseDecision.REJECTED


@dataclass(frozen=True, slots=True)
class Disputer:
    """Disputes uses as consumers do, and takes the steps of the cases."""

    given: Trader

    @property
    def desk(self) -> Desk:
        given = self.given
        calendar = CurrentCalendar(given.db, provisional=True)
        policies, directory = given.current_policies, MerchantDirectory(given.db)
        return Desk(given.db, given.writer, SEALER, calendar, policies, directory)

    @property
    def court(self) -> cases.Desk:
        """What the use cases of cases need."""
        given = self.given
        directory = MerchantDirectory(given.db)
        return cases.Desk(given.db, given.writer, SEALER, directory, {CaseKind.DISPUTE: conduct})

    async def disputed(
        self,
        consumer: ConsumerPrincipal,
        charge: Charge,
        *,
        request: RequestKey | None = None,
        complaint: Complaint = COMPLAINT,
    ) -> Charge:
        done = await service.open_dispute(
            self.desk,
            consumer,
            charge.charge_id,
            complaint,
            request=request,
        )
        return done.value

    async def step(
        self, charge: Charge, step: Step, *, request: RequestKey | None = None
    ) -> CaseFile:
        """Take a step of the charge's case."""
        command = conduct(await self.case(charge), step, request)
        outcome = await self.given.writer.submit(command)
        if outcome.replayed is not None:
            outcome.replayed.raise_refusal()
            return await self.case(charge)
        return outcome.result

    async def decided(self, charge: Charge, decision: CaseDecision) -> Charge:
        """Let the merchant object and two persons decide."""
        await self.step(charge, OBJECTS)
        await self.approved(await self.proposed(charge, decision))
        return await self.read(charge)

    async def proposed(self, charge: Charge, decision: CaseDecision) -> UUID:
        """Let one person propose a decision; give the approval that it waits for."""
        case = await self.case(charge)
        proposal = rulings.Proposal(decision, "门店录像", None, PROPOSER)
        made = await rulings.propose(self.given.db, case.case_id, proposal, a_key())
        return made.value.approval_id

    async def approved(self, approval_id: UUID) -> approvals.Approval:
        """Let a second person approve what was proposed."""
        done = await approvals.approve(
            self.given.db,
            rulings.executors(self.court),
            approval_id,
            person_id=APPROVER,
            request=None,
        )
        return done.value

    async def read(self, charge: Charge) -> Charge:
        async with self.given.db.snapshot() as tx:
            found = await find_charge(tx, charge.merchant_no, charge.charge_id)
        assert found is not None
        return found

    async def case(self, charge: Charge) -> CaseFile:
        return await self._of_charge(CaseFile, "case_file", charge)

    async def dispute(self, charge: Charge) -> Dispute:
        return await self._of_charge(Dispute, "dispute", charge)

    async def waiting_amount(self, shop: Shop) -> object:
        async with self.given.db.snapshot() as tx:
            return await tx.value(
                "SELECT waiting_reversal_amount FROM book WHERE merchant_no = :no",
                no=shop.merchant_no,
            )

    async def entries(self, shop: Shop) -> list[str]:
        """Name the kinds of the book's entries in their order, transfers and facts."""
        async with self.given.db.snapshot() as tx:
            rows = await tx.fetch(
                _Kind,
                """
                SELECT kind FROM (
                    SELECT seq, kind FROM transfer WHERE merchant_no = :no
                    UNION ALL SELECT seq, kind || ' (fact)' FROM fact WHERE merchant_no = :no
                ) AS entry ORDER BY seq
                """,
                no=shop.merchant_no,
            )
        return [row.kind for row in rows]

    async def days_pass(self, days: int, *, seconds: int = 0) -> None:
        async with self.given.db.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO sandbox_clock (offset_seconds) VALUES (:by)
                ON CONFLICT (only_row) DO UPDATE
                SET offset_seconds = sandbox_clock.offset_seconds + excluded.offset_seconds
                """,
                by=days * DAY_SECONDS + seconds,
            )

    async def _of_charge(self, shape: type[Found], table: str, charge: Charge) -> Found:
        names = ", ".join(column.name for column in columns_of(shape))
        async with self.given.db.snapshot() as tx:
            found = await tx.fetch_one(
                shape,
                f"SELECT {names} FROM {table} WHERE merchant_no = :no AND charge_id = :id",
                no=ids.merchant_no_of(charge.charge_id),
                id=charge.charge_id,
            )
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class _Kind:
    kind: str


@pytest_asyncio.fixture
async def disputer(given: Trader) -> Disputer:
    await load_official_years(given.db, provisional=True)
    return Disputer(given)


@pytest_asyncio.fixture
async def later(fresh_database: DatabaseUrls) -> AsyncIterator[Disputer]:
    """Give a world of the test's own, so that its clock can be moved."""
    db = Database.connect(fresh_database.database_url)
    await load_official_years(db, provisional=True)
    async with writing(fresh_database.database_url) as writer:
        yield Disputer(Trader(db, writer=writer))
    await db.close()


def card_of(charge: Charge) -> UUID:
    return charge.read_draws()[0].card_id
