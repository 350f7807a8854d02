"""`/v1/me/refunds` and a card's refunds for consumers, offers for merchants."""

from fastapi import Response

from app.api.dependencies import (
    ConsumerDep,
    IdempotencyDep,
    MerchantDep,
    ServicesDep,
    mark_replayed,
)
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import CardId, RefundId
from app.api.services import Services
from app.cards.errors import CardNotActive, CardOnHold
from app.cases.errors import CaseState
from app.charges.errors import ChargeDisputed
from app.errors import DomainError, NotFound
from app.ids import Prefix, merchant_no_of, new_id, parse
from app.refunds import service
from app.refunds.commands import OfferRefund, WithdrawRefund
from app.refunds.errors import (
    ClosureInProgress,
    RefundChanged,
    RefundInProgress,
    RefundNotAllowed,
)
from app.refunds.rows import CardRefund
from app.refunds.schemas import (
    PayeeAccount,
    RefundCreate,
    RefundOffer,
    RefundPreview,
    RefundRead,
)
from app.refunds.service import Counter
from app.writer.answers import Answered

router = api_router("/v1", tag="refunds")

_OF_CARDS: tuple[type[DomainError], ...] = (
    CardNotActive,
    CardOnHold,
    ChargeDisputed,
    ClosureInProgress,
    NotFound,
    RefundInProgress,
    RefundNotAllowed,
)


@router.post(
    "/me/cards/{card_id}/refunds/preview",
    summary="Preview a refund",
    responses=problems(*_OF_CARDS),
)
async def preview_refund(
    card_id: CardId, body: RefundPreview, consumer: ConsumerDep, services: ServicesDep
) -> RefundRead:
    """Say what a refund would come to today, by which formula and from what; nothing changes."""
    found = await service.preview(
        counter_of(services),
        consumer.consumer,
        parse(Prefix.CARD, card_id),
        body.to_domain(),
    )
    return RefundRead.of_preview(found)


@router.post(
    "/me/cards/{card_id}/refunds",
    status_code=201,
    summary="Ask for a refund",
    responses=problems(RefundChanged, *_OF_CARDS),
)
async def create_refund(
    card_id: CardId,
    body: RefundCreate,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> RefundRead:
    """Refund a card as the preview showed it; the card is closed, what waits on it is voided.

    Where people must judge the reason a case opens: the refund is `case_open`, no echo is needed,
    and the card is again as it was if the claim is withdrawn or rejected.
    """
    done = await service.request_refund(
        counter_of(services),
        consumer.consumer,
        parse(Prefix.CARD, card_id),
        RefundPreview(reason=body.reason).to_domain(),
        echo=body.to_echo(),
        text=body.text,
        request=request,
    )
    return _answer(done, services, response)


@router.get("/me/refunds", summary="List one's own refunds")
async def list_my_refunds(
    consumer: ConsumerDep, services: ServicesDep, page: PageDep
) -> ListRead[RefundRead]:
    """List the consumer's refunds and the offers that wait, over all merchants."""
    rows = await service.list_own(
        services.db, consumer.consumer, before=page.after_id, count=page.fetch_count
    )
    return page.shown(
        rows,
        lambda refund: refund.refund_id,
        lambda refund: RefundRead.from_domain(refund, services.sealer),
    )


@router.get(
    "/me/refunds/{refund_id}", summary="Read one's own refund", responses=problems(NotFound)
)
async def read_my_refund(
    refund_id: RefundId, consumer: ConsumerDep, services: ServicesDep
) -> RefundRead:
    """Give a refund of the consumer."""
    refund = await service.read_own(services.db, consumer.consumer, parse(Prefix.REFUND, refund_id))
    return RefundRead.from_domain(refund, services.sealer)


@router.post(
    "/me/refunds/{refund_id}/accept",
    summary="Accept an offered refund",
    responses=problems(RefundChanged, *_OF_CARDS),
)
async def accept_refund(
    refund_id: RefundId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> RefundRead:
    """Take what the merchant offers; the rest goes to the merchant once it is paid."""
    done = await service.answer_offer(
        counter_of(services),
        consumer.consumer,
        parse(Prefix.REFUND, refund_id),
        accept=True,
        request=request,
    )
    return _answer(done, services, response)


@router.post(
    "/me/refunds/{refund_id}/decline",
    summary="Decline an offered refund",
    responses=problems(NotFound, RefundNotAllowed),
)
async def decline_refund(
    refund_id: RefundId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> RefundRead:
    """Leave what the merchant offers; the card stays as it is. Again gives the same."""
    done = await service.answer_offer(
        counter_of(services),
        consumer.consumer,
        parse(Prefix.REFUND, refund_id),
        accept=False,
        request=request,
    )
    return _answer(done, services, response)


@router.post(
    "/me/refunds/{refund_id}/withdraw",
    summary="Withdraw a claim",
    responses=problems(CaseState, ClosureInProgress, NotFound, RefundNotAllowed),
)
async def withdraw_refund(
    refund_id: RefundId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> RefundRead:
    """Take a claim back while its case is open; the card is again as it was."""
    parsed = parse(Prefix.REFUND, refund_id)
    refund = await service.read_own(services.db, consumer.consumer, parsed)
    command = WithdrawRefund(refund.merchant_no, request, parsed, refund.card_id, consumer.consumer)
    done = await service.carry_out(counter_of(services), command)
    return _answer(done, services, response)


@router.post(
    "/me/refunds/{refund_id}/payee-account",
    status_code=202,
    summary="Name another account for a refund",
    responses=problems(NotFound, RefundNotAllowed),
)
async def name_payee_account(
    refund_id: RefundId,
    body: PayeeAccount,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> RefundRead:
    """Name an account in the same name after a payment came back; it is verified first."""
    done = await service.name_payee(
        counter_of(services),
        consumer.consumer,
        parse(Prefix.REFUND, refund_id),
        body.to_domain(),
        request,
    )
    return _answer(done, services, response)


@router.post(
    "/cards/{card_id}/refund-offers",
    status_code=201,
    summary="Offer a refund",
    responses=problems(*_OF_CARDS),
)
async def offer_refund(
    card_id: CardId,
    body: RefundOffer,
    merchant: MerchantDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> RefundRead:
    """Offer the holder of a card an amount; it is decided when the holder accepts."""
    merchant.require_every_store()
    parsed = parse(Prefix.CARD, card_id)
    if merchant_no_of(parsed) != merchant.merchant_no:
        raise NotFound
    no = merchant.merchant_no
    command = OfferRefund(no, request, new_id(no), parsed, body.to_domain())
    done = await service.carry_out(counter_of(services), command)
    mark_replayed(response, done)
    return RefundRead.for_merchant(done.value)


def counter_of(services: Services) -> Counter:
    """Give the use cases of refunds what they need of the process."""
    return Counter(
        services.db,
        services.writer,
        services.sealer,
        services.calendar,
        services.policies,
        services.directory,
    )


def _answer(done: Answered[CardRefund], services: Services, response: Response) -> RefundRead:
    mark_replayed(response, done)
    return RefundRead.from_domain(done.value, services.sealer)
