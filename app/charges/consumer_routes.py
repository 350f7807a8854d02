"""`/v1/me/codes` and `/v1/me/charges`, for consumers."""

from typing import Annotated

from fastapi import Query, Response

from app.api.dependencies import ConsumerDep, IdempotencyDep, ServicesDep, mark_replayed
from app.api.lean import LeanResponse, lean
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import ChargeId
from app.cards.errors import CardInRefund, CardNotActive, CardOnHold
from app.charges import service
from app.charges.code_schemas import CodeCreate, CodeRead
from app.charges.codes import issue_code
from app.charges.commands import ConfirmCharge, DeclineCharge
from app.charges.domain import ChargeStatus
from app.charges.errors import ChargeChanged, ChargeNotPending
from app.charges.routes import CARD_REFUSALS, lean_charge
from app.charges.schemas import ChargeConfirm, ConsumerChargeRead, ReasonBody
from app.errors import NotFound
from app.ids import Prefix, merchant_no_of, new_id, parse

router = api_router("/v1", tag="charges")


@router.post(
    "/me/codes",
    status_code=201,
    summary="Make a one-time code",
    response_model=CodeRead,
    responses=problems(CardInRefund, CardNotActive, CardOnHold, NotFound),
)
@lean
async def create_code(
    body: CodeCreate, consumer: ConsumerDep, services: ServicesDep
) -> LeanResponse:
    """Make a code to show at the till; it confirms one use, within its limits and its time."""
    wanted = body.to_domain()
    policies = await services.policies_of(wanted.merchant_no)
    issued = await issue_code(
        services.db, consumer, wanted, lifetime_seconds=policies.code_lifetime_seconds
    )
    answer = CodeRead(code=issued.code, expires_at=issued.expires_at, qr_svg=issued.qr_svg)
    return LeanResponse(201, answer.model_dump_json().encode())


@router.get("/me/charges", summary="List one's own charges")
async def list_my_charges(
    consumer: ConsumerDep,
    services: ServicesDep,
    page: PageDep,
    status: Annotated[ChargeStatus | None, Query()] = None,
) -> ListRead[ConsumerChargeRead]:
    """List the consumer's charges over all merchants; those that wait with `status`."""
    rows = await service.list_for_consumer(
        services.db, consumer, status, before=page.after_id, count=page.fetch_count
    )
    shown = page.close(rows, lambda charge: charge.charge_id)
    refs = {no: await services.directory.find(no) for no in {row.merchant_no for row in rows}}
    return ListRead(
        data=[
            ConsumerChargeRead.from_domain(charge, refs[charge.merchant_no])
            for charge in shown.rows
        ],
        next_cursor=shown.next_cursor,
    )


@router.get(
    "/me/charges/{charge_id}", summary="Read one's own charge", responses=problems(NotFound)
)
async def read_my_charge(
    charge_id: ChargeId, consumer: ConsumerDep, services: ServicesDep
) -> ConsumerChargeRead:
    """Give a charge of the consumer."""
    charge = await service.read_for_consumer(services.db, consumer, parse(Prefix.CHARGE, charge_id))
    return ConsumerChargeRead.from_domain(charge, await services.directory.find(charge.merchant_no))


@router.post(
    "/me/charges/{charge_id}/confirm",
    summary="Confirm a waiting charge",
    response_model=ConsumerChargeRead,
    responses=problems(ChargeChanged, ChargeNotPending, NotFound, *CARD_REFUSALS),
)
@lean
async def confirm_charge(
    charge_id: str,
    body: ChargeConfirm,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
) -> LeanResponse:
    """Let a charge take effect as the consumer saw it; again gives the same confirmation."""
    charge = parse(Prefix.CHARGE, charge_id)
    merchant_no = merchant_no_of(charge)
    ref = await services.directory.find(merchant_no)
    command = ConfirmCharge(
        merchant_no, request, charge, new_id(merchant_no), consumer.consumer, body.to_echo(), ref
    )
    done = await service.carry_out(services.writer, services.db, command)
    return lean_charge(200, done, ref, to_consumer=True)


@router.post(
    "/me/charges/{charge_id}/decline",
    summary="Decline a waiting charge",
    responses=problems(ChargeNotPending, NotFound),
)
async def decline_charge(
    charge_id: ChargeId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
    _: ReasonBody | None = None,
) -> ConsumerChargeRead:
    """Refuse a charge; nothing moves. Again gives the same."""
    charge = parse(Prefix.CHARGE, charge_id)
    ref = await services.directory.find(merchant_no_of(charge))
    command = DeclineCharge(ref.merchant_no, request, charge, consumer.consumer)
    done = await service.carry_out(services.writer, services.db, command)
    mark_replayed(response, done)
    return ConsumerChargeRead.from_domain(done.value, ref)
