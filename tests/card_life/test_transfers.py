"""Transfers: both agree, and the card goes over with its terms, its uses and its money."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from app.access.principals import ConsumerPrincipal
from app.card_life import service
from app.card_life.errors import TransferNotOpen
from app.card_life.rows import TransferStatus
from app.card_products.domain import CardKind
from app.cards.service import card_of_consumer, cards_of_consumer, statement_of
from app.cases.rows import CaseDecision
from app.charges.domain import Charge, ChargeStatus, Use
from app.charges.errors import ChargeDisputed, CodeInvalid, InsufficientBalance
from app.errors import DomainError, InvalidRequest, NotFound
from app.ledger.chart import AccountType
from app.money import Fen
from app.refunds.domain import RefundReason, RefundStatus
from app.refunds.errors import CoolingOffOver, RefundNotAllowed
from tests.builder import Shop, Trader, a_consumer, a_key
from tests.card_life.conftest import Life
from tests.refusals import refused

USE = Use(amount=Fen(60_00))
CHOICE, COOLING_OFF = RefundReason.CONSUMER_CHOICE, RefundReason.COOLING_OFF


async def test_an_accepted_card_is_the_receivers_and_the_givers_no_more(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    mine = await given.used(shop, giver, card_id, USE, description="剪发", text_salt=bytes(16))
    before = await given.read(card_id)

    transfer = await life.transferred(giver, card_id, receiver)

    assert transfer.status == TransferStatus.ACCEPTED
    card = await given.read(card_id)
    assert (card.consumer, card.consumer_id) == (receiver.consumer, receiver.consumer_id)
    assert card.custody_amount == before.custody_amount == await given.balance(shop, card_id)
    assert (card.face_used_amount, card.terms_hash) == (60_00, before.terms_hash)
    assert await life.lines(card_id) == ["funded", "used", "transferred"]
    with pytest.raises(NotFound):
        await card_of_consumer(given.db, giver.consumer, card_id)
    listed = await cards_of_consumer(given.db, receiver.consumer, before=None, count=9)
    assert [one.card_id for one in listed.cards] == [card_id]
    rows = await statement_of(given.db, receiver.consumer, card_id, before=None, count=9)
    assert [row.kind for row in rows] == ["transferred", "used", "funded"]
    assert rows[1].description is None, "what was written for the giver is not the receiver's"
    assert mine.description == "剪发"
    assert (await given.used(shop, receiver, card_id, USE)).status == ChargeStatus.CONFIRMED


async def test_an_offer_changes_nothing_until_it_is_accepted(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    waiting = await given.waiting(shop, card_id, USE)

    transfer = await life.offered(giver, card_id, receiver)

    assert (await given.read(card_id)).consumer == giver.consumer
    assert (await given.done(given.confirming(shop, giver, waiting))).status == "confirmed"
    assert await life.declined(receiver, transfer) == await life.declined(receiver, transfer)
    with pytest.raises(TransferNotOpen):
        await life.accepted(receiver, transfer)
    with pytest.raises(TransferNotOpen):
        await life.withdrawn(giver, transfer)


async def test_what_waits_for_the_giver_is_voided_and_their_codes_are_void(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    first, second = [await given.card(shop, giver) for _ in range(2)]
    over_both = await given.waiting(shop, first, Use(amount=Fen(700_00)))
    bound = await given.code(shop, giver, card_id=first)
    unbound = await given.code(shop, giver)

    await life.transferred(giver, first, receiver)

    with pytest.raises(DomainError) as error:
        await given.done(given.confirming(shop, giver, over_both))
    assert error.value.members["charge_status"] == ChargeStatus.CANCELLED
    for card_id in (first, second):
        assert (await given.read(card_id)).face_held_amount == 0
    with pytest.raises(CodeInvalid):
        await given.done(given.use(shop, USE, code_hash=bound))
    charge = await given.done(given.use(shop, USE, code_hash=unbound))
    assert [draw.card_id for draw in charge.read_draws()] == [second]


async def test_a_card_that_comes_back_is_not_opened_by_its_holders_old_codes(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    bound = await given.code(shop, giver, card_id=card_id)
    unbound = await given.code(shop, giver)

    await life.transferred(giver, card_id, receiver)
    await life.transferred(receiver, card_id, giver)

    with pytest.raises(CodeInvalid):
        await given.done(given.use(shop, USE, code_hash=bound))
    with pytest.raises(InsufficientBalance):
        await given.done(given.use(shop, USE, code_hash=unbound))
    assert (await given.used_by_code(shop, giver, USE)).status == ChargeStatus.CONFIRMED


async def test_a_frozen_card_is_given_as_it_is(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver, CardKind.PERIOD)
    await life.frozen(giver, card_id)

    await life.transferred(giver, card_id, receiver)

    assert (await given.read(card_id)).status == "frozen"
    assert (await life.unfrozen(receiver, card_id)).status == "active"


async def test_the_new_holder_waits_for_a_refund_and_names_an_account(long_life: Life) -> None:
    given = long_life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    await long_life.transferred(giver, card_id, receiver)
    today = await long_life.today()

    for days in range(3):
        with pytest.raises(RefundNotAllowed) as refusal:
            await long_life.refunder.preview(receiver, card_id, CHOICE)
        assert refusal.value.members["refundable_from"] == (today + timedelta(3)).isoformat(), days
        await long_life.later(1)
    preview = await long_life.refunder.preview(receiver, card_id, CHOICE)
    refund = await long_life.refunder.refunded(receiver, card_id, CHOICE)

    assert preview.payee is None
    assert (refund.status, refund.amount) == (RefundStatus.ACCOUNT_NEEDED, 500_00)
    assert refund.payee_account_number is None
    with pytest.raises(NotFound):
        await long_life.refunder.preview(giver, card_id, CHOICE)


@pytest.mark.parametrize("knows", ["giver", "receiver", "nobody"])
async def test_cooling_off_is_for_those_to_whom_the_product_is_new(life: Life, knows: str) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    product = await given.product(shop.merchant)
    if knows != "nobody":
        who = giver if knows == "giver" else receiver
        await given.used(shop, who, await given.card(shop, who, of=product), USE)
    card_id = await given.card(shop, giver, of=product)
    await life.accepted(receiver, await life.offered(giver, card_id, receiver), wait_days=0)

    if knows == "nobody":
        refund = await life.refunder.refunded(receiver, card_id, COOLING_OFF)
        assert (refund.amount, refund.status) == (500_00, RefundStatus.ACCOUNT_NEEDED)
        return
    with pytest.raises(CoolingOffOver):
        await life.refunder.preview(receiver, card_id, COOLING_OFF)
    async with refused(given, shop, "refund_not_allowed"):
        await life.refunder.asked(receiver, card_id, COOLING_OFF, None)


async def test_a_use_of_the_giver_is_theirs_and_its_money_goes_back_to_the_card(
    life: Life,
) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    use = await given.used(shop, giver, card_id, USE)
    await life.transferred(giver, card_id, receiver)

    taken_back = await given.reversed(use)

    assert taken_back.status == ChargeStatus.REVERSED
    assert taken_back.consumer == giver.consumer
    assert await given.balance(shop, card_id) == 500_00
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 0


async def test_a_giver_may_dispute_their_own_use_later_and_the_card_gets_it_back(
    life: Life,
) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    use = await given.used(shop, giver, card_id, USE)
    await life.accepted(receiver, await life.offered(giver, card_id, receiver), wait_days=0)
    with pytest.raises(NotFound):
        await life.disputer.disputed(receiver, use)

    await life.disputer.disputed(giver, use)
    with pytest.raises(ChargeDisputed):
        await life.refunder.preview(receiver, card_id, CHOICE)
    with pytest.raises(ChargeDisputed):
        await life.refunder.asked(receiver, card_id, CHOICE, None)
    decided = await life.disputer.decided(use, CaseDecision.UPHELD)

    assert decided.status == ChargeStatus.REVERSED
    assert await given.balance(shop, card_id) == 500_00


async def test_a_reversal_that_waits_is_served_to_a_card_in_other_hands(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    use = await given.used(shop, giver, card_id, USE)
    await given.paid_out(shop)
    await given.reversed(use)  # waits: its money is with the merchant
    await life.transferred(giver, card_id, receiver)

    await given.used(shop, receiver, card_id, Use(amount=Fen(120_00)))

    assert (await given.read(card_id)).face_used_amount == 120_00


@pytest.mark.parametrize("status", ["lost", "used_up", "refunding", "disputed", "closing"])
async def test_what_stands_in_the_way_is_said_at_the_offer_and_at_acceptance(
    life: Life, status: str
) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    use = await given.used(shop, giver, card_id, USE)
    transfer = await life.offered(giver, card_id, receiver)

    code = await _in_the_way(life, shop, (giver, card_id, use), status)

    async with refused(given, shop, "transfer_not_open" if status == "lost" else code):
        await life.accepted(receiver, transfer)
    async with refused(given, shop, code):
        await life.offered(giver, card_id, a_consumer())
    # Verification is the run's last word: no closure stands behind this one.
    await _set_book(given, shop, "open")


async def _in_the_way(
    life: Life, shop: Shop, whose: tuple[ConsumerPrincipal, UUID, Charge], status: str
) -> str:
    """Put something in the way of a transfer; give the code that says so."""
    given = life.given
    giver, card_id, use = whose
    match status:
        case "lost":
            await life.lost(giver, card_id)
            return "card_not_active"
        case "used_up":
            await given.used(shop, giver, card_id, Use(amount=Fen(540_00)))
            return "card_not_active"
        case "refunding":
            await life.refunder.refunded(giver, card_id, CHOICE)
            return "card_in_refund"
        case "disputed":
            await life.disputer.disputed(giver, use)
            return "charge_disputed"
        case _:
            await _set_book(given, shop, "closing")
            return "merchant_frozen"


async def _set_book(given: Trader, shop: Shop, status: str) -> None:
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE book SET status = :status WHERE merchant_no = :no",
            status=status,
            no=shop.merchant_no,
        )


async def test_an_offer_by_whoever_found_the_card_ends_with_its_loss(life: Life) -> None:
    given = life.given
    shop, giver, finder = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    transfer = await life.offered(giver, card_id, finder)

    await life.lost(giver, card_id)
    await life.reactivated(giver, card_id)

    async with refused(given, shop, "transfer_not_open"):
        await life.accepted(finder, transfer)


async def test_another_offer_replaces_the_one_before_and_the_same_is_the_same(life: Life) -> None:
    given = life.given
    shop, giver, first, second = await given.shop(), a_consumer(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)

    offered = await life.offered(giver, card_id, first)
    assert await life.offered(giver, card_id, first) == offered
    other = await life.offered(giver, card_id, second)

    async with refused(given, shop, "transfer_not_open"):
        await life.accepted(first, offered)
    assert (await life.accepted(second, other)).status == TransferStatus.ACCEPTED


async def test_nobody_but_the_two_answers_or_sees_a_transfer(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    transfer = await life.offered(giver, card_id, receiver)

    for who, step in (
        (giver, life.accepted),
        (giver, life.declined),
        (receiver, life.withdrawn),
        (a_consumer(), life.accepted),
        (a_consumer(), life.withdrawn),
    ):
        with pytest.raises(NotFound):
            await step(who, transfer)
    with pytest.raises(NotFound):
        await service.read_own(given.db, a_consumer().consumer, transfer.transfer_id)
    for who in (giver, receiver):
        listed = await service.list_own(given.db, who.consumer, before=None, count=9)
        assert [one.transfer_id for one in listed] == [transfer.transfer_id]
    with pytest.raises(NotFound):
        await life.offered(a_consumer(), card_id, receiver)
    with pytest.raises(InvalidRequest):
        await life.offered(giver, card_id, giver)


async def test_a_merchants_offer_of_a_refund_was_the_former_holders(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    offer = await life.refunder.offered(shop, card_id, 300_00)
    transfer = await life.offered(giver, card_id, receiver)
    await life.accepted(receiver, transfer, wait_days=0)

    again = await life.refunder.offered(shop, card_id, 200_00)

    with pytest.raises(RefundNotAllowed):
        await life.refunder.answered(giver, offer.refund_id, accept=True)
    paid = await life.refunder.answered(receiver, again.refund_id, accept=True)
    assert (paid.status, paid.amount) == (RefundStatus.ACCOUNT_NEEDED, 200_00)


async def test_of_ten_acceptances_at_once_one_is_written(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    transfer = await life.offered(giver, card_id, receiver)

    done = await asyncio.gather(*(life.accepted(receiver, transfer) for _ in range(10)))

    assert len(set(done)) == 1
    assert await life.lines(card_id) == ["funded", "transferred"]


async def test_a_key_repeated_gives_the_same_and_another_request_is_refused(life: Life) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    transfer, key = await life.offered(giver, card_id, receiver), a_key()

    first = await life.accepted(receiver, transfer, request=key)
    await life.transferred(receiver, card_id, giver)

    assert await life.accepted(receiver, transfer, request=key) == first
    assert (await given.read(card_id)).consumer == giver.consumer


@pytest.mark.parametrize("rival", ["confirm", "refund", "code", "loss", "withdraw"])
async def test_an_acceptance_and_a_rival_at_once_leave_one_order_of_the_two(
    life: Life, rival: str
) -> None:
    shop = await life.given.shop()
    for _ in range(5):
        await _race(life, shop, rival)


async def _race(life: Life, shop: Shop, rival: str) -> None:
    given = life.given
    giver, receiver = a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    waiting = await given.waiting(shop, card_id, USE)
    code = await given.code(shop, giver, card_id=card_id)
    transfer = await life.offered(giver, card_id, receiver)
    echo = await life.refunder.echo(giver, card_id, CHOICE)
    against = {
        "confirm": lambda: given.done(given.confirming(shop, giver, waiting)),
        "refund": lambda: life.refunder.asked(giver, card_id, CHOICE, echo),
        "code": lambda: given.done(given.use(shop, USE, code_hash=code)),
        "loss": lambda: life.lost(giver, card_id),
        "withdraw": lambda: life.withdrawn(giver, transfer),
    }[rival]

    taken, other = await asyncio.gather(
        life.accepted(receiver, transfer), against(), return_exceptions=True
    )

    card, lines = await given.read(card_id), await life.lines(card_id)
    if isinstance(taken, BaseException):
        assert card.consumer == giver.consumer
        assert not isinstance(other, BaseException)
        assert rival in {"refund", "loss", "withdraw"}
    else:
        assert card.consumer == receiver.consumer
        stood = [] if isinstance(other, BaseException) else ["used"]
        assert lines == ["funded", *stood, "transferred"]
    assert card.pending_count == 0 or rival == "withdraw"


async def test_of_a_new_holders_uses_in_the_same_batch_all_their_cards_are_drawn_on(
    life: Life,
) -> None:
    given = life.given
    shop, giver, receiver = await given.shop(), a_consumer(), a_consumer()
    card_id = await given.card(shop, giver)
    own = await given.card(shop, receiver)
    transfer = await life.offered(giver, card_id, receiver)
    code = await given.code(shop, receiver)

    taken, used = await asyncio.gather(
        life.accepted(receiver, transfer),
        given.done(given.use(shop, USE, code_hash=code)),
        return_exceptions=True,
    )

    assert not isinstance(taken, BaseException)
    assert not isinstance(used, BaseException)
    # The code is older than the transfer: it draws on what was its holder's then.
    assert [draw.card_id for draw in used.read_draws()] == [own]
    both = await given.waiting(shop, card_id, Use(amount=Fen(1000_00)))
    assert {draw.card_id for draw in both.read_draws()} == {card_id, own}
