"""`/v1/charges`, for merchants."""

from typing import Annotated, Final

from fastapi import Query, Response
from pydantic import ValidationError
from pydantic_core import to_json

from app.access.principals import MerchantPrincipal
from app.api.dependencies import IdempotencyDep, MerchantDep, ServicesDep, mark_replayed
from app.api.lean import REPLAYED, LeanResponse, lean
from app.api.pagination import ListRead, PageDep
from app.api.problems import field_errors, problem_of, problems, status_of
from app.api.routing import api_router
from app.api.schemas import ChargeId, FromTime, Reference, StoreId, ToTime
from app.cards.directory import MerchantRef
from app.cards.errors import CardInRefund, CardNotActive, CardOnHold, MerchantFrozen
from app.charges import batches, service
from app.charges.answer import charge_answer
from app.charges.commands import (
    CancelCharge,
    PlaceCharge,
    ReverseCharge,
)
from app.charges.domain import Charge, ChargeStatus
from app.charges.errors import (
    ChargeDisputed,
    ChargeKindMismatch,
    ChargeNotConfirmed,
    ChargeNotPending,
    ClientReferenceUsed,
    CodeExpired,
    CodeInvalid,
    CodeLimitExceeded,
    CodeUsed,
    DeadlinePassed,
    InsufficientBalance,
    ProductAmbiguous,
    TooManyPending,
)
from app.charges.queries import ChargeFilter
from app.charges.schemas import (
    BatchCreate,
    BatchRead,
    ChargeCreate,
    ChargeRead,
    ReasonBody,
)
from app.errors import DomainError, InvalidRequest, NotFound, RateLimited
from app.ids import Prefix, parse
from app.policies.domain import Policies
from app.writer.answers import Answered

router = api_router("/v1", tag="charges")

CARD_REFUSALS: Final = (CardInRefund, CardNotActive, CardOnHold, MerchantFrozen)


@router.post(
    "/charges",
    status_code=201,
    summary="Charge a use",
    response_model=ChargeRead,
    responses=problems(
        ChargeKindMismatch,
        ClientReferenceUsed,
        CodeExpired,
        CodeInvalid,
        CodeLimitExceeded,
        CodeUsed,
        InsufficientBalance,
        NotFound,
        ProductAmbiguous,
        RateLimited,
        TooManyPending,
        *CARD_REFUSALS,
    ),
)
@lean
async def create_charge(
    body: ChargeCreate, merchant: MerchantDep, request: IdempotencyDep, services: ServicesDep
) -> LeanResponse:
    """Charge a use: confirmed at once by the consumer's code, else waiting for their tap."""
    command = body.to_command(
        merchant_no=merchant.merchant_no,
        request=request,
        policies=await services.policies_of(merchant.merchant_no),
    )
    merchant.require_store(command.store_id)
    done = await service.place_charge(services.writer, services.db, services.code_guesses, command)
    ref = await services.directory.find(merchant.merchant_no)
    return lean_charge(201, done, ref, to_consumer=False)


@router.post(
    "/charges/batch",
    summary="Charge many uses, each with a verdict",
    response_model=BatchRead,
    responses=problems(NotFound),
)
@lean
async def create_charges(
    body: BatchCreate, merchant: MerchantDep, request: IdempotencyDep, services: ServicesDep
) -> LeanResponse:
    """Charge up to 1,000 uses; one refused item never stops another."""
    policies = await services.policies_of(merchant.merchant_no)
    verdicts, replayed = await batches.place_batch(
        batches.Placing(services.writer, services.db, services.code_guesses, services.batch_share),
        batches.Batch(
            merchant.merchant_no,
            request,
            [_item(item, merchant, policies) for item in body.items],
        ),
    )
    ref = await services.directory.find(merchant.merchant_no)
    shown = to_json({"data": [_verdict(verdict, ref) for verdict in verdicts]}, fallback=str)
    return LeanResponse(200, shown, REPLAYED if replayed else ())


