"""The matrix of all calls: who may make each, with what, and what others get.

A row is added with its route: `test_tenancy.py` fails for a route without one.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from app.access.principals import Role
from tests.contract.world import Side, World, unique

Call = tuple[str, object]
"""A path and a body, ready to be sent by the side that it was made for."""
Prepare = Callable[[World, Side], Awaitable[Call]]


class Others(Enum):
    """What a principal of the same role meets, who is not the one whose things they are."""

    NOT_FOUND = "the same call gives 404 and changes nothing"
    LIST = "the same call lists none of it"
    OWN = "the call names nothing of anybody's"
    NONE = "the role has no tenants"


@dataclass(frozen=True)
class Row:
    """One call."""

    method: str
    path: str
    role: Role | None
    prepare: Prepare
    others: Others = Others.NONE
    status: int = 200
    narrowed: int | None = None
    """What a key of the merchant's other store gets; None where it is served like any."""
    keyed: bool = True
    """Whether a POST needs an idempotency key."""
    also: Role | None = None
    """Another role that may make the call; what it reaches is tested with the capability."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _plain(path: str, body: object = None) -> Prepare:
    async def prepare(_world: World, _side: Side) -> Call:
        return path, body

    return prepare


def _of(make: Callable[[Side], Call]) -> Prepare:
    async def prepare(_world: World, side: Side) -> Call:
        return make(side)

    return prepare


async def _new_key(world: World, side: Side) -> Call:
    del world
    body = {"role": "merchant", "person_id": unique("p"), "merchant_id": side.merchant_id}
    return "/v1/api-keys", body


async def _made_key(world: World, side: Side) -> str:
    path, body = await _new_key(world, side)
    return (await world.made(path, world.operator, body))["id"]


async def _api_key(world: World, side: Side) -> Call:
    return f"/v1/api-keys/{await _made_key(world, side)}", None


async def _approval(world: World, _side: Side) -> Call:
    return f"/v1/approvals/{(await world.proposal())['id']}", None


async def _approve(world: World, _side: Side) -> Call:
    return f"/v1/approvals/{(await world.proposal())['id']}/approve", None


async def _reject(world: World, _side: Side) -> Call:
    return f"/v1/approvals/{(await world.proposal())['id']}/reject", None


def _file(suffix: str = "") -> Prepare:
    async def prepare(world: World, side: Side) -> Call:
        return f"/v1/bank/files/{(await world.file(side))['id']}{suffix}", None

    return prepare


async def _acknowledge(world: World, side: Side) -> Call:
    file = await world.file(side)
    return f"/v1/bank/files/{file['id']}/acknowledge", {"sha256": file["sha256"]}


async def _results(world: World, side: Side) -> Call:
    file = await world.file(side)
    order = await world.order(side, file)
    body = {"results": [{"order_id": order["id"], "status": "paid"}]}
    return f"/v1/bank/files/{file['id']}/results", body


async def _cancel_file(world: World, side: Side) -> Call:
    return f"/v1/payment-files/{(await world.file(side))['id']}/cancel", None


async def _cut(world: World, side: Side) -> Call:
    await world.confirmed(side, 600)
    return "/v1/payment-files/cut", {"kind": "release"}


async def _settlement_items(world: World, side: Side) -> Call:
    order = await world.order(side, await world.file(side))
    return f"/v1/settlements/{order['id']}/items", None


def _product() -> dict[str, object]:
    return {"name": unique("卡"), "kind": "stored_value", "price_amount": 100}


async def _charge(world: World, side: Side) -> Call:
    return "/v1/charges", await world.charge_body(side)


async def _batch(world: World, side: Side) -> Call:
    item = await world.charge_body(side, client_reference=unique())
    return "/v1/charges/batch", {"items": [item]}


def _confirmed(suffix: str = "", root: str = "/v1/charges") -> Prepare:
    async def prepare(world: World, side: Side) -> Call:
        return f"{root}/{(await world.confirmed(side))['id']}{suffix}", None

    return prepare


def _pending(suffix: str, root: str = "/v1/charges") -> Prepare:
    async def prepare(world: World, side: Side) -> Call:
        return f"{root}/{(await world.pending(side))['id']}{suffix}", None

    return prepare


async def _confirm(world: World, side: Side) -> Call:
    charge = await world.pending(side)
    return f"/v1/me/charges/{charge['id']}/confirm", {"store_id": side.store_id, "amount": 1}


async def _dispute(world: World, side: Side) -> Call:
    charge = await world.confirmed(side)
    return f"/v1/me/charges/{charge['id']}/dispute", {"reason": "not_provided"}


def _purchase(suffix: str = "") -> Prepare:
    async def prepare(world: World, side: Side) -> Call:
        return f"/v1/purchases/{(await world.purchase(side))['id']}{suffix}", None

    return prepare


async def _own_purchase(world: World, side: Side) -> Call:
    bought = await world.made("/v1/me/purchases", side.consumer, world.own_purchase(side))
    return f"/v1/me/purchases/{bought['id']}", None


async def _accept(world: World, side: Side) -> Call:
    sale = await world.purchase(side, consumer_id=side.consumer_id)
    body = {"contract_sha256": sale["contract"]["sha256"]}
    return f"/v1/me/purchases/{sale['id']}/accept", body


async def _receipt(world: World, side: Side) -> Call:
    return "/v1/bank/receipts", world.receipt(side)


async def _match(world: World, side: Side) -> Call:
    sale = await world.purchase(side)
    return f"/v1/receipts/{await world.suspense(side)}/match", {"purchase_id": sale["id"]}


async def _return(world: World, side: Side) -> Call:
    return f"/v1/receipts/{await world.suspense(side)}/return", None


async def _payee_of_receipt(world: World, side: Side) -> Call:
    receipt_id = await world.suspense(side)
    path = f"/v1/receipts/{receipt_id}"
    proposal = await world.made(f"{path}/return", world.operator)
    await world.made(f"/v1/approvals/{proposal['id']}/approve", world.operator2)
    await world.returned_refund(side)  # what waits besides is given back with it
    return f"{path}/payee-account", {"holder_name": "王芳", "account_number": "6228480402564890018"}


def _merchant() -> dict[str, object]:
    name = unique("商户")
    payee = {"holder_name": name, "account_number": "6222021234567890", "bank_code": "1023310"}
    return {
        "name": name,
        "licence_number": unique("91"),
        "industry": "fitness",
        "district": "330106",
        "payee": payee,
    }


async def _custody_account(world: World, _side: Side) -> Call:
    merchant = await world.made("/v1/merchants", world.operator, _merchant())
    number = unique("3301").replace("-", "")
    body = {"bank": "HZCB", "account_number": number, "holder_name": merchant["name"]}
    return f"/v1/merchants/{merchant['id']}/custody-accounts", body


async def _ledger_transfers(world: World, side: Side) -> Call:
    accounts = await world.got(
        f"/v1/ledger/accounts?merchant_id={side.merchant_id}", world.operator
    )
    return f"/v1/ledger/accounts/{accounts['data'][0]['id']}/transfers", None


async def _pay(world: World, side: Side) -> Call:
    sale = await world.purchase(side)
    body = {"payment_reference": sale["payment_reference"], "amount": sale["amount"]}
    return "/v1/sandbox/bank/pay", body


def _asking(suffix: str) -> Prepare:
    """Ask for something about a refund of a card that was just sold."""

    async def prepare(world: World, side: Side) -> Call:
        card_id = await world.card(side)
        if suffix.endswith("/preview"):
            return f"/v1/me/cards/{card_id}/{suffix}", {"reason": "consumer_choice"}
        return f"/v1/me/cards/{card_id}/{suffix}", await world.refund_body(side, card_id)

    return prepare


async def _offer(world: World, side: Side) -> Call:
    return f"/v1/cards/{await world.card(side)}/refund-offers", {"amount": 100}


def _own_card(step: str, *before: str, kind: str = "period", body: object = None) -> Prepare:
    """Take a step of a new card's life, after others."""

    async def prepare(world: World, side: Side) -> Call:
        path = f"/v1/me/cards/{await world.card(side, kind)}"
        for earlier in before:
            await world.made(f"{path}/{earlier}", side.consumer)
        return f"{path}/{step}", body

    return prepare


