"""Ids: a UUIDv7 that knows its merchant, shown as a TypeID.

The low 32 bits of every merchant-owned id are the merchant's number, so that any id
finds its book without a search. A UUIDv7 keeps 48 bits of time and 42 random bits beside it.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import AnyStr, Final
from uuid import UUID

from asyncpg.pgproto import pgproto
from typeid import TypeID
from typeid.codecs.base32 import encode
from typeid.core.errors import TypeIDException
from uuid_utils import uuid7

from app.errors import NotFound

PLATFORM_NO: Final = 0
"""The merchant number of what belongs to no merchant."""

MERCHANT_NO_MAX: Final = 2**31 - 1
"""The largest number that a merchant can have: Postgres counts them in signed integers."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MERCHANT_BITS: Final = 32
_MERCHANT_MASK: Final = (1 << _MERCHANT_BITS) - 1
_MERCHANT_BYTES: Final = _MERCHANT_BITS // 8


class Prefix(StrEnum):
    """What an id names; fixed by the contract."""

    ACCOUNT = "acc"
    APPROVAL = "apr"
    CARD = "card"
    CASE = "case"
    CHARGE = "chg"
    CLOSURE = "clo"
    CONFIRMATION = "con"
    CONSUMER = "cus"
    DISPUTE = "disp"
    FILE = "file"
    HOLD = "hold"
    KEY = "key"
    MERCHANT = "mch"
    ORDER = "ord"
    POLICY = "pol"
    PRODUCT = "prod"
    PURCHASE = "pur"
    RECEIPT = "rcpt"
    REFUND = "ref"
    STORE = "sto"
    TRANSFER = "trf"


def uuid_of(source: AnyStr) -> UUID:
    """Make a UUID of its 16 bytes or of its text, as the driver makes those of rows.

    Its kind is made, hashed and written in C: with the standard library's alone the ids of a use
    cost more than its arithmetic. The two are equal and hash alike.
    """
    return pgproto.UUID(source)


def new_id(merchant_no: int = PLATFORM_NO) -> UUID:
    """Make an id of the merchant's; ids made later sort later (to the millisecond)."""
    return uuid_of(uuid7().bytes[:-_MERCHANT_BYTES] + merchant_no.to_bytes(_MERCHANT_BYTES, "big"))


def derived_id(merchant_no: int, at: datetime, *sources: UUID) -> UUID:
    """Give what follows from other things the id that it has however often it is decided.

    It sorts among ids that were made at this time.
    """
    made = sha256(b"".join(source.bytes for source in sources)).digest()
    chance = int.from_bytes(made[:6], "big")
    milliseconds = (at - _EPOCH) // _MILLISECOND
    upper = milliseconds << 16 | 0x7000 | chance >> 30 & 0xFFF
    lower = 0b10 << 62 | (chance & (1 << 30) - 1) << _MERCHANT_BITS | merchant_no
    return UUID(int=upper << 64 | lower)


def new_platform_id() -> UUID:
    """Make an id of something that belongs to no merchant: a file, a key, an approval."""
    return uuid_of(uuid7().bytes)


def merchant_no_of(id_: UUID) -> int:
    """Say in whose book the thing with this id lies."""
    return id_.int & _MERCHANT_MASK


def to_text(prefix: Prefix, id_: UUID) -> str:
    """Show an id as a TypeID, such as `card_01h455vb4pex5vsknk084sn02q`."""
    # Its library's own codec; our prefixes are valid, so its checks of them can go.
    return f"{prefix}_{encode(id_.bytes)}"


@lru_cache(maxsize=4096)  # a till sends its store's id with every use
def parse(prefix: Prefix, text: str) -> UUID:
    """Read a TypeID with this prefix.

    Raises:
        NotFound: The text is no such id, so nothing can be found under it.
    """
    try:
        type_id = TypeID.from_string(text)
    except TypeIDException as error:
        raise NotFound from error
    if type_id.prefix != prefix:
        raise NotFound
    return uuid_of(type_id.uuid_bytes)
