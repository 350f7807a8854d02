"""The amounts of the benchmark, and what a use of them must release."""

from typing import Final

from app.money import Fen

PRICE_AMOUNT: Final = Fen(500_000_000_00)
BONUS_AMOUNT: Final = Fen(100_000_000_00)
"""So much on each card that the most popular one is never used up; 5/6 of a use is paid for."""

AMOUNT_MIN: Final = 1_00
AMOUNT_MAX: Final = 200_00

_FACE_AMOUNT: Final = PRICE_AMOUNT + BONUS_AMOUNT


def may_release(amount: int, release_amount: int) -> bool:
    """Say whether a use of `amount` fen can release this much.

    What a card has released is rounded as a whole (DOMAIN §4), so that a single use may lie
    either side of its exact share; `anxin verify` proves the sums.
    """
    exact = amount * PRICE_AMOUNT
    return exact // _FACE_AMOUNT <= release_amount <= -(-exact // _FACE_AMOUNT)
