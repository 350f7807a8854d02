"""The closing of a merchant as operators, regulators, banks and consumers meet it over HTTP."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app import ids
from app.access.principals import Role
from app.closures import upkeep
from app.closures.preparing import Tools
from app.ids import Prefix
from app.payment_files.routes import parts_of
from tests.cluster import Cluster
from tests.contract.blackbox import check, check_problem
from tests.contract.world import NOBODY, World, bearer, open_world, unique


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Give a world of this module's own: its clock is moved and its merchants close."""
    made = await cluster.clone("closures")
    data: Path = tmp_path_factory.mktemp("closures")
    async with open_world(made, data) as opened:
        yield opened
    await cluster.drop(made.name)


class Shop:
    """A merchant of its own with the calls that a test makes of it."""

    def __init__(self, world: World, ready: Mapping[str, Any]) -> None:
        self.world, self.ready = world, ready
        self.merchant = bearer(ready["merchant_key"])
        self.bank = bearer(ready["bank_key"])

    @property
    def id(self) -> str:
        return self.ready["merchant_id"]

    async def card(self, kind: str = "count", consumer: str | None = None) -> tuple[str, Any]:
        """Sell a card to somebody; give it with its holder's credential."""
        who = self.world.token(consumer or unique("consumer"))
        page = await self.world.got(f"/v1/public/stores/{self.ready['store_id']}")
        (offer,) = [one for one in page["products"] if one["kind"] == kind]
        bought = await self.world.made("/v1/me/purchases", who, {
            "product_id": offer["id"],
            "store_id": self.ready["store_id"],
            "contract_sha256": offer["contract"]["sha256"],
        })  # fmt: skip
        paid = {"payment_reference": bought["payment_reference"], "amount": bought["amount"]}
        receipt = await self.world.made("/v1/sandbox/bank/pay", NOBODY, paid, key="")
        return receipt["card_id"], who

    async def use(self, card_id: str, sessions: int = 1) -> Any:
        body = {"store_id": self.ready["store_id"], "card_id": card_id, "sessions": sessions}
        return await self.world.call("POST", "/v1/charges", self.merchant, body)

    async def order(self, kind: str = "immediate", who: Any = None) -> Any:
        return await self.world.made(
            f"/v1/merchants/{self.id}/closures",
            who or self.world.operator,
            {"kind": kind, "reason": "租约到期, <b>停止营业</b>"},
        )

    async def executed(self, closure: Mapping[str, Any]) -> Any:
        """Let two persons execute a closure; give what the approval answers."""
        path = f"/v1/closures/{closure['id']}/execute"
        proposal = await self.world.made(path, self.world.operator)
        return await self.world.made(
            f"/v1/approvals/{proposal['id']}/approve", self.world.operator2
        )

    async def paid(self) -> None:
        """Cut the refunds, and let the bank pay them."""
        cut = {"kind": "refund"}
        for file in (await self.world.made("/v1/payment-files/cut", self.world.operator, cut))[
            "data"
        ]:
            path = f"/v1/bank/files/{file['id']}"
            orders = (await self.world.got(f"{path}/orders?limit=200", self.bank))["data"]
            said = [{"order_id": order["id"], "status": "paid"} for order in orders]
            await self.world.made(f"{path}/results", self.bank, {"results": said})


async def shop_in(world: World, **fields: str) -> Shop:
    return Shop(world, await world.made("/v1/sandbox/merchants", NOBODY, fields, key=""))


async def worked(world: World) -> None:
    """Let the worker come round once."""
    services = world.served.services
    await upkeep.carry_on(Tools(services.writer, parts_of(services)))


