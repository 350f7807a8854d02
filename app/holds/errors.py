"""What a hold refuses."""

from app.errors import StateRefusal


class HoldNotActive(StateRefusal):
    """The hold has ended by itself; there is nothing to lift."""

    code = "hold_not_active"

    def __init__(self, status: str) -> None:
        super().__init__(f"The hold is {status}; there is nothing to lift.", hold_status=status)
