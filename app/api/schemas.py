"""The model and the field types that every request and answer is made of."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from app.dates import SHANGHAI, start_of_day
from app.ids import Prefix
from app.money import AMOUNT_MAX

_YEAR_MIN: Final = 2000
_YEAR_MAX: Final = 2199
_DATE_LENGTH: Final = 10
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0\U00013441\U00013442\U0001d159")
"""Letters and symbols by Unicode's categories that show nothing: fillers and empty patterns."""


class Model(BaseModel):
    """What crosses the HTTP border: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def json_integer(value: object) -> object:
    """Accept what JSON Schema calls an integer: 8000 and 8000.0, not "8000" or true."""
    if isinstance(value, bool | str | bytes):
        # Pydantic reports a ValueError to the client and lets a TypeError escape as a 500.
        raise ValueError("Input should be a JSON integer")  # noqa: TRY004
    return value


def _json_text(value: object) -> object:
    """Accept a JSON string only; pydantic would read a number as a time since 1970."""
    if isinstance(value, str | date):
        return value
    raise ValueError("Input should be a string")


def _business_date(value: object) -> object:
    """Accept `2026-02-14`, not a time of that day."""
    if isinstance(value, str) and len(value) != _DATE_LENGTH:
        raise ValueError("Input should be a date, YYYY-MM-DD")
    return _json_text(value)


def _sane_year(value: datetime) -> datetime:
    if not _YEAR_MIN <= value.year <= _YEAR_MAX:
        raise ValueError(f"Input should lie in the years {_YEAR_MIN} to {_YEAR_MAX}")
    return value


def _sane_date(value: date) -> date:
    if not _YEAR_MIN <= value.year <= _YEAR_MAX:
        raise ValueError(f"Input should lie in the years {_YEAR_MIN} to {_YEAR_MAX}")
    return value


def _beginning_of(value: object) -> object:
    """Read `2026-02-14` as the moment in which that day begins in Shanghai."""
    day = _day(value)
    return value if day is None else start_of_day(day)


def _end_of(value: object) -> object:
    """Read `2026-02-14` as the moment in which that day is over in Shanghai."""
    day = _day(value)
    return value if day is None else start_of_day(day + timedelta(days=1))


def _day(value: object) -> date | None:
    """Read a business date; None for anything else, such as a time."""
    if not isinstance(value, str) or len(value) != _DATE_LENGTH:
        return None
    return _sane_date(date.fromisoformat(value))


_TIME_OR_DAY: Final[dict[str, object]] = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
    "examples": ["2026-11-22", "2026-11-22T10:00:00.123456+08:00"],
}


def shown_time(at: datetime) -> str:
    """Show a moment as answers do: RFC 3339 with microseconds and +08:00."""
    return at.astimezone(SHANGHAI).isoformat(timespec="microseconds")


# BeforeValidator stands last: before Field, it would turn ge and le into unknown schema keywords.
Amount = Annotated[
    int,
    Field(ge=1, le=AMOUNT_MAX, description="Fen: 8000 is 80.00 yuan.", examples=[8000]),
    BeforeValidator(json_integer),
]
AmountOrZero = Annotated[
    int,
    Field(ge=0, le=AMOUNT_MAX, description="Fen: 8000 is 80.00 yuan; may be 0.", examples=[8000]),
    BeforeValidator(json_integer),
]
Count = Annotated[
    int,
    Field(ge=0, le=2**31 - 1, examples=[10]),
    BeforeValidator(json_integer),
]
"""A number of things: days, orders. A further `Field` on it would not reach the contract."""

Currency = Literal["CNY"]

Time = Annotated[
    AwareDatetime,
    BeforeValidator(_json_text),
    AfterValidator(_sane_year),
    PlainSerializer(shown_time, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-22T10:00:00.123456+08:00"]}
    ),
]
FromTime = Annotated[
    AwareDatetime,
    BeforeValidator(_json_text),
    BeforeValidator(_beginning_of),
    AfterValidator(_sane_year),
    WithJsonSchema(_TIME_OR_DAY),
]
"""The first moment of what is asked for; a business date is its beginning."""
ToTime = Annotated[
    AwareDatetime,
    BeforeValidator(_json_text),
    BeforeValidator(_end_of),
    AfterValidator(_sane_year),
    WithJsonSchema(_TIME_OR_DAY),
]
"""The moment before which all that is asked for lies; a business date is taken whole."""
BusinessDate = Annotated[
    date,
    Field(description="A business date, Asia/Shanghai.", examples=["2026-11-23"]),
    BeforeValidator(_business_date),
    AfterValidator(_sane_date),
]


def text(max_length: int, *, min_length: int = 1) -> StringConstraints:
    """Bound a text that is kept, in an `Annotated[str, …]`; Postgres cannot hold NUL."""
    return StringConstraints(min_length=min_length, max_length=max_length, pattern=r"^[^\x00]*$")


@dataclass(frozen=True)
class _Words(StringConstraints):
    """A `text` in which something can be seen: more than a pattern of the contract can say."""

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        yield AfterValidator(_seen)


def words(max_length: int) -> StringConstraints:
    """Bound what a person states for others to read: a `text` in which something can be seen."""
    return _Words(min_length=1, max_length=max_length, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")


def _seen(value: str) -> str:
    if any(unicodedata.category(one)[0] in "LNPS" and one not in _BLANK for one in value):
        return value
    raise ValueError("Input should have a character that can be seen")


Name = Annotated[str, words(200), Field(examples=["安心健身"])]
Reference = Annotated[str, text(64), Field(examples=["A-1001"])]
Reason = Annotated[str, words(500)]
PersonId = Annotated[str, words(64), Field(examples=["li.na"])]
ConsumerId = Annotated[
    str, text(255), Field(description="The token's subject.", examples=["consumer-1"])
]

_EXAMPLE_SUFFIX: Final = "01h455vb4pex5vsknk084sn02q"


def _id_schema(prefix: Prefix) -> WithJsonSchema:
    """Show the form of an id in the contract.

    It is not validated here: an id that cannot be is one that is not found (404), which
    `ids.parse` says, and not a mistake in a field (422).
    """
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
            "examples": [f"{prefix}_{_EXAMPLE_SUFFIX}"],
        }
    )


AccountId = Annotated[str, _id_schema(Prefix.ACCOUNT)]
ApprovalId = Annotated[str, _id_schema(Prefix.APPROVAL)]
CardId = Annotated[str, _id_schema(Prefix.CARD)]
CaseId = Annotated[str, _id_schema(Prefix.CASE)]
ChargeId = Annotated[str, _id_schema(Prefix.CHARGE)]
ClosureId = Annotated[str, _id_schema(Prefix.CLOSURE)]
ConfirmationId = Annotated[str, _id_schema(Prefix.CONFIRMATION)]
DisputeId = Annotated[str, _id_schema(Prefix.DISPUTE)]
FileId = Annotated[str, _id_schema(Prefix.FILE)]
HoldId = Annotated[str, _id_schema(Prefix.HOLD)]
KeyId = Annotated[str, _id_schema(Prefix.KEY)]
MerchantId = Annotated[str, _id_schema(Prefix.MERCHANT)]
OrderId = Annotated[str, _id_schema(Prefix.ORDER)]
PolicyId = Annotated[str, _id_schema(Prefix.POLICY)]
ProductId = Annotated[str, _id_schema(Prefix.PRODUCT)]
PurchaseId = Annotated[str, _id_schema(Prefix.PURCHASE)]
ReceiptId = Annotated[str, _id_schema(Prefix.RECEIPT)]
RefundId = Annotated[str, _id_schema(Prefix.REFUND)]
StoreId = Annotated[str, _id_schema(Prefix.STORE)]
TransferId = Annotated[str, _id_schema(Prefix.TRANSFER)]
