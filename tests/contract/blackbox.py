"""A client that knows the service from API.md alone: the objects' fields are copied from there.

Nothing of `app` is imported. A field may be added to an answer, never missing or renamed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx

FIELDS: Final[Mapping[str, str]] = {
    "charge": "id status merchant_id store_id kind amount sessions visit list_amount currency "
    "release_amount draws confirmation expires_at balance reversal dispute description "
    "client_reference created_at confirmed_at",
    "draw": "card_id face_amount sessions release_amount",
    "confirmation": "id method at",
    "charge.balance": "card_face_amount sessions_left valid_until",
    "reversal": "status requested_at done_at reason",
    "card": "id kind status on_hold merchant product_id paid_amount bonus_amount face_amount "
    "face_used_amount face_held_amount face_available_amount sessions_total sessions_used "
    "sessions_held term_days valid_until released_amount refunded_amount adjusted_amount "
    "recalled_amount custody_amount cooling_off_ends_on cooling_off_days paid_at currency",
    "purchase": "id status product_id store_id consumer_id amount currency payment_reference "
    "pay_url contract accepted_at expires_at card_id created_at",
    "receipt": "id status suspense_reason bank_reference custody_account amount currency "
    "payment_reference purchase_id card_id paid_at",
    "statement row": "id at kind charge_id store_id amount sessions release_amount "
    "balance_face_amount balance_sessions custody_amount description",
    "balance": "custody_amount card_amount payable_amount disputed_amount "
    "release_in_transit_amount refund_payable_amount refund_in_transit_amount suspense_amount "
    "custody_yield_amount bank_claim_amount pending_reversal_amount currency as_of",
    "file": "id kind bank business_date sequence status order_count total_amount sha256 created_at",
    "order": "id file_id merchant_id custody_account payee_name payee_account_number "
    "payee_bank_code amount currency remittance status reason",
    "approval": "id action subject_id request status proposed_by decided_by result created_at",
    "hold": "id target target_id amount document_number reason status expires_at",
    "product": "id name kind price_amount bonus_amount sessions gift_sessions term_days "
    "list_price_amount ceiling_exemption terms",
    "merchant": "id name licence_number industry district payee",
    "sandbox": "base_url operator_key operator2_key merchant_key bank_key regulator_key "
    "wallet_key bank merchant_id store_id custody_account products consumer_id consumer_token",
    "problem": "type title status detail instance code",
    "page": "data next_cursor",
    "trial balance": "as_of accounts balanced",
    "refund": "id card_id reason class status amount residue_amount interest_claim_amount formula "
    "formula_version inputs as_of policy_version case_id payee",
    "case": "id kind status merchant_id card_id charge_id refund_id reason text answer_due_on "
    "answer decision used_amount",
    "transfer": "id card_id status",
    "closure": "id merchant_id kind reason status card_count refund_amount refunded_count "
    "refunded_amount rate_per_second started_at finished_at certificate_url",
    "verdict": "index client_reference status charge problem",
}

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_TIMES: Final = re.compile(r"(.*_)?at|as_of")
_IDS: Final = re.compile(r"[a-z]{2,5}_[0-7][0-9a-hjkmnp-tv-z]{25}")


def check(kind: str, found: Mapping[str, Any], *, prefix: str | None = None) -> Mapping[str, Any]:
    """Check that an answer has all fields of its kind, and values of API.md's forms."""
    missing = set(FIELDS[kind].split()) - set(found)
    assert not missing, f"{kind} lacks {missing}"
    if prefix is not None:
        assert _IDS.fullmatch(found["id"]), found["id"]
        assert found["id"].startswith(f"{prefix}_")
    assert found.get("currency", "CNY") == "CNY"
    for name, value in found.items():
        # A refund is computed as of a business date, all else as of a moment.
        is_time = _TIMES.fullmatch(name) and (kind, name) != ("refund", "as_of")
        if isinstance(value, str) and is_time:
            assert _TIME.fullmatch(value), f"{kind}.{name} is no RFC 3339 time: {value}"
        if name.endswith("amount") and value is not None:
            assert isinstance(value, int), f"{kind}.{name} is not in whole fen: {value}"
    return found


