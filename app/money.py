"""Money as integers in fen, and the one way to share it."""

from typing import Final, NewType

Fen = NewType("Fen", int)
"""An amount in fen: 1/100 yuan. Never a float."""

CURRENCY: Final = "CNY"
AMOUNT_MAX: Final = 2**53 - 1
"""The largest amount in a request: what every JSON reader holds exactly."""


def share(amount: int, part: int, whole: int) -> Fen:
    """Give `amount` times `part` / `whole`, rounded half up, in exact integers.

    All three are non-negative and `whole` is positive (DOMAIN §4, "Round half up").
    """
    return Fen((2 * amount * part + whole) // (2 * whole))
