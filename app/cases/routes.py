"""`/v1/cases` for operators and merchants, `/v1/me/cases` for the consumers whose they are."""

from typing import Annotated

from fastapi import Query, Response

from app.access.principals import MerchantPrincipal, OperatorPrincipal
from app.access.schemas import ApprovalRead
from app.api.dependencies import (
    BackOfficeDep,
    ConsumerDep,
    DatabaseDep,
    IdempotencyDep,
    MerchantDep,
    OperatorDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, Page, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import CaseId
from app.api.services import Services
from app.cases import rulings, service
from app.cases.errors import CaseState
from app.cases.queries import CaseFilter
from app.cases.rows import CaseFile, CaseKind, CaseStatus
from app.cases.schemas import CaseAnswerCreate, CaseDecisionCreate, CaseRead
from app.cases.service import Desk
from app.errors import DeadlinePassed, NotFound
from app.ids import Prefix, parse

router = api_router("/v1", tag="cases")

StatusQuery = Annotated[CaseStatus | None, Query()]
KindQuery = Annotated[CaseKind | None, Query()]


@router.get("/cases", summary="List cases")
async def list_cases(
    caller: BackOfficeDep,
    services: ServicesDep,
    page: PageDep,
    status: StatusQuery = None,
    kind: KindQuery = None,
) -> ListRead[CaseRead]:
    """List cases: a merchant its own, an operator those of all merchants."""
    wanted = CaseFilter(merchant_no=_merchant_of(caller), status=status, kind=kind)
    return await _listed(services, wanted, page, named=True)


@router.get("/cases/{case_id}", summary="Read a case", responses=problems(NotFound))
async def read_case(case_id: CaseId, caller: BackOfficeDep, services: ServicesDep) -> CaseRead:
    """Give a case with what the consumer wrote, the merchant's answer and the decision."""
    merchant_no, parsed = _merchant_of(caller), parse(Prefix.CASE, case_id)
    case = (
        await service.read_case(services.db, parsed)
        if merchant_no is None
        else await service.read_of_merchant(services.db, merchant_no, parsed)
    )
    return await _shown(services, case, named=True)


@router.post(
    "/cases/{case_id}/answers",
    summary="Answer a case",
    responses=problems(CaseState, DeadlinePassed, NotFound),
)
async def answer_case(
    case_id: CaseId,
    body: CaseAnswerCreate,
    merchant: MerchantDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> CaseRead:
    """Agree, which upholds the case at once, or disagree, so that two persons decide."""
    merchant.require_every_store()
    no, parsed = merchant.merchant_no, parse(Prefix.CASE, case_id)
    case = await service.read_of_merchant(services.db, no, parsed)
    desk = desk_of(services)
    step = service.answering(desk, case, agree=body.agree, text=body.text, by=merchant.person_id)
    done = await service.take_step(desk, case, step, request)
    mark_replayed(response, done)
    return await _shown(services, done.value, named=True)


@router.post(
    "/cases/{case_id}/decisions",
    status_code=202,
    summary="Propose how a case is decided",
    responses=problems(CaseState, NotFound),
)
async def decide_case(
    case_id: CaseId,
    body: CaseDecisionCreate,
    operator: OperatorDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
) -> ApprovalRead:
    """Put a decision before a second person; with that one's approval it takes effect."""
    proposed = await rulings.propose(
        db, parse(Prefix.CASE, case_id), body.to_domain(operator.person_id), request
    )
    mark_replayed(response, proposed)
    return ApprovalRead.from_domain(proposed.value)


@router.get("/me/cases", summary="List one's own cases")
async def list_my_cases(
    consumer: ConsumerDep,
    services: ServicesDep,
    page: PageDep,
    status: StatusQuery = None,
    kind: KindQuery = None,
) -> ListRead[CaseRead]:
    """List the consumer's claims and disputes that people judge, over all merchants."""
    wanted = CaseFilter(consumer=consumer.consumer, status=status, kind=kind)
    return await _listed(services, wanted, page, named=False)


@router.get("/me/cases/{case_id}", summary="Read one's own case", responses=problems(NotFound))
async def read_my_case(case_id: CaseId, consumer: ConsumerDep, services: ServicesDep) -> CaseRead:
    """Give a case of the consumer."""
    case = await service.read_own(services.db, consumer.consumer, parse(Prefix.CASE, case_id))
    return await _shown(services, case, named=False)


def desk_of(services: Services) -> Desk:
    """Give the use cases of cases what they need of the process."""
    return Desk(
        services.db, services.writer, services.sealer, services.directory, services.conducts
    )


def _merchant_of(caller: OperatorPrincipal | MerchantPrincipal) -> int | None:
    """Give whose cases the caller reads: a merchant's key must reach all of its stores."""
    if isinstance(caller, OperatorPrincipal):
        return None
    caller.require_every_store()
    return caller.merchant_no


async def _listed(
    services: Services, wanted: CaseFilter, page: Page, *, named: bool
) -> ListRead[CaseRead]:
    rows = await service.list_cases(
        services.db, wanted, before=page.after_id, count=page.fetch_count
    )
    shown = page.close(rows, lambda case: case.case_id)
    return ListRead(
        data=[await _shown(services, case, named=named) for case in shown.rows],
        next_cursor=shown.next_cursor,
    )


async def _shown(services: Services, case: CaseFile, *, named: bool) -> CaseRead:
    merchant = await services.directory.find(case.merchant_no)
    return CaseRead.from_domain(case, merchant.merchant_id, services.sealer, named=named)
