"""A dispute upheld in a closure whose merchant has not enough: who is told what, and who gets it.

In each a card of 1,200.00 with 12 sessions was used for five and refunded at its holder's choice:
450.00 to the holder, 250.00 to the merchant. What the use moved, 500.00, is set aside; upheld, the
dispute gives back 750.00, whole (DOMAIN §6).
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from app.evidence.verification import verify
from tests.closures.test_closures_over_http import Shop, shop_in, worked
from tests.cluster import Cluster
from tests.contract.blackbox import check, check_problem
from tests.contract.world import World, open_world


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    urls = await cluster.clone("upheld")
    async with open_world(urls, tmp_path_factory.mktemp("upheld")) as opened:
        yield opened
    report = await verify(urls.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
    await cluster.drop(urls.name)


class Contested(NamedTuple):
    """A refunded card with a use that its holder disputes, and its merchant."""

    shop: Shop
    card_id: str
    holder: Any
    charge: Any
    released: Any
    """The release order by which the merchant has the rest of the refund."""


async def contested(world: World) -> Contested:
    shop = await shop_in(world)
    card_id, holder = await shop.card()
    charge = (await shop.use(card_id, 5)).json()
    saw = {"store_id": shop.ready["store_id"], "sessions": 5}
    await world.made(f"/v1/me/charges/{charge['id']}/confirm", holder, saw)
    asked = {"reason": "consumer_choice"}
    path = f"/v1/me/cards/{card_id}/refunds"
    shown = await world.made(f"{path}/preview", holder, asked, key="")
    echo = {name: shown[name] for name in ("amount", "residue_amount", "as_of")}
    refund = await world.made(path, holder, {**asked, **echo})
    assert (refund["amount"], refund["residue_amount"]) == (450_00, 250_00)
    await shop.paid()
    disputed = await world.made(
        f"/v1/me/charges/{charge['id']}/dispute", holder, {"reason": "not_provided"}
    )
    released = await pay_out(world, shop)
    assert [order["amount"] for order in released] == [250_00]
    return Contested(shop, card_id, holder, disputed, released[0])


async def pay_out(world: World, shop: Shop) -> list[Any]:
    """Cut what merchants have earned and let the bank pay it; give this merchant's orders."""
    cut = await world.made("/v1/payment-files/cut", world.operator, {"kind": "release"})
    found: list[Any] = []
    for file in cut["data"]:
        path = f"/v1/bank/files/{file['id']}"
        orders = (await world.got(f"{path}/orders?limit=200", shop.bank))["data"]
        said = [{"order_id": order["id"], "status": "paid"} for order in orders]
        await world.made(f"{path}/results", shop.bank, {"results": said})
        own = [order for order in orders if order["merchant_id"] == shop.id]
        found += [{**order, "file_id": file["id"]} for order in own]
    return found


async def balances(world: World, shop: Shop) -> dict[str, int]:
    told = await world.got("/v1/balance", shop.merchant)
    return {name: amount for name, amount in told.items() if isinstance(amount, int) and amount}


async def agreed(world: World, one: Contested) -> Any:
    path = f"/v1/cases/{one.charge['dispute']['case_id']}/answers"
    return await world.made(path, one.shop.merchant, {"agree": True, "text": "当天停电"})


async def closed(world: World, shop: Shop, closure: Any) -> Any:
    await shop.executed(closure)
    for _ in range(3):
        await worked(world)
        await shop.paid()
    await worked(world)
    return check("closure", await world.got(f"/v1/closures/{closure['id']}", world.operator))


async def test_what_was_set_aside_is_kept_for_the_holder_until_the_rest_is_there(
    world: World,
) -> None:
    one = await contested(world)
    shop = one.shop
    closure = await shop.order()
    await agreed(world, one)

    ended = await closed(world, shop, closure)

    assert (ended["status"], ended["shortfall_amount"]) == ("closed_with_shortfall", 0)
    said = (await world.got(f"/v1/closures/{closure['id']}/certificate", world.regulator))[
        "certificate"
    ]
    (left,) = said["left"]
    assert left.pop("holder").startswith("****")
    assert left == {
        "account": "merchant_payable",
        "subject_id": one.charge["id"],
        "amount": 500_00,
        "why": "set_aside",
    }
    assert (said["custody_amount"], said["left_amount"]) == (500_00, 500_00)
    (claim,) = said["uncovered_reversals"]
    assert (claim["charge_id"], claim["amount"], claim["kept_amount"]) == (
        one.charge["id"], 750_00, 500_00,
    )  # fmt: skip
    page = await world.call("GET", f"/v1/closures/{closure['id']}/certificate/page", world.operator)
    assert "争议退款留存" in page.text
    # Nothing of it is the merchant's, whenever files are cut.
    assert await pay_out(world, shop) == []
    assert (await balances(world, shop))["payable_amount"] == 500_00
    # Both are told the same.
    for path, who in (
        (f"/v1/me/charges/{one.charge['id']}", one.holder),
        (f"/v1/charges/{one.charge['id']}", shop.merchant),
    ):
        told = await world.got(path, who)
        assert (told["status"], told["dispute"]["status"]) == ("disputed", "upheld")
        assert told["reversal"]["status"] == "pending"
    again = await world.call(
        "POST", f"/v1/me/charges/{one.charge['id']}/dispute", one.holder, {"reason": "other"}
    )
    assert again.json()["dispute"]["status"] == "upheld"


async def test_the_merchants_money_that_comes_back_later_pays_the_holder_whole(
    world: World,
) -> None:
    one = await contested(world)
    shop = one.shop
    closure = await shop.order("immediate")
    await agreed(world, one)
    await closed(world, shop, closure)

    returned = {"order_id": one.released["id"], "status": "returned", "reason": "other"}
    path = f"/v1/bank/files/{one.released['file_id']}/results"
    await world.made(path, shop.bank, {"results": [returned]})
    await worked(world)
    await shop.paid()
    await worked(world)

    told = await world.got(f"/v1/me/charges/{one.charge['id']}", one.holder)
    assert (told["status"], told["reversal"]["status"]) == ("reversed", "done")
    refunds = (await world.got("/v1/me/refunds", one.holder))["data"]
    assert [(refund["amount"], refund["status"]) for refund in refunds] == [
        (750_00, "paid"), (450_00, "paid"),
    ]  # fmt: skip
    assert await balances(world, shop) == {}
    said = (await world.got(f"/v1/closures/{closure['id']}/certificate", world.regulator))[
        "certificate"
    ]
    assert (said["number"], said["closure"]["status"]) == (2, "closed")
    assert (said["left"], said["uncovered_reversals"]) == ([], [])


async def test_a_dismissed_dispute_leaves_what_was_set_aside_to_the_merchant(
    world: World,
) -> None:
    one = await contested(world)
    shop = one.shop
    closure = await shop.order()
    path = f"/v1/cases/{one.charge['dispute']['case_id']}"
    await world.made(f"{path}/answers", shop.merchant, {"agree": False, "text": "有录像"})
    ruling = {"decision": "rejected", "reason": "门店录像"}
    proposed = await world.made(f"{path}/decisions", world.operator, ruling)
    await world.made(f"/v1/approvals/{proposed['id']}/approve", world.operator2)

    ended = await closed(world, shop, closure)

    assert ended["status"] == "closed"
    assert [order["amount"] for order in await pay_out(world, shop)] == [500_00]
    refused = await world.call(
        "POST", f"/v1/me/charges/{one.charge['id']}/dispute", one.holder, {"reason": "other"}
    )
    check_problem(refused, 409, "charge_disputed")
