"""Cutting files: what they pay, when, and what a crash leaves."""

import asyncio
import csv
import io
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app import ids
from app.dates import SHANGHAI, business_date
from app.db.sealing import Sealer
from app.db.signing import Ed25519Signer
from app.errors import IdempotencyKeyReused, NotFound
from app.ids import Prefix
from app.ledger import checkpoints
from app.ledger.chart import AccountType
from app.ledger.checkpoints import Signer
from app.payment_files import cutting, due, merchant_cuts, order_queries, service
from app.payment_files.domain import Below, FileFilter, FileKind, FileStatus
from app.payment_files.errors import FileAlreadyDownloaded
from tests.builder import SEALER
from tests.payment_files.conftest import World, a_key, said

COLUMNS = (
    "record_type,file_id,kind,bank,business_date,sequence,order_id,merchant_id,custody_account,"
    "payee_name,payee_account_number,payee_bank_code,amount,currency,remittance,order_count,"
    "total_amount"
)


async def test_a_release_file_pays_each_merchant_once_what_it_earned(world: World) -> None:
    first, second = await world.shop(), await world.shop()
    await world.earned(first, 66_67)
    await world.earned(second, 10_00)
    await world.earned(first, 33_33)

    file = await world.one_file()

    assert (file.kind, file.sequence, file.status) == (FileKind.RELEASE, 1, FileStatus.READY)
    assert (file.order_count, file.total_amount) == (2, 110_00)
    amounts = {order.merchant_no: order.amount for order in await world.orders(file)}
    assert amounts == {first.merchant_no: 100_00, second.merchant_no: 10_00}
    assert await world.balances(first) == {"custody": 100_00, "release_in_transit": 100_00}


async def test_where_nothing_is_payable_there_is_no_file_and_no_number_is_used(
    world: World,
) -> None:
    shop = await world.shop()

    assert await world.cut() == []
    assert await world.cut(FileKind.REFUND) == []

    await world.earned(shop, 1)
    assert (await world.one_file()).sequence == 1


async def test_a_file_that_finds_nothing_after_all_leaves_no_trace(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 50_00)
    await world.waiting_reversals(shop, 50_00)

    assert await world.cut() == []

    assert await world.count("payment_file") == 0
    await world.waiting_reversals(shop, 0)
    assert (await world.one_file()).sequence == 1


async def test_a_later_call_takes_what_has_come_since(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    await world.one_file()
    await world.earned(shop, 5_00)

    later = await world.one_file()

    assert (later.sequence, later.total_amount) == (2, 5_00)
    assert await world.cut() == []


async def test_each_bank_gets_its_own_file_with_its_own_numbers(world: World) -> None:
    here, there = await world.shop(bank="HZCB"), await world.shop(bank="ICBC")
    await world.earned(here, 1_00)
    await world.earned(there, 2_00)

    files = {file.bank: file for file in await world.cut()}

    assert {bank: (file.sequence, file.total_amount) for bank, file in files.items()} == {
        "HZCB": (1, 1_00),
        "ICBC": (1, 2_00),
    }
    with pytest.raises(NotFound):
        await service.read_file(world.db, "ICBC", files["HZCB"].file_id)


async def test_waiting_reversals_and_claims_are_left_behind(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 100_00)
    await world.waiting_reversals(shop, 20_00)
    await world.posted(shop, AccountType.BANK_CLAIM, AccountType.CUSTODY, 5_00)

    file = await world.one_file()

    assert file.total_amount == 75_00


async def test_a_release_never_exceeds_what_custody_covers(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 100_00)
    await world.posted(shop, AccountType.BANK_CLAIM, AccountType.CUSTODY, 60_00)
    await world.refund(shop, 10_00)
    await world.one_file(FileKind.REFUND)

    file = await world.one_file()

    assert file.total_amount == 40_00


async def test_refunds_are_paid_oldest_first_whole_and_none_overtakes(world: World) -> None:
    shop = await world.shop()
    oldest, large, small = [await world.refund(shop, amount) for amount in (30_00, 50_00, 5_00)]
    await world.posted(shop, AccountType.BANK_CLAIM, AccountType.CUSTODY, 45_00)

    file = await world.one_file(FileKind.REFUND)

    order = await world.only_order(file)
    assert (order.refund_id, order.amount, order.attempt) == (oldest, 30_00, 1)
    assert await world.refund_status(oldest) == "in_transit"
    assert await world.refund_status(large) == await world.refund_status(small) == "decided"


async def test_more_refunds_than_one_step_are_all_in_the_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merchant_cuts, "STEP_MAX", 3)
    shop = await world.shop()
    for amount in range(1, 8):
        await world.refund(shop, amount)

    file = await world.one_file(FileKind.REFUND)

    assert (file.order_count, file.total_amount) == (7, 28)


