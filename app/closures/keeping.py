"""What of payable was set aside for a dispute that was upheld, and is kept until it is paid. Pure.

Upheld, a dispute whose reversal needs more than payable has waits whole (DOMAIN §5). What was set
aside for it is in payable meanwhile, but it is not the merchant's, and covers nobody else's claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from app.money import Fen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


class Uncovered(NamedTuple):
    """A use taken back for which payable has not enough: the holder's claim on the merchant."""

    charge_id: UUID
    holder: str | None
    """The consumer's id with the wallet."""
    amount: Fen
    set_aside_amount: Fen
    """For its dispute, which was upheld and waits; 0 for all others."""
    kept_amount: Fen = Fen(0)
    """What of that is there."""


def keep(uncovered: Sequence[Uncovered], payable_amount: int) -> Sequence[Uncovered]:
    """Say what of payable is kept for each, in their turn: never more than was set aside."""
    found: list[Uncovered] = []
    for one in uncovered:
        kept = Fen(max(0, min(one.set_aside_amount, one.amount, payable_amount)))
        payable_amount -= kept
        found.append(one._replace(kept_amount=kept))
    return found


def kept_amount(uncovered: Sequence[Uncovered], payable_amount: int) -> Fen:
    """Say what of payable is kept in all."""
    return Fen(sum(one.kept_amount for one in keep(uncovered, payable_amount)))


def goes_on_waiting(uncovered: Sequence[Uncovered], payable_amount: int) -> Sequence[Uncovered]:
    """Say which reversals a closure's end does not end: those of disputes that set money aside.

    While payable has anything, what comes later may cover them, one of which nothing is left too.
    All others end as their holders' claims.
    """
    return [one for one in uncovered if one.set_aside_amount > 0 and payable_amount > 0]