def check_problem(answer: httpx.Response, status: int, code: str) -> Mapping[str, Any]:
    """Check that an answer is this refusal, in the form of RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = check("problem", answer.json())
    assert (problem["code"], problem["status"]) == (code, status)
    return problem


def check_charge(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check a charge with its parts."""
    check("charge", found, prefix="chg")
    check("charge.balance", found["balance"])
    for draw in found["draws"]:
        check("draw", draw)
    if found["confirmation"] is not None:
        check("confirmation", found["confirmation"], prefix="con")
    if found["reversal"] is not None:
        check("reversal", found["reversal"])
    return found


@dataclass(frozen=True)
class Caller:
    """Somebody who calls the service with a credential, or without one."""

    http: httpx.Client
    credential: str | None = None

    def as_(self, credential: str) -> "Caller":
        return Caller(self.http, credential)

    def call(
        self, method: str, path: str, *, key: str | None = None, **rest: Any
    ) -> httpx.Response:
        """Send a call as it is: no key unless one is given."""
        headers: dict[str, str] = dict(rest.pop("headers", {}))
        if self.credential is not None:
            headers["Authorization"] = f"Bearer {self.credential}"
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.http.request(method, path, headers=headers, **rest)

    def get(self, path: str, **query: str | int) -> Any:
        """Read what is there."""
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        """Do something under a key of its own."""
        answer = self.call("POST", path, key=uuid4().hex, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


@dataclass(frozen=True)
class Side:
    """A shop with its bank, and a consumer."""

    facts: Mapping[str, Any]
    anybody: Caller
    shop: Caller
    bank: Caller
    consumer: Caller
    consumer_id: str

    @staticmethod
    def make(anybody: Caller, **wanted: Any) -> "Side":
        """Make a shop at a bank of its own, and a consumer; `wanted` says more of the shop."""
        bank = f"B{uuid4().hex[:10].upper()}"
        asked = {"name": "黑盒美发", "bank": bank, **wanted}
        facts = anybody.post("/v1/sandbox/merchants", asked)
        consumer_id = f"consumer-{uuid4().hex[:8]}"
        token = anybody.post("/v1/sandbox/consumer-tokens", {"consumer_id": consumer_id})["token"]
        shop, bank = anybody.as_(facts["merchant_key"]), anybody.as_(facts["bank_key"])
        return Side(facts, anybody, shop, bank, anybody.as_(token), consumer_id)

    @property
    def store_id(self) -> str:
        return self.facts["store_id"]

    def product(self, kind: str) -> Mapping[str, Any]:
        """Give a product as the shop's public page shows it."""
        page = self.anybody.get(f"/v1/public/stores/{self.store_id}")
        wanted = self.facts["products"][kind]
        return next(product for product in page["products"] if product["id"] == wanted)

    def buy(self, kind: str = "stored_value") -> Any:
        """Buy and accept, not yet paid."""
        return self.buy_of(self.product(kind))

    def buy_of(self, product: Mapping[str, Any]) -> Any:
        """Buy and accept a product that the shop's page shows, not yet paid."""
        body = {
            "product_id": product["id"],
            "store_id": self.store_id,
            "contract_sha256": product["contract"]["sha256"],
        }
        return self.consumer.post("/v1/me/purchases", body)

    def receipt(self, purchase: Mapping[str, Any], **other: Any) -> dict[str, Any]:
        """Say the payment of a purchase as its bank does."""
        return {
            "bank_reference": uuid4().hex,
            "custody_account": self.facts["custody_account"],
            "amount": purchase["amount"],
            "payment_reference": purchase["payment_reference"],
            "paid_at": purchase["created_at"],
            "payer": {"name": "王芳", "account_number": "6222020200112233445"},
            **other,
        }

    def card(self, kind: str = "stored_value") -> str:
        """Give a card, bought and paid for."""
        return self.bank.post("/v1/bank/receipts", self.receipt(self.buy(kind)))["card_id"]

    def code(self, **wanted: Any) -> str:
        """Give a one-time code; it needs no key."""
        body = wanted or {"merchant_id": self.facts["merchant_id"]}
        answer = self.consumer.call("POST", "/v1/me/codes", json=body)
        assert answer.status_code == 201, answer.text
        assert set(answer.json()) >= {"code", "expires_at", "qr_svg"}
        return answer.json()["code"]

    def use(self, **fields: Any) -> dict[str, Any]:
        """Say a use at this shop's store."""
        return {"store_id": self.store_id, **fields}
