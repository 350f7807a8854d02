"""`/v1/cards` for merchants, `/v1/me/cards` for consumers."""

from app.api.dependencies import ConsumerDep, MerchantDep, ServicesDep
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import CardId
from app.cards import service
from app.cards.schemas import CardRead, MerchantCardRead, StatementRead
from app.errors import NotFound
from app.ids import Prefix, parse

router = api_router("/v1", tag="cards")


@router.get("/cards", summary="List the merchant's cards")
async def list_cards(
    merchant: MerchantDep, services: ServicesDep, page: PageDep
) -> ListRead[MerchantCardRead]:
    """List cards, their consumers masked."""
    read = await service.cards_of_merchant(
        services.db, merchant.merchant_no, before=page.after_id, count=page.fetch_count
    )
    ref = await services.directory.find(merchant.merchant_no)
    shown = page.close(read.cards, lambda card: card.card_id)
    return ListRead(
        data=[
            MerchantCardRead.from_domain(card, ref, read.day, read.holds.get(card.card_id, ()))
            for card in shown.rows
        ],
        next_cursor=shown.next_cursor,
    )


@router.get("/cards/{card_id}", summary="Read a card", responses=problems(NotFound))
async def read_card(
    card_id: CardId, merchant: MerchantDep, services: ServicesDep
) -> MerchantCardRead:
    """Give a card of the merchant, its consumer masked."""
    read = await service.card_of_merchant(
        services.db, merchant.merchant_no, parse(Prefix.CARD, card_id)
    )
    ref = await services.directory.find(merchant.merchant_no)
    card = read.cards[0]
    return MerchantCardRead.from_domain(card, ref, read.day, read.holds.get(card.card_id, ()))


@router.get("/me/cards", summary="List one's own cards")
async def list_my_cards(
    consumer: ConsumerDep, services: ServicesDep, page: PageDep
) -> ListRead[CardRead]:
    """List the consumer's cards over all merchants."""
    read = await service.cards_of_consumer(
        services.db, consumer.consumer, before=page.after_id, count=page.fetch_count
    )
    shown = page.close(read.cards, lambda card: card.card_id)
    refs = {no: await services.directory.find(no) for no in {c.merchant_no for c in shown.rows}}
    return ListRead(
        data=[
            CardRead.from_domain(c, refs[c.merchant_no], read.day, read.holds.get(c.card_id, ()))
            for c in shown.rows
        ],
        next_cursor=shown.next_cursor,
    )


@router.get("/me/cards/{card_id}", summary="Read one's own card", responses=problems(NotFound))
async def read_my_card(card_id: CardId, consumer: ConsumerDep, services: ServicesDep) -> CardRead:
    """Give a card of the consumer."""
    read = await service.card_of_consumer(
        services.db, consumer.consumer, parse(Prefix.CARD, card_id)
    )
    card = read.cards[0]
    ref = await services.directory.find(card.merchant_no)
    return CardRead.from_domain(card, ref, read.day, read.holds.get(card.card_id, ()))


@router.get(
    "/me/cards/{card_id}/statement",
    summary="Read a card's statement",
    responses=problems(NotFound),
)
async def read_statement(
    card_id: CardId, consumer: ConsumerDep, services: ServicesDep, page: PageDep
) -> ListRead[StatementRead]:
    """List all that happened to a card, with the balance after each."""
    rows = await service.statement_of(
        services.db,
        consumer.consumer,
        parse(Prefix.CARD, card_id),
        before=page.after_number,
        count=page.fetch_count,
    )
    return page.shown(rows, lambda row: row.entry_no, StatementRead.from_domain)
