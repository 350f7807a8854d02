"""The one reader of JSON bodies.

`json.loads` alone takes NaN, keeps the last of two equal keys, and lets lone surrogates and
NUL through to a database that cannot hold them. Whoever signs amounts must not depend on
which of two `amount` members a reader prefers, so all of it is refused.
"""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NoReturn

from app.errors import MalformedJson

DEPTH_MAX: Final = 32
_FLOAT_INTEGER_MAX: Final = 2**63
_ESCAPED: Final = b"\\u"


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body that was read: its value, and the bytes that stand for it in a fingerprint."""

    value: object
    canonical: bytes


EMPTY: Final = JsonBody(None, b"")


def read_json(raw: bytes) -> JsonBody:
    """Read one JSON value; 8000.0 is read as 8000, as JSON Schema counts integers.

    Raises:
        MalformedJson: It is not JSON in UTF-8, or has NaN, an infinite number, an object with
            two equal keys, a lone surrogate, NUL, or more than 32 levels.
    """
    return _read(raw, _ENCODER.encode)


def _read(raw: bytes, encode: Callable[[object], str]) -> JsonBody:
    try:
        value: object = _DECODER.decode(raw.decode())
        # Without ASCII escapes a lone surrogate cannot be encoded, which finds them for free.
        canonical = encode(value).encode()
    except MalformedJson:
        raise
    except (RecursionError, ValueError) as error:
        # ValueError: bad syntax, bad UTF-8, a lone surrogate, an integer of thousands of digits.
        raise MalformedJson("The body is not JSON in UTF-8.") from error
    # Most bodies have neither escapes nor enough brackets, and skip the walk.
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX or _ESCAPED in raw:
        _inspect(value)
    return JsonBody(value, canonical)


def read_large_json(raw: bytes) -> JsonBody:
    """Read as `read_json` does, for a thread of its own: slower, but others get their turns.

    The fast encoder says the whole value in one step, in which nothing else of the process runs.

    Raises:
        MalformedJson: As for `read_json`.
    """
    return _read(raw, lambda value: "".join(_ENCODER.iterencode(value)))


def fingerprint(method: str, path: str, body: JsonBody) -> bytes:
    """Digest what makes a request the same request: its method, path and body."""
    return sha256(b"%b\n%b\n%b" % (method.encode(), path.encode(), body.canonical)).digest()


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJson("An object of the body names a member twice.")
    return members


def _number(text: str) -> int | float:
    number = float(text)
    if not math.isfinite(number):
        raise MalformedJson("A number of the body is too large.")
    if number.is_integer() and abs(number) < _FLOAT_INTEGER_MAX:
        return int(number)
    return number


def _constant(_text: str) -> NoReturn:
    raise MalformedJson("NaN and Infinity are not JSON.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_number, parse_constant=_constant
)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _inspect(value: object) -> None:
    """Look at every value once, level by level, without recursion."""
    level: list[object] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > DEPTH_MAX and any(isinstance(item, dict | list) for item in level):
            raise MalformedJson(f"The body is nested deeper than {DEPTH_MAX} levels.")
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                _refuse_nul(item)
            elif isinstance(item, dict):
                _refuse_nul_in(item)  # pyright: ignore[reportUnknownArgumentType]
                below.extend(item.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            elif isinstance(item, list):
                below.extend(item)  # pyright: ignore[reportUnknownArgumentType]
        level = below


def _refuse_nul_in(names: Iterable[str]) -> None:
    for name in names:
        _refuse_nul(name)


def _refuse_nul(text: str) -> None:
    if "\0" in text:
        raise MalformedJson("A text of the body has the character NUL.")