async def _transfer_away(world: World, side: Side) -> str:
    path, body = await _own_card("transfer", body={"consumer_id": unique("c")})(world, side)
    return (await world.made(path, side.consumer, body))["id"]


def _transfer_to(suffix: str) -> Prepare:
    """Let somebody offer a card to the side's consumer."""

    async def prepare(world: World, side: Side) -> Call:
        giver = world.token(unique("c"))
        path = f"/v1/me/cards/{await world.card(side, 'count', giver)}/transfer"
        made = await world.made(path, giver, {"consumer_id": side.consumer_id})
        return f"/v1/me/transfers/{made['id']}{suffix}", None

    return prepare


async def _withdraw_transfer(world: World, side: Side) -> Call:
    return f"/v1/me/transfers/{await _transfer_away(world, side)}/withdraw", None


async def _transfers(world: World, side: Side) -> Call:
    await _transfer_away(world, side)
    return "/v1/me/transfers", None


def _offered(suffix: str = "") -> Prepare:
    async def prepare(world: World, side: Side) -> Call:
        path, body = await _offer(world, side)
        offer = await world.made(path, side.merchant, body)
        return f"/v1/me/refunds/{offer['id']}{suffix}", None

    return prepare


def _claimed(root: str, suffix: str = "", body: object = None, of: str = "case_id") -> Prepare:
    """Name the case of a claim, or its refund."""

    async def prepare(world: World, side: Side) -> Call:
        path = f"/v1/me/cards/{await world.card(side)}/refunds"
        claim = await world.made(path, side.consumer, {"reason": "health"})
        return f"{root}/{claim[of]}{suffix}", body

    return prepare


