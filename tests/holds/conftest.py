"""Holds as courts and authorities order them, in the worker's own database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.access import approvals
from app.access.approvals import Approval
from app.access.principals import OperatorPrincipal, RegulatorPrincipal
from app.holds import service, upkeep
from app.holds.answer import ShownHold
from app.holds.domain import HoldTarget
from app.holds.service import NewHold
from app.ids import Prefix, new_platform_id, to_text
from app.writer.requests import RequestKey
from tests.builder import APPROVER, PROPOSER, Shop, Trader, a_key, unique
from tests.payment_files.conftest import world

__all__ = ["world"]
"""The fixture of a world of its own: cuts take every merchant's money."""

Authority = OperatorPrincipal | RegulatorPrincipal

OPERATOR = OperatorPrincipal(new_platform_id(), PROPOSER)


def a_regulator(
    *, industries: frozenset[str] | None = None, districts: frozenset[str] | None = None
) -> RegulatorPrincipal:
    return RegulatorPrincipal(new_platform_id(), "regulator-1", industries, districts)


def card_text(card_id: UUID) -> str:
    return to_text(Prefix.CARD, card_id)


def payable_of(shop: Shop) -> str:
    return to_text(Prefix.MERCHANT, shop.merchant.merchant_id)


@dataclass(frozen=True, slots=True)
class Bailiff:
    """Places and lifts holds."""

    given: Trader

    def order(self, target: HoldTarget, target_id: str, **fields: Any) -> NewHold:
        """Say an order; `fields` replace what it says by default."""
        said: dict[str, Any] = {
            "amount": None,
            "document_number": unique("(2026)浙0106执"),
            "reason": "法院财产保全",
            "expires_at": None,
        }
        return NewHold(target=target, target_id=target_id, **{**said, **fields})

    async def place(
        self, order: NewHold, *, authority: Authority = OPERATOR, request: RequestKey | None = None
    ) -> ShownHold:
        given = self.given
        placed = await service.place_hold(
            given.db, given.writer, order, authority=authority, request=request or a_key()
        )
        return placed.value

    async def held_card(self, card_id: UUID, **fields: Any) -> ShownHold:
        return await self.place(self.order(HoldTarget.CARD, card_text(card_id), **fields))

    async def held_payable(self, shop: Shop, **fields: Any) -> ShownHold:
        return await self.place(self.order(HoldTarget.PAYABLE, payable_of(shop), **fields))

    async def held_custody(self, shop: Shop, **fields: Any) -> ShownHold:
        number = shop.custody_account.account_number
        return await self.place(self.order(HoldTarget.CUSTODY_ACCOUNT, number, **fields))

    async def proposed(self, hold: ShownHold, *, authority: Authority = OPERATOR) -> Approval:
        proposed = await service.propose_lift(
            self.given.db, hold.hold_id, authority=authority, request=a_key()
        )
        return proposed.value

    async def approved(self, approval: Approval, *, by: str = APPROVER) -> Approval:
        decided = await approvals.approve(
            self.given.db,
            service.executors(self.given.writer),
            approval.approval_id,
            person_id=by,
            request=None,
        )
        return decided.value

    async def lifted(self, hold: ShownHold) -> Approval:
        """Let two persons lift a hold."""
        return await self.approved(await self.proposed(hold))

    async def read(self, hold: ShownHold, authority: Authority = OPERATOR) -> ShownHold:
        return await service.read_hold(self.given.db, hold.hold_id, authority)

    async def row_status(self, hold: ShownHold) -> object:
        """Say what the row says, whatever the clock does."""
        async with self.given.db.snapshot() as tx:
            return await tx.value("SELECT status FROM hold WHERE hold_id = :id", id=hold.hold_id)

    async def ends_in(self, seconds: int) -> datetime:
        return await self.given.now() + timedelta(seconds=seconds)

    async def wait(self, seconds: int) -> None:
        """Let domain time go on, without the worker."""
        async with self.given.db.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO sandbox_clock (offset_seconds) VALUES (:by)
                ON CONFLICT (only_row) DO UPDATE
                SET offset_seconds = sandbox_clock.offset_seconds + excluded.offset_seconds
                """,
                by=seconds,
            )

    async def swept(self) -> int:
        """Let the worker come by."""
        return await upkeep.expire_holds(self.given.db, self.given.writer)

    async def entries(self, hold: ShownHold) -> list[str]:
        """Give what of the hold is in the chain, in its order."""
        async with self.given.db.snapshot() as tx:
            rows = await tx.fetch(
                _Kind,
                "SELECT kind FROM fact WHERE merchant_no = :no AND subject_id = :id ORDER BY seq",
                no=hold.merchant_no,
                id=hold.hold_id,
            )
        return [row.kind for row in rows]


@dataclass(frozen=True, slots=True)
class _Kind:
    kind: str


@pytest.fixture
def bailiff(given: Trader) -> Bailiff:
    return Bailiff(given)
