"""The hash chain: each entry's hash covers the entry and the hash before it.

    chain_hash(n) = SHA-256(chain_hash(n - 1) || text of entry n)

The text is the entry's fields joined by `|`: integers in decimal, ids as 32 hex digits, times
as microseconds since 1970-01-01 UTC, hashes in hex, nothing for what is absent. So anyone can
compute it again, in any language. What lies behind an entry (a statement line, a card's terms)
enters as `content_hash`, the SHA-256 of such a text; personal and free text enters that only as
a salted commitment, so that it can be erased and the chain stays whole (DOMAIN §7).

The balances after a transfer do not enter. They follow from the amounts before it, which do, and
`anxin verify` compares each with them; and the text of an entry is shown to the holder of a card,
whom it does not concern what else its merchant has.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from app.ledger.rows import Fact, Transfer

Content = str | int | bytes | UUID | datetime | date | None

NO_CONTENT: Final = sha256(b"").digest()
"""The content hash of an entry that has nothing behind it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def genesis(merchant_no: int) -> bytes:
    """Give the hash before a merchant's first entry."""
    return sha256(f"anxin|{merchant_no}".encode()).digest()


@lru_cache(maxsize=1024)  # all entries of a batch are of one moment
def microseconds(at: datetime) -> int:
    """Say a time as microseconds since 1970-01-01 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def content_hash(fields: Iterable[Content]) -> bytes:
    """Hash what lies behind an entry."""
    # Half of most contents is absent.
    texts = ["" if field is None else _WRITE[type(field)](field) for field in fields]
    return sha256("|".join(texts).encode()).digest()


def commitment(salt: bytes, text: str) -> bytes:
    """Commit to a text without revealing it; without the salt it cannot be guessed."""
    return sha256(salt + text.encode()).digest()


def after_transfer(previous: bytes, row: Transfer) -> bytes:
    """Chain a transfer to the entry before it; `row.chain_hash` does not enter."""
    return sha256(previous + text_of_transfer(row).encode()).digest()


def after_fact(previous: bytes, row: Fact) -> bytes:
    """Chain a fact to the entry before it; `row.chain_hash` does not enter."""
    return sha256(previous + text_of_fact(row).encode()).digest()


def text_of_transfer(row: Transfer) -> str:
    """Write out what the hash of a transfer covers beside the hash before it."""
    return (
        f"{row.merchant_no}|{row.seq}|{row.kind}|{row.debit_account_id.hex}"
        f"|{row.credit_account_id.hex}|{row.amount}"
        f"|{row.debit_version}|{row.credit_version}|{row.subject_id.hex}"
        f"|{'' if row.corrects_seq is None else row.corrects_seq}|{row.content_hash.hex()}"
        f"|{microseconds(row.effective_at)}|{microseconds(row.recorded_at)}"
    )


def text_of_fact(row: Fact) -> str:
    """Write out what the hash of a fact covers beside the hash before it."""
    return (
        f"{row.merchant_no}|{row.seq}|{row.kind}|{row.subject_id.hex}|{row.content_hash.hex()}"
        f"|{microseconds(row.effective_at)}|{microseconds(row.recorded_at)}"
    )


class _Writers(dict[type, Callable[[Any], str]]):
    """How a field of a type is written; a type that is not named, as the nearest of its bases."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        self[kind] = next(self[base] for base in kind.__mro__ if base in self)
        return self[kind]


_WRITE: Final = _Writers(
    {
        str: str.__str__,
        bool: lambda flag: str(int(flag)),
        int: str,
        bytes: bytes.hex,
        UUID: attrgetter("hex"),
        datetime: lambda at: str(microseconds(at)),
        date: date.isoformat,
    }
)
