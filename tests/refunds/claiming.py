"""What consumers, merchants and operators do about claims, on the real service."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.access import approvals
from app.access.principals import ConsumerPrincipal
from app.cards.directory import MerchantDirectory
from app.cases import rulings
from app.cases import service as cases
from app.cases.domain import Scheduling, Silence
from app.cases.queries import find_case
from app.cases.rows import CaseDecision, CaseFile, CaseKind
from app.cases.rulings import Proposal
from app.cases.service import Desk
from app.holds.commands import ExpireHolds, PlaceHold
from app.holds.domain import HoldTarget
from app.ids import merchant_no_of, new_id
from app.money import Fen
from app.refunds import queries, service
from app.refunds.commands import WithdrawRefund
from app.refunds.domain import RefundReason
from app.refunds.rows import CardRefund
from app.refunds.service import conduct_claim
from app.writer.requests import RequestKey
from tests.builder import SEALER, Trader, a_key
from tests.refunds.conftest import Refunder

DAY_SECONDS = 86_400
DENIES = "店还在营业"


@dataclass(frozen=True, slots=True)
class Claimant:
    """Opens claims and takes the steps of their cases."""

    refunder: Refunder

    @property
    def given(self) -> Trader:
        return self.refunder.given

    @property
    def desk(self) -> Desk:
        given = self.given
        conducts = {CaseKind.REFUND_CLAIM: conduct_claim}
        return Desk(given.db, given.writer, SEALER, MerchantDirectory(given.db), conducts)

    async def claimed(
        self,
        consumer: ConsumerPrincipal,
        card_id: UUID,
        reason: RefundReason = RefundReason.HEALTH,
        *,
        text: str | None = None,
    ) -> CardRefund:
        refund = await self.refunder.asked(consumer, card_id, reason, None, text=text)
        assert refund.status == "case_open"
        return refund

    async def case(self, refund: CardRefund) -> CaseFile:
        assert refund.case_id is not None
        async with self.given.db.snapshot() as tx:
            found = await find_case(tx, refund.merchant_no, refund.case_id)
        assert found is not None
        return found

    async def refund(self, refund: CardRefund) -> CardRefund:
        async with self.given.db.snapshot() as tx:
            found = await queries.find_refund(tx, refund.merchant_no, refund.refund_id)
        assert found is not None
        return found

    async def answered(
        self,
        refund: CardRefund,
        *,
        agree: bool,
        text: str | None = None,
        request: RequestKey | None = None,
    ) -> CaseFile:
        case = await self.case(refund)
        step = cases.answering(self.desk, case, agree=agree, text=text, by="chen.wei")
        return (await cases.take_step(self.desk, case, step, request)).value

    async def proposed(
        self, refund: CardRefund, decision: CaseDecision, used_amount: int | None = None
    ) -> approvals.Approval:
        assert refund.case_id is not None
        used = None if used_amount is None else Fen(used_amount)
        proposal = Proposal(decision, "查证属实", used, "li.na")
        return (await rulings.propose(self.given.db, refund.case_id, proposal, a_key())).value

    async def approved(
        self, approval: approvals.Approval, by: str = "wang.fang"
    ) -> approvals.Approval:
        decided = await approvals.approve(
            self.given.db,
            rulings.executors(self.desk),
            approval.approval_id,
            person_id=by,
            request=a_key(),
        )
        return decided.value

    async def ruled(
        self, refund: CardRefund, decision: CaseDecision, used_amount: int | None = None
    ) -> CardRefund:
        """Let two persons decide; give the refund as it is then."""
        await self.judged(refund, decision, used_amount)
        return await self.refund(refund)

    async def judged(
        self, refund: CardRefund, decision: CaseDecision, used_amount: int | None = None
    ) -> approvals.Approval:
        """Let two persons decide; give what they are told."""
        return await self.approved(await self.proposed(refund, decision, used_amount))

    async def withdrawn(
        self,
        consumer: ConsumerPrincipal,
        refund: CardRefund,
        request: RequestKey | None = None,
    ) -> CardRefund:
        command = WithdrawRefund(
            refund.merchant_no, request, refund.refund_id, refund.card_id, consumer.consumer
        )
        return (await service.carry_out(self.refunder.counter, command)).value

    async def kept_silent(self, refund: CardRefund) -> CaseFile:
        """Let the worker look at the case."""
        step = Silence()
        return (await cases.take_step(self.desk, await self.case(refund), step, None)).value

    async def scheduled(self, refund: CardRefund, step: Scheduling) -> CaseFile:
        return (await cases.take_step(self.desk, await self.case(refund), step, None)).value

    async def held(self, card_id: UUID, *, until: datetime | None = None) -> UUID:
        no, hold_id = merchant_no_of(card_id), new_id(merchant_no_of(card_id))
        await self.given.writer.submit(
            PlaceHold(
                no, None, hold_id, HoldTarget.CARD, card_id, None, "浙01执1号", "冻结",
                bytes(16), "li.na", until,
            )
        )  # fmt: skip
        return hold_id

    async def holds_ended(self, card_id: UUID, hold_id: UUID) -> None:
        """Let the worker end what the clock has ended."""
        no = merchant_no_of(card_id)
        await self.given.writer.submit(ExpireHolds(no, (hold_id,), (card_id,)))

    async def days_pass(self, days: int) -> None:
        async with self.given.db.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO sandbox_clock (offset_seconds) VALUES (:by)
                ON CONFLICT (only_row) DO UPDATE
                SET offset_seconds = sandbox_clock.offset_seconds + excluded.offset_seconds
                """,
                by=days * DAY_SECONDS,
            )
