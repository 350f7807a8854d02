"""What interest the merchant owes on a refund: shown, never taken from custody (art. 16)."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from app.money import Fen

_YEAR_DAYS: Final = 365
_WHOLE: Final = 10_000

_LOAN_PRIME_RATE: Final = (
    (date(2019, 8, 20), 425),
    (date(2019, 9, 20), 420),
    (date(2019, 11, 20), 415),
    (date(2020, 2, 20), 405),
    (date(2020, 4, 20), 385),
    (date(2021, 12, 20), 380),
    (date(2022, 1, 20), 370),
    (date(2022, 8, 22), 365),
    (date(2023, 6, 20), 355),
    (date(2023, 8, 21), 345),
    (date(2024, 7, 22), 335),
    (date(2024, 10, 21), 310),
    (date(2025, 5, 20), 300),
)
"""One year, in hundredths of a percent, each from the day of its publication.

From December 2021 on they agree with what the press said of each publication; those before, and
whether there are later ones, are to be checked against the National Interbank Funding Center.
"""

_DEPOSIT_RATE: Final = ((date(2015, 10, 24), 150),)
"""The central bank's one-year benchmark for deposits, in hundredths of a percent."""


def merchant_fault_rate(paid_on: date) -> int:
    """Give the yearly rate where the merchant is at fault, in hundredths of a percent.

    The one-year loan prime rate at the time of the contract. Source: 法释 [2025] 4号, art. 16,
    still to be checked against the official text.
    """
    return _in_force(_LOAN_PRIME_RATE, paid_on)


def consumer_choice_rate(paid_on: date) -> int:
    """Give the yearly rate where the consumer ends the contract, in hundredths of a percent.

    The one-year benchmark deposit rate at the time of the contract. Source as above.
    """
    return _in_force(_DEPOSIT_RATE, paid_on)


def interest(amount: int, *, rate: int, days: int) -> Fen:
    """Give simple interest on an amount, rounded half up."""
    whole = _WHOLE * _YEAR_DAYS
    return Fen((2 * amount * rate * days + whole) // (2 * whole))


def _in_force(rates: Sequence[tuple[date, int]], day: date) -> int:
    begun = [rate for since, rate in rates if since <= day]
    return begun[-1] if begun else rates[0][1]
