"""Refunds of cards that were really sold, in the worker's own database."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from app.access.principals import ConsumerPrincipal
from app.calendar.current import CurrentCalendar
from app.cards.directory import MerchantDirectory
from app.ids import new_id
from app.money import Fen
from app.refunds import service
from app.refunds.commands import Echo, OfferRefund
from app.refunds.domain import RefundReason
from app.refunds.rows import CardRefund
from app.refunds.service import Counter, Preview
from app.writer.requests import RequestKey
from tests.builder import SEALER, Shop, Trader


@dataclass(frozen=True, slots=True)
class Refunder:
    """Asks for refunds as consumers and merchants do."""

    given: Trader

    @property
    def counter(self) -> Counter:
        given = self.given
        return Counter(
            given.db,
            given.writer,
            SEALER,
            CurrentCalendar(given.db, provisional=True),
            given.current_policies,
            MerchantDirectory(given.db),
        )

    async def preview(
        self, consumer: ConsumerPrincipal, card_id: UUID, reason: RefundReason
    ) -> Preview:
        return await service.preview(self.counter, consumer.consumer, card_id, reason)

    async def echo(self, consumer: ConsumerPrincipal, card_id: UUID, reason: RefundReason) -> Echo:
        quote = (await self.preview(consumer, card_id, reason)).quote
        return Echo(quote.figures.amount, quote.figures.residue_amount, quote.as_of)

    async def asked(
        self,
        consumer: ConsumerPrincipal,
        card_id: UUID,
        reason: RefundReason,
        echo: Echo | None,
        *,
        text: str | None = None,
        request: RequestKey | None = None,
    ) -> CardRefund:
        done = await service.request_refund(
            self.counter, consumer.consumer, card_id, reason, echo=echo, text=text, request=request
        )
        return done.value

    async def refunded(
        self, consumer: ConsumerPrincipal, card_id: UUID, reason: RefundReason
    ) -> CardRefund:
        """Ask for a refund as the preview shows it."""
        echo = await self.echo(consumer, card_id, reason)
        return await self.asked(consumer, card_id, reason, echo)

    async def offered(self, shop: Shop, card_id: UUID, amount: int) -> CardRefund:
        no = shop.merchant_no
        command = OfferRefund(no, None, new_id(no), card_id, Fen(amount))
        return (await service.carry_out(self.counter, command)).value

    async def answered(
        self, consumer: ConsumerPrincipal, refund_id: UUID, *, accept: bool
    ) -> CardRefund:
        done = await service.answer_offer(
            self.counter, consumer.consumer, refund_id, accept=accept, request=None
        )
        return done.value


@pytest.fixture
def refunder(given: Trader) -> Refunder:
    return Refunder(given)
