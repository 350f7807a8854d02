"""Money received: it funds its purchase, or lies in suspense until two persons or time decide."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.access import approvals
from app.access.approvals import Approval, ApprovalStatus
from app.access.errors import ApprovalDecided
from app.errors import DomainError, StoredRefusal
from app.ids import Prefix, new_id, parse
from app.ledger.chart import AccountType
from app.merchants import service as merchants
from app.merchants.domain import NewCustodyAccount
from app.money import Fen
from app.purchases import suspense
from app.purchases.commands import ReturnReceipt
from app.purchases.domain import Purchase, Receipt
from app.purchases.errors import BankReferenceReused
from app.purchases.receiving import Payer
from tests.builder import (
    APPROVER,
    BANK,
    PROPOSER,
    Shop,
    Trader,
    a_consumer,
    a_key,
    unique,
)
from tests.refusals import refused


async def a_sale(given: Trader, **how: Any) -> tuple[Shop, Purchase]:
    """Open an accepted purchase of 500.00 at a new merchant."""
    shop = await given.shop()
    return shop, await given.purchase(shop, await given.product(shop.merchant), a_consumer(), **how)


async def approve(given: Trader, approval_id: Any, *, by: str = APPROVER) -> Approval:
    done = await approvals.approve(
        given.db, suspense.executors(given.till), approval_id, person_id=by, request=a_key()
    )
    return done.value


async def test_the_exact_receipt_funds_the_card(given: Trader) -> None:
    shop, purchase = await a_sale(given)

    recorded = await given.paid(shop, purchase)

    assert (recorded.receipt.status, recorded.created) == ("matched", True)
    assert recorded.receipt.card_id is not None
    assert await given.balance(shop, recorded.receipt.card_id) == 500_00
    assert await given.balance(shop, AccountType.CUSTODY) == 500_00


@pytest.mark.parametrize(
    ("amount", "reason"), [(499_99, "underpaid"), (500_01, "overpaid"), (1, "underpaid")]
)
async def test_another_amount_lies_in_suspense_whole(
    given: Trader, amount: int, reason: str
) -> None:
    shop, purchase = await a_sale(given)
    recorded = await given.paid(shop, purchase, amount)
    assert (recorded.receipt.status, recorded.receipt.suspense_reason) == ("suspense", reason)
    assert await given.balance(shop, AccountType.SUSPENSE) == amount
    assert await given.balance(shop, AccountType.CUSTODY) == amount


async def test_every_other_reason_for_suspense(given: Trader) -> None:
    shop, paid = await a_sale(given)
    await given.paid(shop, paid)
    product = await given.product(shop.merchant)
    li = a_consumer()
    cancelled = await given.cancelled(await given.purchase(shop, product, li))
    unaccepted = await given.purchase(shop, product, li, accepted=False)
    late = await given.purchase(shop, product, li, lifetime_seconds=0)
    gone = await given.purchase(shop, product, li)
    elsewhere, at_elsewhere = await a_sale(given)

    async def reason(purchase: Purchase, **fields: Any) -> str | None:
        recorded = await given.paid(shop, purchase, **fields)
        return recorded.receipt.suspense_reason

    assert await reason(paid) == "already_funded"
    assert await reason(cancelled) == "purchase_cancelled"
    assert await reason(unaccepted) == "contract_not_accepted"
    assert await reason(late) == "purchase_expired"
    assert await reason(at_elsewhere) == "unknown_reference", "it is another merchant's purchase"
    assert await reason(gone, payment_reference="工资") == "unknown_reference"
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE card_product SET on_sale = false WHERE product_id = :id", id=product.product_id
        )
    assert await reason(gone) == "merchant_not_selling"
    assert await given.balance(shop, AccountType.SUSPENSE) == 7 * 500_00
    assert await given.balance(elsewhere, AccountType.CUSTODY) == 0


async def test_a_late_report_of_a_payment_in_time_funds(given: Trader) -> None:
    shop, purchase = await a_sale(given, lifetime_seconds=1)
    await asyncio.sleep(1.1)  # its time is over by the database's clock
    recorded = await given.paid(shop, purchase, paid_at=purchase.expires_at)
    assert recorded.receipt.status == "matched"


async def test_the_same_report_is_one_receipt_and_other_facts_are_refused(given: Trader) -> None:
    shop, purchase = await a_sale(given)
    at = await given.now()
    reported = given.report(shop, 500_00, purchase.payment_reference, paid_at=at)

    made = await asyncio.gather(*(given.received(reported) for _ in range(10)))

    assert len({one.value.receipt.receipt_id for one in made}) == 1
    assert sum(one.value.created for one in made) == 1
    assert await given.balance(shop, AccountType.CUSTODY) == 500_00
    for other in (
        replace(reported, amount=Fen(500_01)),
        replace(reported, paid_at=at + timedelta(seconds=1)),
        replace(reported, payment_reference="AX"),
        replace(reported, payer=Payer("王伟", "6217000010001234567")),
    ):
        async with refused(given, shop, "bank_reference_reused"):
            await given.received(other)


async def test_a_retry_of_a_report_says_what_it_was_then(given: Trader) -> None:
    shop, purchase = await a_sale(given)
    at = await given.now()
    reported = given.report(shop, 499_00, purchase.payment_reference, paid_at=at)
    key = a_key()
    first = await given.received(reported, request=key)
    proposal = await suspense.propose_return(
        given.db, first.value.receipt.receipt_id, by=PROPOSER, request=a_key()
    )
    await approve(given, proposal.value.approval_id)

    again = await given.received(reported, request=key)

    assert again.replayed
    assert again.value.receipt.status == "suspense"
    assert again.value.receipt.receipt_id == first.value.receipt.receipt_id


@pytest.mark.parametrize("stray", [False, True])
async def test_a_report_that_was_refused_is_refused_again_under_its_key(
    given: Trader, *, stray: bool
) -> None:
    shop = await given.shop()
    account = {"custody_account": unique("nobody's")} if stray else {}
    first = given.report(shop, 5_00, "nonsense", paid_at=await given.now(), **account)
    await given.received(first)
    key, other = a_key(), replace(first, amount=Fen(6_00))

    with pytest.raises(BankReferenceReused) as refused_first:
        await given.received(other, request=key)
    with pytest.raises(StoredRefusal) as again:
        await given.received(other, request=key)

    assert (again.value.code, again.value.members) == (
        refused_first.value.code,
        refused_first.value.members,
    )


async def test_a_retry_of_a_stray_report_is_the_stray_though_its_account_is_known_by_now(
    given: Trader,
) -> None:
    shop, key, number = await given.shop(), a_key(), unique("soon")
    reported = given.report(shop, 5_00, "x", paid_at=await given.now(), custody_account=number)
    first = await given.received(reported, request=key)
    late = await given.merchant()
    await merchants.create_custody_account(
        given.db, late.merchant_id, NewCustodyAccount(BANK, number, "托管户"), request=None
    )

    again = await given.received(reported, request=key)

    assert again.replayed
    assert again.value.receipt.receipt_id == first.value.receipt.receipt_id


async def test_money_for_an_account_that_nobody_has_is_kept_with_an_alert(given: Trader) -> None:
    shop, purchase = await a_sale(given)
    at = await given.now()
    unknown = given.report(
        shop, 500_00, purchase.payment_reference, paid_at=at, custody_account="nobody's"
    )
    another_bank = given.report(shop, 500_00, purchase.payment_reference, paid_at=at, bank="ICBC")
    before = await given.rows(shop)

    for reported in (unknown, another_bank):
        first, again = await given.received(reported), await given.received(reported)
        assert first.value.receipt.suspense_reason == "unknown_custody_account"
        assert first.value.receipt.merchant_no == 0
        assert (first.value.created, again.value.created) == (True, False)
        async with given.db.snapshot() as tx:
            alerts = await tx.value(
                "SELECT count(*) FROM alert WHERE subject_id = :id",
                id=first.value.receipt.receipt_id,
            )
        assert alerts == 1
    assert await given.rows(shop) == before


async def in_suspense(given: Trader) -> tuple[Shop, Purchase, Receipt]:
    """Let the exact money for a purchase come without its reference."""
    shop, purchase = await a_sale(given)
    recorded = await given.paid(shop, purchase, payment_reference="会员卡")
    return shop, purchase, recorded.receipt


async def test_two_persons_match_money_in_suspense(given: Trader) -> None:
    shop, purchase, receipt = await in_suspense(given)
    proposal = await suspense.propose_match(
        given.db, receipt.receipt_id, purchase.purchase_id, by=PROPOSER, request=a_key()
    )
    assert await given.balance(shop, AccountType.SUSPENSE) == 500_00, "nothing has happened yet"
    async with refused(given, shop, "own_proposal"):
        await approve(given, proposal.value.approval_id, by=PROPOSER)

    approved = await asyncio.gather(*(approve(given, proposal.value.approval_id) for _ in range(4)))

    results: list[Mapping[str, object]] = [one.result or {} for one in approved]
    assert {result["status"] for result in results} == {"matched"}
    card_id = parse(Prefix.CARD, str(results[0]["card_id"]))
    assert await given.balance(shop, card_id) == 500_00
    assert await given.balance(shop, AccountType.SUSPENSE) == 0
    assert await given.balance(shop, AccountType.CUSTODY) == 500_00


async def test_only_the_exact_amount_for_an_accepted_open_purchase_is_matched(
    given: Trader,
) -> None:
    shop, purchase, receipt = await in_suspense(given)
    product = await given.product(shop.merchant)
    dearer = await given.product(shop.merchant, price_amount=Fen(500_01))
    cheaper = await given.product(shop.merchant, price_amount=Fen(499_99))
    li = a_consumer()
    wrong = [
        await given.purchase(shop, product, li, accepted=False),
        await given.purchase(shop, dearer, li),
        await given.purchase(shop, cheaper, li),
        await given.cancelled(await given.purchase(shop, product, li)),
    ]
    for other in wrong:
        proposal = await suspense.propose_match(
            given.db, receipt.receipt_id, other.purchase_id, by=PROPOSER, request=a_key()
        )
        with pytest.raises(DomainError) as refusal:
            await approve(given, proposal.value.approval_id)
        assert refusal.value.code == "purchase_not_awaiting_payment"
    elsewhere, at_elsewhere = await a_sale(given)
    with pytest.raises(DomainError):
        await suspense.propose_match(
            given.db, receipt.receipt_id, at_elsewhere.purchase_id, by=PROPOSER, request=a_key()
        )
    assert await given.balance(shop, AccountType.SUSPENSE) == 500_00
    assert await given.balance(elsewhere, AccountType.CUSTODY) == 0
    await given.paid(shop, purchase)
    proposal = await suspense.propose_match(
        given.db, receipt.receipt_id, purchase.purchase_id, by=PROPOSER, request=a_key()
    )
    with pytest.raises(DomainError) as refusal:
        await approve(given, proposal.value.approval_id)
    assert refusal.value.code == "purchase_not_awaiting_payment", "it is paid already"


async def test_a_match_that_was_refused_can_be_approved_once_nothing_is_against_it(
    given: Trader,
) -> None:
    shop, li = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    purchase = await given.purchase(shop, product, li, accepted=False)
    receipt = (await given.paid(shop, purchase)).receipt
    proposal = await suspense.propose_match(
        given.db, receipt.receipt_id, purchase.purchase_id, by=PROPOSER, request=a_key()
    )
    async with refused(given, shop, "purchase_not_awaiting_payment"):
        await approve(given, proposal.value.approval_id)

    await given.accepted(purchase, li)
    approved = await approve(given, proposal.value.approval_id)

    assert approved.result is not None
    assert approved.result["status"] == "matched"


async def test_an_expired_purchase_can_be_matched_by_hand(given: Trader) -> None:
    shop, purchase = await a_sale(given, lifetime_seconds=0)
    receipt = (await given.paid(shop, purchase)).receipt
    assert receipt.suspense_reason == "purchase_expired"
    proposal = await suspense.propose_match(
        given.db, receipt.receipt_id, purchase.purchase_id, by=PROPOSER, request=a_key()
    )
    approved = await approve(given, proposal.value.approval_id)
    assert approved.result is not None
    assert approved.result["status"] == "matched"


async def test_a_match_and_a_return_of_one_receipt_never_both_count(given: Trader) -> None:
    shop, purchase, receipt = await in_suspense(given)
    match = await suspense.propose_match(
        given.db, receipt.receipt_id, purchase.purchase_id, by=PROPOSER, request=a_key()
    )
    back = await suspense.propose_return(given.db, receipt.receipt_id, by=PROPOSER, request=a_key())

    outcomes = await asyncio.gather(
        approve(given, match.value.approval_id),
        approve(given, back.value.approval_id),
        return_exceptions=True,
    )

    (refusal,) = [one for one in outcomes if isinstance(one, DomainError)]
    assert refusal.code == "receipt_not_in_suspense"
    assert await given.balance(shop, AccountType.SUSPENSE) == 0
    matched = isinstance(outcomes[0], Approval)
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == (0 if matched else 500_00)


async def test_two_persons_return_money_to_its_payer_once(given: Trader) -> None:
    shop, _, receipt = await in_suspense(given)
    proposals = [
        await suspense.propose_return(given.db, receipt.receipt_id, by=PROPOSER, request=a_key())
        for _ in range(2)
    ]
    results = [await approve(given, one.value.approval_id) for one in proposals]

    assert [one.result and one.result["status"] for one in results] == ["returned"] * 2
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == 500_00
    assert await given.balance(shop, AccountType.SUSPENSE) == 0
    with pytest.raises(DomainError) as refusal:
        await suspense.propose_return(given.db, receipt.receipt_id, by=PROPOSER, request=a_key())
    assert refusal.value.code == "receipt_not_in_suspense"


async def test_what_was_done_cannot_be_rejected_though_its_approval_was_lost(
    given: Trader,
) -> None:
    shop, _, receipt = await in_suspense(given)
    proposal = await suspense.propose_return(
        given.db, receipt.receipt_id, by=PROPOSER, request=a_key()
    )
    approval_id = proposal.value.approval_id
    # The writer commits by itself; the approval's own commit is what got lost.
    await given.writer.submit(
        ReturnReceipt(
            shop.merchant_no,
            proposal.value.request_key,
            receipt.receipt_id,
            new_id(shop.merchant_no),
        )
    )

    with pytest.raises(ApprovalDecided):
        await approvals.reject(given.db, approval_id, person_id=PROPOSER, request=a_key())
    completed = await approve(given, approval_id)

    assert completed.status is ApprovalStatus.APPROVED
    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == 500_00


async def test_what_nobody_matched_in_time_goes_back_by_itself(given: Trader) -> None:
    shop, _, receipt = await in_suspense(given)
    fresh_shop, _, _ = await in_suspense(given)
    async with given.db.transaction() as tx:  # three days ago, as the policy has it
        await tx.execute(
            "UPDATE receipt SET received_at = received_at - interval '3 days'"
            " WHERE receipt_id = :id",
            id=receipt.receipt_id,
        )

    await asyncio.gather(*(suspense.return_due(given.till, count=100) for _ in range(3)))

    assert await given.balance(shop, AccountType.REFUND_PAYABLE) == 500_00
    assert await given.balance(fresh_shop, AccountType.SUSPENSE) == 500_00
