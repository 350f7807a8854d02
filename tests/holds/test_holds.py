"""A hold's life: placed by one, lifted by two, ended by the clock; what is refused on the way."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from app.access import approvals
from app.access.errors import ApprovalDecided, OwnProposal
from app.cards.errors import CardNotActive
from app.errors import IdempotencyKeyReused, InvalidRequest, NotFound
from app.holds import service
from app.holds.commands import LiftHold
from app.holds.domain import HoldStatus, HoldTarget
from app.holds.errors import HoldNotActive
from app.holds.queries import HoldFilter
from app.ids import Prefix, new_id, to_text
from app.money import AMOUNT_MAX, Fen
from tests.builder import APPROVER, PROPOSER, Trader, a_consumer, a_key, unique
from tests.holds.conftest import OPERATOR, Bailiff, a_regulator, card_text, payable_of
from tests.refusals import refused

CARD, PAYABLE, CUSTODY = HoldTarget.CARD, HoldTarget.PAYABLE, HoldTarget.CUSTODY_ACCOUNT


async def test_a_hold_is_in_the_book_from_its_order_to_its_end(
    given: Trader, bailiff: Bailiff
) -> None:
    shop = await given.shop()
    hold = await bailiff.held_payable(shop, amount=Fen(AMOUNT_MAX))
    assert (hold.status, hold.amount, hold.ended_at) == ("active", AMOUNT_MAX, None)
    assert await bailiff.entries(hold) == ["hold_placed"]

    await bailiff.lifted(hold)

    after = await bailiff.read(hold)
    assert after.status == "lifted"
    assert after.ended_at is not None
    assert await bailiff.entries(hold) == ["hold_placed", "hold_lifted"]


async def test_lifting_needs_another_person_and_changes_nothing_before(
    given: Trader, bailiff: Bailiff
) -> None:
    shop, consumer = await given.shop(), a_consumer()
    hold = await bailiff.held_card(await given.card(shop, consumer))
    before = await given.rows(shop)

    proposal = await bailiff.proposed(hold)

    assert (proposal.status, proposal.action) == ("proposed", "hold.lift")
    assert proposal.request["document_number"] == hold.document_number
    after = await given.rows(shop)
    # The request alone, so that a retry finds its proposal.
    assert {table for table in after if after[table] != before[table]} == {"stored_request"}
    with pytest.raises(OwnProposal):
        await bailiff.approved(proposal, by=PROPOSER)
    assert (await bailiff.read(hold)).status == "active"
    decided = await bailiff.approved(proposal)
    assert decided.result is not None
    assert (decided.result["status"], decided.result["id"]) == (
        "lifted",
        to_text(Prefix.HOLD, hold.hold_id),
    )


async def test_lifting_again_gives_the_same_and_lifts_once(given: Trader, bailiff: Bailiff) -> None:
    hold = await bailiff.held_payable(await given.shop())

    proposals = await asyncio.gather(*(bailiff.proposed(hold) for _ in range(5)))

    assert len({proposal.approval_id for proposal in proposals}) == 1
    decisions = await asyncio.gather(*(bailiff.approved(proposals[0]) for _ in range(5)))
    assert len({str(decision.result) for decision in decisions}) == 1
    again = await bailiff.proposed(hold)
    assert (again.approval_id, again.status) == (proposals[0].approval_id, "approved")
    assert await bailiff.entries(hold) == ["hold_placed", "hold_lifted"]


async def test_a_hold_whose_time_is_over_is_not_lifted_before_or_at_the_approval(
    given: Trader, bailiff: Bailiff
) -> None:
    shop = await given.shop()
    hold = await bailiff.held_payable(shop, expires_at=await bailiff.ends_in(60))
    proposal = await bailiff.proposed(hold)
    await bailiff.wait(61)

    async with refused(given, shop, "hold_not_active"):
        await bailiff.approved(proposal)
    async with refused(given, shop, "hold_not_active"):
        await bailiff.proposed(hold)
    await bailiff.swept()
    with pytest.raises(HoldNotActive):
        await bailiff.proposed(hold)

    assert await bailiff.entries(hold) == ["hold_placed", "hold_expired"]


async def test_lifting_and_expiring_at_once_end_a_hold_once(
    given: Trader, bailiff: Bailiff
) -> None:
    shop = await given.shop()
    for _ in range(4):
        soon = await given.now() + timedelta(milliseconds=300)
        hold = await bailiff.held_payable(shop, expires_at=soon)
        proposal = await bailiff.proposed(hold)
        await asyncio.sleep(0.28)

        await asyncio.gather(
            bailiff.approved(proposal), bailiff.swept(), bailiff.swept(), return_exceptions=True
        )
        await asyncio.sleep(0.05)
        await bailiff.swept()

        placed, *ended = await bailiff.entries(hold)
        status = await bailiff.row_status(hold)
        assert (placed, ended) == ("hold_placed", [f"hold_{status}"])


async def test_an_approval_whose_commit_was_lost_is_completed_and_not_rejected(
    given: Trader, bailiff: Bailiff
) -> None:
    hold = await bailiff.held_payable(await given.shop())
    proposal = await bailiff.proposed(hold)
    # What a process does that dies after the writer's commit and before its own.
    command = LiftHold(hold.merchant_no, proposal.request_key, hold.hold_id, hold.target_id)
    await given.writer.submit(command)

    assert (await bailiff.proposed(hold)).status == "proposed"
    with pytest.raises(ApprovalDecided):
        await approvals.reject(given.db, proposal.approval_id, person_id=APPROVER, request=None)
    approved = await bailiff.approved(proposal)

    assert approved.result is not None
    assert approved.result["status"] == "lifted"
    assert await bailiff.entries(hold) == ["hold_placed", "hold_lifted"]


async def test_the_same_request_places_one_hold(given: Trader, bailiff: Bailiff) -> None:
    shop, key = await given.shop(), a_key()
    order = bailiff.order(PAYABLE, payable_of(shop), amount=Fen(5))

    placed = await asyncio.gather(*(bailiff.place(order, request=key) for _ in range(5)))
    await bailiff.lifted(placed[0])
    again = await bailiff.place(order, request=key)

    assert len({str(hold) for hold in (*placed, again)}) == 1
    assert again.status == "active", "as it was answered then"
    with pytest.raises(IdempotencyKeyReused):
        await bailiff.place(order, request=key._replace(fingerprint=bytes([1]) * 32))


async def test_what_would_have_ended_already_is_refused(given: Trader, bailiff: Bailiff) -> None:
    shop = await given.shop()
    for seconds in (-86_400, 0):
        order = bailiff.order(PAYABLE, payable_of(shop), expires_at=await bailiff.ends_in(seconds))
        before = await given.rows(shop)
        with pytest.raises(InvalidRequest) as refusal:
            await bailiff.place(order)
        assert [error.pointer for error in refusal.value.errors] == ["/expires_at"]
        assert await given.rows(shop) == before


async def test_nothing_that_is_not_there_is_held(given: Trader, bailiff: Bailiff) -> None:
    shop, other = await given.shop(), await given.merchant()
    card_id = await given.card(shop, a_consumer())
    unknown = to_text(Prefix.MERCHANT, new_id(shop.merchant_no))
    for target, text in (
        (CARD, card_text(new_id(shop.merchant_no))),
        (CARD, payable_of(shop)),
        (CARD, "nonsense"),
        (PAYABLE, unknown),
        (PAYABLE, card_text(card_id)),
        (PAYABLE, shop.custody_account.account_number),
        (CUSTODY, unique("3301")),
        (CUSTODY, unknown),
        (CUSTODY, card_text(card_id)),
        (CUSTODY, to_text(Prefix.MERCHANT, other.merchant_id)),
    ):
        with pytest.raises(NotFound):
            await bailiff.place(bailiff.order(target, text))


async def test_a_custody_account_is_named_by_its_number_or_by_its_merchant(
    given: Trader, bailiff: Bailiff
) -> None:
    shop = await given.shop()

    by_number = await bailiff.held_custody(shop)
    by_merchant = await bailiff.place(bailiff.order(CUSTODY, payable_of(shop)))

    assert by_number.custody_account == shop.custody_account.account_number
    assert (by_merchant.target_id, by_merchant.custody_account) == (
        by_number.target_id,
        by_number.custody_account,
    )


@pytest.mark.parametrize("status", ["frozen", "notice", "closing", "refunding", "closed"])
async def test_a_merchant_in_any_state_can_be_held_and_freed(
    given: Trader, bailiff: Bailiff, status: str
) -> None:
    shop = await given.shop()
    card_id = await given.card(shop, a_consumer())
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE book SET status = :status WHERE merchant_no = :no",
            status=status,
            no=shop.merchant_no,
        )

    for hold in (await bailiff.held_card(card_id), await bailiff.held_payable(shop)):
        await bailiff.lifted(hold)
        assert (await bailiff.read(hold)).status == "lifted"
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE book SET status = 'open' WHERE merchant_no = :no", no=shop.merchant_no
        )


async def test_a_card_that_was_replaced_is_not_held_in_the_place_of_the_new_one(
    given: Trader, bailiff: Bailiff
) -> None:
    shop = await given.shop()
    card_id = await given.card(shop, a_consumer())

    async def status(text: str) -> None:
        async with given.db.transaction() as tx:
            await tx.execute(
                "UPDATE card SET status = :status WHERE card_id = :id", status=text, id=card_id
            )

    await status("replaced")
    with pytest.raises(CardNotActive):
        await bailiff.held_card(card_id)
    await status("active")


async def test_a_regulator_reaches_its_industries_and_districts_alone(
    given: Trader, bailiff: Bailiff
) -> None:
    shop = await given.shop()
    order = bailiff.order(PAYABLE, payable_of(shop), amount=Fen(1))
    own = a_regulator(industries=frozenset({"fitness"}), districts=frozenset({"330106"}))
    strangers = (
        a_regulator(industries=frozenset({"beauty"})),
        a_regulator(districts=frozenset({"310101"})),
        a_regulator(industries=frozenset({"fitness"}), districts=frozenset()),
    )

    hold = await bailiff.place(order, authority=own)

    assert (await bailiff.read(hold, own)).placed_by == own.person_id
    assert (await bailiff.read(hold, a_regulator())).hold_id == hold.hold_id
    for stranger in strangers:
        with pytest.raises(NotFound):
            await bailiff.place(order, authority=stranger)
        with pytest.raises(NotFound):
            await bailiff.read(hold, stranger)
        with pytest.raises(NotFound):
            await bailiff.proposed(hold, authority=stranger)
        listed = await service.list_holds(given.db, HoldFilter(), stranger, before=None, count=200)
        assert hold.hold_id not in {one.hold_id for one in listed}
    proposal = await bailiff.proposed(hold, authority=own)
    assert (await bailiff.approved(proposal, by=APPROVER)).status == "approved"


async def test_a_list_goes_by_the_clock_and_by_what_is_asked_for(
    given: Trader, bailiff: Bailiff
) -> None:
    shop = await given.shop()
    card_id = await given.card(shop, a_consumer())
    over = await bailiff.held_card(card_id, expires_at=await bailiff.ends_in(5))
    card = await bailiff.held_card(card_id)
    payable, custody = await bailiff.held_payable(shop), await bailiff.held_custody(shop)
    await bailiff.lifted(payable)
    await bailiff.wait(6)

    async def listed(**wanted: object) -> list[object]:
        filter_ = replace(HoldFilter(merchant_id=shop.merchant.merchant_id), **wanted)
        rows = await service.list_holds(given.db, filter_, OPERATOR, before=None, count=50)
        return [row.hold_id for row in rows]

    all_ids = [custody.hold_id, payable.hold_id, card.hold_id, over.hold_id]
    assert await listed() == all_ids
    assert await listed(status=HoldStatus.ACTIVE) == [custody.hold_id, card.hold_id]
    assert await listed(status=HoldStatus.EXPIRED) == [over.hold_id]
    assert await listed(status=HoldStatus.LIFTED) == [payable.hold_id]
    assert await listed(target=CARD) == [card.hold_id, over.hold_id]
    assert await listed(target_id=card_text(card_id)) == [card.hold_id, over.hold_id]
    assert await listed(target_id=payable_of(shop)) == [custody.hold_id, payable.hold_id]
    number = shop.custody_account.account_number
    assert await listed(target_id=number) == [custody.hold_id]
    page = await service.list_holds(
        given.db, HoldFilter(), OPERATOR, before=custody.hold_id, count=2
    )
    assert [row.hold_id for row in page] == all_ids[1:3]


async def test_what_was_lifted_or_expired_is_told(given: Trader, bailiff: Bailiff) -> None:
    shop = await given.shop()
    lifted = await bailiff.held_payable(shop)
    expired = await bailiff.held_payable(shop, expires_at=await bailiff.ends_in(5))
    await bailiff.lifted(lifted)
    await bailiff.wait(6)
    await bailiff.swept()

    async with given.db.snapshot() as tx:
        told = [
            await tx.value(
                "SELECT count(*) FROM outbox CROSS JOIN LATERAL"
                " jsonb_array_elements(events) AS event"
                " WHERE event ->> 1 = :name AND event ->> 2 = :id",
                name=name,
                id=str(hold.hold_id),
            )
            for name, hold in (
                ("hold.placed", lifted),
                ("hold.lifted", lifted),
                ("hold.placed", expired),
                ("hold.expired", expired),
            )
        ]
    assert told == [1, 1, 1, 1]