async def _payee_account(world: World, side: Side) -> Call:
    body = {"holder_name": "王芳", "account_number": "6222020200112239999"}
    return f"/v1/me/refunds/{await world.returned_refund(side)}/payee-account", body


async def _hold(world: World, side: Side) -> Call:
    card_id = await world.card(side)
    body = {"target": "card", "target_id": card_id, "document_number": unique(), "reason": "保全"}
    return "/v1/holds", body


def _held(suffix: str = "") -> Prepare:
    async def prepare(world: World, side: Side) -> Call:
        path, body = await _hold(world, side)
        hold = await world.made(path, world.operator, body)
        return f"{path}/{hold['id']}{suffix}", None

    return prepare


async def _closing(world: World, _side: Side) -> Call:
    """Close a merchant of its own: the sides go on."""
    ready = await world.made("/v1/sandbox/merchants", body={}, key="")
    return f"/v1/merchants/{ready['merchant_id']}/closures", {
        "kind": "immediate", "reason": "停止营业",
    }  # fmt: skip


def _closed(suffix: str = "", kind: str = "immediate") -> Prepare:
    async def prepare(world: World, side: Side) -> Call:
        path, _ = await _closing(world, side)
        body = {"kind": kind, "reason": "停止营业"}
        closure = await world.made(path, world.operator, body)
        if suffix.startswith("/certificate"):
            await world.finished(closure)
        return f"/v1/closures/{closure['id']}{suffix}", None

    return prepare


def _payer(side: Side) -> Mapping[str, object]:
    return {"product_id": side.products["stored_value"], "store_id": side.store_id}


