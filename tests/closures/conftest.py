"""Closures of merchants that really sold, each in a database of its own: cuts take all money."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest_asyncio

from app.access import approvals
from app.access.principals import OperatorPrincipal, RegulatorPrincipal
from app.closures import executing, service, upkeep
from app.closures.domain import Closure, ClosureKind, Preview, View
from app.closures.preparing import Tools
from app.main import serving
from app.payment_files.domain import FileKind, ReportedStatus
from tests.builder import APPROVER, PROPOSER, Shop, Trader, a_key, writing
from tests.cluster import DatabaseUrls
from tests.payment_files.conftest import World, said, world

__all__ = ["world"]

OPERATOR = OperatorPrincipal(uuid4(), PROPOSER)
REGULATOR = RegulatorPrincipal(uuid4(), "zhao.qi", None, None)


@dataclass(frozen=True, slots=True)
class Closer:
    """Orders closures, lets two persons execute them, and works as the worker does."""

    given: Trader
    world: World

    @property
    def tools(self) -> Tools:
        return Tools(self.given.writer, self.world.parts)

    async def ordered(
        self,
        shop: Shop,
        kind: ClosureKind = ClosureKind.IMMEDIATE,
        by: OperatorPrincipal | RegulatorPrincipal = OPERATOR,
    ) -> Closure:
        made = await service.order_closure(
            self.given.db, shop.merchant.merchant_id, kind, "停止营业", by=by, request=a_key()
        )
        return made.value.closure

    async def proposed(self, closure: Closure) -> approvals.Approval:
        done = await executing.propose_execution(
            self.given.db, closure.closure_id, by=OPERATOR, request=a_key()
        )
        return done.value

    async def approved(self, approval: approvals.Approval) -> approvals.Approval:
        done = await approvals.approve(
            self.given.db,
            executing.EXECUTORS,
            approval.approval_id,
            person_id=APPROVER,
            request=None,
        )
        return done.value

    async def executed(self, shop: Shop, kind: ClosureKind = ClosureKind.IMMEDIATE) -> Closure:
        """Order a closure and let two persons decide that it be executed."""
        by = REGULATOR if kind is ClosureKind.ABSCONDED else OPERATOR
        closure = await self.ordered(shop, kind, by)
        await self.approved(await self.proposed(closure))
        return (await self.view(closure)).closure

    async def worked(self) -> None:
        """Let the worker come round once."""
        await upkeep.carry_on(self.tools)

    async def closed(self, shop: Shop, kind: ClosureKind = ClosureKind.IMMEDIATE) -> View:
        """Close a merchant to its end: refunded, cut, paid by the bank, certified."""
        closure = await self.executed(shop, kind)
        await self.worked()
        await self.paid()
        await self.worked()
        return await self.view(closure)

    async def paid(self) -> None:
        """Let the bank pay every refund that can be cut."""
        for file in await self.world.cut(FileKind.REFUND):
            orders = await self.world.orders(file)
            await self.world.report(
                file, *(said(order.order_id, ReportedStatus.PAID) for order in orders)
            )

    async def view(self, closure: Closure | UUID) -> View:
        closure_id = closure.closure_id if isinstance(closure, Closure) else closure
        return await service.read_closure(self.given.db, closure_id, by=OPERATOR)

    async def previewed(self, closure: Closure) -> Preview:
        return await service.preview_closure(self.given.db, closure.closure_id, by=OPERATOR)


@pytest_asyncio.fixture
async def closer(fresh_database: DatabaseUrls, world: World) -> AsyncIterator[Closer]:
    async with writing(fresh_database.database_url) as writer:
        given = Trader(world.db, writer=writer)
        parts = replace(world.parts, serve_reversals=serving(writer))
        yield Closer(given, replace(world, parts=parts))
