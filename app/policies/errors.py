"""What is refused of a new version of a policy."""

from datetime import date

from app.errors import DomainError


class PolicyOverlaps(DomainError):
    """A version of this key and region begins on that day or later."""

    code = "policy_overlaps"

    def __init__(self, *, version: int, valid_from: date) -> None:
        super().__init__(
            f"Version {version} of this policy begins on {valid_from.isoformat()}; "
            "the next one can only begin after it."
        )
        self.version = version
        self.valid_from = valid_from.isoformat()


class PolicyDatePassed(DomainError):
    """The day on which the version was to begin went by before it was approved."""

    code = "policy_date_passed"

    def __init__(self, valid_from: date) -> None:
        super().__init__(
            f"It was to begin on {valid_from.isoformat()}, which is over; reject this proposal "
            "and make another."
        )
        self.valid_from = valid_from.isoformat()
