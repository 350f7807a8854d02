"""What is known of one call while it is served; made by the front, filled on the way."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.types import Scope

from app.access.principals import Principal
from app.api.bodies import EMPTY, JsonBody
from app.api.services import Services

_CALL: Final = "anxin.call"
UNMATCHED: Final = "unmatched"


@dataclass(slots=True)
class Call:
    """One HTTP call."""

    services: Services
    request_id: str
    route: str = UNMATCHED
    """The path as it was declared, so that no id or text of a caller is a metric's label."""
    principal: Principal | None = None
    raw: bytes = b""
    body: JsonBody = EMPTY
    fingerprint: bytes = b""


def begin(scope: Scope, call: Call) -> None:
    """Put the call into its scope."""
    scope[_CALL] = call


def call_in(scope: Scope) -> Call:
    """Give the call of a scope."""
    call = scope[_CALL]
    assert isinstance(call, Call)
    return call


def call_of(request: Request) -> Call:
    """Give the call of a request."""
    return call_in(request.scope)


def header_in(scope: Scope, name: bytes) -> bytes | None:
    """Give a header that may come at most once; two of them are none."""
    found: bytes | None = None
    for key, value in scope["headers"]:
        if key == name:
            if found is not None:
                return None
            found = value
    return found
