"""What banks report: every result in every state, twice, at once, and after a crash."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from app.errors import NotFound
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files import due, report_queries, results, service
from app.payment_files.domain import (
    Below,
    FileKind,
    FileStatus,
    Outcome,
    PaymentFile,
    Reason,
    ReportedResult,
    ReportedStatus,
)
from app.payment_files.errors import FileMismatch, OrderNotInFile
from app.writer.requests import RequestKey
from tests.builder import SEALER, Shop
from tests.payment_files.conftest import World, a_key, said

APPLIED, UNCHANGED, CONFLICT = Outcome.APPLIED, Outcome.UNCHANGED, Outcome.CONFLICT


async def sent(world: World, amount: int = 10_00) -> tuple[Shop, PaymentFile, UUID]:
    """Send one release order."""
    shop = await world.shop()
    await world.earned(shop, amount)
    file = await world.one_file()
    return shop, file, (await world.only_order(file)).order_id


async def refund_sent(world: World, amount: int = 10_00) -> tuple[Shop, PaymentFile, UUID, UUID]:
    """Send one refund order."""
    shop = await world.shop()
    refund_id = await world.refund(shop, amount)
    file = await world.one_file(FileKind.REFUND)
    return shop, file, (await world.only_order(file)).order_id, refund_id


async def outcome_of(
    world: World, file: PaymentFile, order_id: UUID, status: str, reason: Reason | None = None
) -> Outcome:
    (result,) = (await world.report(file, said(order_id, status, reason))).results
    return result.outcome


async def test_what_is_paid_leaves_custody(world: World) -> None:
    shop, file, order_id = await sent(world)

    answer = await world.report(file, said(order_id, "paid"))

    assert answer.file.status is FileStatus.COMPLETED
    assert [(line.order_id, line.outcome) for line in answer.results] == [(order_id, APPLIED)]
    assert await world.balances(shop) == {}
    assert await world.cut() == []


@pytest.mark.parametrize("status", ["rejected", "returned"])
@pytest.mark.parametrize("reason", [Reason.TECHNICAL, Reason.OTHER, None])
async def test_what_is_not_paid_is_in_the_next_file_once(
    world: World, status: str, reason: Reason | None
) -> None:
    shop, file, order_id = await sent(world)

    assert await outcome_of(world, file, order_id, status, reason) is APPLIED

    assert await world.balances(shop) == {"custody": 10_00, "merchant_payable": 10_00}
    again = await world.one_file()
    assert (again.sequence, again.total_amount) == (2, 10_00)
    assert await world.cut() == []


async def test_what_was_paid_and_then_returned_is_in_the_next_file_once(world: World) -> None:
    _, file, order_id = await sent(world)

    answer = await world.report(
        file, said(order_id, "paid"), said(order_id, "returned", Reason.TECHNICAL)
    )

    assert [line.outcome for line in answer.results] == [APPLIED, APPLIED]
    assert (await world.one_file()).total_amount == 10_00
    assert await world.cut() == []


@pytest.mark.parametrize("status", ["rejected", "returned"])
@pytest.mark.parametrize(
    "reason", [Reason.ACCOUNT_CLOSED, Reason.ACCOUNT_UNKNOWN, Reason.NAME_MISMATCH]
)
async def test_a_blocked_payee_gets_no_order_until_its_account_is_changed(
    world: World, status: str, reason: Reason
) -> None:
    shop, file, order_id = await sent(world)
    await world.report(file, said(order_id, status, reason))

    assert await world.cut() == []

    await world.payee_changed(shop)
    assert (await world.one_file()).total_amount == 10_00


@pytest.mark.parametrize(
    ("status", "reason", "after"),
    [
        ("paid", None, "paid"),
        ("rejected", Reason.TECHNICAL, "decided"),
        ("returned", Reason.OTHER, "decided"),
        ("rejected", Reason.ACCOUNT_CLOSED, "account_needed"),
        ("returned", Reason.NAME_MISMATCH, "account_needed"),
    ],
)
async def test_a_refund_follows_its_order(
    world: World, status: str, reason: Reason | None, after: str
) -> None:
    shop, file, order_id, refund_id = await refund_sent(world)

    assert await outcome_of(world, file, order_id, status, reason) is APPLIED

    assert await world.refund_status(refund_id) == after
    next_files = await world.cut(FileKind.REFUND)
    assert [next_file.total_amount for next_file in next_files] == [10_00] * (after == "decided")
    assert await world.balance(shop, AccountType.MERCHANT_PAYABLE) == 0


# The whole table of API.md: how an order gets into its state, what is reported, what comes of it.
WAYS: dict[str, list[str]] = {
    "pending": [],
    "paid": ["paid"],
    "rejected": ["rejected"],
    "returned": ["paid", "returned"],
}
TABLE = {
    ("pending", "paid"): APPLIED,
    ("pending", "rejected"): APPLIED,
    ("pending", "returned"): APPLIED,
    ("paid", "paid"): UNCHANGED,
    ("paid", "returned"): APPLIED,
    ("paid", "rejected"): CONFLICT,
    ("rejected", "rejected"): UNCHANGED,
    ("rejected", "paid"): CONFLICT,
    ("rejected", "returned"): CONFLICT,
    ("cancelled", "rejected"): UNCHANGED,
    ("cancelled", "paid"): CONFLICT,
    ("cancelled", "returned"): CONFLICT,
    ("returned", "paid"): UNCHANGED,
    ("returned", "returned"): UNCHANGED,
    ("returned", "rejected"): CONFLICT,
}


@pytest.mark.parametrize("kind", FileKind)
@pytest.mark.parametrize(("state", "status"), TABLE)
async def test_a_report_on_an_order_in_any_state(
    world: World, kind: FileKind, state: str, status: str
) -> None:
    shop, file, order_id = (
        await sent(world) if kind is FileKind.RELEASE else (await refund_sent(world))[:3]
    )
    if state == "cancelled":
        await world.cancelled(file)
    else:
        for earlier in WAYS[state]:
            await world.report(file, said(order_id, earlier))
    before = await world.balances(shop)

    assert await outcome_of(world, file, order_id, status) is TABLE[state, status]

    after = await world.balances(shop)
    late = status == "paid" and state in {"rejected", "cancelled"}
    if TABLE[state, status] is not APPLIED and not late:
        assert after == before
    if late:
        assert after == {}
        assert (await world.only_order(file)).status == "paid"
    conflicts = [alert.subject_id for alert in await world.alerts()]
    assert conflicts == [order_id] * (TABLE[state, status] is CONFLICT)


@pytest.mark.parametrize("status", ["paid", "rejected", "returned"])
async def test_another_amount_is_a_conflict_that_books_nothing(world: World, status: str) -> None:
    shop, file, order_id = await sent(world)
    before = await world.balances(shop)

    line = ReportedResult(order_id, ReportedStatus(status), None, Fen(9_99))
    answer = await world.report(file, line)

    assert [result.outcome for result in answer.results] == [CONFLICT]
    assert await world.balances(shop) == before
    assert answer.file.status is FileStatus.ACKNOWLEDGED
    line = replace(line, amount=Fen(10_00))
    assert (await world.report(file, line)).results[0].outcome is APPLIED


async def test_a_release_paid_late_and_again_by_the_next_file_is_owed_by_the_bank(
    world: World,
) -> None:
    shop, file, order_id = await sent(world, 10_00)
    await world.report(file, said(order_id, "rejected", Reason.TECHNICAL))
    second = await world.one_file()
    await world.earned(shop, 4_00)

    assert await outcome_of(world, file, order_id, "paid") is CONFLICT

    assert await world.balances(shop) == {
        "custody": 4_00,
        "bank_claim": 6_00,
        "release_in_transit": 10_00,
    }
    await world.report(second, said((await world.only_order(second)).order_id, "paid"))
    assert await world.balances(shop) == {"custody": -6_00, "bank_claim": 6_00}
    assert await outcome_of(world, file, order_id, "returned") is APPLIED
    assert await world.balances(shop) == {"custody": 4_00, "merchant_payable": 4_00}


async def test_a_refund_paid_late_and_again_by_the_next_file_is_owed_whole(world: World) -> None:
    shop, file, order_id, refund_id = await refund_sent(world)
    await world.report(file, said(order_id, "rejected", Reason.TECHNICAL))
    second = await world.one_file(FileKind.REFUND)

    assert await outcome_of(world, file, order_id, "paid") is CONFLICT

    assert await world.balances(shop) == {"bank_claim": 10_00, "refund_in_transit": 10_00}
    assert await world.refund_status(refund_id) == "in_transit"
    await world.report(second, said((await world.only_order(second)).order_id, "paid"))
    assert await outcome_of(world, file, order_id, "returned", Reason.TECHNICAL) is APPLIED
    assert await world.balances(shop) == {}
    assert await world.refund_status(refund_id) == "paid"
    assert await world.cut(FileKind.REFUND) == []


async def test_a_refund_paid_late_before_it_was_cut_again_is_paid(world: World) -> None:
    shop, file, order_id, refund_id = await refund_sent(world)
    await world.report(file, said(order_id, "rejected", Reason.ACCOUNT_CLOSED))

    await world.report(file, said(order_id, "paid"))

    assert await world.refund_status(refund_id) == "paid"
    assert await world.balances(shop) == {}


async def test_a_file_is_rejected_when_every_order_is_and_completed_when_none_is_open(
    world: World,
) -> None:
    for _ in range(2):
        await world.earned(await world.shop(), 1_00)
    file = await world.one_file()
    first, second = await world.orders(file)

    part = await world.report(file, said(first.order_id, "rejected"))
    assert part.file.status is FileStatus.ACKNOWLEDGED
    whole = await world.report(file, said(second.order_id, "rejected"))
    assert whole.file.status is FileStatus.REJECTED
    late = await world.report(file, said(second.order_id, "paid"))
    assert late.file.status is FileStatus.COMPLETED


async def test_a_report_with_an_unknown_order_applies_nothing(world: World) -> None:
    shop, file, order_id = await sent(world)
    _, _, other = await sent(world)
    before = await world.balances(shop)

    with pytest.raises(OrderNotInFile):
        await world.report(file, said(order_id, "paid"), said(other, "paid"))

    assert await world.balances(shop) == before
    assert await world.file_status(file) is FileStatus.READY
    assert await world.count("result_report") == 0


async def test_another_banks_file_does_not_exist(world: World) -> None:
    _, file, order_id = await sent(world)
    foreign = replace(file, bank="ICBC")

    with pytest.raises(NotFound):
        await world.report(foreign, said(order_id, "paid"))
    with pytest.raises(NotFound):
        await world.content(foreign)
    with pytest.raises(NotFound):
        await service.acknowledge(
            world.db, "ICBC", file.file_id, service.Figures(None, None, None), request=None
        )
    with pytest.raises(NotFound):
        await service.list_orders(world.db, SEALER, "ICBC", file.file_id, Below(None, 1))

    assert await world.file_status(file) is FileStatus.READY


async def test_an_acknowledgement_must_name_the_files_own_figures(world: World) -> None:
    _, file, _ = await sent(world)
    right = service.Figures(file.sha256, 1, 10_00)

    for wrong in (
        replace(right, sha256=bytes(32)),
        replace(right, order_count=2),
        replace(right, total_amount=9_99),
    ):
        with pytest.raises(FileMismatch):
            await service.acknowledge(world.db, file.bank, file.file_id, wrong, request=None)
    assert await world.file_status(file) is FileStatus.READY

    for _ in range(2):
        taken = await service.acknowledge(world.db, file.bank, file.file_id, right, request=None)
        assert taken.value.status is FileStatus.ACKNOWLEDGED


async def test_reversals_that_wait_are_served_after_payable_was_credited(world: World) -> None:
    shop, file, order_id = await sent(world)
    await world.waiting_reversals(shop, 3_00)

    await world.report(file, said(order_id, "rejected", Reason.TECHNICAL))

    assert world.served == [shop.merchant_no]


# Twice, at once, broken off -----------------------------------------------------------------


async def test_the_same_report_twice_changes_nothing_more(world: World) -> None:
    shop, file, order_id = await sent(world)
    lines = [said(order_id, "paid"), said(order_id, "returned", Reason.TECHNICAL)]
    request = a_key()

    first = await world.report(file, *lines, request=request)
    replayed = await world.report(file, *lines, request=request)
    under_another_key = await world.report(file, *lines)

    assert [line.outcome for line in first.results] == [APPLIED, APPLIED]
    assert replayed == first
    assert [line.outcome for line in under_another_key.results] == [UNCHANGED, UNCHANGED]
    assert await world.balances(shop) == {"custody": 10_00, "merchant_payable": 10_00}


@pytest.mark.parametrize("keys", ["one", "many"])
async def test_of_equal_reports_at_once_one_is_applied(world: World, keys: str) -> None:
    shops = [await world.shop() for _ in range(3)]
    for shop in shops:
        await world.earned(shop, 10_00)
    file = await world.one_file()
    lines = [said(order.order_id, "paid") for order in await world.orders(file)]
    request = a_key()

    def key() -> RequestKey:
        return request if keys == "one" else a_key()

    answers = await asyncio.gather(*(world.report(file, *lines, request=key()) for _ in range(6)))

    applied = [line for answer in answers for line in answer.results if line.outcome is APPLIED]
    assert len(applied) == (18 if keys == "one" else 3)
    assert {answer.file.status for answer in answers} == {FileStatus.COMPLETED}
    for shop in shops:
        assert await world.balances(shop) == {}


async def test_contradicting_reports_at_once_leave_the_book_true(world: World) -> None:
    shop, file, order_id = await sent(world)
    statuses = ["paid", "rejected", "returned"] * 3

    await asyncio.gather(*(world.report(file, said(order_id, status)) for status in statuses))

    assert await world.broken() == []
    assert sum((await world.balances(shop)).values()) in {0, 20_00}


class Crash(BaseException):
    """The process dies here: nothing that catches errors may go on."""


@pytest.mark.parametrize("survived", [0, 1, 2])
async def test_a_report_that_was_broken_off_is_applied_to_its_end_once(
    world: World, survived: int
) -> None:
    shops = [await world.shop() for _ in range(3)]
    for shop in shops:
        await world.earned(shop, 10_00)
        await world.waiting_reversals(shop, 1_00)
    file = await world.one_file()
    # Contradicting lines: applied twice, they would alert twice.
    lines = [
        said(order.order_id, status)
        for order in await world.orders(file)
        for status in ("paid", "rejected", "returned")
    ]
    request = a_key()
    left = [survived]

    async def serve(_: int) -> None:
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        await asyncio.sleep(0)

    dying = replace(world.parts, serve_reversals=serve)
    with pytest.raises(Crash):
        await results.report_results(
            dying,
            file.bank,
            file.file_id,
            lines,
            request=request,
        )
    assert await world.file_status(file) is FileStatus.ACKNOWLEDGED

    await due.resume(world.parts)

    answer = await world.report(file, *lines, request=request)
    assert [line.outcome for line in answer.results] == [APPLIED, CONFLICT, APPLIED] * 3
    assert len(await world.alerts()) == 3
    assert set(world.served) == {shop.merchant_no for shop in shops}
    async with world.db.snapshot() as tx:
        assert await report_queries.unapplied_reports(tx) == []
