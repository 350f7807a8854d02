"""Read cards and statements, each for those whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.cards import queries
from app.dates import business_date
from app.errors import NotFound
from app.ids import merchant_no_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from app.cards.domain import Card
    from app.cards.holding import CardHold
    from app.cards.queries import StatementRow
    from app.db.engine import Database, Transaction


@dataclass(frozen=True, slots=True)
class Today:
    """Cards as read, and the business date on which they were."""

    cards: Sequence[Card]
    day: date
    holds: Mapping[UUID, Sequence[CardHold]]
    """What holds those cards that are held."""


async def cards_of_merchant(
    db: Database, merchant_no: int, *, before: UUID | None, count: int
) -> Today:
    """Read a page of a merchant's cards, newest first."""
    async with db.at_once() as tx:
        rows = await queries.list_of_merchant(tx, merchant_no, before=before, count=count)
        return await _today(tx, rows)


async def cards_of_consumer(
    db: Database, consumer: UUID, *, before: UUID | None, count: int
) -> Today:
    """Read a page of a consumer's cards over all merchants, newest first."""
    async with db.at_once() as tx:
        rows = await queries.list_of_consumer(tx, consumer, before=before, count=count)
        return await _today(tx, rows)


async def card_of_merchant(db: Database, merchant_no: int, card_id: UUID) -> Today:
    """Read one card of a merchant.

    Raises:
        NotFound: No such card at this merchant.
    """
    async with db.at_once() as tx:
        card = await queries.find_card(tx, merchant_no, card_id)
        if card is None:
            raise NotFound
        return await _today(tx, [card])


async def card_of_consumer(db: Database, consumer: UUID, card_id: UUID) -> Today:
    """Read one card of a consumer.

    Raises:
        NotFound: No such card, or it is another's.
    """
    read = await card_of_merchant(db, merchant_no_of(card_id), card_id)
    if read.cards[0].consumer != consumer:
        raise NotFound
    return read


async def _today(tx: Transaction, cards: Sequence[Card]) -> Today:
    holds = await queries.holds_on(tx, cards)
    return Today(cards, business_date(await tx.now()), holds)


async def statement_of(
    db: Database, consumer: UUID, card_id: UUID, *, before: int | None, count: int
) -> Sequence[StatementRow]:
    """Read a page of the statement of a consumer's card, newest first.

    Raises:
        NotFound: No such card, or it is another's.
    """
    merchant_no = merchant_no_of(card_id)
    async with db.at_once() as tx:
        card = await queries.find_card(tx, merchant_no, card_id)
        if card is None or card.consumer != consumer:
            raise NotFound
        return await queries.statement_of(tx, merchant_no, card_id, before=before, count=count)
