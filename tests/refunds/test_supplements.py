"""Uses taken back after a refund: the refund grows by the stored class and day, and is paid."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from app.access import approvals
from app.access.principals import ConsumerPrincipal
from app.calendar.service import load_official_years
from app.card_products.domain import CardKind
from app.cases.rows import CaseDecision
from app.charges.domain import Charge, Use
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import FileKind, Reason
from app.refunds import payees, queries, service
from app.refunds.domain import RefundClass, RefundReason, RefundStatus
from app.refunds.errors import RefundChanged
from app.refunds.interest import interest
from app.refunds.payees import NamedAccount
from app.refunds.rows import CardRefund
from app.refunds.schemas import RefundRead
from app.writer.answers import Answered
from app.writer.requests import RequestKey
from tests.builder import APPROVER, SEALER, Shop, Trader, a_consumer, a_key
from tests.cluster import DatabaseUrls
from tests.disputes.conftest import Disputer
from tests.refunds.bank import Bank, banking
from tests.refunds.claiming import Claimant
from tests.refunds.conftest import Refunder

CHOICE, COOLING_OFF = RefundReason.CONSUMER_CHOICE, RefundReason.COOLING_OFF
MOVED = RefundReason.STORE_MOVED
PAYABLE, REFUND_PAYABLE = AccountType.MERCHANT_PAYABLE, AccountType.REFUND_PAYABLE
FACE: Final = Use(amount=Fen(60_00))
"""On the card that is sold where nothing else is said, it releases 50.00."""


@dataclass(frozen=True, slots=True)
class Sold:
    """A card, and what is asked of it."""

    given: Trader
    refunder: Refunder
    shop: Shop
    consumer: ConsumerPrincipal
    card_id: UUID

    async def used(self, use: Use = FACE, list_amount: int | None = None) -> Charge:
        fields = {} if list_amount is None else {"list_amount": Fen(list_amount)}
        return await self.given.used(self.shop, self.consumer, self.card_id, use, **fields)

    async def refunded(self, reason: RefundReason) -> CardRefund:
        return await self.refunder.refunded(self.consumer, self.card_id, reason)

    async def refunds(self) -> list[CardRefund]:
        """Read what was decided: the first refund, then what adds to it, oldest first."""
        async with self.given.db.snapshot() as tx:
            return await tx.fetch(
                CardRefund,
                f"SELECT {queries.COLUMNS} FROM refund WHERE card_id = :id"  # our own columns
                " AND decided_at IS NOT NULL"
                " ORDER BY supplements IS NOT NULL, decided_at, refund_id",
                id=self.card_id,
            )

    async def supplements(self) -> list[CardRefund]:
        return (await self.refunds())[1:]

    async def money(self) -> tuple[str, int, int, int, int]:
        """Say where the payment is: status, released, refunded, adjusted, left on the card."""
        card = await self.given.read(self.card_id)
        left = await self.given.balance(self.shop, self.card_id)
        assert left == card.custody_amount
        return (
            card.status,
            card.released_amount,
            card.refunded_amount,
            card.adjusted_amount,
            left,
        )


async def sold(given: Trader, kind: CardKind = CardKind.STORED_VALUE, **product: Any) -> Sold:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer, kind, **product)
    return Sold(given, Refunder(given), shop, consumer, card_id)


@pytest_asyncio.fixture
async def bank(fresh_database: DatabaseUrls) -> AsyncIterator[Bank]:
    async with banking(fresh_database) as opened:
        yield opened


async def test_what_comes_back_after_cooling_off_is_refunded_too(given: Trader) -> None:
    card = await sold(given)
    charge = await card.used()
    first = await card.refunded(COOLING_OFF)
    assert first.amount == 450_00

    await given.reversed(charge)

    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount, more.status) == (50_00, 0, "decided")
    assert (more.supplements, more.refund_class) == (first.refund_id, "cooling_off")
    assert more.as_of == first.as_of
    assert (more.payee_name, more.payee_account_number) == (
        (await card.refunds())[0].payee_name,
        (await card.refunds())[0].payee_account_number,
    )
    assert await card.money() == ("refunding", 0, 500_00, 0, 0)
    assert await given.balance(card.shop, REFUND_PAYABLE) == 500_00
    assert await given.balance(card.shop, PAYABLE) == 0


async def test_several_uses_are_taken_back_one_after_another(given: Trader) -> None:
    card = await sold(given, price_amount=Fen(100_00), bonus_amount=Fen(0))
    charges = [await card.used(Use(amount=Fen(33_33))) for _ in range(3)]
    first = await card.refunded(COOLING_OFF)
    assert first.amount == 1

    for charge in charges:
        await given.reversed(charge)

    assert [one.amount for one in await card.refunds()] == [1, 33_33, 33_33, 33_33]
    assert await card.money() == ("refunding", 0, 100_00, 0, 0)
    inputs = [one.read_inputs() for one in await card.refunds()]
    assert [one.earlier_amount for one in inputs] == [0, 1, 33_34, 66_67]


async def test_the_rest_that_the_merchant_has_comes_back_in_the_same_movement(
    bank: Bank,
) -> None:
    card = await sold(bank.given, CardKind.COUNT)  # 1200.00 for 12, list 150.00
    charges = [await card.used(Use(sessions=1)) for _ in range(5)]
    first = await card.refunded(CHOICE)
    assert (first.amount, first.residue_amount) == (450_00, 250_00)
    await bank.pays(first)
    assert await card.money() == ("refunded", 500_00, 450_00, 250_00, 0)

    await bank.given.reversed(charges[0])

    # 100.00 was released; at list price it was 150.00, of which the merchant kept 50.00.
    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (150_00, -50_00)
    assert await card.money() == ("refunding", 400_00, 600_00, 200_00, 0)
    assert await bank.given.balance(card.shop, PAYABLE) == 600_00
    await bank.pays(more)
    assert await card.money() == ("refunded", 400_00, 600_00, 200_00, 0)
    assert [one.status for one in await card.refunds()] == ["paid", "paid"]


async def test_the_rest_that_is_on_the_card_changes_there(bank: Bank) -> None:
    card = await sold(bank.given, CardKind.COUNT)
    charges = [await card.used(Use(sessions=1)) for _ in range(5)]
    first = await card.refunded(CHOICE)

    await bank.given.reversed(charges[0])

    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (150_00, -50_00)
    assert await card.money() == ("refunding", 400_00, 600_00, 0, 200_00)
    assert await bank.given.balance(card.shop, PAYABLE) == 400_00
    # The rest follows the first refund; the card waits for the other.
    file = await bank.pays(first)
    assert await card.money() == ("refunding", 400_00, 600_00, 200_00, 0)
    assert await bank.given.balance(card.shop, PAYABLE) == 600_00
    await bank.says(file, more, "paid")
    assert await card.money() == ("refunded", 400_00, 600_00, 200_00, 0)


async def test_what_was_paid_first_does_not_matter(bank: Bank) -> None:
    card = await sold(bank.given, CardKind.COUNT)
    charge = await card.used(Use(sessions=2))
    first = await card.refunded(CHOICE)
    await bank.given.reversed(charge)
    (more,) = await card.supplements()
    file = await bank.pays(more)
    assert await card.money() == ("refunding", 0, 1200_00, 0, 0)

    await bank.says(file, first, "paid")

    assert await card.money() == ("refunded", 0, 1200_00, 0, 0)


async def test_a_refund_that_does_not_grow_gives_what_comes_back_to_the_merchant(
    bank: Bank,
) -> None:
    # List prices ate the payment: R is 0 with two uses more or less.
    card = await sold(
        bank.given, price_amount=Fen(1000_00), bonus_amount=Fen(0), list_price_amount=Fen(100_00)
    )
    charges = [await card.used(Use(amount=Fen(60_00)), 100_00) for _ in range(12)]
    first = await card.refunded(CHOICE)
    assert (first.amount, first.residue_amount, first.status) == (0, 280_00, "paid")
    assert await card.money() == ("refunded", 720_00, 0, 280_00, 0)
    await bank.given.paid_out(card.shop)

    done = await bank.given.reversed(charges[0])

    # Nothing moves, so nothing waits, though payable is empty.
    assert (done.status, done.reversal_amount) == ("reversed", 0)
    assert await card.supplements() == []
    assert await card.money() == ("refunded", 660_00, 0, 340_00, 0)


async def test_a_refund_of_nothing_grows_and_is_paid(bank: Bank) -> None:
    card = await sold(
        bank.given, price_amount=Fen(1000_00), bonus_amount=Fen(0), list_price_amount=Fen(100_00)
    )
    charges = [await card.used(Use(amount=Fen(60_00)), 100_00) for _ in range(11)]
    first = await card.refunded(CHOICE)
    assert (first.amount, first.residue_amount) == (0, 340_00)

    await bank.given.reversed(charges[0])
    assert await card.supplements() == []
    await bank.given.reversed(charges[1])

    # 1000.00 less 9 times 100.00; of 460.00 left the merchant keeps 360.00.
    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (100_00, -40_00)
    assert await card.money() == ("refunding", 540_00, 100_00, 360_00, 0)
    await bank.pays(more)
    assert await card.money() == ("refunded", 540_00, 100_00, 360_00, 0)


async def test_a_period_card_keeps_the_day_of_its_refund(bank: Bank) -> None:
    card = await sold(bank.given, CardKind.PERIOD)  # 3650.00 for 365 days
    visit = await card.used(Use(visit=True))
    first = await card.refunded(CHOICE)
    assert (first.amount, first.residue_amount) == (3640_00, 0)

    await bank.given.reversed(visit)

    # The day counts whether it was a visit or not: what comes back is the merchant's.
    assert await card.supplements() == []
    assert await card.money() == ("refunding", 0, 3640_00, 0, 10_00)
    await bank.pays(first)
    assert await card.money() == ("refunded", 0, 3640_00, 10_00, 0)


async def test_what_was_agreed_grows_by_all_that_comes_back(given: Trader) -> None:
    card = await sold(given)
    charge = await card.used(FACE, 200_00)
    offer = await card.refunder.offered(card.shop, card.card_id, 300_00)
    await card.refunder.answered(card.consumer, offer.refund_id, accept=True)

    await given.reversed(charge)

    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount, more.refund_class) == (
        50_00,
        0,
        RefundClass.AGREED,
    )
    assert more.read_inputs().agreed_amount == 350_00
    assert await card.money() == ("refunding", 0, 350_00, 0, 150_00)


async def test_the_merchants_fault_gives_all_back_that_comes_back(given: Trader) -> None:
    card = await sold(given)
    charge = await card.used(FACE, 200_00)
    await store_closed(given, card.shop)
    first = await card.refunded(MOVED)

    await given.reversed(charge)

    (more,) = await card.supplements()
    assert (first.amount, more.amount, more.residue_amount) == (450_00, 50_00, 0)
    # Interest is owed on the sum, as if it had been one refund.
    assert more.interest_claim_amount == 0


async def test_a_reversal_waits_for_all_that_it_moves_and_not_for_more(bank: Bank) -> None:
    card = await sold(bank.given, CardKind.COUNT)
    charges = [await card.used(Use(sessions=1)) for _ in range(5)]
    await bank.pays(await card.refunded(CHOICE))
    await bank.given.paid_out(card.shop, 750_00 - 149_99)

    waits = await bank.given.reversed(charges[0])

    assert (waits.reversal_status, waits.reversal_amount) == ("pending", 150_00)
    assert await card.supplements() == []
    assert await card.money() == ("refunded", 500_00, 450_00, 250_00, 0)
    # One fen more, from a use of another card, serves it.
    other = await bank.given.card(
        card.shop, card.consumer, price_amount=Fen(1), bonus_amount=Fen(0)
    )
    await bank.given.used(card.shop, card.consumer, other, Use(amount=Fen(1)))

    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (150_00, -50_00)
    assert await card.money() == ("refunding", 400_00, 600_00, 200_00, 0)
    assert await bank.given.balance(card.shop, PAYABLE) == 0


async def test_a_reversal_that_waited_when_the_card_was_refunded_makes_it_grow_later(
    bank: Bank,
) -> None:
    card = await sold(bank.given, CardKind.COUNT)
    charge = await card.used(Use(sessions=5))
    await bank.given.paid_out(card.shop)
    waits = await bank.given.reversed(charge)
    assert (waits.reversal_status, waits.reversal_amount) == ("pending", 500_00)
    first = await card.refunded(CHOICE)
    assert (first.amount, first.residue_amount) == (450_00, 250_00)

    await bank.pays(first)

    # The rest went to payable, which does not cover what comes back with all the rest.
    assert await card.money() == ("refunded", 500_00, 450_00, 250_00, 0)
    assert await card.supplements() == []
    more_money = await bank.given.card(card.shop, card.consumer)
    await bank.given.used(card.shop, card.consumer, more_money, Use(amount=Fen(600_00)))

    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (750_00, -250_00)
    assert await card.money() == ("refunding", 0, 1200_00, 0, 0)
    assert await bank.given.balance(card.shop, PAYABLE) == 0


async def test_a_use_of_two_cards_is_taken_back_from_the_refunded_one_and_the_other(
    given: Trader,
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    cards = [await given.card(shop, consumer, of=product) for _ in range(2)]
    charge = await given.used(shop, consumer, cards[0], Use(amount=Fen(660_00)))
    assert [draw.face_amount for draw in charge.read_draws()] == [600_00, 60_00]
    card = Sold(given, Refunder(given), shop, consumer, cards[1])
    first = await card.refunded(CHOICE)
    assert (first.amount, first.residue_amount) == (440_00, 10_00)

    await given.reversed(charge)

    active = await given.read(cards[0])
    assert (active.status, active.released_amount, active.custody_amount) == ("active", 0, 500_00)
    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (60_00, -10_00)
    assert await card.money() == ("refunding", 0, 500_00, 0, 0)


async def test_both_refunded_cards_of_a_use_get_a_supplement(given: Trader) -> None:
    shop, consumer = await given.shop(), a_consumer()
    product = await given.product(shop.merchant)
    ids = [await given.card(shop, consumer, of=product) for _ in range(2)]
    charge = await given.used(shop, consumer, ids[0], Use(amount=Fen(660_00)))
    cards = [Sold(given, Refunder(given), shop, consumer, id_) for id_ in ids]
    offer = await cards[1].refunder.offered(shop, ids[1], 450_00)
    await cards[1].refunder.answered(consumer, offer.refund_id, accept=True)

    await given.reversed(charge)

    assert [one.amount for one in await cards[1].supplements()] == [50_00]
    # The first was used up; it can be used again.
    assert (await given.read(ids[0])).status == "active"


async def test_a_supplement_waits_for_an_account_where_its_refund_does(bank: Bank) -> None:
    card = await sold(bank.given)
    charges = [await card.used(), await card.used()]
    first = await card.refunded(CHOICE)
    file = await bank.pays(first)
    await bank.says(file, first, "returned", Reason.ACCOUNT_CLOSED)

    await bank.given.reversed(charges[0])

    (more,) = await card.supplements()
    assert more.status == RefundStatus.ACCOUNT_NEEDED
    for refund in (first, more):
        await account_verified(bank, card, refund)
    # The next one is paid where the last one was.
    await bank.given.reversed(charges[1])
    last = (await card.supplements())[-1]
    assert last.status == RefundStatus.DECIDED
    assert SEALER.open(last.payee_account_number or b"") == "6222020200112233445"
    await bank.pays(first, more, last)
    assert await card.money() == ("refunded", 0, 500_00, 0, 0)


async def test_a_retry_names_whom_the_refund_paid_when_it_was_asked(bank: Bank) -> None:
    card = await sold(bank.given)
    refund = await card.refunded(CHOICE)
    file = await bank.pays(refund)
    await bank.says(file, refund, "returned", Reason.ACCOUNT_CLOSED)
    request = a_key()

    first = await named(card, refund, request)
    await verified(bank)
    again = await named(card, refund, request)

    assert not first.replayed
    assert again.replayed
    shown = RefundRead.from_domain(again.value, SEALER)
    assert shown == RefundRead.from_domain(first.value, SEALER)
    now = (await card.refunds())[0]
    assert shown.payee != RefundRead.from_domain(now, SEALER).payee


async def named(card: Sold, refund: CardRefund, request: RequestKey) -> Answered[CardRefund]:
    """Let the holder name another account."""
    account = NamedAccount("李娜", "6222020200112233445", "102331000012")
    return await service.name_payee(
        card.refunder.counter, card.consumer.consumer, refund.refund_id, account, request
    )


async def account_verified(bank: Bank, card: Sold, refund: CardRefund) -> None:
    """Let the holder name another account, and a person verify it."""
    await named(card, refund, a_key())
    await verified(bank)


async def verified(bank: Bank) -> None:
    """Let a person verify the account that was named."""
    waiting = await approvals.list_approvals(bank.parts.db, limit=50, after=None, status=None)
    (proposal,) = [
        one for one in waiting if one.action == payees.VERIFY_PAYEE and one.decided_by is None
    ]
    executors = payees.executors(bank.given.writer, SEALER)
    await approvals.approve(
        bank.parts.db, executors, proposal.approval_id, person_id=APPROVER, request=None
    )


async def test_a_refund_in_transit_grows_and_both_are_paid(bank: Bank) -> None:
    card = await sold(bank.given)
    charge = await card.used()
    first = await card.refunded(CHOICE)
    file = await bank.cut()

    await bank.given.reversed(charge)

    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (60_00, -10_00)
    await bank.says(file, first, "rejected", Reason.TECHNICAL)
    assert await bank.given.balance(card.shop, REFUND_PAYABLE) == 500_00
    await bank.pays(first, more)
    assert await card.money() == ("refunded", 0, 500_00, 0, 0)


async def test_the_merchant_is_not_paid_out_what_a_waiting_reversal_needs(bank: Bank) -> None:
    card = await sold(bank.given, CardKind.COUNT)
    charges = [await card.used(Use(sessions=1)) for _ in range(5)]
    await bank.pays(await card.refunded(CHOICE))
    await bank.given.paid_out(card.shop, 700_00)
    await bank.given.reversed(charges[0])
    other = await bank.given.card(card.shop, card.consumer)

    await bank.given.used(card.shop, card.consumer, other, Use(amount=Fen(60_00)))

    # 50.00 and 50.00 are not 150.00.
    assert await bank.given.balance(card.shop, PAYABLE) == 100_00
    with pytest.raises(ValueError, match="not enough values"):
        await bank.cut(FileKind.RELEASE)


async def test_a_retry_of_the_reversal_refunds_nothing_more(given: Trader) -> None:
    card = await sold(given)
    charge = await card.used()
    await card.refunded(CHOICE)

    await given.reversed(charge)
    await given.reversed(charge)

    assert len(await card.supplements()) == 1


@pytest.mark.parametrize("paid_out", [False, True])
async def test_an_upheld_dispute_of_a_refunded_card_refunds_what_comes_back(
    bank: Bank, *, paid_out: bool
) -> None:
    await load_official_years(bank.parts.db, provisional=True)
    card = await sold(bank.given, CardKind.COUNT)
    charges = [await card.used(Use(sessions=1)) for _ in range(5)]
    await bank.pays(await card.refunded(CHOICE))
    if paid_out:
        await bank.given.paid_out(card.shop)
    disputer = Disputer(bank.given)
    await disputer.disputed(card.consumer, charges[0])

    charge = await disputer.decided(charges[0], CaseDecision.UPHELD)

    # 100.00 were released, and the merchant kept 50.00 of the rest.
    if paid_out:
        assert (charge.status, charge.reversal_amount) == ("disputed", 150_00)
        other = await bank.given.card(card.shop, card.consumer)
        await bank.given.used(card.shop, card.consumer, other, Use(amount=Fen(180_00)))
    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount) == (150_00, -50_00)
    assert await card.money() == ("refunding", 400_00, 600_00, 200_00, 0)
    await bank.pays(more)
    assert await card.money() == ("refunded", 400_00, 600_00, 200_00, 0)


async def test_a_refund_and_a_reversal_at_once_come_to_the_same_in_the_end(given: Trader) -> None:
    for _ in range(5):
        card = await sold(given, CardKind.COUNT)
        charges = [await card.used(Use(sessions=1)) for _ in range(3)]
        echo = await card.refunder.echo(card.consumer, card.card_id, CHOICE)

        refund, *reversed_ = await asyncio.gather(
            card.refunder.asked(card.consumer, card.card_id, CHOICE, echo),
            *(given.reversed(charge) for charge in charges[:2]),
            return_exceptions=True,
        )

        assert [one.status for one in reversed_ if isinstance(one, Charge)] == ["reversed"] * 2
        if isinstance(refund, RefundChanged):
            # A reversal was first: what was seen is not what it comes to.
            await card.refunded(CHOICE)
        refunds = await card.refunds()
        assert sum(one.amount for one in refunds) == 1050_00
        assert sum(one.residue_amount for one in refunds) == 50_00
        status, released, refunded, adjusted, left = await card.money()
        assert (status, released, refunded, adjusted, left) == (
            "refunding",
            100_00,
            1050_00,
            0,
            50_00,
        )


async def test_the_last_of_two_visits_is_taken_back_after_the_merchants_fault(bank: Bank) -> None:
    card = await sold(bank.given, CardKind.PERIOD)
    first_visit = await card.used(Use(visit=True))
    await advance(bank, days=39)
    last_visit = await card.used(Use(visit=True))
    await store_closed(bank.given, card.shop)
    refund = await card.refunded(MOVED)
    assert (refund.amount, refund.residue_amount) == (3250_00, 0)

    await bank.given.reversed(last_visit)

    # The card's last visit is that of day 1 again.
    (more,) = await card.supplements()
    assert (more.amount, more.read_inputs().last_visit_day) == (390_00, 1)
    await bank.given.reversed(first_visit)
    assert [one.amount for one in await card.supplements()] == [390_00, 10_00]
    assert await card.money() == ("refunding", 0, 3650_00, 0, 0)


async def test_the_interest_of_all_refunds_is_that_of_their_sum(bank: Bank) -> None:
    card = await sold(bank.given, price_amount=Fen(1000_00), bonus_amount=Fen(0))
    charges = [await card.used(Use(amount=Fen(111_11))) for _ in range(4)]
    await advance(bank, days=50)
    await store_closed(bank.given, card.shop)
    await card.refunded(MOVED)

    for charge in charges:
        await bank.given.reversed(charge)

    refunds = await card.refunds()
    rate, days = refunds[0].read_inputs().interest_rate, refunds[0].read_inputs().interest_days
    assert (rate, days) == (300, 50)
    whole = interest(1000_00, rate=rate, days=days)
    assert sum(one.interest_claim_amount for one in refunds) == whole


async def advance(bank: Bank, *, days: int) -> None:
    """Let days pass."""
    async with bank.parts.db.transaction() as tx:
        await tx.execute(
            "INSERT INTO sandbox_clock (offset_seconds) VALUES (:by)", by=days * 86_400
        )


async def store_closed(given: Trader, shop: Shop) -> None:
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE store SET status = 'closed' WHERE merchant_no = :no", no=shop.merchant_no
        )


async def test_what_a_minor_gets_back_grows_by_all_that_comes_back(given: Trader) -> None:
    card = await sold(given)
    charge = await card.used(FACE, 200_00)
    claimant = Claimant(card.refunder)
    claim = await claimant.claimed(card.consumer, card.card_id, RefundReason.MINOR)
    await claimant.answered(claim, agree=False)
    first = await claimant.ruled(claim, CaseDecision.UPHELD, 120_00)
    assert (first.amount, first.residue_amount) == (380_00, 70_00)

    await given.reversed(charge)

    (more,) = await card.supplements()
    assert (more.amount, more.residue_amount, more.case_id) == (50_00, 0, None)
    assert await card.money() == ("refunding", 0, 430_00, 0, 70_00)


async def test_a_use_taken_back_while_a_claim_is_judged_is_in_its_refund(given: Trader) -> None:
    card = await sold(given)
    charges = [await card.used(), await card.used()]
    claimant = Claimant(card.refunder)
    claim = await claimant.claimed(card.consumer, card.card_id)
    await given.reversed(charges[0])
    assert await card.refunds() == []

    await claimant.answered(claim, agree=True)

    (only,) = await card.refunds()
    assert only.amount == 450_00
    await given.reversed(charges[1])
    assert [one.amount for one in await card.refunds()] == [450_00, 50_00]


async def test_all_that_wait_on_a_refunded_card_are_known_to_need_the_rest_too(bank: Bank) -> None:
    card = await sold(bank.given, CardKind.COUNT)
    charges = [await card.used(Use(sessions=1)) for _ in range(5)]
    await bank.given.paid_out(card.shop)
    waits = [await bank.given.reversed(charge) for charge in charges[:3]]
    assert [one.reversal_amount for one in waits] == [100_00] * 3

    await bank.pays(await card.refunded(CHOICE))

    # The rest, 250.00, serves the first; each of the others needs what the merchant kept too.
    async with bank.parts.db.snapshot() as tx:
        waiting = await tx.value(
            "SELECT waiting_reversal_amount FROM book WHERE merchant_no = :no",
            no=card.shop.merchant_no,
        )
    assert waiting == 300_00
    assert await card.money() == ("refunding", 400_00, 600_00, 200_00, 0)
    assert await bank.given.balance(card.shop, PAYABLE) == 100_00
