"""`/v1/me/cards/{id}/…` and `/v1/me/transfers`: what a holder does to a card."""

from collections.abc import Sequence

from fastapi import Response

from app.access.principals import ConsumerPrincipal
from app.api.dependencies import ConsumerDep, IdempotencyDep, ServicesDep, mark_replayed
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import CardId, TransferId
from app.api.services import Services
from app.card_life import service
from app.card_life.commands import (
    DeclineTransfer,
    FreezeCard,
    ReactivateCard,
    ReportLoss,
    TermCommand,
    UnfreezeCard,
    WithdrawTransfer,
)
from app.card_life.errors import CardKindMismatch, TransferNotOpen
from app.card_life.rows import CardTransfer
from app.card_life.schemas import TransferCreate, TransferRead
from app.card_life.service import Office
from app.cards.errors import (
    CardInRefund,
    CardNotActive,
    CardOnHold,
    CeilingExceeded,
    MerchantFrozen,
)
from app.cards.schemas import CardRead
from app.charges.errors import ChargeDisputed
from app.errors import DomainError, NotFound
from app.ids import Prefix, merchant_no_of, parse
from app.purchases.service import ceilings_at
from app.writer.answers import Answered
from app.writer.requests import RequestKey

router = api_router("/v1/me", tag="card life")

_OF_TERMS: tuple[type[DomainError], ...] = (CardInRefund, CardNotActive, NotFound)
_OF_TRANSFERS: tuple[type[DomainError], ...] = (
    CardInRefund,
    CardNotActive,
    CardOnHold,
    ChargeDisputed,
    MerchantFrozen,
    NotFound,
)


