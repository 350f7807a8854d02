"""What a refund refuses."""

from collections.abc import Mapping
from datetime import date
from uuid import UUID

from app.errors import StateRefusal
from app.ids import Prefix, to_text


class RefundInProgress(StateRefusal):
    """The card is being refunded, or was."""

    code = "refund_in_progress"

    def __init__(self, refund_id: UUID | None) -> None:
        super().__init__(
            "There is a refund of this card already; nothing was done.",
            refund_id=None if refund_id is None else to_text(Prefix.REFUND, refund_id),
        )


class RefundNotAllowed(StateRefusal):
    """The refund, or this answer to it, is not possible as things stand."""

    code = "refund_not_allowed"


class RefundChanged(StateRefusal):
    """What was agreed to is not what the refund comes to now."""

    code = "refund_changed"

    def __init__(self, preview: Mapping[str, object]) -> None:
        super().__init__(
            "The refund comes to something else now; show the preview to the consumer again.",
            preview=preview,
        )


class ClosureInProgress(StateRefusal):
    """The merchant is closing: every card is refunded, without being asked for."""

    code = "closure_in_progress"

    def __init__(self) -> None:
        super().__init__("The merchant is closing; every card of it is refunded by the closure.")


class CoolingOffOver(RefundNotAllowed):
    """The cooling-off period is over, or never was."""

    def __init__(self, reason: str, ends_on: date | None) -> None:
        super().__init__(reason, cooling_off_ends_on=None if ends_on is None else str(ends_on))
