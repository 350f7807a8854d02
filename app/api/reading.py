"""What comes before every handler: who calls, and what the body says.

Plain and lean routes share it, so a hot route refuses what every other route refuses.
"""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from app.access.domain import SECRET_PREFIX
from app.access.principals import Principal
from app.api.bodies import EMPTY, fingerprint, read_json, read_large_json
from app.api.call import Call, header_in
from app.api.errors import UnsupportedMediaType
from app.errors import FieldError, InvalidRequest, Unauthenticated

_READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER: Final = "bearer "

LARGE_BYTES: Final = 256 * 1024
"""What is larger takes milliseconds to read: a thread does it, so that others are served."""


async def authenticate(scope: Scope, call: Call) -> Principal:
    """Say who calls, from the `Authorization` header.

    Raises:
        DatabaseUnavailable: The key cannot be read.
        Forbidden: The key's scopes do not have this call.
        RateLimited: Too many failures from this address.
        Unauthenticated: The credential is missing or not valid.
    """
    if call.principal is not None:
        return call.principal
    raw = header_in(scope, b"authorization") or b""
    try:
        credential = raw.decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated from None
    if credential[: len(_BEARER)].lower() != _BEARER:
        raise Unauthenticated
    secret = credential[len(_BEARER) :].strip()
    if secret.startswith(SECRET_PREFIX):
        writes = scope["method"] not in _READING_METHODS
        caller = _address(scope)
        call.principal = await call.services.keys.authenticate(secret, writes=writes, caller=caller)
    else:
        call.principal = call.services.tokens.authenticate(secret)
    return call.principal


async def read_body(scope: Scope, receive: Receive, call: Call, *, declared: bool) -> None:
    """Read the body and the request's fingerprint into the call.

    `declared`: whether the route has a body; where it has none, only an empty one is taken.

    Raises:
        BodyTooLarge: More bytes than this path reads.
        InvalidRequest: The route has no body, but fields were sent.
        MalformedJson: The body is not JSON that this service reads.
        RequestTimedOut: The body did not arrive in time.
        UnsupportedMediaType: The body is not sent as JSON.
    """
    raw = await _read(receive)
    if raw:
        if not _is_json(header_in(scope, b"content-type")):
            raise UnsupportedMediaType
        call.raw = raw
        large = len(raw) > LARGE_BYTES
        call.body = await asyncio.to_thread(read_large_json, raw) if large else read_json(raw)
        if not declared:
            if call.body.value not in (None, {}):
                raise InvalidRequest(FieldError("", "This call takes no fields"))
            call.raw, call.body = b"", EMPTY
    call.fingerprint = fingerprint(scope["method"], scope["path"], call.body)


async def _read(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        return body
    chunks: list[bytes] = []
    while message["type"] == "http.request":
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()
    raise ClientDisconnect


def _is_json(content_type: bytes | None) -> bool:
    if content_type == b"application/json":
        return True
    if content_type is None:
        return False
    media_type, _, parameters = content_type.lower().partition(b";")
    charset = parameters.strip().removeprefix(b"charset=").strip(b'"')
    return media_type.strip() == b"application/json" and charset in {b"", b"utf-8", b"utf8"}


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return "" if client is None else str(client[0])