@router.post(
    "/cards/{card_id}/freeze",
    summary="Freeze a period card",
    responses=problems(CardKindMismatch, *_OF_TERMS),
)
async def freeze_card(
    card_id: CardId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> CardRead:
    """Let the term stand still from today, or after today's visit. Again gives the same."""
    return await _change(FreezeCard, card_id, (consumer, request), services, response)


@router.post(
    "/cards/{card_id}/unfreeze",
    summary="Unfreeze a period card",
    responses=problems(CardKindMismatch, *_OF_TERMS),
)
async def unfreeze_card(
    card_id: CardId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> CardRead:
    """Let the term run on from today; it ends as many days later as were frozen."""
    return await _change(UnfreezeCard, card_id, (consumer, request), services, response)


@router.post(
    "/cards/{card_id}/report-loss",
    summary="Report a card lost",
    responses=problems(*_OF_TERMS),
)
async def report_loss(
    card_id: CardId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> CardRead:
    """Stop all use at once: what waits is voided, codes and offers of the card end."""
    return await _change(ReportLoss, card_id, (consumer, request), services, response)


@router.post(
    "/cards/{card_id}/reactivate",
    summary="Reactivate a lost or expired card",
    responses=problems(CardKindMismatch, *_OF_TERMS),
)
async def reactivate_card(
    card_id: CardId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> CardRead:
    """Replace a lost card, with all that is on it, or give an expired one its term again."""
    return await _change(ReactivateCard, card_id, (consumer, request), services, response)


@router.post(
    "/cards/{card_id}/transfer",
    status_code=202,
    summary="Offer a card to somebody else",
    responses=problems(*_OF_TRANSFERS),
)
async def offer_transfer(
    card_id: CardId,
    body: TransferCreate,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> TransferRead:
    """Offer a card; it stays as it is until the receiver accepts. Another offer replaces it."""
    done = await service.offer_transfer(
        office_of(services),
        consumer,
        parse(Prefix.CARD, card_id),
        body.consumer_id,
        request,
    )
    return await _answer(done, consumer, services, response)


@router.get("/transfers", summary="List one's own transfers")
async def list_my_transfers(
    consumer: ConsumerDep, services: ServicesDep, page: PageDep
) -> ListRead[TransferRead]:
    """List what the consumer gave or was offered, over all merchants."""
    rows = await service.list_own(
        services.db, consumer.consumer, before=page.after_id, count=page.fetch_count
    )
    shown = page.close(rows, lambda transfer: transfer.transfer_id)
    return ListRead(
        data=await _shown(shown.rows, consumer, services), next_cursor=shown.next_cursor
    )


@router.get(
    "/transfers/{transfer_id}", summary="Read one's own transfer", responses=problems(NotFound)
)
async def read_my_transfer(
    transfer_id: TransferId, consumer: ConsumerDep, services: ServicesDep
) -> TransferRead:
    """Give a transfer to its giver or its receiver."""
    transfer = await service.read_own(
        services.db, consumer.consumer, parse(Prefix.TRANSFER, transfer_id)
    )
    (shown,) = await _shown([transfer], consumer, services)
    return shown


@router.post(
    "/transfers/{transfer_id}/accept",
    summary="Accept a card",
    responses=problems(CeilingExceeded, TransferNotOpen, *_OF_TRANSFERS),
)
async def accept_transfer(
    transfer_id: TransferId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> TransferRead:
    """Take the card over, with its terms and uses; what waits on it is voided."""
    parsed = parse(Prefix.TRANSFER, transfer_id)
    no = merchant_no_of(parsed)
    policies = await services.policies_of(no)
    done = await service.accept_transfer(
        office_of(services),
        consumer.consumer,
        parsed,
        refund_wait_days=policies.transfer_refund_wait_days,
        policy_version=policies.version,
        ceilings=await ceilings_at(services.policies, services.directory, no),
        request=request,
    )
    return await _answer(done, consumer, services, response)


@router.post(
    "/transfers/{transfer_id}/decline",
    summary="Decline a card",
    responses=problems(NotFound, TransferNotOpen),
)
async def decline_transfer(
    transfer_id: TransferId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> TransferRead:
    """Leave the card with its holder. Again gives the same."""
    parsed = parse(Prefix.TRANSFER, transfer_id)
    known = await service.read_own(services.db, consumer.consumer, parsed)
    command = DeclineTransfer(known.merchant_no, request, parsed, known.card_id, consumer.consumer)
    done = await service.carry_out(office_of(services), command)
    return await _answer(done, consumer, services, response)


@router.post(
    "/transfers/{transfer_id}/withdraw",
    summary="Withdraw an offered card",
    responses=problems(NotFound, TransferNotOpen),
)
async def withdraw_transfer(
    transfer_id: TransferId,
    consumer: ConsumerDep,
    request: IdempotencyDep,
    services: ServicesDep,
    response: Response,
) -> TransferRead:
    """Take an offer back that nobody answered. Again gives the same."""
    parsed = parse(Prefix.TRANSFER, transfer_id)
    known = await service.read_own(services.db, consumer.consumer, parsed)
    command = WithdrawTransfer(known.merchant_no, request, parsed, known.card_id, consumer.consumer)
    done = await service.carry_out(office_of(services), command)
    return await _answer(done, consumer, services, response)


def office_of(services: Services) -> Office:
    """Give the use cases of a card's life what they need of the process."""
    return Office(services.db, services.writer)


async def _change(
    step: type[TermCommand],
    card_id: str,
    who: tuple[ConsumerPrincipal, RequestKey],
    services: Services,
    response: Response,
) -> CardRead:
    consumer, request = who
    parsed = parse(Prefix.CARD, card_id)
    no = merchant_no_of(parsed)
    command = step(no, request, parsed, consumer.consumer)
    done = await service.change_card(office_of(services), command)
    mark_replayed(response, done)
    dated = done.value
    return CardRead.from_domain(
        dated.card, await services.directory.find(no), dated.day, dated.holds
    )


async def _answer(
    done: Answered[CardTransfer],
    consumer: ConsumerPrincipal,
    services: Services,
    response: Response,
) -> TransferRead:
    mark_replayed(response, done)
    (shown,) = await _shown([done.value], consumer, services)
    return shown


async def _shown(
    transfers: Sequence[CardTransfer], consumer: ConsumerPrincipal, services: Services
) -> list[TransferRead]:
    cards = await service.cards_of(services.db, transfers)
    refs = {no: await services.directory.find(no) for no in {t.merchant_no for t in transfers}}
    return [
        TransferRead.from_domain(transfer, consumer.consumer, card, refs[transfer.merchant_no])
        for transfer, card in zip(transfers, cards, strict=True)
    ]
