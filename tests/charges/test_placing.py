"""Charges by code and by card: what confirms at once, what waits, what is refused."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.access.limits import FailureLimit
from app.card_products.domain import CardKind
from app.charges import service, upkeep
from app.charges.batches import Batch, BatchShare, Placing, place_batch
from app.charges.commands import UseLimits
from app.charges.domain import Charge, ChargeStatus, ConfirmationMethod, Use
from app.charges.errors import ClientReferenceUsed, InsufficientBalance, ProductAmbiguous
from app.errors import DomainError
from app.ledger.chart import AccountType
from app.money import Fen
from app.writer.requests import RequestKey
from tests.builder import Trader, a_consumer, a_key
from tests.refusals import refused

TEN_YUAN = Use(amount=Fen(10_00))


async def test_a_code_confirms_a_use_at_once(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)

    charge = await given.used_by_code(shop, li, Use(amount=Fen(80_00)))

    assert charge.status == ChargeStatus.CONFIRMED
    assert charge.confirmation_method == ConfirmationMethod.CONSUMER_CODE
    assert (charge.release_amount, charge.balance_face_amount) == (66_67, 520_00)
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 66_67
    assert await given.balance(shop, card_id) == 433_33


async def test_a_charge_to_a_card_moves_nothing_until_its_consumer_confirms(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)

    charge = await given.waiting(shop, card_id, Use(amount=Fen(80_00)))

    assert (charge.status, charge.release_amount) == ("pending_confirmation", None)
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 0
    card = await given.read(card_id)
    assert (card.face_held_amount, card.face_used_amount) == (80_00, 0)
    assert card.face_available_amount == 520_00


async def test_an_amount_is_drawn_over_several_cards_oldest_payment_first(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    first = await given.card(shop, li, price_amount=Fen(100_00), bonus_amount=Fen(20_00))
    second = await given.card(shop, li, price_amount=Fen(50_00), bonus_amount=Fen(0))

    charge = await given.used_by_code(shop, li, Use(amount=Fen(130_00)), list_amount=Fen(260_00))

    draws = charge.read_draws()
    assert [(draw.card_id, draw.face_amount, draw.release_amount) for draw in draws] == [
        (first, 120_00, 100_00),
        (second, 10_00, 10_00),
    ]
    assert (await given.read(first)).status == "used_up"
    assert charge.balance_face_amount == 40_00
    # Without a frozen list price, only a consumer who saw it in the app confirms it.
    assert [draw.list_amount for draw in draws] == [None, None]
    assert (await given.read(second)).list_price_missing


async def test_sessions_and_visits_release_their_share(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    count = await given.card(shop, li, CardKind.COUNT)
    await given.card(shop, li, CardKind.PERIOD)

    sessions = await given.used_by_code(shop, li, Use(sessions=1))
    visit = await given.used_by_code(shop, li, Use(visit=True))
    again = await given.used_by_code(shop, li, Use(visit=True))

    assert (sessions.release_amount, sessions.balance_sessions) == (100_00, 11)
    assert (await given.read(count)).list_used_amount == 150_00
    assert (visit.release_amount, again.release_amount) == (10_00, 0)
    assert again.status == ChargeStatus.CONFIRMED, "a use of 0 fen is confirmed as any other"
    assert visit.balance_valid_until is not None


async def test_a_code_is_used_once_and_a_refused_charge_leaves_it_usable(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    await given.card(shop, li, price_amount=Fen(50_00), bonus_amount=Fen(0))
    code = await given.code(shop, li)

    async with refused(given, shop, "insufficient_balance"):
        await given.done(given.use(shop, Use(amount=Fen(50_01)), code_hash=code))
    await given.done(given.use(shop, TEN_YUAN, code_hash=code))
    async with refused(given, shop, "code_used"):
        await given.done(given.use(shop, TEN_YUAN, code_hash=code))


async def test_of_ten_charges_with_one_code_exactly_one_is_confirmed(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    code = await given.code(shop, li)

    outcomes = await asyncio.gather(
        *(given.done(given.use(shop, TEN_YUAN, code_hash=code)) for _ in range(10)),
        return_exceptions=True,
    )

    codes = [one.code for one in outcomes if isinstance(one, DomainError)]
    assert codes == ["code_used"] * 9
    assert (await given.read(card_id)).face_used_amount == 10_00


async def test_a_code_is_good_for_its_merchant_store_card_and_limit_alone(given: Trader) -> None:
    shop, other, li = await given.shop(), await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    await given.card(other, li)
    small = await given.card(shop, li, price_amount=Fen(5_00), bonus_amount=Fen(0))
    elsewhere = (await given.store(shop.merchant)).store_id

    async with refused(given, other, "code_invalid"):
        code = await given.code(shop, li)
        await given.done(given.use(other, TEN_YUAN, code_hash=code))
    async with refused(given, shop, "code_invalid"):
        code = await given.code(shop, li, store_id=elsewhere)
        await given.done(given.use(shop, TEN_YUAN, code_hash=code))
    async with refused(given, shop, "insufficient_balance"):
        code = await given.code(shop, li, card_id=small)
        await given.done(given.use(shop, TEN_YUAN, code_hash=code))
    async with refused(given, shop, "code_limit_exceeded"):
        code = await given.code(shop, li, max_amount=Fen(9_99))
        await given.done(given.use(shop, TEN_YUAN, code_hash=code))
    async with refused(given, shop, "code_expired"):
        code = await given.code(shop, li, lifetime_seconds=0)
        await given.done(given.use(shop, TEN_YUAN, code_hash=code))
    async with refused(given, shop, "code_invalid"):
        await given.done(given.use(shop, TEN_YUAN, code_hash=bytes(32)))
    exact = await given.code(shop, li, max_amount=Fen(10_00))
    assert (await given.done(given.use(shop, TEN_YUAN, code_hash=exact))).status == "confirmed"
    assert (await given.read(card_id)).face_used_amount == 10_00


async def test_a_code_for_a_product_draws_on_that_product_alone(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    cheap = await given.product(shop.merchant, CardKind.COUNT, name="洗剪吹")
    dear = await given.product(shop.merchant, CardKind.COUNT, name="染发")
    await given.card(shop, li, of=cheap)
    await given.card(shop, li, of=dear)
    code = await given.code(shop, li, product_id=cheap.product_id)

    async with refused(given, shop, "code_invalid"):
        named = given.use(shop, Use(sessions=1), code_hash=code, product_id=dear.product_id)
        await given.done(named)

    charge = await given.done(given.use(shop, Use(sessions=1), code_hash=code))
    assert charge.product_id == cheap.product_id


async def test_used_ranks_before_expired(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    await given.card(shop, li)
    code = await given.code(shop, li)
    await given.done(given.use(shop, TEN_YUAN, code_hash=code))
    async with given.db.transaction() as tx:
        await tx.execute("DELETE FROM consumer_code WHERE code_hash = :code", code=code)

    async with refused(given, shop, "code_used"):
        await given.done(given.use(shop, TEN_YUAN, code_hash=code))


async def test_above_the_limits_of_codes_a_charge_waits_for_the_app(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    await given.card(shop, li, price_amount=Fen(2_000_00), bonus_amount=Fen(0))

    exact = await given.used_by_code(shop, li, Use(amount=Fen(200_00)))
    above = await given.used_by_code(shop, li, Use(amount=Fen(200_01)))
    second = await given.used_by_code(shop, li, Use(amount=Fen(200_00)))
    await given.reversed(second)  # reversed uses count
    rest = await given.used_by_code(shop, li, Use(amount=Fen(100_00)))
    over_the_day = await given.used_by_code(shop, li, Use(amount=Fen(1)))

    statuses = [charge.status for charge in (exact, above, second, rest, over_the_day)]
    waits, done = "pending_confirmation", "confirmed"
    assert statuses == [done, waits, done, done, waits]


async def test_the_limits_count_what_sessions_release(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    await given.card(shop, li, CardKind.COUNT)  # 100.00 a session

    two = await given.used_by_code(shop, li, Use(sessions=2))
    three = await given.used_by_code(shop, li, Use(sessions=3))

    assert (two.status, three.status) == ("confirmed", "pending_confirmation")


async def test_the_days_limit_counts_finished_cards_too(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    for _ in range(3):
        await given.card(shop, li, price_amount=Fen(200_00), bonus_amount=Fen(0))
    for _ in range(2):  # each finishes a card
        await given.used_by_code(shop, li, Use(amount=Fen(200_00)))

    charge = await given.used_by_code(shop, li, Use(amount=Fen(100_01)))

    assert charge.status == ChargeStatus.PENDING_CONFIRMATION


async def test_a_card_has_at_most_three_waiting_charges(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    waiting = [await given.waiting(shop, card_id, TEN_YUAN) for _ in range(3)]

    async with refused(given, shop, "too_many_pending"):
        await given.waiting(shop, card_id, TEN_YUAN)

    await given.done(given.confirming(shop, li, waiting[0]))
    await given.waiting(shop, card_id, TEN_YUAN)


async def test_what_an_expired_charge_held_is_free_by_the_clock(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(10_00), bonus_amount=Fen(0))
    stale = await given.waiting(shop, card_id, TEN_YUAN, limits=_at_once(given))

    assert (await given.read(card_id)).face_available_amount == 10_00
    async with refused(given, shop, "charge_not_pending"):
        await given.done(given.confirming(shop, li, stale))
    await given.used(shop, li, card_id, TEN_YUAN)

    card = await given.read(card_id)
    assert (card.face_used_amount, card.face_held_amount, card.pending_count) == (10_00, 0, 0)


async def test_the_worker_frees_expired_charges_once(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    await given.waiting(shop, card_id, TEN_YUAN, limits=_at_once(given))
    kept = await given.waiting(shop, card_id, TEN_YUAN)

    await asyncio.gather(*(upkeep.expire_charges(given.db, given.writer) for _ in range(4)))

    card = await given.read(card_id)
    assert (card.face_held_amount, card.pending_count) == (10_00, 1)
    await given.done(given.confirming(shop, li, kept))


def _at_once(given: Trader) -> UseLimits:
    """Let a charge expire as it is placed."""
    policies = given.policies
    return UseLimits(
        policies.code_use_amount, policies.code_day_amount, 0, policies.pending_per_card
    )


async def test_sessions_name_their_product_where_several_are_held(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    first = await given.product(shop.merchant, CardKind.COUNT)
    second = await given.product(shop.merchant, CardKind.COUNT)
    await given.card(shop, li, of=first)
    card_id = await given.card(shop, li, of=second)
    value = await given.card(shop, li)

    code = await given.code(shop, li)
    async with refused(given, shop, "product_ambiguous"):
        await given.done(given.use(shop, Use(sessions=1), code_hash=code))
    with pytest.raises(ProductAmbiguous) as refusal:
        await given.done(given.use(shop, Use(sessions=1), card_id=value))
    assert len(refusal.value.members["product_ids"]) == 2  # pyright: ignore[reportArgumentType]

    named = await given.done(
        given.use(shop, Use(sessions=1), code_hash=code, product_id=first.product_id)
    )
    by_card = await given.waiting(shop, card_id, Use(sessions=1))
    assert (named.product_id, by_card.product_id) == (first.product_id, second.product_id)


async def test_a_card_of_another_kind_names_the_person_and_none_is_a_mismatch(
    given: Trader,
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)

    async with refused(given, shop, "charge_kind_mismatch"):
        await given.waiting(shop, card_id, Use(sessions=1))
    async with refused(given, shop, "insufficient_balance"):
        await given.used_by_code(shop, li, Use(sessions=1))

    await given.card(shop, li, CardKind.COUNT)
    assert (await given.waiting(shop, card_id, Use(sessions=1))).status == "pending_confirmation"


async def test_things_of_others_are_not_found(given: Trader) -> None:
    shop, other, li = await given.shop(), await given.shop(), a_consumer()
    card_id = await given.card(shop, li)

    async with refused(given, other, "not_found"):
        await given.waiting(other, card_id, TEN_YUAN)
    async with refused(given, shop, "not_found"):
        await given.waiting(shop, card_id, TEN_YUAN, store_id=other.store.store_id)
    async with refused(given, shop, "not_found"):
        await given.waiting(shop, uuid4(), TEN_YUAN)


@pytest.mark.parametrize("left", [0, 1])
async def test_a_card_is_charged_to_its_last_fen_and_no_further(given: Trader, left: int) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(99_99), bonus_amount=Fen(33_33))
    await given.used(shop, li, card_id, Use(amount=Fen(133_32 - left)))

    async with refused(given, shop, "insufficient_balance"):
        await given.waiting(shop, card_id, Use(amount=Fen(left + 1)))
    if left:
        last = await given.used(shop, li, card_id, Use(amount=Fen(left)))
        assert last.release_amount == 1
    assert await given.balance(shop, card_id) == 0
    assert (await given.read(card_id)).released_amount == 99_99


async def test_sixty_four_clients_never_overdraw_one_card(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(100_00), bonus_amount=Fen(0))
    codes = [await given.code(shop, li) for _ in range(64)]

    outcomes = await asyncio.gather(
        *(given.done(given.use(shop, Use(amount=Fen(3_00)), code_hash=code)) for code in codes),
        return_exceptions=True,
    )

    done = [one for one in outcomes if isinstance(one, Charge)]
    assert len(done) == 33
    assert sum(isinstance(one, InsufficientBalance) for one in outcomes) == 31
    assert (await given.read(card_id)).face_available_amount == 1_00
    assert await given.balance(shop, AccountType.MERCHANT_PAYABLE) == 99_00


async def test_a_client_reference_is_used_once_and_the_refusal_names_its_charge(
    given: Trader,
) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    first = await given.waiting(shop, card_id, TEN_YUAN, client_reference="till-7")

    async with refused(given, shop, "client_reference_used"):
        await given.waiting(shop, card_id, TEN_YUAN, client_reference="till-7")
    with pytest.raises(ClientReferenceUsed) as refusal:
        await given.waiting(shop, card_id, TEN_YUAN, client_reference="till-7")
    assert str(refusal.value.members["charge_id"]).startswith("chg_")
    assert first.client_reference == "till-7"


async def test_fifty_retries_at_once_under_one_key_charge_once(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    code, key = await given.code(shop, li), a_key()
    command = given.use(shop, TEN_YUAN, code_hash=code, request=key)

    carried = await asyncio.gather(
        *(service.carry_out(given.writer, given.db, command) for _ in range(50))
    )

    assert sum(not one.replayed for one in carried) == 1
    (first,) = [one.value for one in carried if not one.replayed]
    for one in carried:
        assert _shown(one.value) == _shown(first)
    assert (await given.read(card_id)).face_used_amount == 10_00


async def test_a_retry_gives_the_answer_of_then_whatever_has_happened_since(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    placing = given.use(shop, TEN_YUAN, card_id=card_id, request=a_key())
    placed = await given.done(placing)
    confirming = given.confirming(shop, li, placed, request=a_key())
    confirmed = await given.done(confirming)
    await given.used(shop, li, card_id, TEN_YUAN)
    await given.reversed(confirmed)

    for command, first in ((placing, placed), (confirming, confirmed)):
        again = await service.carry_out(given.writer, given.db, command)
        assert again.replayed
        assert _shown(again.value) == _shown(first)


def _shown(charge: Charge) -> object:
    """Say what of a charge an answer shows."""
    draws = [draw._replace(list_amount=None) for draw in charge.read_draws()]
    return charge._replace(
        draws=None,  # pyright: ignore[reportArgumentType]  # compared as draws
        reversal_requested_at=None,
        reversal_reason=None,
        reversal_amount=None,
        confirmation_hash=None,
        ended_at=None,
    ), draws


async def test_another_request_under_a_used_key_is_refused(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li)
    key = a_key()
    await given.waiting(shop, card_id, TEN_YUAN, request=key)

    other = RequestKey(key.request_id, b"other" + bytes(27))
    async with refused(given, shop, "idempotency_key_reused"):
        await given.waiting(shop, card_id, TEN_YUAN, request=other)


async def test_a_refusal_is_kept_so_that_a_late_retry_does_not_fire(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    small = await given.card(shop, li, price_amount=Fen(5_00), bonus_amount=Fen(0))
    command = given.use(shop, TEN_YUAN, card_id=small, request=a_key())
    with pytest.raises(DomainError):
        await given.done(command)
    await given.card(shop, li)  # now there would be enough

    async with refused(given, shop, "insufficient_balance"):
        await given.done(command)

    await given.done(given.use(shop, TEN_YUAN, card_id=small, request=a_key()))


async def test_a_batch_gives_each_item_its_verdict_and_a_retry_the_same(given: Trader) -> None:
    shop, li = await given.shop(), a_consumer()
    card_id = await given.card(shop, li, price_amount=Fen(25_00), bonus_amount=Fen(0))
    request = a_key()
    items: list[tuple[str, Any]] = [
        (f"ref-{number}", given.use(shop, use, card_id=named, client_reference=f"ref-{number}"))
        for number, (use, named) in enumerate(
            [
                (TEN_YUAN, card_id),
                (Use(sessions=1), card_id),
                (Use(amount=Fen(20_00)), card_id),
                (TEN_YUAN, UUID(int=shop.merchant_no)),
                (TEN_YUAN, card_id),
            ]
        )
    ]

    async def verdicts() -> tuple[list[str], bool]:
        made, replayed = await place_batch(
            Placing(given.writer, given.db, FailureLimit(100), BatchShare(8192)),
            Batch(shop.merchant_no, request, items),
        )
        said = [
            one.outcome.code if isinstance(one.outcome, DomainError) else one.outcome.value.status
            for one in made
        ]
        return [str(one) for one in said], replayed

    expected = [
        "pending_confirmation",
        "charge_kind_mismatch",
        "insufficient_balance",
        "not_found",
        "pending_confirmation",
    ]
    assert await verdicts() == (expected, False)
    assert await verdicts() == (expected, True)
    assert (await given.read(card_id)).face_held_amount == 20_00