async def test_a_merchant_closes_from_the_order_to_the_certificate(world: World) -> None:
    shop = await shop_in(world)
    cards = [await shop.card() for _ in range(2)]
    closure = check("closure", await shop.order(), prefix="clo")
    path = f"/v1/closures/{closure['id']}"
    assert (closure["merchant_id"], closure["status"]) == (shop.id, "closing")
    assert (closure["card_count"], closure["refund_amount"]) == (2, 240000)
    assert (closure["rate_per_second"], closure["certificate_url"]) == (None, None)
    check_problem(await shop.use(cards[0][0]), 409, "merchant_frozen")
    check_problem(await world.call("GET", f"{path}/certificate", world.operator), 404, "not_found")

    preview = await world.made(f"{path}/preview", world.operator, key="")
    assert preview["kinds"] == [{"kind": "count", "card_count": 2, "refund_amount": 240000}]
    proposal = await world.made(f"{path}/execute", world.operator)
    assert (proposal["status"], proposal["request"]["refund_amount"]) == ("proposed", 240000)
    own = await world.call("POST", f"/v1/approvals/{proposal['id']}/approve", world.operator)
    check_problem(own, 409, "own_proposal")
    done = await world.made(f"/v1/approvals/{proposal['id']}/approve", world.operator2)
    result = check("closure", done["result"], prefix="clo")
    assert (result["id"], result["status"], result["refunded_count"]) == (
        closure["id"], "refunding", 0,
    )  # fmt: skip

    await worked(world)
    going = await world.got(path, world.operator)
    assert (going["refunded_count"], going["refunded_amount"]) == (2, 240000)
    assert going["rate_per_second"] > 0
    refunds = await world.got("/v1/me/refunds", cards[0][1])
    (refund,) = refunds["data"]
    assert (refund["reason"], refund["class"], refund["status"]) == (
        "closure", "merchant_fault", "decided",
    )  # fmt: skip
    await shop.paid()
    await worked(world)

    ended = check("closure", await world.got(path, world.regulator), prefix="clo")
    assert ended["status"] == "closed"
    assert ended["certificate_url"].endswith(f"{path}/certificate")
    assert ended["finished_at"] >= ended["started_at"]
    assert (await world.got(f"/v1/me/cards/{cards[0][0]}", cards[0][1]))["status"] == "refunded"


