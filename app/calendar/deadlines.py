"""Until when a merchant must answer a case: working days of its district's policy."""

from datetime import date

from app.calendar.current import CurrentCalendar
from app.calendar.errors import CalendarNotCovered
from app.cards.directory import MerchantDirectory
from app.policies.current import CurrentPolicies


async def answer_due_on(
    calendar: CurrentCalendar,
    policies: CurrentPolicies,
    directory: MerchantDirectory,
    merchant_no: int,
    opened_on: date,
) -> date | None:
    """Give the last day on which a merchant can answer a case opened on this day.

    The day of the opening does not count. None where the calendar does not reach: a consumer is
    not turned away for that, the time runs from when the year is loaded.

    Raises:
        NotFound: There is no such merchant.
    """
    district = await directory.district_of(merchant_no)
    in_force = await policies.policies_in(district, opened_on)
    days = in_force.case_answer_working_days
    try:
        return (await calendar.get()).nth_working_day(opened_on, days)
    except CalendarNotCovered:
        return None