@router.get("/charges", summary="List charges", responses=problems(NotFound))
async def list_charges(
    merchant: MerchantDep,
    services: ServicesDep,
    page: PageDep,
    client_reference: Annotated[Reference | None, Query()] = None,
    status: Annotated[ChargeStatus | None, Query()] = None,
    store_id: Annotated[StoreId | None, Query()] = None,
    created_from: Annotated[
        FromTime | None,
        Query(
            alias="from",
            description="Created at this time or later; a date is all of that business day.",
        ),
    ] = None,
    created_to: Annotated[
        ToTime | None,
        Query(
            alias="to",
            description="Created before this time; a date is all of that business day.",
        ),
    ] = None,
) -> ListRead[ChargeRead]:
    """List the merchant's charges; by `client_reference`, find one whose answer was lost."""
    wanted = ChargeFilter(
        client_reference,
        status,
        None if store_id is None else parse(Prefix.STORE, store_id),
        created_from,
        created_to,
    )
    rows = await service.list_for_merchant(
        services.db, merchant, wanted, before=page.after_id, count=page.fetch_count
    )
    shown = page.close(rows, lambda charge: charge.charge_id)
    ref = await services.directory.find(merchant.merchant_no)
    return ListRead(
        data=[ChargeRead.from_domain(charge, ref) for charge in shown.rows],
        next_cursor=shown.next_cursor,
    )


@router.get("/charges/{charge_id}", summary="Read a charge", responses=problems(NotFound))
async def read_charge(
    charge_id: ChargeId, merchant: MerchantDep, services: ServicesDep
) -> ChargeRead:
    """Give a charge of the merchant."""
    charge = await service.read_for_merchant(services.db, merchant, parse(Prefix.CHARGE, charge_id))
    return ChargeRead.from_domain(charge, await services.directory.find(merchant.merchant_no))


@router.post(
    "/charges/{charge_id}/cancel",
    summary="Cancel a waiting charge",
    responses=problems(ChargeNotPending, NotFound),
)
async def cancel_charge(
    charge_id: ChargeId,
    merchant: MerchantDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> ChargeRead:
    """Take a charge back that its consumer has not answered; again gives the same."""
    command = CancelCharge(
        merchant.merchant_no, request, parse(Prefix.CHARGE, charge_id), merchant.store_ids
    )
    done = await service.carry_out(services.writer, services.db, command)
    mark_replayed(response, done)
    ref = await services.directory.find(merchant.merchant_no)
    return ChargeRead.from_domain(done.value, ref)


@router.post(
    "/charges/{charge_id}/reverse",
    summary="Reverse a confirmed use",
    responses=problems(ChargeDisputed, ChargeNotConfirmed, DeadlinePassed, NotFound),
)
async def reverse_charge(
    charge_id: ChargeId,
    merchant: MerchantDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
    body: ReasonBody | None = None,
) -> ChargeRead:
    """Give a use back; where its money was paid out, it waits until payable covers it."""
    policies = await services.policies_of(merchant.merchant_no)
    command = ReverseCharge(
        merchant.merchant_no,
        request,
        parse(Prefix.CHARGE, charge_id),
        merchant.store_ids,
        None if body is None else body.reason,
        policies.reversal_days,
    )
    done = await service.carry_out(services.writer, services.db, command)
    mark_replayed(response, done)
    ref = await services.directory.find(merchant.merchant_no)
    return ChargeRead.from_domain(done.value, ref)


def lean_charge(
    status: int, done: Answered[Charge], ref: MerchantRef, *, to_consumer: bool
) -> LeanResponse:
    """Answer with a charge on the lean path."""
    body = to_json(charge_answer(done.value, ref, to_consumer=to_consumer))
    return LeanResponse(status, body, REPLAYED if done.replayed else ())


def _item(
    item: dict[str, object], merchant: MerchantPrincipal, policies: Policies
) -> tuple[str, PlaceCharge | DomainError]:
    """Read an item of a batch; what is wrong with it becomes its verdict, not the batch's."""
    reference = str(item["client_reference"])
    try:
        body = ChargeCreate.model_validate(item)
        command = body.to_command(merchant_no=merchant.merchant_no, request=None, policies=policies)
        merchant.require_store(command.store_id)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        return reference, InvalidRequest(*field_errors(dict(each) for each in wrong))
    except NotFound as error:
        return reference, error
    return reference, command


def _verdict(verdict: batches.Verdict, ref: MerchantRef) -> dict[str, object]:
    outcome = verdict.outcome
    refused = isinstance(outcome, DomainError)
    return {
        "index": verdict.index,
        "client_reference": verdict.client_reference,
        "status": status_of(outcome) if refused else 201,
        "charge": None if refused else charge_answer(outcome.value, ref, to_consumer=False),
        "problem": problem_of(outcome, "/v1/charges/batch") if refused else None,
    }
