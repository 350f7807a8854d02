"""Money from suspense whose payer's account takes nothing: two persons give it another."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest
import pytest_asyncio

from app.access import approvals
from app.access.approvals import Approval
from app.access.errors import OwnProposal
from app.errors import InvalidRequest, NotFound
from app.ids import new_id
from app.payment_files.domain import FileKind, PaymentFile, Reason
from app.payment_files.results import PAYER_ACCOUNT_NEEDED
from app.purchases import returning, suspense
from app.refunds.errors import RefundNotAllowed
from app.refunds.payees import NamedAccount
from tests.builder import APPROVER, PROPOSER, Shop, Trader, a_key, writing
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World, said

NEW = NamedAccount("李 娜", "6228480402564890018", "103331000014")
"""In the payer's name; blanks make no other one."""


class Scene:
    """A receipt on its way back, in a file that is with its bank."""

    def __init__(self, world: World, given: Trader) -> None:
        self.world, self.given = world, given

    async def start(self) -> None:
        self.shop: Shop = await self.given.shop()
        reported = self.given.report(self.shop, 123_45, "nonsense", paid_at=await self.given.now())
        receipt = (await self.given.received(reported)).value.receipt
        self.receipt_id: UUID = receipt.receipt_id
        proposed = await suspense.propose_return(
            self.world.db, self.receipt_id, by=PROPOSER, request=a_key()
        )
        await self.approved(proposed.value)
        self.file: PaymentFile = await self.world.one_file(FileKind.REFUND)

    async def approved(self, approval: Approval, *, by: str = APPROVER) -> Approval:
        done = await approvals.approve(
            self.world.db,
            {**suspense.executors(self.given.till), **returning.EXECUTORS},
            approval.approval_id,
            person_id=by,
            request=None,
        )
        return done.value

    async def answered(self, status: str, reason: Reason | None = None) -> None:
        order = await self.world.only_order(self.file)
        await self.world.report(self.file, said(order.order_id, status, reason))

    async def named(self, account: NamedAccount = NEW) -> Approval:
        proposed = await returning.propose_payee(
            self.given.till, self.receipt_id, account, by=PROPOSER, request=a_key()
        )
        return proposed.value


@pytest_asyncio.fixture
async def scene(fresh_database: DatabaseUrls, world: World) -> AsyncIterator[Scene]:
    async with writing(fresh_database.database_url) as writer:
        made = Scene(world, Trader(world.db, writer=writer))
        await made.start()
        yield made


@pytest.mark.parametrize(
    ("status", "reason"),
    [("rejected", Reason.ACCOUNT_CLOSED), ("returned", Reason.NAME_MISMATCH)],
)
async def test_the_next_file_pays_the_account_that_two_persons_gave(
    scene: Scene, status: str, reason: Reason
) -> None:
    await scene.answered(status, reason)
    assert await scene.world.cut(FileKind.REFUND) == []
    assert [(one.kind, one.subject_id) for one in await scene.world.alerts()] == [
        (PAYER_ACCOUNT_NEEDED, scene.receipt_id)
    ]

    proposed = await scene.named()
    assert proposed.request["account_number"] == "****0018"
    assert await scene.world.cut(FileKind.REFUND) == []
    with pytest.raises(OwnProposal):
        await scene.approved(proposed, by=PROPOSER)
    await scene.approved(proposed)

    file = await scene.world.one_file(FileKind.REFUND)
    content = (await scene.world.content(file)).decode()
    assert "李 娜,6228480402564890018,103331000014,12345,CNY" in content
    order = await scene.world.only_order(file)
    await scene.world.report(file, said(order.order_id, "paid"))
    assert await scene.world.balances(scene.shop) == {}


async def test_it_must_be_in_the_payers_name(scene: Scene) -> None:
    await scene.answered("rejected", Reason.ACCOUNT_CLOSED)

    with pytest.raises(InvalidRequest):
        await scene.named(replace(NEW, holder_name="王伟"))

    assert await scene.world.cut(FileKind.REFUND) == []


async def test_an_account_that_takes_the_money_is_not_replaced(scene: Scene) -> None:
    for status, reason in ((None, None), ("rejected", Reason.TECHNICAL), ("paid", None)):
        if status is not None:
            await scene.answered(status, reason)
        with pytest.raises(RefundNotAllowed):
            await scene.named()


async def test_what_the_bank_paid_after_all_is_not_paid_again(scene: Scene) -> None:
    await scene.answered("rejected", Reason.ACCOUNT_CLOSED)
    proposed = await scene.named()
    await scene.answered("paid")

    with pytest.raises(RefundNotAllowed):
        await scene.approved(proposed)

    assert await scene.world.cut(FileKind.REFUND) == []
    assert await scene.world.balances(scene.shop) == {}


async def test_only_the_account_that_was_named_last_can_be_verified(scene: Scene) -> None:
    await scene.answered("rejected", Reason.ACCOUNT_CLOSED)
    first = await scene.named()
    last = await scene.named(replace(NEW, account_number="6228480402564899999"))

    with pytest.raises(RefundNotAllowed):
        await scene.approved(first)
    await scene.approved(last)
    with pytest.raises(RefundNotAllowed):
        await scene.approved(first)

    file = await scene.world.one_file(FileKind.REFUND)
    assert "6228480402564899999" in (await scene.world.content(file)).decode()


async def test_a_receipt_that_lies_in_suspense_or_nowhere_has_no_way_back(scene: Scene) -> None:
    reported = scene.given.report(scene.shop, 1, "nonsense", paid_at=await scene.given.now())
    resting = (await scene.given.received(reported)).value.receipt.receipt_id

    for receipt_id, refusal in (
        (resting, RefundNotAllowed),
        (new_id(scene.shop.merchant_no), NotFound),
        (new_id(), NotFound),
    ):
        with pytest.raises(refusal):
            await returning.propose_payee(
                scene.given.till, receipt_id, NEW, by=PROPOSER, request=a_key()
            )


async def test_a_retry_gives_the_same_proposal(scene: Scene) -> None:
    await scene.answered("rejected", Reason.ACCOUNT_CLOSED)
    request = a_key()
    first, again = [
        await returning.propose_payee(
            scene.given.till, scene.receipt_id, NEW, by=PROPOSER, request=request
        )
        for _ in range(2)
    ]

    assert (again.value, again.replayed) == (first.value, True)
