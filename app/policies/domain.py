"""The rules that a region or an operator may set differently, with DOMAIN's defaults.

Every *policy* of the domain is a field here, under the key that the contract gives it, so
that no number of the law or of the scheme hides in the code that uses it. Settings may change
the values for a whole installation, at start; `versions.py` says what rows do by date and region.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import time
from typing import Final, Self

from app.money import AMOUNT_MAX, Fen

_CODE_USE_AMOUNT: Final = Fen(200_00)
_CODE_DAY_AMOUNT: Final = Fen(500_00)
_CEILING_AMOUNT: Final = Fen(5_000_00)

PolicyValue = bool | int | str | time
"""What a policy may hold; a time is written `HH:MM` in settings."""

NO_CEILING_AMOUNT: Final = AMOUNT_MAX
"""The largest amount there is: where it is the ceiling, there is none."""

_DAY_SECONDS: Final = 86_400
_LIFETIME_SECONDS_MAX: Final = 30 * _DAY_SECONDS
_DAYS_MAX: Final = 366
_COUNT_MAX: Final = 1_000_000_000
_YEARS_MAX: Final = 100
_WORKING_DAYS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class RegionalValue:
    """One policy that a region sets differently.

    `region` is the start of the districts it covers: the administrative division code
    (GB/T 2260), such as `32` for Jiangsu.
    """

    region: str
    key: str
    value: PolicyValue


REGIONAL_DEFAULTS: Final = (
    # Jiangsu's rules on prepaid cards give 15 days instead of 7.
    RegionalValue("32", "cooling_off_days", 15),
    # Beijing gives the cooling-off period only for a card that was not used.
    RegionalValue("11", "cooling_off_unused_only", value=True),
    # In Hangzhou a compliant platform is exempt from the ceilings; the sandbox lies there.
    RegionalValue("3301", "ceiling_amount", NO_CEILING_AMOUNT),
    RegionalValue("3301", "ceiling_training_sessions", _COUNT_MAX),
    RegionalValue("3301", "ceiling_training_days", _COUNT_MAX),
)


class PolicyInvalid(ValueError):
    """What names a policy names none, or gives it a value outside its limits."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"policy {key}: {reason}")
        self.key = key
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All policies in force in one district on one day."""

    version: int = 0
    """What a decision stores: the highest version of the rows in it; 0 is what is built in."""
    code_lifetime_seconds: int = 60
    code_use_amount: Fen = _CODE_USE_AMOUNT
    """The most that one use by code may take; above it the consumer confirms in the app."""
    code_day_amount: Fen = _CODE_DAY_AMOUNT
    """The same per calendar day, consumer and merchant."""
    pending_lifetime_seconds: int = 15 * 60
    pending_per_card: int = 3
    purchase_lifetime_seconds: int = 30 * 60
    suspense_days: int = 3
    """Calendar days after which money that funds nothing goes back to its payer."""
    reversal_days: int = 90
    """Calendar days after the use in which it may be disputed or reversed."""
    cut_time: time = time(22, 0)
    """Asia/Shanghai, on the eve of every banking day."""
    case_answer_working_days: int = 5
    cooling_off_days: int = 7
    cooling_off_unused_only: bool = False
    transfer_refund_wait_days: int = 3
    term_end_release: bool = False
    automatic_confirmation: bool = False
    ceiling_amount: Fen = _CEILING_AMOUNT
    """Live principal per consumer and merchant."""
    ceiling_training_sessions: int = 60
    """Lessons that a consumer may have prepaid at a merchant of the industry `training`."""
    ceiling_training_days: int = 92
    """The longest term of a period card there: three months have 92 days at most."""
    payee_change_days: int = 3
    """Calendar days from the approval of a changed payee account until it counts."""
    retention_years: int = 10

    def __post_init__(self) -> None:
        """Refuse values that no rule can work with.

        Raises:
            PolicyInvalid: A value is outside its limits.
        """
        for key in POLICY_KEYS:
            _check(key, getattr(self, key))

    @classmethod
    def from_settings(cls, overrides: Mapping[str, object]) -> Self:
        """Take the defaults, changed where a setting says so.

        Values may be text, as an environment gives them (`60`, `true`, `21:30`).

        Raises:
            PolicyInvalid: A key names no policy, or its value is outside its limits.
        """
        return replace(cls(), **_typed(overrides.items()))


_LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "code_lifetime_seconds": (1, _LIFETIME_SECONDS_MAX),
    "code_use_amount": (0, AMOUNT_MAX),
    "code_day_amount": (0, AMOUNT_MAX),
    "pending_lifetime_seconds": (1, _LIFETIME_SECONDS_MAX),
    "pending_per_card": (1, _COUNT_MAX),
    "purchase_lifetime_seconds": (1, _LIFETIME_SECONDS_MAX),
    "suspense_days": (0, _DAYS_MAX),
    "reversal_days": (0, 10 * _DAYS_MAX),
    "case_answer_working_days": (1, _WORKING_DAYS_MAX),
    "cooling_off_days": (0, _DAYS_MAX),
    "transfer_refund_wait_days": (0, _DAYS_MAX),
    "ceiling_amount": (0, AMOUNT_MAX),
    "ceiling_training_sessions": (0, _COUNT_MAX),
    "ceiling_training_days": (0, _COUNT_MAX),
    "payee_change_days": (0, _DAYS_MAX),
    "retention_years": (1, _YEARS_MAX),
}
_SWITCHES: Final = frozenset(
    {"cooling_off_unused_only", "term_end_release", "automatic_confirmation"}
)
_NOT_YET: Final[Mapping[str, str]] = {
    "term_end_release": "two reminders go before it, and none is delivered yet",
    "automatic_confirmation": "no rule confirms a use without its consumer yet",
}
"""Switches that nothing acts on so far: turned on, one would be without effect and say nothing."""
_TIMES: Final = frozenset({"cut_time"})
POLICY_KEYS: Final = tuple(field.name for field in fields(Policies) if field.name != "version")
"""The contract's names of all policies."""

