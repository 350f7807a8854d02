"""What a card's life refuses."""

from app.errors import DomainError, StateRefusal


class CardKindMismatch(DomainError):
    """No card of this kind can do that."""

    code = "card_kind_mismatch"

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why, card_kind=str(kind))


class TransferNotOpen(StateRefusal):
    """The transfer was answered or withdrawn before."""

    code = "transfer_not_open"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The transfer is {status}; nothing was done.", transfer_status=str(status)
        )