_OPERATOR: Final[list[Row]] = [
    Row("POST", "/v1/api-keys", Role.OPERATOR, _new_key, status=201),
    Row("GET", "/v1/api-keys", Role.OPERATOR, _plain("/v1/api-keys")),
    Row("GET", "/v1/api-keys/{key_id}", Role.OPERATOR, _api_key),
    Row("DELETE", "/v1/api-keys/{key_id}", Role.OPERATOR, _api_key),
    Row("GET", "/v1/approvals", Role.OPERATOR, _plain("/v1/approvals")),
    Row("GET", "/v1/approvals/{approval_id}", Role.OPERATOR, _approval),
    Row("POST", "/v1/approvals/{approval_id}/approve", Role.OPERATOR, _approve),
    Row("POST", "/v1/approvals/{approval_id}/reject", Role.OPERATOR, _reject),
    Row("GET", "/v1/calendar/{year}", Role.OPERATOR, _plain("/v1/calendar/2026")),
    Row(
        "PUT", "/v1/calendar/{year}", Role.OPERATOR,
        _plain("/v1/calendar/2029", {
            "holidays": [{"date": "2029-01-01", "name": "元旦"}], "working_weekends": [],
        }),
        status=202,
    ),
    Row("GET", "/v1/policies", Role.OPERATOR, _plain("/v1/policies")),
    Row(
        "PUT", "/v1/policies", Role.OPERATOR,
        _plain("/v1/policies", {
            "key": "retention_years", "region": "99", "value": 10, "valid_from": "2100-01-01",
        }),
        status=202,
    ),
    Row(
        "POST", "/v1/merchants", Role.OPERATOR,
        _of(lambda _: ("/v1/merchants", _merchant())), status=201,
    ),
    Row("GET", "/v1/merchants", Role.OPERATOR, _plain("/v1/merchants")),
    Row(
        "GET", "/v1/merchants/{merchant_id}", Role.OPERATOR,
        _of(lambda side: (f"/v1/merchants/{side.merchant_id}", None)),
    ),
    Row(
        "PATCH", "/v1/merchants/{merchant_id}", Role.OPERATOR,
        _of(lambda side: (f"/v1/merchants/{side.merchant_id}", {"district": "330106"})),
    ),
    Row(
        "GET", "/v1/merchants/{merchant_id}/payee-accounts", Role.OPERATOR,
        _of(lambda side: (f"/v1/merchants/{side.merchant_id}/payee-accounts", None)),
    ),
    Row(
        "POST", "/v1/merchants/{merchant_id}/stores", Role.OPERATOR,
        _of(lambda side: (f"/v1/merchants/{side.merchant_id}/stores", {"name": unique("店")})),
        status=201,
    ),
    Row(
        "GET", "/v1/merchants/{merchant_id}/stores", Role.OPERATOR,
        _of(lambda side: (f"/v1/merchants/{side.merchant_id}/stores", None)),
    ),
    Row(
        "POST", "/v1/merchants/{merchant_id}/custody-accounts", Role.OPERATOR,
        _custody_account, status=201,
    ),
    Row(
        "GET", "/v1/merchants/{merchant_id}/custody-accounts", Role.OPERATOR,
        _of(lambda side: (f"/v1/merchants/{side.merchant_id}/custody-accounts", None)),
    ),
    Row(
        "PATCH", "/v1/stores/{store_id}", Role.OPERATOR,
        _of(lambda side: (f"/v1/stores/{side.store_id}", {"status": "open"})),
    ),
    Row("POST", "/v1/holds", Role.OPERATOR, _hold, status=201, also=Role.REGULATOR),
    Row("GET", "/v1/holds", Role.OPERATOR, _plain("/v1/holds"), also=Role.REGULATOR),
    Row("GET", "/v1/holds/{hold_id}", Role.OPERATOR, _held(), also=Role.REGULATOR),
    Row(
        "POST", "/v1/holds/{hold_id}/lift", Role.OPERATOR, _held("/lift"), status=202,
        also=Role.REGULATOR,
    ),
    Row(
        "POST", "/v1/cases/{case_id}/decisions", Role.OPERATOR,
        _claimed("/v1/cases", "/decisions", {"decision": "upheld", "reason": "属实"}), status=202,
    ),
    Row(
        "POST", "/v1/merchants/{merchant_id}/closures", Role.OPERATOR, _closing, status=201,
        also=Role.REGULATOR,
    ),
    Row(
        "GET", "/v1/merchants/{merchant_id}/closures", Role.OPERATOR,
        _of(lambda side: (f"/v1/merchants/{side.merchant_id}/closures", None)),
        also=Role.REGULATOR,
    ),
    Row("GET", "/v1/closures/{closure_id}", Role.OPERATOR, _closed(), also=Role.REGULATOR),
    Row(
        "POST", "/v1/closures/{closure_id}/preview", Role.OPERATOR, _closed("/preview"),
        keyed=False, also=Role.REGULATOR,
    ),
    Row(
        "POST", "/v1/closures/{closure_id}/execute", Role.OPERATOR, _closed("/execute"),
        status=202, also=Role.REGULATOR,
    ),
    Row(
        "POST", "/v1/closures/{closure_id}/cancel", Role.OPERATOR,
        _closed("/cancel", "notice"), also=Role.REGULATOR,
    ),
    Row(
        "GET", "/v1/closures/{closure_id}/certificate", Role.OPERATOR, _closed("/certificate"),
        also=Role.REGULATOR,
    ),
    Row(
        "GET", "/v1/closures/{closure_id}/certificate/page", Role.OPERATOR,
        _closed("/certificate/page"), also=Role.REGULATOR,
    ),
    Row("POST", "/v1/payment-files/cut", Role.OPERATOR, _cut, status=201),
    Row("POST", "/v1/payment-files/{file_id}/cancel", Role.OPERATOR, _cancel_file),
    Row("GET", "/v1/receipts", Role.OPERATOR, _plain("/v1/receipts?status=suspense")),
    Row("POST", "/v1/receipts/{receipt_id}/match", Role.OPERATOR, _match, status=202),
    Row("POST", "/v1/receipts/{receipt_id}/return", Role.OPERATOR, _return, status=202),
    Row(
        "POST", "/v1/receipts/{receipt_id}/payee-account", Role.OPERATOR, _payee_of_receipt,
        status=202,
    ),
    Row("GET", "/v1/ledger/trial-balance", Role.OPERATOR, _plain("/v1/ledger/trial-balance")),
    Row(
        "GET", "/v1/ledger/accounts", Role.OPERATOR,
        _of(lambda side: (f"/v1/ledger/accounts?merchant_id={side.merchant_id}", None)),
    ),
    Row(
        "GET", "/v1/ledger/accounts/{account_id}/transfers", Role.OPERATOR, _ledger_transfers,
    ),
]  # fmt: skip

