"""How much one consumer may have prepaid with one merchant (DOMAIN §6, Product rules). Pure.

Live principal is what of the payments is not earned yet: the custody left on the cards that are
not being refunded, and what accepted purchases that wait for their payment will bring. A card
that is used up leaves room again. Cards of a product that is exempt neither count nor are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from app.cards.domain import CardStatus
from app.cards.errors import (
    AmountCeilingExceeded,
    SessionsCeilingExceeded,
    TermCeilingExceeded,
)

if TYPE_CHECKING:
    from app.cards.domain import Card
    from app.money import Fen

_NOT_LIVE: Final = frozenset(
    {CardStatus.REFUNDING, CardStatus.REFUNDED, CardStatus.RECALLED, CardStatus.REPLACED}
)


class Ceilings(NamedTuple):
    """What may be prepaid; None where a ceiling does not exist."""

    amount: Fen | None
    sessions: int | None
    term_days: int | None


class Prepaid(NamedTuple):
    """What is prepaid and not used yet."""

    amount: int = 0
    sessions: int = 0

    def plus(self, other: Prepaid) -> Prepaid:
        """Add both up."""
        return Prepaid(self.amount + other.amount, self.sessions + other.sessions)


def live_of(card: Card) -> Prepaid:
    """Say what of a card is live: what its holder would lose if the merchant vanished."""
    if card.status in _NOT_LIVE:
        return Prepaid()
    return Prepaid(card.custody_amount, (card.sessions_total or 0) - card.sessions_used)


def check_ceilings(
    ceilings: Ceilings, live: Prepaid, more: Prepaid, *, term_days: int | None
) -> None:
    """Refuse what would exceed a ceiling together with what is live.

    Args:
        ceilings: Those of the merchant's district and industry.
        live: What the consumer has with the merchant already.
        more: What is bought, or taken over from another holder.
        term_days: The term of what is bought, of a period card; None for others.

    Raises:
        CeilingExceeded: It would; the members say the ceiling, what is live and what would fit.
    """
    amount, sessions, longest = ceilings
    if amount is not None and live.amount + more.amount > amount:
        raise AmountCeilingExceeded(ceiling=amount, live=live.amount)
    if sessions is not None and more.sessions and live.sessions + more.sessions > sessions:
        raise SessionsCeilingExceeded(ceiling=sessions, live=live.sessions)
    if longest is not None and term_days is not None and term_days > longest:
        raise TermCeilingExceeded(ceiling=longest, term_days=term_days)
