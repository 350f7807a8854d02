"""What a card refuses."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from app.cards.holding import CardHold
from app.errors import StateRefusal
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
