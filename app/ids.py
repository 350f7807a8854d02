"""Ids: a UUIDv7 that knows its merchant, shown as a TypeID.

The low 32 bits of every merchant-owned id are the merchant's number, so that any id
finds its book without a search. A UUIDv7 keeps 48 bits of time and 42 random bits beside it.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final
from uuid import UUID

from typeid import TypeID
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


def new_id(merchant_no: int = PLATFORM_NO) -> UUID:
    """Make an id of the merchant's; ids made later sort later (to the millisecond)."""
    return UUID(int=uuid7().int >> _MERCHANT_BITS << _MERCHANT_BITS | merchant_no)


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
    return UUID(int=uuid7().int)


def merchant_no_of(id_: UUID) -> int:
    """Say in whose book the thing with this id lies."""
    return id_.int & _MERCHANT_MASK


def to_text(prefix: Prefix, id_: UUID) -> str:
    """Show an id as a TypeID, such as `card_01h455vb4pex5vsknk084sn02q`."""
    return str(TypeID.from_uuid(id_, prefix))


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
    return UUID(bytes=type_id.uuid_bytes)