_MERCHANT: Final[list[Row]] = [
    Row(
        "POST", "/v1/card-products", Role.MERCHANT,
        _of(lambda _: ("/v1/card-products", _product())), Others.OWN, 201, narrowed=403,
    ),
    Row("GET", "/v1/card-products", Role.MERCHANT, _plain("/v1/card-products"), Others.LIST),
    Row(
        "GET", "/v1/card-products/{product_id}", Role.MERCHANT,
        _of(lambda side: (f"/v1/card-products/{side.products['count']}", None)),
        Others.NOT_FOUND,
    ),
    Row(
        "GET", "/v1/cases", Role.MERCHANT, _plain("/v1/cases"), Others.LIST, narrowed=403,
        also=Role.OPERATOR,
    ),
    Row(
        "GET", "/v1/cases/{case_id}", Role.MERCHANT, _claimed("/v1/cases"), Others.NOT_FOUND,
        narrowed=403, also=Role.OPERATOR,
    ),
    Row(
        "POST", "/v1/cases/{case_id}/answers", Role.MERCHANT,
        _claimed("/v1/cases", "/answers", {"agree": False}), Others.NOT_FOUND, narrowed=403,
    ),
    Row("GET", "/v1/cards", Role.MERCHANT, _plain("/v1/cards"), Others.LIST),
    Row(
        "GET", "/v1/cards/{card_id}", Role.MERCHANT,
        _of(lambda side: (f"/v1/cards/{side.cards['count']}", None)), Others.NOT_FOUND,
    ),
    Row("POST", "/v1/charges", Role.MERCHANT, _charge, Others.NOT_FOUND, 201, narrowed=404),
    # A batch answers for each item; the item's own verdict is what others get.
    Row("POST", "/v1/charges/batch", Role.MERCHANT, _batch, Others.OWN),
    Row("GET", "/v1/charges", Role.MERCHANT, _plain("/v1/charges"), Others.LIST),
    Row(
        "GET", "/v1/charges/{charge_id}", Role.MERCHANT, _confirmed(), Others.NOT_FOUND,
        narrowed=404,
    ),
    Row(
        "POST", "/v1/charges/{charge_id}/cancel", Role.MERCHANT, _pending("/cancel"),
        Others.NOT_FOUND, narrowed=404,
    ),
    Row(
        "POST", "/v1/charges/{charge_id}/reverse", Role.MERCHANT, _confirmed("/reverse"),
        Others.NOT_FOUND, narrowed=404,
    ),
    Row("GET", "/v1/balance", Role.MERCHANT, _plain("/v1/balance"), Others.LIST, narrowed=403),
    Row(
        "GET", "/v1/settlements", Role.MERCHANT, _plain("/v1/settlements"), Others.LIST,
        narrowed=403,
    ),
    Row(
        "GET", "/v1/settlements/{order_id}/items", Role.MERCHANT, _settlement_items,
        Others.NOT_FOUND, narrowed=403,
    ),
    Row(
        "POST", "/v1/purchases", Role.MERCHANT,
        _of(lambda side: ("/v1/purchases", {**_payer(side), "consumer_id": unique("c")})),
        Others.NOT_FOUND, 201, narrowed=404,
    ),
    Row("GET", "/v1/purchases", Role.MERCHANT, _plain("/v1/purchases"), Others.LIST),
    Row(
        "GET", "/v1/purchases/{purchase_id}", Role.MERCHANT, _purchase(), Others.NOT_FOUND,
        narrowed=404,
    ),
    Row(
        "POST", "/v1/purchases/{purchase_id}/cancel", Role.MERCHANT, _purchase("/cancel"),
        Others.NOT_FOUND, narrowed=404,
    ),
    Row(
        "POST", "/v1/cards/{card_id}/refund-offers", Role.MERCHANT, _offer, Others.NOT_FOUND, 201,
        narrowed=403,
    ),
]  # fmt: skip