NATIONWIDE_KEYS: Final = _TIMES
"""What no region sets: files are cut per bank, for merchants of all districts at once."""

_SWITCH_WORDS: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}


def read_json(key: str, value: object) -> PolicyValue:
    """Read a value as JSON says it: a time is text, a whole number may be written 60.0.

    Raises:
        PolicyInvalid: The key names no policy, or the value is none of its kind.
    """
    if key not in POLICY_KEYS:
        raise PolicyInvalid(key, "there is no such policy")
    if key in _TIMES and isinstance(value, str):
        value = _read(key, value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    _check(key, value)
    assert isinstance(value, PolicyValue), "only such values pass the check"
    return value


def as_json(value: PolicyValue) -> bool | int | str:
    """Say a value as JSON does."""
    if not isinstance(value, time):
        return value
    return value.isoformat("auto" if value.second or value.microsecond else "minutes")


def _typed(values: Iterable[tuple[str, object]]) -> dict[str, object]:
    return {key: _read(key, value) for key, value in values}


def _read(key: str, value: object) -> object:
    if key not in POLICY_KEYS:
        raise PolicyInvalid(key, "there is no such policy")
    if not isinstance(value, str):
        return value
    try:
        if key in _SWITCHES:
            return _SWITCH_WORDS[value.lower()]
        return time.fromisoformat(value) if key in _TIMES else int(value)
    except (KeyError, ValueError):
        raise PolicyInvalid(key, "cannot be read") from None


def _check(key: str, value: object) -> None:
    if key in _SWITCHES:
        if not isinstance(value, bool):
            raise PolicyInvalid(key, "must be true or false")
        if value and key in _NOT_YET:
            raise PolicyInvalid(key, f"cannot be turned on: {_NOT_YET[key]}")
    elif key in _TIMES:
        if not isinstance(value, time) or value.tzinfo is not None:
            raise PolicyInvalid(key, "must be a time of day such as 22:00")
    else:
        least, most = _LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise PolicyInvalid(key, f"must be a whole number from {least} to {most}")
