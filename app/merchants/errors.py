"""What onboarding refuses."""

from app.errors import DomainError


class AlreadyExists(DomainError):
    """What may exist only once exists already: a licence number, a custody account."""

    code = "already_exists"

    def __init__(self, field: str) -> None:
        super().__init__(f"There is one with this {field} already.", field=field)