_CONSUMER: Final[list[Row]] = [
    Row("GET", "/v1/me/cards", Role.CONSUMER, _plain("/v1/me/cards"), Others.LIST),
    Row(
        "GET", "/v1/me/cards/{card_id}", Role.CONSUMER,
        _of(lambda side: (f"/v1/me/cards/{side.cards['count']}", None)), Others.NOT_FOUND,
    ),
    Row(
        "GET", "/v1/me/cards/{card_id}/statement", Role.CONSUMER,
        _of(lambda side: (f"/v1/me/cards/{side.cards['count']}/statement", None)),
        Others.NOT_FOUND,
    ),
    Row(
        "GET", "/v1/me/cards/{card_id}/evidence", Role.CONSUMER,
        _of(lambda side: (f"/v1/me/cards/{side.cards['count']}/evidence", None)),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/codes", Role.CONSUMER,
        _of(lambda side: ("/v1/me/codes", {"card_id": side.cards["stored_value"]})),
        Others.NOT_FOUND, 201, keyed=False,
    ),
    Row("GET", "/v1/me/charges", Role.CONSUMER, _plain("/v1/me/charges"), Others.LIST),
    Row(
        "GET", "/v1/me/charges/{charge_id}", Role.CONSUMER, _confirmed(root="/v1/me/charges"),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/charges/{charge_id}/confirm", Role.CONSUMER, _confirm,
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/charges/{charge_id}/decline", Role.CONSUMER,
        _pending("/decline", "/v1/me/charges"), Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/charges/{charge_id}/dispute", Role.CONSUMER, _dispute, Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/cards/{card_id}/refunds/preview", Role.CONSUMER,
        _asking("refunds/preview"), Others.NOT_FOUND, keyed=False,
    ),
    Row(
        "POST", "/v1/me/cards/{card_id}/refunds", Role.CONSUMER, _asking("refunds"),
        Others.NOT_FOUND, 201,
    ),
    Row(
        "POST", "/v1/me/cards/{card_id}/freeze", Role.CONSUMER, _own_card("freeze"),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/cards/{card_id}/unfreeze", Role.CONSUMER,
        _own_card("unfreeze", "freeze"), Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/cards/{card_id}/report-loss", Role.CONSUMER,
        _own_card("report-loss", kind="count"), Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/cards/{card_id}/reactivate", Role.CONSUMER,
        _own_card("reactivate", "report-loss"), Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/cards/{card_id}/transfer", Role.CONSUMER,
        _own_card("transfer", body={"consumer_id": unique("c")}), Others.NOT_FOUND, 202,
    ),
    Row("GET", "/v1/me/transfers", Role.CONSUMER, _transfers, Others.LIST),
    Row(
        "GET", "/v1/me/transfers/{transfer_id}", Role.CONSUMER, _transfer_to(""),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/transfers/{transfer_id}/accept", Role.CONSUMER, _transfer_to("/accept"),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/transfers/{transfer_id}/decline", Role.CONSUMER, _transfer_to("/decline"),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/transfers/{transfer_id}/withdraw", Role.CONSUMER, _withdraw_transfer,
        Others.NOT_FOUND,
    ),
    Row("GET", "/v1/me/refunds", Role.CONSUMER, _plain("/v1/me/refunds"), Others.LIST),
    Row("GET", "/v1/me/refunds/{refund_id}", Role.CONSUMER, _offered(), Others.NOT_FOUND),
    Row(
        "POST", "/v1/me/refunds/{refund_id}/accept", Role.CONSUMER, _offered("/accept"),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/refunds/{refund_id}/decline", Role.CONSUMER, _offered("/decline"),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/refunds/{refund_id}/withdraw", Role.CONSUMER,
        _claimed("/v1/me/refunds", "/withdraw", of="id"), Others.NOT_FOUND,
    ),
    Row("GET", "/v1/me/cases", Role.CONSUMER, _plain("/v1/me/cases"), Others.LIST),
    Row(
        "GET", "/v1/me/cases/{case_id}", Role.CONSUMER, _claimed("/v1/me/cases"),
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/refunds/{refund_id}/payee-account", Role.CONSUMER, _payee_account,
        Others.NOT_FOUND, 202,
    ),
    # Anyone may buy of any shop.
    Row(
        "POST", "/v1/me/purchases", Role.CONSUMER,
        _of(lambda side: ("/v1/me/purchases", {
            **_payer(side), "contract_sha256": side.contracts["stored_value"],
        })),
        Others.OWN, 201,
    ),
    Row(
        "GET", "/v1/me/purchases/{purchase_id}", Role.CONSUMER, _own_purchase,
        Others.NOT_FOUND,
    ),
    Row(
        "POST", "/v1/me/purchases/{purchase_id}/accept", Role.CONSUMER, _accept,
        Others.NOT_FOUND,
    ),
]  # fmt: skip

