"""Who uses which card for how much: Zipf-distributed, the same for the same seed."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from app.access.principals import consumer_of
from app.access.tokens import LocalIssuer
from app.charges.service import code_hash
from app.charges.tables import ConsumerCode
from app.ids import Prefix, to_text
from app.settings import SANDBOX_ISSUER
from bench.answers import Exchange
from bench.money import AMOUNT_MAX, AMOUNT_MIN
from bench.seeding import Till

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH: Final = 16
_CODE_DAYS: Final = 30


class Use(NamedTuple):
    """One use that will be charged."""

    till: Till
    card_id: UUID
    consumer_id: str
    amount: int
    code: str


@dataclass(slots=True)
class Traffic:
    """Draws uses; `merchants` in the order of their popularity."""

    tills: Sequence[Till]
    random: random.Random
    _weights: Sequence[float] = ()
    _key: int = 0

    def __post_init__(self) -> None:
        """Weigh the merchants once."""
        self._weights = _zipf(len(self.tills))

    def uses(self, count: int, *, of: Till | None = None) -> list[Use]:
        """Draw uses, on one merchant where it is named; each has a code that nobody knows yet."""
        tills = (
            [of] * count
            if of is not None
            else self.random.choices(self.tills, cum_weights=self._weights, k=count)
        )
        return [self._use(till) for till in tills]

    def groups(self, count: int, size: int) -> list[list[Use]]:
        """Draw groups of uses, each group at one merchant."""
        tills = self.random.choices(self.tills, cum_weights=self._weights, k=count)
        return [[self._use(till) for _ in range(size)] for till in tills]

    def key(self) -> str:
        """Make an idempotency key that no other request of this run has."""
        self._key += 1
        return f"bench-{self._key:x}"

    def _use(self, till: Till) -> Use:
        (at,) = self.random.choices(
            range(len(till.cards)), cum_weights=_zipf_of(len(till.cards)), k=1
        )
        amount = self.random.randint(AMOUNT_MIN, AMOUNT_MAX)
        code = "".join(self.random.choices(_ALPHABET, k=_CODE_LENGTH))
        return Use(till, till.cards[at], till.consumers[at], amount, code)


async def keep_codes(connection: asyncpg.Connection, uses: Sequence[Use]) -> None:
    """Keep the codes of uses as `issue_code` keeps them: the same rows, in bulk."""
    at: datetime = await connection.fetchval("SELECT anxin_now()")
    rows = [
        ConsumerCode(
            use.till.merchant_no,
            code_hash(use.code),
            consumer_of(SANDBOX_ISSUER, use.consumer_id),
            *(None, None, None, None),
            at,
            at + timedelta(days=_CODE_DAYS),
        )
        for use in uses
    ]
    await connection.copy_records_to_table(
        "consumer_code", records=rows, columns=ConsumerCode._fields
    )


def use_by_code(traffic: Traffic, uses: Sequence[Use]) -> list[Exchange]:
    """Charge each use by its code."""
    return [
        Exchange(
            _post(
                "/v1/charges",
                use.till.key,
                {
                    "store_id": to_text(Prefix.STORE, use.till.store_id),
                    "consumer_code": use.code,
                    "amount": use.amount,
                },
                traffic.key(),
            ),
            (use.amount,),
        )
        for use in uses
    ]


def use_in_two_steps(traffic: Traffic, uses: Sequence[Use], issuer: LocalIssuer) -> list[Exchange]:
    """Charge each use by its card, then confirm it as its consumer."""
    tokens: dict[str, str] = {}
    exchanges: list[Exchange] = []
    for use in uses:
        token = tokens.get(use.consumer_id)
        if token is None:
            token = tokens[use.consumer_id] = issuer.mint(use.consumer_id)
        store_id = to_text(Prefix.STORE, use.till.store_id)
        charge = {
            "store_id": store_id,
            "card_id": to_text(Prefix.CARD, use.card_id),
            "amount": use.amount,
        }
        echo = {"store_id": store_id, "amount": use.amount}
        confirm = _post("/v1/me/charges/ID/confirm", token, echo, traffic.key())
        before, after = confirm.split(b"ID", 1)
        request = _post("/v1/charges", use.till.key, charge, traffic.key())
        exchanges.append(Exchange(request, (use.amount,), before, after))
    return exchanges


def batches(traffic: Traffic, groups: Sequence[Sequence[Use]]) -> list[Exchange]:
    """Charge each group in one batch, by codes."""
    return [
        Exchange(
            _post(
                "/v1/charges/batch",
                group[0].till.key,
                {
                    "items": [
                        {
                            "store_id": to_text(Prefix.STORE, use.till.store_id),
                            "consumer_code": use.code,
                            "amount": use.amount,
                            "client_reference": use.code,
                        }
                        for use in group
                    ]
                },
                traffic.key(),
            ),
            tuple(use.amount for use in group),
        )
        for group in groups
    ]


def mint(uses: Sequence[Use], issuer: LocalIssuer) -> list[Exchange]:
    """Let each use's consumer ask for a code."""
    return [
        Exchange(
            _post(
                "/v1/me/codes",
                issuer.mint(use.consumer_id),
                {"merchant_id": to_text(Prefix.MERCHANT, use.till.merchant_id)},
                None,
            )
        )
        for use in uses
    ]


def balances(uses: Sequence[Use]) -> list[Exchange]:
    """Read the balance of each use's merchant."""
    return [Exchange(_get("/v1/balance", use.till.key)) for use in uses]


def statements(uses: Sequence[Use], issuer: LocalIssuer) -> list[Exchange]:
    """Read a page of the statement of each use's card."""
    return [
        Exchange(
            _get(
                f"/v1/me/cards/{to_text(Prefix.CARD, use.card_id)}/statement",
                issuer.mint(use.consumer_id),
            )
        )
        for use in uses
    ]


def _post(path: str, credential: str, body: object, key: str | None) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    keyed = "" if key is None else f"Idempotency-Key: {key}\r\n"
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {credential}\r\n"
        f"{keyed}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def _get(path: str, credential: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {credential}\r\n\r\n"
    ).encode()


_ZIPF: Final[dict[int, Sequence[float]]] = {}


def _zipf_of(count: int) -> Sequence[float]:
    weights = _ZIPF.get(count)
    if weights is None:
        weights = _ZIPF[count] = _zipf(count)
    return weights


def _zipf(count: int) -> Sequence[float]:
    """Give cumulative weights in which the nth is as likely as 1/n."""
    return list(accumulate(1 / rank for rank in _ranks(count)))


def _ranks(count: int) -> Iterator[int]:
    return iter(range(1, count + 1))
