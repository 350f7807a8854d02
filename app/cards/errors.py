"""What a card refuses."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from app.cards.holding import CardHold
from app.errors import DomainError, StateRefusal
from app.ids import Prefix, to_text


class CardNotActive(StateRefusal):
    """The card is frozen, lost, expired, recalled or replaced."""

    code = "card_not_active"

    def __init__(self, card_id: UUID, status: str) -> None:
        super().__init__(
            f"The card is {status}; nothing was done.",
            card_id=to_text(Prefix.CARD, card_id),
            card_status=str(status),
        )


class CardOnHold(StateRefusal):
    """A court or an authority holds the card."""

    code = "card_on_hold"

    def __init__(self, card_id: UUID, holds: Sequence[CardHold] = ()) -> None:
        """Say what holds the card, oldest first; the oldest also as members of its own."""
        shown = [hold.members() for hold in holds]
        oldest: Mapping[str, object] = shown[0] if shown else {}
        super().__init__(
            "The card is under a hold; nothing was done.",
            card_id=to_text(Prefix.CARD, card_id),
            document_number=oldest.get("document_number"),
            reason=oldest.get("reason"),
            expires_at=oldest.get("expires_at"),
            holds=shown,
        )


class CardInRefund(StateRefusal):
    """The card is being refunded, or was."""

    code = "card_in_refund"

    def __init__(self, card_id: UUID, status: str) -> None:
        super().__init__(
            f"The card is {status}; nothing was done.",
            card_id=to_text(Prefix.CARD, card_id),
            card_status=str(status),
        )


class MerchantFrozen(StateRefusal):
    """The merchant's book is frozen or closing."""

    code = "merchant_frozen"

    def __init__(self) -> None:
        super().__init__("The merchant is frozen or closing; nothing was done.")


class CeilingExceeded(DomainError):
    """More would be prepaid than one consumer may have with one merchant."""

    code = "ceiling_exceeded"


class AmountCeilingExceeded(CeilingExceeded):
    """The principal that is live and what is bought exceed the ceiling together."""

    def __init__(self, *, ceiling: int, live: int) -> None:
        super().__init__(
            "So much may not be prepaid here; nothing was done.",
            ceiling_amount=ceiling,
            live_amount=live,
            available_amount=max(0, ceiling - live),
        )


class SessionsCeilingExceeded(CeilingExceeded):
    """The lessons that are left and those that are bought exceed the ceiling together."""

    def __init__(self, *, ceiling: int, live: int) -> None:
        super().__init__(
            "So many lessons may not be prepaid here; nothing was done.",
            ceiling_sessions=ceiling,
            live_sessions=live,
            available_sessions=max(0, ceiling - live),
        )


class TermCeilingExceeded(CeilingExceeded):
    """The term that is bought is longer than may be prepaid."""

    def __init__(self, *, ceiling: int, term_days: int) -> None:
        super().__init__(
            "So long a term may not be prepaid here; nothing was done.",
            ceiling_days=ceiling,
            term_days=term_days,
        )
