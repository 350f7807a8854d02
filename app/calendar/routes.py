"""`/v1/calendar`, for operators."""

from typing import Annotated

from fastapi import Path

from app.access.schemas import ApprovalRead
from app.api.dependencies import DatabaseDep, OperatorDep
from app.api.problems import problems
from app.api.routing import api_router
from app.calendar import service
from app.calendar.schemas import YearRead, YearWrite
from app.errors import NotFound

router = api_router("/v1/calendar", tag="calendar")

Year = Annotated[int, Path(ge=2000, le=2199, examples=[2027])]


@router.get("/{year}", summary="Read a year's business days", responses=problems(NotFound))
async def read_year(year: Year, _: OperatorDep, db: DatabaseDep) -> YearRead:
    """Give what makes the year differ from Monday to Friday."""
    return YearRead.from_domain(await service.read_year(db, year))


@router.put("/{year}", status_code=202, summary="Propose a year's business days")
async def propose_year(
    year: Year, body: YearWrite, operator: OperatorDep, db: DatabaseDep
) -> ApprovalRead:
    """Put an announced year before a second person; until then nothing changes."""
    approval = await service.propose_year(
        db,
        year,
        [holiday.to_domain() for holiday in body.holidays],
        body.working_weekends,
        by=operator.person_id,
    )
    return ApprovalRead.from_domain(approval)
