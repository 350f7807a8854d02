"""Every worked example of DOMAIN §4, played over HTTP: what is shown, paid, and left.

Each has a shop of its own, so that all that its trial balance moves by is the example's. Days
pass by the sandbox's clock, which stands at ten in the morning: nothing is cut by itself.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from app.evidence.verification import verify
from tests.cluster import Cluster
from tests.contract.blackbox import Caller, Side, check, check_problem
from tests.contract.running import running

DAY: Final = 86_400
_CLOSED_SECONDS_MAX: Final = 20

Product = Mapping[str, Any]
SIXTY: Final = {"kind": "count", "price_amount": 2000_00, "sessions": 60}
LESSONS: Final = {"kind": "count", "price_amount": 20740_00, "sessions": 61}
BONUS: Final = {"kind": "stored_value", "price_amount": 3000_00, "bonus_amount": 1000_00}
GIFT: Final = {
    "kind": "count",
    "price_amount": 1200_00,
    "sessions": 10,
    "gift_sessions": 2,
    "list_price_amount": 150_00,
}
LISTED: Final = {"kind": "stored_value", "price_amount": 1000_00, "list_price_amount": 100_00}
YEAR: Final = {"kind": "period", "price_amount": 3650_00, "term_days": 365}
UNUSED: Final = {"kind": "stored_value", "price_amount": 5399_00}
THIRDS: Final = {"kind": "count", "price_amount": 100_00, "sessions": 3}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give a service that runs; when the examples are done, its whole ledger must be true."""
    urls = await cluster.clone("examples")
    folder: Path = tmp_path_factory.mktemp("examples")
    with running(urls, folder):
        yield json.loads((folder / "sandbox.json").read_text())
    report = await verify(urls.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
    await cluster.drop(urls.name)


@pytest.fixture(scope="module")
def anybody(sandbox: dict[str, Any]) -> Iterator[Caller]:
    with httpx.Client(base_url=sandbox["base_url"], timeout=20, trust_env=False) as http:
        caller = Caller(http)
        now = _advanced(caller, 1)
        ten = now.replace(hour=10, minute=0, second=0, microsecond=0)
        _advanced(caller, int((ten - now) % timedelta(days=1) / timedelta(seconds=1)))
        yield caller


def _advanced(anybody: Caller, seconds: int) -> datetime:
    clock = anybody.call("POST", "/v1/sandbox/clock/advance", json={"seconds": seconds})
    assert clock.status_code == 200, clock.text
    return datetime.fromisoformat(clock.json()["now"])


@dataclass(frozen=True)
class Example:
    """A card that was sold, at a shop that has sold no other."""

    side: Side
    operator: Caller
    operator2: Caller
    card_id: str
    before: Mapping[str, int]
    """The trial balance when nothing was sold."""

    @property
    def card(self) -> Any:
        return check("card", self.side.consumer.get(f"/v1/me/cards/{self.card_id}"), prefix="card")

    def used(self, **use: Any) -> Any:
        """Charge a use that the consumer then confirms."""
        side = self.side
        charge = side.shop.post("/v1/charges", side.use(card_id=self.card_id, **use))
        return side.consumer.post(f"/v1/me/charges/{charge['id']}/confirm", side.use(**use), 200)

    def days_pass(self, days: int) -> None:
        _advanced(self.side.anybody, days * DAY)

    def store_closed(self) -> None:
        """Record that the store closed: the merchant's fault, without a case."""
        path = f"/v1/stores/{self.side.store_id}"
        closed = self.operator.call("PATCH", path, json={"status": "closed"})
        assert closed.json()["status"] == "closed", closed.text

    def previewed(self, reason: str) -> Any:
        path = f"/v1/me/cards/{self.card_id}/refunds/preview"
        answer = self.side.consumer.call("POST", path, json={"reason": reason})
        assert answer.status_code == 200, answer.text
        return check("refund", answer.json())

    def refunded(self, reason: str, refund_class: str, amount: int, residue: int = 0) -> None:
        """Preview, ask for it, have it paid, and see where every fen is after each."""
        side, paid = self.side, self.card["paid_amount"]
        released = paid - amount - residue
        preview = self.previewed(reason)
        expected = (refund_class, amount, residue)
        assert _figures(preview) == expected
        assert (preview["id"], preview["status"], preview["needs_case"]) == (None, None, False)
        echo = {name: preview[name] for name in ("amount", "residue_amount", "as_of")}
        wrong = {"reason": reason, **echo, "amount": amount + 1}
        path = f"/v1/me/cards/{self.card_id}/refunds"
        check_problem(
            side.consumer.call("POST", path, key="wrong", json=wrong), 409, "refund_changed"
        )

        refund = check("refund", side.consumer.post(path, {"reason": reason, **echo}), prefix="ref")
        assert _figures(refund) == expected
        assert refund["inputs"] == preview["inputs"]
        if amount:
            assert refund["status"] == "decided"
            self.left(card=residue, payable=released, refund_payable=amount)
            self.paid_by_file(amount)
        self.ended(amount, residue)
        (found,) = side.consumer.get("/v1/me/refunds")["data"]
        assert (found["id"], found["status"]) == (refund["id"], "paid")

    def paid_by_file(self, amount: int) -> None:
        """Cut, and let the bank pay the one order of this shop."""
        bank = self.side.bank
        self.operator.post("/v1/payment-files/cut", {"kind": "refund"})
        (file,) = bank.get("/v1/bank/files", kind="refund", status="ready")["data"]
        (order,) = bank.get(f"/v1/bank/files/{file['id']}/orders")["data"]
        assert (order["amount"], file["total_amount"]) == (amount, amount)
        assert (order["payee_name"], order["payee_account_number"]) == (
            "王芳",
            "6222020200112233445",
        )
        results = [{"order_id": order["id"], "status": "paid"}]
        bank.post(f"/v1/bank/files/{file['id']}/results", {"results": results}, 200)

    def ended(self, amount: int, residue: int) -> None:
        """See the card closed, and all that stays in custody with the shop."""
        card = self.card
        assert (card["status"], card["custody_amount"]) == ("refunded", 0)
        assert (card["refunded_amount"], card["adjusted_amount"]) == (amount, residue)
        rest = card["paid_amount"] - amount
        assert card["released_amount"] + residue == rest
        self.left(payable=rest)

    def left(self, **amounts: int) -> None:
        """See that the shop's accounts hold this and nothing else, in the trial balance too."""
        balance = check("balance", self.side.shop.get("/v1/balance"))
        shown = {
            name.removesuffix("_amount"): value
            for name, value in balance.items()
            if name.endswith("_amount") and value and name != "custody_amount"
        }
        expected = {name: amount for name, amount in amounts.items() if amount}
        assert shown == expected
        assert balance["custody_amount"] == sum(amounts.values())
        moved = {
            name: amount - self.before[name]
            for name, amount in _trial_balance(self.operator).items()
            if amount != self.before[name]
        }
        names = {"payable": "merchant_payable", "disputed": "release_disputed"}
        in_ledger = {names.get(name, name): -amount for name, amount in expected.items()}
        custody = {"custody": balance["custody_amount"]} if expected else {}
        assert moved == custody | in_ledger


def _figures(refund: Mapping[str, Any]) -> tuple[str, int, int]:
    return (refund["class"], refund["amount"], refund["residue_amount"])


def _trial_balance(operator: Caller) -> Mapping[str, int]:
    """Give each account's debits less its credits, over the whole service."""
    found = check("trial balance", operator.get("/v1/ledger/trial-balance"))
    assert found["balanced"] is True
    return {
        line["type"]: line["debit_amount"] - line["credit_amount"] for line in found["accounts"]
    }


@dataclass(frozen=True)
class Examples:
    """Sells what an example is about."""

    anybody: Caller
    operator: Caller
    operator2: Caller

    def sold(self, product: Product, *, industry: str = "fitness", **receipt: Any) -> Example:
        """Let a new shop sell one card of a product; `receipt` says how the bank had its money."""
        before = _trial_balance(self.operator)
        side = Side.make(self.anybody, industry=industry)
        made = side.shop.post("/v1/card-products", {"name": "示例卡", **product})
        page = self.anybody.get(f"/v1/public/stores/{side.store_id}")
        (offer,) = (offer for offer in page["products"] if offer["id"] == made["id"])
        paid = side.bank.post("/v1/bank/receipts", side.receipt(side.buy_of(offer), **receipt))
        assert paid["status"] == "matched"
        return Example(side, self.operator, self.operator2, paid["card_id"], before)


@pytest.fixture(scope="module")
def examples(sandbox: dict[str, Any], anybody: Caller) -> Examples:
    operators = (anybody.as_(sandbox[name]) for name in ("operator_key", "operator2_key"))
    return Examples(anybody, *operators)


def test_a_gym_whose_store_closed_gives_back_48_of_60_sessions(examples: Examples) -> None:
    example = examples.sold(SIXTY)
    example.used(sessions=12)
    example.store_closed()

    example.refunded("store_moved", "merchant_fault", 1600_00)


def test_a_gym_that_is_closed_gives_back_48_of_60_sessions(examples: Examples) -> None:
    example = examples.sold(SIXTY)
    example.used(sessions=12)
    side, operator = example.side, example.operator
    order = {"kind": "immediate", "reason": "停止营业"}
    path = f"/v1/merchants/{side.facts['merchant_id']}/closures"
    closure = check("closure", operator.post(path, order), prefix="clo")
    path = f"/v1/closures/{closure['id']}"
    preview = operator.post(f"{path}/preview", status=200)
    assert (preview["card_count"], preview["refund_amount"]) == (1, 1600_00)

    approval = operator.post(f"{path}/execute", status=202)
    example.operator2.post(f"/v1/approvals/{approval['id']}/approve", status=200)
    _until(lambda: operator.get(path)["refunded_count"] == 1)
    (refund,) = side.consumer.get("/v1/me/refunds")["data"]
    assert _figures(check("refund", refund, prefix="ref")) == ("merchant_fault", 1600_00, 0)
    example.left(payable=400_00, refund_payable=1600_00)
    example.paid_by_file(1600_00)

    _until(lambda: operator.get(path)["status"] == "closed")
    ended = check("closure", operator.get(path))
    assert (ended["refunded_count"], ended["refunded_amount"]) == (1, 1600_00)
    certificate = operator.get(f"{path}/certificate")["certificate"]
    assert certificate["refunded"]["paid_amount"] == 1600_00
    assert [(left["account"], left["amount"]) for left in certificate["left"]] == [
        ("merchant_payable", 400_00)
    ]
    example.ended(1600_00, 0)


def _until(holds: Any) -> None:
    """Wait for what the worker does by itself."""
    deadline = time.monotonic() + _CLOSED_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, "the worker has not done it"
        time.sleep(0.2)


def test_lessons_that_are_not_given_any_more_are_paid_back(examples: Examples) -> None:
    example = examples.sold(LESSONS, industry="training")
    example.used(sessions=25)
    example.store_closed()

    example.refunded("store_moved", "merchant_fault", 12240_00)


def test_a_bonus_makes_every_use_cheaper(examples: Examples) -> None:
    example = examples.sold(BONUS, industry="hairdressing")
    example.used(amount=3594_00)
    example.store_closed()

    example.refunded("store_moved", "merchant_fault", 304_50)


@pytest.mark.parametrize(
    ("reason", "refund_class", "amount", "residue"),
    [
        ("store_moved", "merchant_fault", 700_00, 0),
        ("consumer_choice", "consumer_choice", 450_00, 250_00),
    ],
)
def test_gift_sessions_count_for_the_merchants_fault_and_not_for_a_change_of_mind(
    examples: Examples, reason: str, refund_class: str, amount: int, residue: int
) -> None:
    example = examples.sold(GIFT)
    example.used(sessions=2)
    example.used(sessions=3)
    example.store_closed()

    example.refunded(reason, refund_class, amount, residue)


@pytest.mark.parametrize(
    ("reason", "refund_class", "amount", "residue"),
    [
        ("consumer_choice", "consumer_choice", 0, 340_00),
        ("store_moved", "merchant_fault", 340_00, 0),
    ],
)
def test_a_change_of_mind_pays_list_prices_and_never_less_than_nothing(
    examples: Examples, reason: str, refund_class: str, amount: int, residue: int
) -> None:
    example = examples.sold(LISTED, industry="hairdressing")
    for _ in range(11):
        example.used(amount=60_00, list_amount=100_00)
    example.store_closed()

    example.refunded(reason, refund_class, amount, residue)


def test_a_term_is_paid_until_the_day_on_which_the_holder_ends_it(examples: Examples) -> None:
    example = examples.sold(YEAR)
    example.days_pass(99)

    example.refunded("consumer_choice", "consumer_choice", 2650_00, 1000_00)


def test_frozen_days_of_a_term_are_not_paid(examples: Examples) -> None:
    example = examples.sold(YEAR)
    path = f"/v1/me/cards/{example.card_id}"
    example.days_pass(10)
    assert example.side.consumer.post(f"{path}/freeze", status=200)["status"] == "frozen"
    example.days_pass(30)
    assert example.side.consumer.post(f"{path}/unfreeze", status=200)["status"] == "active"
    example.days_pass(59)

    assert example.previewed("consumer_choice")["inputs"]["frozen_days"] == 30
    example.refunded("consumer_choice", "consumer_choice", 2950_00, 700_00)


def test_a_term_is_paid_to_its_last_visit_where_the_merchant_ends_it(examples: Examples) -> None:
    example = examples.sold(YEAR)
    example.used(visit=True)
    example.days_pass(39)
    example.used(visit=True)
    example.days_pass(60)
    example.store_closed()

    example.refunded("store_moved", "merchant_fault", 3250_00)


def test_what_is_unused_on_day_5_comes_back_whole(examples: Examples) -> None:
    example = examples.sold(UNUSED)
    example.days_pass(4)

    example.refunded("cooling_off", "cooling_off", 5399_00)


def test_three_equal_uses_release_all_and_one_taken_back_leaves_a_third(
    examples: Examples,
) -> None:
    example = examples.sold(THIRDS)
    uses = [example.used(sessions=1) for _ in range(3)]
    assert [use["release_amount"] for use in uses] == [33_33, 33_34, 33_33]
    assert (example.card["status"], example.card["custody_amount"]) == ("used_up", 0)

    taken = example.side.shop.post(f"/v1/charges/{uses[1]['id']}/reverse", {}, 200)

    assert taken["status"] == "reversed"
    assert (example.card["released_amount"], example.card["custody_amount"]) == (66_67, 33_33)
    example.left(card=33_33, payable=66_67)
    example.store_closed()
    example.refunded("store_moved", "merchant_fault", 33_33)


def test_cooling_off_ends_on_a_working_saturday(examples: Examples) -> None:
    example = examples.sold(SIXTY, paid_at="2026-02-07T12:00:00+08:00")

    assert example.card["cooling_off_ends_on"] == "2026-02-14"
    path = f"/v1/me/cards/{example.card_id}/refunds/preview"
    late = example.side.consumer.call("POST", path, json={"reason": "cooling_off"})
    assert check_problem(late, 409, "refund_not_allowed")["cooling_off_ends_on"] == "2026-02-14"
    example.refunded("consumer_choice", "consumer_choice", 2000_00)