_BANK: Final[list[Row]] = [
    Row("GET", "/v1/bank/files", Role.BANK, _plain("/v1/bank/files"), Others.LIST),
    Row("GET", "/v1/bank/files/{file_id}", Role.BANK, _file(), Others.NOT_FOUND),
    Row("GET", "/v1/bank/files/{file_id}/content", Role.BANK, _file("/content"), Others.NOT_FOUND),
    Row(
        "GET", "/v1/bank/files/{file_id}/signature", Role.BANK, _file("/signature"),
        Others.NOT_FOUND,
    ),
    Row("GET", "/v1/bank/files/{file_id}/orders", Role.BANK, _file("/orders"), Others.NOT_FOUND),
    Row(
        "POST", "/v1/bank/files/{file_id}/acknowledge", Role.BANK, _acknowledge,
        Others.NOT_FOUND,
    ),
    Row("POST", "/v1/bank/files/{file_id}/results", Role.BANK, _results, Others.NOT_FOUND),
    # Another bank's report of an account that it does not keep lies in suspense at bank level.
    Row("POST", "/v1/bank/receipts", Role.BANK, _receipt, Others.OWN, 201),
]  # fmt: skip

_ANYONE: Final[list[Row]] = [
    Row("GET", "/healthz", None, _plain("/healthz")),
    Row("GET", "/readyz", None, _plain("/readyz")),
    Row("GET", "/.well-known/anxin-keys.json", None, _plain("/.well-known/anxin-keys.json")),
    Row(
        "GET", "/v1/public/stores/{store_id}", None,
        _of(lambda side: (f"/v1/public/stores/{side.store_id}", None)),
    ),
    Row(
        "GET", "/v1/public/stores/{store_id}/qr", None,
        _of(lambda side: (f"/v1/public/stores/{side.store_id}/qr", None)),
    ),
    Row(
        "POST", "/v1/sandbox/consumer-tokens", None,
        _plain("/v1/sandbox/consumer-tokens", {"consumer_id": "consumer-9"}),
        status=201, keyed=False,
    ),
    Row(
        "POST", "/v1/sandbox/clock/advance", None,
        _plain("/v1/sandbox/clock/advance", {"seconds": 0}), keyed=False,
    ),
    Row("POST", "/v1/sandbox/bank/pay", None, _pay, status=201, keyed=False),
    Row(
        "POST", "/v1/sandbox/merchants", None, _plain("/v1/sandbox/merchants", {}),
        status=201, keyed=False,
    ),
]  # fmt: skip

ROWS: Final[Mapping[tuple[str, str], Row]] = {
    (row.method, row.path): row for row in (*_OPERATOR, *_MERCHANT, *_CONSUMER, *_BANK, *_ANYONE)
}


def credential(world: World, row: Row, side: Side) -> Any:
    """Give the credential with which a row's call is its caller's own."""
    if row.role is None:
        return {}
    if row.role is Role.OPERATOR:
        return world.operator
    return side.as_role(row.role)