@pytest.mark.parametrize("piece", [1, 2, 3, 4])
async def test_a_file_read_in_pieces_has_the_same_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    for amount in range(1, 4):
        await world.earned(await world.shop(), amount)
    file = await world.one_file()
    whole = await world.content(file)

    monkeypatch.setattr(order_queries, "_PIECE", piece)

    assert await world.content(file) == whole
    assert sha256(whole).digest() == file.sha256


async def test_a_merchant_whose_payee_is_not_approved_gets_no_order(world: World) -> None:
    merchant = await world.given.merchant()
    store = await world.given.store(merchant)
    shop = replace(await world.shop(), merchant=merchant, store=store)
    await world.given.custody_account(merchant)
    await world.earned(shop, 10_00)

    assert await world.cut() == []


async def test_a_frozen_merchant_is_not_paid(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    async with world.db.transaction() as tx:
        await tx.execute(
            "UPDATE book SET status = 'frozen' WHERE merchant_no = :no", no=shop.merchant_no
        )

    assert await world.cut() == []


async def test_the_file_is_signed_and_gives_the_same_bytes_each_time(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 12_34)
    file = await world.one_file()

    content = await world.content(file)

    assert sha256(content).digest() == file.sha256
    signed = await service.read_signature(world.db, file.bank, file.file_id)
    assert isinstance(world.parts.signer, Ed25519Signer)
    assert signed.key_id == world.parts.signer.key_id
    key = Ed25519PublicKey.from_public_bytes(world.parts.signer.public_key)
    key.verify(signed.signature, content)
    order = await world.only_order(file)
    await world.report(file, said(order.order_id, "paid"))
    await world.earned(shop, 1)
    assert await world.content(file) == content


async def test_the_file_says_what_the_contract_says(world: World) -> None:
    shops = [await world.shop(), await world.shop()]
    for shop in shops:
        await world.earned(shop, 10_00)
    file = await world.one_file()

    text = (await world.content(file)).decode()

    assert text.count("\r\n") == text.count("\n") == 5
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert text.splitlines()[0] == COLUMNS
    heading, *orders, total = rows
    assert [row["record_type"] for row in rows] == ["file", "order", "order", "total"]
    assert heading["file_id"] == ids.to_text(Prefix.FILE, file.file_id)
    assert (heading["kind"], heading["bank"], heading["sequence"]) == ("release", "HZCB", "1")
    assert heading["business_date"] == file.business_date.isoformat()
    assert [row["order_id"] for row in orders] == sorted(row["order_id"] for row in orders)
    by_merchant = {row["merchant_id"]: row for row in orders}
    row = by_merchant[ids.to_text(Prefix.MERCHANT, shops[0].merchant.merchant_id)]
    assert row["custody_account"] == shops[0].custody_account.account_number
    assert (row["payee_name"], row["payee_account_number"]) == ("安心健身", "6222021234567890")
    assert (row["payee_bank_code"], row["amount"], row["currency"]) == (
        "102331000012",
        "1000",
        "CNY",
    )
    assert (total["order_count"], total["total_amount"]) == ("2", "2000")


async def test_an_order_that_was_changed_is_never_handed_out(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    file = await world.one_file()
    async with world.db.transaction() as tx:
        await tx.execute(
            "UPDATE payment_order SET payee_account_number = :number",
            number=SEALER.seal("6222999999999999"),
        )

    with pytest.raises(Exception, match="payment file"):
        await world.content(file)

    assert (await world.cancelled(file)).status is FileStatus.CANCELLED


async def test_a_seal_leaves_a_signed_checkpoint_of_the_books(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    file = await world.one_file()

    async with world.db.snapshot() as tx:
        document = await tx.value("SELECT document FROM checkpoint")
        seq = await tx.value("SELECT seq FROM book WHERE merchant_no = :no", no=shop.merchant_no)

    assert isinstance(document, bytes)
    (head,) = checkpoints.read(document)
    assert (head.merchant_no, head.seq) == (shop.merchant_no, seq)
    assert file.sequence == 1


# Crashes and races -------------------------------------------------------------------------


class Crash(BaseException):
    """The process dies here: nothing that catches errors may go on."""


class CrashingSealer(Sealer):
    """Dies at the n-th payee."""

    def __init__(self, survives: int) -> None:
        super().__init__(bytes(32))
        self.left = survives

    def seal(self, text: str) -> bytes:
        if self.left == 0:
            raise Crash
        self.left -= 1
        return super().seal(text)


@dataclass(frozen=True)
class CrashingSigner:
    """Dies when the file is about to be sealed."""

    inner: Signer

    @property
    def key_id(self) -> str:
        return self.inner.key_id

    def sign(self, content: bytes) -> bytes:
        raise Crash(content)


@pytest.mark.parametrize("survived", [0, 1, 2])
async def test_a_cut_that_dies_between_merchants_is_finished_by_the_next(
    world: World, survived: int
) -> None:
    shops = [await world.shop() for _ in range(3)]
    for shop in shops:
        await world.earned(shop, 10_00)
    request = a_key()
    dying = replace(world.parts, sealer=CrashingSealer(survived))

    with pytest.raises(Crash):
        await cutting.cut(dying, FileKind.RELEASE, asked=None, request=request)

    assert await service.list_files(world.db, "HZCB", FileFilter(), Below(None, 9)) == []
    (file,) = await world.cut(request=request)
    assert (file.sequence, file.order_count, file.total_amount) == (1, 3, 30_00)
    assert await world.cut() == []


async def test_a_cut_that_dies_at_its_seal_is_finished_by_the_worker(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    dying = replace(world.parts, signer=CrashingSigner(world.parts.signer))
    with pytest.raises(Crash):
        await cutting.cut(dying, FileKind.RELEASE, asked=None, request=None)

    await due.resume(world.parts)
    await due.resume(world.parts)

    (file,) = await service.list_files(
        world.db, "HZCB", FileFilter(FileKind.RELEASE, FileStatus.READY), Below(None, 9)
    )
    assert (file.sequence, file.total_amount) == (1, 10_00)


async def test_a_broken_cut_that_is_finished_days_later_is_for_a_day_to_come(
    world: World,
) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    dying = replace(world.parts, signer=CrashingSigner(world.parts.signer))
    with pytest.raises(Crash):
        await cutting.cut(dying, FileKind.RELEASE, asked=None, request=None)
    await world.advance(timedelta(days=20))

    await due.resume(world.parts)

    (file,) = await service.list_files(world.db, "HZCB", FileFilter(), Below(None, 9))
    async with world.db.snapshot() as tx:
        assert file.business_date > business_date(await tx.now())


async def test_a_cut_finishes_the_broken_one_first_and_then_takes_what_is_new(
    world: World,
) -> None:
    early, late = await world.shop(), await world.shop()
    await world.earned(early, 10_00)
    dying = replace(world.parts, signer=CrashingSigner(world.parts.signer))
    with pytest.raises(Crash):
        await cutting.cut(dying, FileKind.RELEASE, asked=None, request=None)
    await world.earned(early, 1_00)

    file = await world.one_file()

    assert (file.sequence, file.total_amount) == (2, 1_00)
    assert await world.balance(late, AccountType.RELEASE_IN_TRANSIT) == 0


async def test_concurrent_cuts_pay_everything_once(world: World) -> None:
    shops = [await world.shop() for _ in range(4)]
    for shop in shops:
        await world.earned(shop, 10_00)

    made = await asyncio.gather(*(world.cut() for _ in range(6)))

    files = [file for files in made for file in files]
    assert sum(file.total_amount for file in files) == 40_00
    assert await world.count("payment_order") == 4


async def test_the_same_request_at_once_and_again_makes_one_file(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    request = a_key()

    made = await asyncio.gather(*(world.cut(request=request) for _ in range(5)))
    await world.earned(shop, 5_00)
    again = await world.cut(request=request)

    assert {file.file_id for files in [*made, again] for file in files} == {made[0][0].file_id}
    assert [len(files) for files in made] == [1] * 5
    with pytest.raises(IdempotencyKeyReused):
        await world.cut(request=request._replace(fingerprint=bytes(31) + b"x"))


# Cancelling --------------------------------------------------------------------------------


async def test_a_cancelled_file_gives_the_money_back_and_keeps_its_number(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    await world.refund(shop, 3_00)
    release, refund = await world.one_file(), await world.one_file(FileKind.REFUND)

    for file in (release, refund):
        assert (await world.cancelled(file)).status is FileStatus.CANCELLED
        assert (await world.cancelled(file)).status is FileStatus.CANCELLED

    assert await world.balances(shop) == {
        "custody": 13_00,
        "merchant_payable": 10_00,
        "refund_payable": 3_00,
    }
    again = await world.one_file()
    assert (again.sequence, again.total_amount) == (2, 10_00)
    assert (await world.only_order(await world.one_file(FileKind.REFUND))).attempt == 2
    with pytest.raises(NotFound):
        await world.content(release)


@pytest.mark.parametrize("how", ["content", "orders", "acknowledge", "results"])
async def test_a_file_that_was_handed_out_cannot_be_cancelled(world: World, how: str) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    file = await world.one_file()
    order = await world.only_order(file)
    match how:
        case "content":
            await world.content(file)
        case "orders":
            await service.list_orders(world.db, SEALER, file.bank, file.file_id, Below(None, 1))
        case "acknowledge":
            await service.acknowledge(
                world.db, file.bank, file.file_id, service.Figures(None, None, None), request=None
            )
        case _:
            await world.report(file, said(order.order_id, "paid"))

    with pytest.raises(FileAlreadyDownloaded):
        await world.cancelled(file)


async def test_a_cancellation_that_was_broken_off_is_finished_by_the_worker(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    file = await world.one_file()
    async with world.db.transaction() as tx:  # where the process died: before any merchant's step
        await tx.execute("UPDATE payment_file SET cancelled_at = anxin_now()")

    await due.resume(world.parts)

    assert await world.balances(shop) == {"custody": 10_00, "merchant_payable": 10_00}
    assert (await world.only_order(file)).status == "cancelled"


# The worker's clock ------------------------------------------------------------------------


async def until(world: World, hour: int) -> datetime:
    """Advance the clock to the next such hour that is on the eve of a banking day."""
    calendar = await world.parts.calendar.get()
    async with world.db.snapshot() as tx:
        now = (await tx.now()).astimezone(SHANGHAI)
    at = now.replace(hour=hour, minute=1, second=0, microsecond=0)
    while at <= now or not calendar.is_working_day(at.date() + timedelta(days=1)):
        at += timedelta(days=1)
    await world.advance(at - now + timedelta(seconds=1))
    return at


async def test_the_worker_cuts_both_kinds_once_on_the_eve_of_a_banking_day(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    await world.refund(shop, 3_00)
    await until(world, 21)
    assert await due.cut_due(world.parts) == []
    at = await until(world, 22)

    made = await asyncio.gather(due.cut_due(world.parts), due.cut_due(world.parts))

    files = [file for files in made for file in files]
    assert {(file.kind, file.total_amount) for file in files} == {
        (FileKind.RELEASE, 10_00),
        (FileKind.REFUND, 3_00),
    }
    assert {file.business_date for file in files} == {business_date(at) + timedelta(days=1)}
    await world.earned(shop, 1_00)
    assert await due.cut_due(world.parts) == []


async def test_the_worker_does_not_cut_before_a_holiday(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    await until(world, 22)
    calendar = await world.parts.calendar.get()
    async with world.db.snapshot() as tx:
        day = business_date(await tx.now())
    ahead = 0
    while calendar.is_working_day(day + timedelta(days=ahead + 1)):
        ahead += 1
    await world.advance(timedelta(days=ahead))

    assert await due.cut_due(world.parts) == []


async def test_an_empty_calendar_makes_no_file_and_does_not_stop_the_worker(world: World) -> None:
    shop = await world.shop()
    await world.earned(shop, 10_00)
    await until(world, 22)
    await world.advance(timedelta(days=366 * 12))

    assert await due.cut_due(world.parts) == []
