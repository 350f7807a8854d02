"""What the calendar cannot answer."""

from datetime import date

from app.errors import DomainError


class CalendarNotCovered(DomainError):
    """The business days of a year that the answer needs are not loaded."""

    code = "calendar_not_covered"

    def __init__(self, day: date) -> None:
        super().__init__(
            f"The business days of {day.year} are not loaded; an operator adds them with "
            f"PUT /v1/calendar/{day.year}.",
            date=day.isoformat(),
        )
        self.day = day
