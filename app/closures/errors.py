"""What a closure refuses."""

from uuid import UUID

from app.errors import StateRefusal
from app.ids import Prefix, to_text
from app.refunds.errors import ClosureInProgress


class ClosureState(StateRefusal):
    """The closure is in a state that does not allow this."""

    code = "closure_state"

    def __init__(self, status: str) -> None:
        super().__init__(f"The closure is {status}; nothing was done.", closure_status=str(status))


class ClosureUnderWay(ClosureInProgress):
    """The merchant is closing, or has closed: it does so once."""

    def __init__(self, closure_id: UUID) -> None:
        super().__init__()
        self.closure_id = to_text(Prefix.CLOSURE, closure_id)
