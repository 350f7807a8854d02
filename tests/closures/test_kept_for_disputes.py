"""What was set aside for a dispute that is upheld, but not paid, is nobody else's."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio

from app.access.principals import ConsumerPrincipal
from app.calendar.service import load_official_years
from app.card_products.domain import CardKind
from app.cases.rows import CaseDecision
from app.charges.domain import Charge, Use
from app.closures import queries, service
from app.closures.domain import Closure
from app.closures.keeping import Uncovered, goes_on_waiting, keep
from app.ids import Prefix, new_id, to_text
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import FileKind
from app.refunds.domain import RefundReason
from tests.builder import Shop, a_consumer
from tests.closures.conftest import OPERATOR, Closer
from tests.closures.test_late_claims import gone_on
from tests.closures.test_shortfall import cards_of, made_good, taken
from tests.disputes.conftest import Disputer
from tests.refunds.conftest import Refunder

BANK_CLAIM, CUSTODY, PAYABLE = (
    AccountType.BANK_CLAIM,
    AccountType.CUSTODY,
    AccountType.MERCHANT_PAYABLE,
)
UPHELD, REJECTED = CaseDecision.UPHELD, CaseDecision.REJECTED


@pytest_asyncio.fixture
async def disputer(closer: Closer) -> AsyncIterator[Disputer]:
    await load_official_years(closer.given.db, provisional=True)
    yield Disputer(closer.given)


class Contested(NamedTuple):
    """A refunded card with a use of 500.00 that its holder disputes: upheld it needs 750.00."""

    card: UUID
    holder: ConsumerPrincipal
    charge: Charge


async def contested(closer: Closer, disputer: Disputer, shop: Shop) -> Contested:
    given, holder = closer.given, a_consumer()
    card = await given.card(shop, holder, CardKind.COUNT)
    charge = await given.used(shop, holder, card, Use(sessions=5))
    await Refunder(given).refunded(holder, card, RefundReason.CONSUMER_CHOICE)
    await closer.paid()
    await disputer.disputed(holder, charge)
    # The rest of the refund, 250.00, is the merchant's; 500.00 are set aside.
    await given.paid_out(shop)
    return Contested(card, holder, charge)


class Said(NamedTuple):
    """What the last certificate says."""

    status: str
    left: list[tuple[str, str, int]]
    uncovered: list[tuple[str, int, int]]


async def said(closer: Closer, closure: Closure) -> Said:
    found = (
        await service.read_certificate(closer.given.db, closure.closure_id, by=OPERATOR)
    ).read()
    assert found["left_amount"] == found["custody_amount"] + found["bank_claim_amount"]
    return Said(
        found["closure"]["status"],
        [(one["account"], one["why"], one["amount"]) for one in found["left"]],
        [
            (one["charge_id"], one["amount"], one["kept_amount"])
            for one in found["uncovered_reversals"]
        ],
    )


def id_of(charge: Charge) -> str:
    return to_text(Prefix.CHARGE, charge.charge_id)


async def to_do(closer: Closer) -> int:
    async with closer.given.db.snapshot() as tx:
        return len(await queries.closures_to_carry_on(tx, every=True))


KEPT = [("merchant_payable", "set_aside", 500_00)]


async def test_upheld_before_the_closure_it_waits_and_is_kept_by_every_cut_and_by_the_end(
    closer: Closer, disputer: Disputer
) -> None:
    shop = await closer.given.shop()
    one = await contested(closer, disputer, shop)
    await disputer.decided(one.charge, UPHELD)
    assert await disputer.waiting_amount(shop) == 750_00
    assert await closer.world.cut(FileKind.RELEASE) == []

    closure = await closer.executed(shop)
    await gone_on(closer)

    assert await said(closer, closure) == (
        "closed_with_shortfall", KEPT, [(id_of(one.charge), 750_00, 500_00)],
    )  # fmt: skip
    assert await closer.world.cut(FileKind.RELEASE) == []
    assert (await disputer.read(one.charge)).reversal_status == "pending"
    assert await to_do(closer) == 0


async def test_of_two_upheld_disputes_one_is_paid_and_the_other_kept(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    short = await contested(closer, disputer, shop)
    holder = a_consumer()
    card = await given.card(shop, holder, CardKind.COUNT)
    covered = await given.used(shop, holder, card, Use(sessions=3))
    await disputer.disputed(holder, covered)
    closure = await closer.executed(shop)
    await disputer.decided(short.charge, UPHELD)
    await closer.worked()

    await disputer.decided(covered, UPHELD)
    await gone_on(closer)

    assert (await given.read(card)).refunded_amount == 1_200_00
    assert await said(closer, closure) == (
        "closed_with_shortfall", KEPT, [(id_of(short.charge), 750_00, 500_00)],
    )  # fmt: skip
    assert await closer.world.balances(shop) == {"custody": 500_00, "merchant_payable": 500_00}


async def test_what_another_dismissed_dispute_frees_pays_it(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    one = await contested(closer, disputer, shop)
    holder = a_consumer()
    other = await given.card(shop, holder, CardKind.COUNT)
    charge = await given.used(shop, holder, other, Use(sessions=3))
    await disputer.disputed(holder, charge)
    closure = await closer.executed(shop)
    await disputer.decided(one.charge, UPHELD)

    await disputer.decided(charge, REJECTED)
    await gone_on(closer)

    # 500.00 were set aside, 300.00 are free now: 750.00 go back, 50.00 are the merchant's.
    assert (await given.read(one.card)).refunded_amount == 1_200_00
    assert (await disputer.read(one.charge)).status == "reversed"
    assert await said(closer, closure) == ("closed", [("merchant_payable", "earned", 50_00)], [])


async def test_what_is_kept_pays_nobody_elses_share_and_is_no_fen_of_the_shortfall(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    one = await contested(closer, disputer, shop)
    (other,) = await cards_of(closer, shop, 900_00)
    await taken(closer, shop, 900_00)
    closure = await closer.executed(shop)
    await disputer.decided(one.charge, UPHELD)

    await gone_on(closer)

    # Of 1,400.00 in custody 900.00 are gone; the 500.00 that are left are set aside.
    assert (await given.read(other)).refunded_amount == 0
    assert (await closer.view(closure)).closure.shortfall_amount == 900_00
    assert await said(closer, closure) == (
        "closed_with_shortfall",
        [("card", "shortfall", 900_00), *KEPT],
        [(id_of(one.charge), 750_00, 500_00)],
    )

    await made_good(closer, shop, 900_00)
    await gone_on(closer)

    assert (await given.read(other)).refunded_amount == 900_00
    assert (await said(closer, closure)).left == KEPT


async def test_what_payable_has_beyond_it_makes_good_what_others_lack(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    one = await contested(closer, disputer, shop)
    holder = a_consumer()
    card = await given.card(shop, holder)
    await given.used(shop, holder, card, Use(amount=Fen(120_00)))
    earned = await given.balance(shop, PAYABLE)
    left = (await given.read(card)).custody_amount
    await taken(closer, shop, 200_00)
    closure = await closer.executed(shop)
    await disputer.decided(one.charge, UPHELD)

    await gone_on(closer)

    assert (await closer.view(closure)).closure.shortfall_amount == 200_00 - earned
    assert (await given.read(card)).refunded_amount == left - (200_00 - earned)
    assert (await said(closer, closure)).left == [("card", "shortfall", 200_00 - earned), *KEPT]
    assert await closer.world.balances(shop) == {
        "custody": 500_00, "bank_claim": 200_00 - earned, "merchant_payable": 500_00,
    }  # fmt: skip


async def test_the_merchants_money_that_comes_after_the_end_pays_it_as_a_supplement(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    one = await contested(closer, disputer, shop)
    closure = await closer.executed(shop)
    await disputer.decided(one.charge, UPHELD)
    await gone_on(closer)

    # Not enough yet: nothing of it is the merchant's, and nothing is paid in part.
    await closer.world.posted(shop, CUSTODY, PAYABLE, 249_99)
    await gone_on(closer)
    assert await closer.world.cut(FileKind.RELEASE) == []
    assert await said(closer, closure) == (
        "closed_with_shortfall",
        [("merchant_payable", "earned", 249_99), *KEPT],
        [(id_of(one.charge), 750_00, 500_00)],
    )

    await closer.world.posted(shop, CUSTODY, PAYABLE, 2)
    await gone_on(closer)

    assert (await given.read(one.card)).refunded_amount == 1_200_00
    assert await said(closer, closure) == ("closed", [("merchant_payable", "earned", 1)], [])


async def test_a_reversal_for_which_nothing_was_set_aside_ends_beside_one_that_is_kept(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    holder = a_consumer()
    card = await given.card(shop, holder, CardKind.COUNT)
    plain = await given.used(shop, holder, card, Use(sessions=3))
    one = await contested(closer, disputer, shop)
    closure = await closer.executed(shop)
    await disputer.decided(one.charge, UPHELD)
    await gone_on(closer)

    # The use's money was paid out before: its reversal comes after the end.
    assert (await given.reversed(plain)).reversal_status == "pending"
    assert await to_do(closer) == 1
    await gone_on(closer)

    assert (await given.reversed(plain)).reversal_status == "failed"
    assert await said(closer, closure) == (
        "closed_with_shortfall",
        KEPT,
        [(id_of(one.charge), 750_00, 500_00), (id_of(plain), 300_00, 0)],
    )
    assert await to_do(closer) == 0


async def test_a_dispute_that_set_nothing_aside_ends_as_a_claim(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    holder = a_consumer()
    card = await given.card(shop, holder, CardKind.COUNT)
    charge = await given.used(shop, holder, card, Use(sessions=3))
    await given.paid_out(shop)
    await disputer.disputed(holder, charge)
    closure = await closer.executed(shop)
    await disputer.decided(charge, UPHELD)

    await gone_on(closer)

    assert (await disputer.read(charge)).reversal_status == "failed"
    assert await said(closer, closure) == (
        "closed_with_shortfall", [], [(id_of(charge), 300_00, 0)],
    )  # fmt: skip


async def test_a_fen_that_lacks_keeps_what_was_set_aside_too(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop, holder = closer.given, await closer.given.shop(), a_consumer()
    product = await given.product(
        shop.merchant,
        CardKind.COUNT,
        price_amount=Fen(100_00),
        sessions=3,
        gift_sessions=0,
    )
    card = await given.card(shop, holder, of=product)
    first = await given.used(shop, holder, card, Use(sessions=1))
    await disputer.disputed(holder, first)
    await given.used(shop, holder, card, Use(sessions=1))
    await given.paid_out(shop)
    last = await given.used(shop, holder, card, Use(sessions=1))
    await disputer.disputed(holder, last)
    closure = await closer.executed(shop)
    await disputer.decided(first, UPHELD)

    # It moved 33.33; of the uses that stay it is now the second, of 33.34.
    await disputer.decided(last, UPHELD)
    await gone_on(closer)

    assert (await given.read(card)).refunded_amount == 33_33
    assert await said(closer, closure) == (
        "closed_with_shortfall",
        [("merchant_payable", "set_aside", 33_33)],
        [(id_of(last), 33_34, 33_33)],
    )
    await closer.world.posted(shop, CUSTODY, PAYABLE, 1)
    await gone_on(closer)
    assert (await given.read(card)).refunded_amount == 66_67
    assert (await said(closer, closure)).status == "closed"


async def test_upheld_after_all_was_shared_out_it_is_kept_and_paid_for_by_the_rest_later(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop = closer.given, await closer.given.shop()
    one = await contested(closer, disputer, shop)
    (other,) = await cards_of(closer, shop, 900_00)
    await taken(closer, shop, 450_00)
    closure = await closer.executed(shop)
    await gone_on(closer)
    assert (await given.read(other)).refunded_amount == 450_00

    await disputer.decided(one.charge, UPHELD)
    await gone_on(closer)

    assert (await said(closer, closure)).left == [("card", "shortfall", 450_00), *KEPT]
    # Covered, it is a claim as any: 1,650.00 were and are paid on 1,200.00 and 900.00.
    await closer.world.posted(shop, CUSTODY, PAYABLE, 250_00)
    await gone_on(closer)
    refunded = [(await given.read(card)).refunded_amount for card in (one.card, other)]
    assert refunded == [942_86, 707_14]
    ended = await said(closer, closure)
    assert (ended.status, ended.uncovered) == ("closed_with_shortfall", [])
    assert await closer.world.balances(shop) == {"bank_claim": 450_00}


async def test_money_that_has_left_is_not_kept_and_the_reversal_ends(
    closer: Closer, disputer: Disputer
) -> None:
    shop = await closer.given.shop()
    one = await contested(closer, disputer, shop)
    closure = await closer.executed(shop)
    await disputer.decided(one.charge, UPHELD)
    await gone_on(closer)

    # As where the bank pays a release that it had rejected (DOMAIN §5): payable as far as it goes.
    await closer.world.posted(shop, PAYABLE, CUSTODY, 400_00)
    await gone_on(closer)
    claim = (id_of(one.charge), 750_00)
    assert await said(closer, closure) == (
        "closed_with_shortfall", [("merchant_payable", "set_aside", 100_00)], [(*claim, 100_00)],
    )  # fmt: skip

    await closer.world.posted(shop, PAYABLE, CUSTODY, 100_00)
    await gone_on(closer)
    assert await said(closer, closure) == ("closed_with_shortfall", [], [(*claim, 0)])
    assert (await disputer.read(one.charge)).reversal_status == "failed"


def waits(amount: int, set_aside: int) -> Uncovered:
    return Uncovered(new_id(1), None, Fen(amount), Fen(set_aside))


@pytest.mark.parametrize(
    ("waiting", "payable", "kept"),
    [
        ([], 100, []),
        ([(750, 500)], 500, [500]),
        # What is there beyond it is not kept, and what is gone is not.
        ([(750, 500)], 600, [500]),
        ([(750, 500)], 200, [200]),
        ([(750, 500)], 0, [0]),
        # In their turn, each what was set aside for it.
        ([(750, 500), (101, 100)], 600, [500, 100]),
        ([(750, 500), (101, 100)], 550, [500, 50]),
        ([(750, 500), (300, 0), (101, 100)], 700, [500, 0, 100]),
        # It came to need less since.
        ([(40, 50)], 30, [30]),
        ([(20, 50)], 30, [20]),
    ],
)
def test_what_is_kept(waiting: list[tuple[int, int]], payable: int, kept: list[int]) -> None:
    uncovered = [waits(amount, set_aside) for amount, set_aside in waiting]

    assert [one.kept_amount for one in keep(uncovered, payable)] == kept


def test_what_goes_on_waiting_after_the_end() -> None:
    kept, nothing = waits(750, 500), waits(300, 0)

    assert goes_on_waiting([kept, nothing], 1) == [kept]
    assert goes_on_waiting([kept, nothing], 0) == []
