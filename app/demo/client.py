"""A small typed client for the contract: what anybody could write from API.md alone."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx
from pydantic import BaseModel, JsonValue, ValidationError

from app.demo.shapes import Page, Problem

Answer = TypeVar("Answer", bound=BaseModel)
Item = TypeVar("Item", bound=BaseModel)
Body = Mapping[str, JsonValue]

CREATED: Final = 201
OK: Final = 200
ACCEPTED: Final = 202
_PAGE: Final = "200"
_TIMEOUT_SECONDS: Final = 30.0


class DemoFailed(Exception):
    """The service did something else than the contract or the arithmetic says."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what is asked, by whom, and under which idempotency key."""

    method: str
    path: str
    body: Body | None = None
    query: Mapping[str, str] | None = None
    key: str | None = None
    accept: str | None = None

    def __str__(self) -> str:
        """Say the call as a log would."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls the service with one credential, or with none."""

    http: httpx.Client
    credential: str | None = None

    def as_(self, credential: str) -> "Caller":
        """Call with another credential."""
        return Caller(self.http, credential)

    def send(self, call: Call) -> httpx.Response:
        """Send one call.

        Raises:
            DemoFailed: The service did not answer, or with a fault of its own.
        """
        headers: dict[str, str] = {}
        if self.credential is not None:
            headers["Authorization"] = f"Bearer {self.credential}"
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        if call.accept is not None:
            headers["Accept"] = call.accept
        try:
            response = self.http.request(
                call.method, call.path, json=call.body, params=call.query, headers=headers
            )
        except httpx.HTTPError as error:
            raise DemoFailed(
                f"{call}: no answer from {self.http.base_url} ({error}); is `make run` running?"
            ) from error
        if response.is_server_error:
            raise DemoFailed(f"{call}: {response.status_code} {response.text}")
        return response

    def get(self, answer: type[Answer], path: str, **query: str) -> Answer:
        """Read one thing."""
        return self.expect(answer, Call("GET", path, query=query), OK)

    def all(self, item: type[Item], path: str, **query: str) -> list[Item]:
        """Read a list to its end, page by page."""
        found: list[Item] = []
        cursor: str | None = None
        while True:
            turn = {} if cursor is None else {"cursor": cursor}
            # The page of this very item, so that each row is checked and typed.
            page = self.get(Page[item], path, **query, limit=_PAGE, **turn)
            found += page.data
            cursor = page.next_cursor
            if cursor is None:
                return found

    def create(self, answer: type[Answer], path: str, body: Body) -> Answer:
        """Make one thing, under a key of its own."""
        return self.expect(answer, Call("POST", path, body, key=new_key()), CREATED)

    def act(self, answer: type[Answer], path: str, body: Body | None = None) -> Answer:
        """Do something to a thing that is there."""
        return self.expect(answer, Call("POST", path, body, key=new_key()), OK)

    def propose(self, answer: type[Answer], path: str, body: Body | None = None) -> Answer:
        """Ask for what a second person must approve."""
        return self.expect(answer, Call("POST", path, body, key=new_key()), ACCEPTED)

    def expect(self, answer: type[Answer], call: Call, status: int) -> Answer:
        """Send a call that must succeed with this status and all fields of the answer."""
        response = self.send(call)
        if response.status_code != status:
            raise DemoFailed(f"{call}: {response.status_code} instead of {status}: {response.text}")
        return read(answer, call, response)

    def refused(self, call: Call) -> Problem:
        """Send a call that must be refused, and give the problem.

        Raises:
            DemoFailed: It was not refused, or the refusal is no `application/problem+json`.
        """
        response = self.send(call)
        kind = response.headers.get("content-type", "")
        if response.is_success or not kind.startswith("application/problem+json"):
            raise DemoFailed(f"{call}: {response.status_code} {kind} where a problem was expected")
        problem = read(Problem, call, response)
        if problem.status != response.status_code:
            raise DemoFailed(f"{call}: status {response.status_code}, the problem says otherwise")
        return problem


def read(answer: type[Answer], call: Call, response: httpx.Response) -> Answer:
    """Read an answer.

    Raises:
        DemoFailed: It is not the object that the contract shows.
    """
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise DemoFailed(f"{call}: not the contract's {answer.__name__}: {error}") from error


def new_key() -> str:
    """Make an idempotency key."""
    return secrets.token_hex(16)


def open_http(base_url: str) -> httpx.Client:
    """Open a client; a proxy that the environment names is for the world outside."""
    return httpx.Client(base_url=base_url, timeout=_TIMEOUT_SECONDS, trust_env=False)
