"""Cards that were really sold, and holders who freeze, lose, give and take them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pytest_asyncio

from app import ids
from app.access.principals import ConsumerPrincipal
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
from app.card_life.rows import CardTransfer
from app.card_life.service import Office
from app.cards.domain import Card
from app.dates import business_date
from app.db.engine import Database
from app.writer.requests import RequestKey
from tests.builder import Trader, writing
from tests.cluster import DatabaseUrls
from tests.disputes.conftest import Disputer
from tests.refunds.conftest import Refunder

_DAY_SECONDS = 86_400
WAIT_DAYS = 3


@dataclass(frozen=True, slots=True)
class Life:
    """Does to cards what their holders ask for."""

    given: Trader

    @property
    def office(self) -> Office:
        return Office(self.given.db, self.given.writer)

    @property
    def refunder(self) -> Refunder:
        return Refunder(self.given)

    @property
    def disputer(self) -> Disputer:
        return Disputer(self.given)

    async def _changed(
        self, step: type[TermCommand], who: ConsumerPrincipal, card_id: UUID
    ) -> Card:
        command = step(ids.merchant_no_of(card_id), None, card_id, who.consumer)
        return (await service.change_card(self.office, command)).value.card

    async def frozen(self, who: ConsumerPrincipal, card_id: UUID) -> Card:
        return await self._changed(FreezeCard, who, card_id)

    async def unfrozen(self, who: ConsumerPrincipal, card_id: UUID) -> Card:
        return await self._changed(UnfreezeCard, who, card_id)

    async def lost(self, who: ConsumerPrincipal, card_id: UUID) -> Card:
        return await self._changed(ReportLoss, who, card_id)

    async def reactivated(self, who: ConsumerPrincipal, card_id: UUID) -> Card:
        return await self._changed(ReactivateCard, who, card_id)

    async def offered(
        self, giver: ConsumerPrincipal, card_id: UUID, receiver: ConsumerPrincipal
    ) -> CardTransfer:
        done = await service.offer_transfer(self.office, giver, card_id, receiver.consumer_id, None)
        return done.value

    async def accepted(
        self,
        receiver: ConsumerPrincipal,
        transfer: CardTransfer,
        *,
        wait_days: int = WAIT_DAYS,
        request: RequestKey | None = None,
    ) -> CardTransfer:
        done = await service.accept_transfer(
            self.office,
            receiver.consumer,
            transfer.transfer_id,
            refund_wait_days=wait_days,
            request=request,
        )
        return done.value

    async def transferred(
        self, giver: ConsumerPrincipal, card_id: UUID, receiver: ConsumerPrincipal
    ) -> CardTransfer:
        return await self.accepted(receiver, await self.offered(giver, card_id, receiver))

    async def declined(self, who: ConsumerPrincipal, transfer: CardTransfer) -> CardTransfer:
        return await self._ended(DeclineTransfer, who, transfer)

    async def withdrawn(self, who: ConsumerPrincipal, transfer: CardTransfer) -> CardTransfer:
        return await self._ended(WithdrawTransfer, who, transfer)

    async def _ended(
        self,
        step: type[DeclineTransfer | WithdrawTransfer],
        who: ConsumerPrincipal,
        transfer: CardTransfer,
    ) -> CardTransfer:
        command = step(
            transfer.merchant_no, None, transfer.transfer_id, transfer.card_id, who.consumer
        )
        return (await service.carry_out(self.office, command)).value

    async def later(self, days: float) -> None:
        """Let domain time go by; only in a database that is this test's own."""
        async with self.given.db.transaction() as tx:
            await tx.execute(
                "INSERT INTO sandbox_clock (offset_seconds) VALUES (:seconds)"
                " ON CONFLICT (only_row) DO UPDATE"
                " SET offset_seconds = sandbox_clock.offset_seconds + :seconds",
                seconds=int(days * _DAY_SECONDS),
            )

    async def today(self) -> date:
        return business_date(await self.given.now())

    async def lines(self, card_id: UUID) -> list[str]:
        """Give the kinds of a card's lines, oldest first."""
        async with self.given.db.snapshot() as tx:
            found = await tx.value(
                "SELECT string_agg(kind, ' ' ORDER BY entry_no) FROM card_entry"
                " WHERE merchant_no = :no AND card_id = :id",
                no=ids.merchant_no_of(card_id),
                id=card_id,
            )
        return str(found).split()


@pytest_asyncio.fixture
async def life(given: Trader) -> Life:
    """Give holders in the worker's database, where time cannot be moved."""
    return Life(given)


@pytest_asyncio.fixture
async def long_life(fresh_database: DatabaseUrls) -> AsyncIterator[Life]:
    """Give holders in a database whose time can be moved."""
    db = Database.connect(fresh_database.database_url)
    async with writing(fresh_database.database_url) as writer:
        yield Life(Trader(db, writer=writer))
    await db.close()
