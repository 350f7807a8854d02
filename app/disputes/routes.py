"""`/v1/me/charges/{id}/dispute`, for consumers."""

from fastapi import Response

from app.api.dependencies import ConsumerDep, IdempotencyDep, ServicesDep, mark_replayed
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import ChargeId
from app.charges.errors import ChargeDisputed, ChargeNotConfirmed, DeadlinePassed
from app.charges.schemas import ConsumerChargeRead
from app.disputes import service
from app.disputes.schemas import DisputeCreate
from app.errors import NotFound
from app.ids import Prefix, merchant_no_of, parse
from app.refunds.errors import ClosureInProgress

router = api_router("/v1", tag="charges")


@router.post(
    "/me/charges/{charge_id}/dispute",
    summary="Dispute a confirmed use",
    responses=problems(
        ChargeDisputed, ChargeNotConfirmed, ClosureInProgress, DeadlinePassed, NotFound
    ),
)
async def dispute_charge(
    charge_id: ChargeId,
    body: DisputeCreate,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ConsumerChargeRead:
    """Contest a use and set its money aside; again gives the same while it is disputed.

    The merchant answers the case, and silence is agreement; else two persons decide.
    """
    charge = parse(Prefix.CHARGE, charge_id)
    ref = await services.directory.find(merchant_no_of(charge))
    desk = service.Desk(
        services.db,
        services.writer,
        services.sealer,
        services.calendar,
        services.policies,
        services.directory,
    )
    done = await service.open_dispute(
        desk,
        consumer,
        charge,
        body.to_domain(),
        request=request,
    )
    mark_replayed(response, done)
    return ConsumerChargeRead.from_domain(done.value, ref)
