"""What a case refuses."""

from app.errors import StateRefusal


class CaseState(StateRefusal):
    """The case was answered or decided otherwise before."""

    code = "case_state"

    def __init__(self, status: str, decided_by: str | None = None) -> None:
        by = "" if decided_by is None else f" by {decided_by}"
        super().__init__(
            f"The case is {status}{by}; this is not possible any more.",
            case_status=str(status),
        )
