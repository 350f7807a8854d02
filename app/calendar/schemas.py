"""A year's business days as the contract shows them."""

from typing import Annotated, Final, Self

from pydantic import Field

from app.api.schemas import BusinessDate, Model, text
from app.calendar.service import NamedDay, YearDifferences

_DAYS_MAX: Final = 366

HolidayName = Annotated[str, text(64), Field(examples=["春节"])]


class HolidayModel(Model):
    """A day off, by its name."""

    date: BusinessDate
    name: HolidayName

    def to_domain(self) -> NamedDay:
        """Say it in the service's own terms."""
        return NamedDay(self.date, self.name)


class YearWrite(Model):
    """What the State Council announced: the holidays, and the weekends that are worked."""

    holidays: Annotated[list[HolidayModel], Field(min_length=1, max_length=_DAYS_MAX)]
    working_weekends: Annotated[list[BusinessDate], Field(max_length=_DAYS_MAX)]


class YearRead(Model):
    """What makes a year differ from Monday to Friday; `provisional` is not announced yet."""

    year: int
    provisional: bool
    holidays: list[HolidayModel]
    working_weekends: list[BusinessDate]

    @classmethod
    def from_domain(cls, year: YearDifferences) -> Self:
        """Show a year."""
        return cls(
            year=year.year,
            provisional=year.provisional,
            holidays=[HolidayModel(date=day.day, name=day.name) for day in year.holidays],
            working_weekends=list(year.working_weekends),
        )
