"""A client that knows one rule: what it was not told, it asks again under the same key."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from tests.faults.history import Answer, Asked, Body, History
from tests.faults.http import Http, NoAnswer, Reply

ATTEMPT_SECONDS_MAX = 25
"""A service that answers later than this, or not at all, does not bound its waiting. Its own bounds
are 10 s; the rest is for a machine on which it and its clients come by turns."""

_KNOWN_SECONDS_MAX = 300
_CODES_LOST_SECONDS = 180
"""How long a crash may be why codes are refused: the minute in which the service counts, and what
clients take who show the last of the old ones, or whose requests have waited."""
_UNAVAILABLE = frozenset({"database_unavailable", "overloaded"})


@dataclass(slots=True)
class Client:
    """Sends requests to one of the web processes, to another on the next try."""

    history: History
    random: Random
    bases: Sequence[str]
    walks_away: float = 0.0
    """How often it gives up after a try whose outcome it does not know."""
    timeouts: int = 0
    codes_from: dict[str, float] = field(default_factory=dict[str, float])
    """When a merchant whose codes were refused too often may show the next one."""
    _codes_lost_at: float = float("-inf")
    _http: Http = field(default_factory=Http)

    def close(self) -> None:
        self._http.close()

    async def ask(self, asked: Asked) -> Answer | None:
        """Ask until told; None where the client gives up not knowing."""
        self.history.add(asked)
        async with asyncio.timeout(_KNOWN_SECONDS_MAX):
            while True:
                answer = await self.attempt(asked)
                if answer is not None:
                    asked.answer = answer
                    return answer
                if asked.put_off:
                    return None
                asked.unknown += 1
                if self.random.random() < self.walks_away:
                    return None
                await asyncio.sleep(self.random.uniform(0.02, 0.3))

    async def attempt(self, asked: Asked) -> Answer | None:
        """Send the request once; None where its outcome stays unknown."""
        response = await self._post(asked.path, asked.credential, asked.body, key=asked.key)
        if response is None:
            asked.last = "no answer"
            return None
        return self._judged(asked, response)

    def lose_codes(self) -> None:
        """Know that Postgres crashes: all codes are unknown then, and the unknown may be guessed.

        Only after that a merchant's codes may be refused for being too many.
        """
        self._codes_lost_at = monotonic()

    def takes_codes(self, merchant_id: str) -> bool:
        """Say whether the merchant's codes are looked at, as far as it was told."""
        return monotonic() >= self.codes_from.get(merchant_id, 0.0)

    async def get(self, path: str, credential: str) -> Body:
        headers = {"authorization": f"Bearer {credential}"}
        response = await self._http.call("GET", self.bases[0], path, headers=headers)
        assert response.is_success, response
        return response.json()

    async def mint(self, credential: str, merchant_id: str) -> str | None:
        """Make a one-time code; None where there is none just now."""
        response = await self._post("/v1/me/codes", credential, {"merchant_id": merchant_id})
        if response is None:
            return None
        self._note(response, "mint")
        return response.json()["code"] if response.is_success else None

    async def _post(
        self, path: str, credential: str, body: Body, *, key: str | None = None
    ) -> Reply | None:
        headers = {"authorization": f"Bearer {credential}"}
        if key is not None:
            headers["idempotency-key"] = key
        base = self.random.choice(self.bases)
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                return await self._http.call("POST", base, path, headers=headers, body=body)
        except TimeoutError:
            self.timeouts += 1
            self.history.statuses["timeout"] += 1
        except NoAnswer:
            self.history.statuses["no answer"] += 1
        return None

    def _judged(self, asked: Asked, response: Reply) -> Answer | None:
        lost = monotonic() < self._codes_lost_at + _CODES_LOST_SECONDS
        body = self._note(response, f"{asked.kind} {asked.path}", too_many=lost and asked.by_code)
        code = body.get("code") if not response.is_success else None
        asked.last = _told(response, body)
        if asked.put_off:
            pause = float(response.headers["retry-after"])
            self.codes_from[asked.merchant_id] = monotonic() + pause
        if response.status >= 500 or code in {"rate_limited", "idempotency_key_in_flight"}:
            return None
        replayed = response.headers.get("idempotency-replayed") == "true"
        return Answer(response.status, body, replayed)

    def _note(self, response: Reply, what: str, *, too_many: bool = False) -> Body:
        """Count an answer; note one that nobody should ever get.

        With `too_many` the caller may have shown more unknown codes than it may.
        """
        try:
            body: Body = response.json()
        except json.JSONDecodeError:
            body = {}
            self.history.violations.append(f"{what}: {response.status} without a body")
        self.history.statuses[_told(response, body)] += 1
        if response.status >= 500:
            told = f"{what}: {response.status} {body.get('code')}"
            if response.status != 503 or body.get("code") not in _UNAVAILABLE:
                self.history.violations.append(told)
            elif "retry-after" not in response.headers:
                self.history.violations.append(f"{told} without Retry-After")
        elif response.status == 429 and not too_many:
            self.history.violations.append(f"{what}: 429, and no codes were lost")
        return body


def _told(response: Reply, body: Body) -> str:
    refused = "" if response.is_success else f" {body.get('code')}"
    return f"{response.status}{refused}"


def new_key() -> str:
    return secrets.token_hex(12)
