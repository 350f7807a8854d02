"""`/v1/sandbox`: shortcuts without a credential. Production has none of these routes."""

from functools import partial
from typing import Final

from fastapi import Response

from app.access.tokens import LocalIssuer
from app.api.dependencies import DatabaseDep, ServicesDep
from app.api.problems import problems
from app.api.routing import api_router
from app.purchases.errors import BankReferenceReused
from app.purchases.schemas import ReceiptRead
from app.purchases.service import Till, ceilings_at
from app.sandbox import paying, service
from app.sandbox.schemas import (
    ClockAdvance,
    ClockRead,
    PaymentCreate,
    SandboxMerchantCreate,
    SandboxRead,
    TokenCreate,
    TokenRead,
)
from app.sandbox.service import SandboxMaker

router = api_router("/v1/sandbox", tag="sandbox")

_NO_WISH: Final = SandboxMerchantCreate()


@router.post("/consumer-tokens", status_code=201, summary="Be a consumer")
async def create_consumer_token(body: TokenCreate, services: ServicesDep) -> TokenRead:
    """Make a token for any consumer, known or new."""
    issuer = LocalIssuer.of(services.settings.data)
    return TokenRead(token=issuer.mint(body.consumer_id))


@router.post("/clock/advance", status_code=200, summary="Let time pass")
async def advance_clock(body: ClockAdvance, db: DatabaseDep) -> ClockRead:
    """Move domain time forward in every process; credentials stay on real time."""
    return ClockRead(now=await service.advance_clock(db, body.seconds))


@router.post(
    "/bank/pay",
    status_code=201,
    summary="Pay for a purchase",
    responses={
        200: {"model": ReceiptRead, "description": "The bank reported this before."},
        **problems(BankReferenceReused),
    },
)
async def pay(body: PaymentCreate, services: ServicesDep, response: Response) -> ReceiptRead:
    """Accept the contract for the consumer, and report the money as the bank does."""
    till = Till(services.db, services.writer, services.sealer, services.calendar, services.policies)
    ceilings = partial(ceilings_at, services.policies, services.directory)
    recorded = (await paying.pay(till, body.to_domain(), ceilings)).value
    response.status_code = 201 if recorded.created else 200
    return ReceiptRead.from_domain(recorded.receipt)


@router.post("/merchants", status_code=201, summary="Make another merchant")
async def create_sandbox_merchant(
    services: ServicesDep, body: SandboxMerchantCreate = _NO_WISH
) -> SandboxRead:
    """Make a merchant that can sell, with its own key."""
    maker = SandboxMaker(services.settings, services.db, services.sealer, services.policies)
    return SandboxRead.from_domain(await maker.another_merchant(body.to_domain()))
