from datetime import timedelta

import pytest

from app.access import approvals
from app.access.approvals import Approval, ApprovalStatus, reject
from app.access.errors import OwnProposal
from app.db.engine import Database
from app.errors import InvalidRequest
from app.merchants.domain import (
    Industry,
    Merchant,
    MerchantChange,
    PayeeBlock,
    PayeeDetails,
    PayeeStatus,
)
from app.merchants.payees import change_merchant, executors, list_payees
from app.merchants.service import read_merchant
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from tests.builder import APPROVER, PROPOSER, SEALER, Builder

SECOND_NUMBER = "6217000011112222"


@pytest.fixture
def given(db: Database) -> Builder:
    return Builder(db)


def another_account(name: str) -> MerchantChange:
    return MerchantChange(payee=PayeeDetails(name, SECOND_NUMBER, "105331000014"))


async def proposed(db: Database, merchant: Merchant, change: MerchantChange) -> Approval:
    answer = await change_merchant(db, SEALER, merchant.merchant_id, change, by=PROPOSER)
    assert isinstance(answer, Approval)
    return answer


async def test_the_first_payee_account_counts_from_its_approval(
    db: Database, given: Builder
) -> None:
    merchant = await given.merchant()
    assert merchant.payee is not None
    assert merchant.payee.status is PayeeStatus.PROPOSED
    assert merchant.payee.approval_id is not None

    approval = await given.approved(merchant.payee.approval_id)

    payee = (await read_merchant(db, merchant.merchant_id)).payee
    assert payee is not None
    assert payee.status is PayeeStatus.APPROVED
    assert payee.effective_from is not None
    assert approval.status is ApprovalStatus.APPROVED
    async with db.snapshot() as tx:
        assert payee.effective_from <= await tx.now()


async def test_the_proposer_does_not_approve(db: Database, given: Builder) -> None:
    merchant = await given.merchant()
    assert merchant.payee is not None
    assert merchant.payee.approval_id is not None

    with pytest.raises(OwnProposal):
        await approvals.approve(
            db,
            executors(CurrentPolicies(db, Policies())),
            merchant.payee.approval_id,
            person_id=PROPOSER,
            request=None,
        )


async def test_a_changed_payee_account_waits_and_the_old_one_counts_meanwhile(
    db: Database, given: Builder
) -> None:
    merchant = (await given.shop()).merchant

    approval = await proposed(db, merchant, another_account(merchant.name))
    await given.approved(approval.approval_id)

    log = await list_payees(db, merchant.merchant_id)
    assert [payee.account_number_mask for payee in log] == ["****2222", "****7890"]
    first, second = log[1].effective_from, log[0].effective_from
    assert first is not None
    assert second is not None
    assert second - first >= timedelta(days=Policies().payee_change_days)
    shown = (await read_merchant(db, merchant.merchant_id)).payee
    assert shown == log[1]


async def test_no_answer_and_no_approval_has_the_whole_account_number(
    db: Database, given: Builder
) -> None:
    merchant = (await given.shop()).merchant

    approval = await proposed(db, merchant, another_account(merchant.name))

    assert approval.request["account_number"] == "****2222"
    assert SECOND_NUMBER not in repr((approval, await list_payees(db, merchant.merchant_id)))
    async with db.snapshot() as tx:
        sealed = await tx.value(
            "SELECT account_number FROM payee_account WHERE approval_id = :id",
            id=approval.approval_id,
        )
    assert isinstance(sealed, bytes)
    assert SECOND_NUMBER.encode() not in sealed
    assert SEALER.open(sealed) == SECOND_NUMBER


async def test_a_rejected_payee_account_never_counts(db: Database, given: Builder) -> None:
    merchant = (await given.shop()).merchant
    approval = await proposed(db, merchant, another_account(merchant.name))

    await reject(db, approval.approval_id, person_id=APPROVER, request=None)

    log = await list_payees(db, merchant.merchant_id)
    assert [payee.status for payee in log] == [PayeeStatus.REJECTED, PayeeStatus.APPROVED]


async def test_a_new_licensed_name_comes_with_a_payee_account_in_it(
    db: Database, given: Builder
) -> None:
    merchant = (await given.shop()).merchant

    with pytest.raises(InvalidRequest):
        await proposed(db, merchant, MerchantChange(name="新名字"))
    with pytest.raises(InvalidRequest):
        await proposed(db, merchant, another_account("别人"))
    change = another_account("新名字")
    approval = await proposed(db, merchant, MerchantChange(name="新名字", payee=change.payee))
    assert (await read_merchant(db, merchant.merchant_id)).name == merchant.name
    await given.approved(approval.approval_id)
    assert (await read_merchant(db, merchant.merchant_id)).name == "新名字"


async def test_what_concerns_no_money_changes_at_once(db: Database, given: Builder) -> None:
    merchant = await given.merchant()

    changed = await change_merchant(
        db,
        SEALER,
        merchant.merchant_id,
        MerchantChange(industry=Industry.BEAUTY, district="320102"),
        by=PROPOSER,
    )

    assert changed == await read_merchant(db, merchant.merchant_id)
    assert isinstance(changed, Merchant)
    assert (changed.industry, changed.district) == (Industry.BEAUTY, "320102")
    assert changed.payee == merchant.payee


async def test_the_log_shows_an_account_that_a_bank_answer_blocked(
    db: Database, given: Builder
) -> None:
    merchant = (await given.shop()).merchant

    async with db.transaction() as tx:
        await tx.execute(
            """
            UPDATE payee_account SET blocked_at = anxin_now(), blocked_reason = 'account_closed'
            WHERE merchant_no = :no
            """,
            no=merchant.merchant_no,
        )

    (blocked,) = await list_payees(db, merchant.merchant_id)
    assert blocked.blocked_reason is PayeeBlock.ACCOUNT_CLOSED
    assert blocked.blocked_at is not None