async def test_a_certificate_is_proved_by_the_published_keys_alone(world: World) -> None:
    shop = await shop_in(world)
    await shop.card()
    closure = await shop.order()
    await shop.executed(closure)
    await worked(world)
    await shop.paid()
    await worked(world)

    said = await world.got(f"/v1/closures/{closure['id']}/certificate", world.regulator)

    certificate, signature = said["certificate"], said["signature"]
    canonical = json.dumps(
        certificate, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()
    digest = sha256(canonical).hexdigest()
    assert digest == signature["sha256"]
    keys = (await world.got("/.well-known/anxin-keys.json"))["keys"]
    (jwk,) = [key for key in keys if key["kid"] == signature["key_id"]]
    public = base64.urlsafe_b64decode(jwk["x"] + "=")
    Ed25519PublicKey.from_public_bytes(public).verify(
        base64.b64decode(signature["signature"]),
        f"anxin closure certificate 1\n{digest}\n".encode(),
    )
    assert (certificate["custody_amount"], certificate["left"]) == (0, [])
    assert certificate["refunded"]["paid_amount"] == 120000


async def test_the_page_escapes_what_people_wrote_and_loads_nothing(world: World) -> None:
    shop = await shop_in(world, name="<script>alert(1)</script>健身")
    closure = await shop.order()
    await shop.executed(closure)
    await worked(world)

    path = f"/v1/closures/{closure['id']}/certificate/page"
    page = await world.call("GET", path, world.operator)

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in page.headers["content-security-policy"].replace("default-src", "")
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;健身" in page.text
    assert "&lt;b&gt;停止营业&lt;/b&gt;" in page.text
    assert "http" not in page.text.replace('http-equiv="', "")


async def test_closing_twice_executing_on_notice_and_cancelling_late_are_refused(
    world: World,
) -> None:
    shop = await shop_in(world)
    card_id, _ = await shop.card()
    notice = await shop.order("notice")
    path = f"/v1/closures/{notice['id']}"
    assert (notice["status"], notice["notice_ends_at"] is not None) == ("notice", True)
    again = await world.call(
        "POST", f"/v1/merchants/{shop.id}/closures", world.regulator,
        {"kind": "absconded", "reason": "失联"},
    )  # fmt: skip
    problem = check_problem(again, 409, "closure_in_progress")
    assert problem["closure_id"] == notice["id"]
    early = await world.call("POST", f"{path}/execute", world.operator)
    assert check_problem(early, 409, "closure_state")["closure_status"] == "notice"
    assert (await shop.use(card_id)).status_code == 201

    await world.made("/v1/sandbox/clock/advance", NOBODY, {"seconds": 30 * 86_400}, key="")

    assert (await world.got(path, world.operator))["status"] == "closing"
    late = await world.call("POST", f"{path}/cancel", world.operator)
    assert check_problem(late, 409, "closure_state")["closure_status"] == "closing"
    await worked(world)
    check_problem(await shop.use(card_id), 409, "merchant_frozen")
    assert (await shop.executed(notice))["result"]["status"] == "refunding"


async def test_who_may_not_close_a_merchant(world: World) -> None:
    shop = await shop_in(world)
    path = f"/v1/merchants/{shop.id}/closures"
    absconded = {"kind": "absconded", "reason": "失联"}
    check_problem(await world.call("POST", path, world.operator, absconded), 403, "forbidden")
    elsewhere = await world.key(Role.REGULATOR, districts=("110000",))
    check_problem(await world.call("POST", path, elsewhere, absconded), 404, "not_found")
    nobody = f"/v1/merchants/{ids.to_text(Prefix.MERCHANT, ids.new_id(9_999))}/closures"
    check_problem(await world.call("POST", nobody, world.regulator, absconded), 404, "not_found")
    for wrong in (
        {"kind": "bankrupt", "reason": "x"},
        {"kind": "notice"},
        {"kind": "notice", "reason": ""},
        {"kind": "notice", "reason": "x", "days": 3},
    ):
        answer = await world.call("POST", path, world.operator, wrong)
        check_problem(answer, 422, "invalid_request")
    made = await world.call("POST", path, world.regulator, absconded)
    assert (made.status_code, made.json()["status"]) == (201, "closing")
    merchant = await world.got(f"/v1/public/stores/{shop.ready['store_id']}")
    assert merchant["merchant"]["status"] == "closing"


async def test_from_notice_on_every_refund_is_the_merchants_fault(world: World) -> None:
    shop = await shop_in(world)
    card_id, holder = await shop.card()
    await shop.order("notice")

    shown = await world.made(
        f"/v1/me/cards/{card_id}/refunds/preview", holder, {"reason": "consumer_choice"}, key=""
    )

    assert (shown["class"], shown["amount"], shown["residue_amount"]) == (
        "merchant_fault", 120000, 0,
    )  # fmt: skip


async def test_a_merchants_closures_are_listed_newest_first(world: World) -> None:
    shop = await shop_in(world)
    path = f"/v1/merchants/{shop.id}/closures"
    first = await shop.order("notice")
    await world.made(f"/v1/closures/{first['id']}/cancel", world.operator)
    second = await shop.order("immediate")

    page = await world.got(f"{path}?limit=1", world.regulator)
    rest = await world.got(f"{path}?limit=1&cursor={page['next_cursor']}", world.regulator)

    assert [one["id"] for one in (*page["data"], *rest["data"])] == [second["id"], first["id"]]
    assert (rest["data"][0]["status"], rest["next_cursor"]) == ("cancelled", None)
    elsewhere = await world.key(Role.REGULATOR, industries=("catering",))
    check_problem(await world.call("GET", path, elsewhere), 404, "not_found")
