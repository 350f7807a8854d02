"""The one way to write evidence as bytes, so that a signature can be over them.

RFC 8785: keys sorted, no blanks, UTF-8. There are no fractions in evidence, so Python's writer
does it. The file may be written with other blanks and in another order of keys; whoever checks
it writes it out again in this form. What is signed is short, so that neither side needs the
whole document in memory at once:

    anxin evidence 1
    SHA-256 of the canonical bytes, in hex
"""

import json
from typing import Final, NoReturn

from pydantic import JsonValue

FORMAT: Final = "anxin evidence 1"


class NotCanonical(ValueError):
    """The bytes are no JSON, or hold what evidence never holds."""


def canonical(value: JsonValue) -> bytes:
    """Write a value in canonical form.

    Raises:
        UnicodeEncodeError: A text holds half of a surrogate pair.
    """
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def signed_text(sha256_hex: str) -> bytes:
    """Give the bytes that are signed for a document with this digest."""
    return f"{FORMAT}\n{sha256_hex}\n".encode()


def read(content: bytes) -> JsonValue:
    """Read JSON that can be written back in canonical form without loss.

    Raises:
        NotCanonical: It is no JSON, repeats a key, or holds a fraction or what is no number.
    """
    try:
        value: JsonValue = json.loads(
            content,
            object_pairs_hook=_without_doubles,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
        canonical(value)
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"it cannot be read as JSON: {error}") from error
    return value


def _without_doubles(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotCanonical("an object has the same key twice")
    return members


def _refuse(number: str) -> NoReturn:
    raise NotCanonical(f"{number[:40]} is no integer")
