"""A supplement as its holder, the bank and the merchant see it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.cluster import DatabaseUrls
from tests.contract.world import World, open_world


@pytest_asyncio.fixture
async def world(fresh_database: DatabaseUrls, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(fresh_database, tmp_path) as opened:
        yield opened


async def test_a_use_taken_back_after_a_refund_is_seen_by_all_whom_it_concerns(
    world: World,
) -> None:
    side = world.a
    charge = await world.confirmed(side, 60_00)
    card_id = charge["draws"][0]["card_id"]
    body = await world.refund_body(side, card_id)
    first = await world.made(f"/v1/me/cards/{card_id}/refunds", side.consumer, body)
    assert (first["amount"], first["residue_amount"]) == (440_00, 10_00)

    path = f"/v1/charges/{charge['id']}/reverse"
    for _ in range(2):
        again = await world.made(path, side.merchant, {"reason": "没有服务"})
        assert again["reversal"]["status"] == "done"

    more, known = (await world.got("/v1/me/refunds", side.consumer))["data"]
    assert (known["id"], known["supplements"]) == (first["id"], None)
    assert (more["supplements"], more["class"]) == (first["id"], "consumer_choice")
    assert (more["amount"], more["residue_amount"]) == (60_00, -10_00)
    assert (more["status"], more["payee"]) == ("decided", first["payee"])
    assert more["inputs"]["earlier_amount"] == 440_00
    card = await world.got(f"/v1/me/cards/{card_id}", side.consumer)
    assert (card["status"], card["refunded_amount"], card["custody_amount"]) == (
        "refunding",
        500_00,
        0,
    )
    rows = (await world.got(f"/v1/me/cards/{card_id}/statement", side.consumer))["data"]
    assert [(row["kind"], row["amount"]) for row in rows[:3]] == [
        ("refunded", 60_00),
        ("reversed", 60_00),
        ("refunded", 440_00),
    ]
    # The rest was on the card still: nothing of it came back with the use.
    assert (rows[1]["release_amount"], rows[1]["adjusted_amount"]) == (-50_00, None)
    balance = await world.got("/v1/balance", side.merchant)
    assert (balance["payable_amount"], balance["refund_payable_amount"]) == (0, 500_00)
    cut = await world.made("/v1/payment-files/cut", world.operator, {"kind": "refund"})
    (file,) = [one for one in cut["data"] if one["bank"] == side.bank_name]
    orders = (await world.got(f"/v1/bank/files/{file['id']}/orders", side.bank))["data"]
    assert sorted(order["amount"] for order in orders) == [60_00, 440_00]
    said = [{"order_id": order["id"], "status": "paid"} for order in orders]
    await world.made(f"/v1/bank/files/{file['id']}/results", side.bank, {"results": said})
    card = await world.got(f"/v1/me/cards/{card_id}", side.consumer)
    assert (card["status"], card["adjusted_amount"]) == ("refunded", 0)
