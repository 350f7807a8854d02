"""What a hold is, and its life.

    (place) -> active --lift, by two persons--> lifted
                  '--expires_at passes--------> expired

A hold stops money, it never moves any. Both ends are final; another order is another hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from app.cards.holding import CardHold
from app.ledger import chain
from app.money import Fen

if TYPE_CHECKING:
    from collections.abc import Iterable


_NOTHING: Final = Fen(0)


class HoldTarget(StrEnum):
    """What is held: a card, what a merchant has earned, or all of a merchant's money."""

    CARD = "card"
    PAYABLE = "payable"
    CUSTODY_ACCOUNT = "custody_account"


class HoldStatus(StrEnum):
    """Where a hold is in its life."""

    ACTIVE = "active"
    LIFTED = "lifted"
    EXPIRED = "expired"


class Hold(NamedTuple):
    """An order of a court or an authority. `target_id` is a card, else the merchant."""

    merchant_no: int
    hold_id: UUID
    target: HoldTarget
    target_id: UUID
    amount: Fen | None
    document_number: str
    reason: str
    text_salt: bytes
    status: HoldStatus
    placed_by: str
    placed_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    seq: int
    ended_seq: int | None

    def status_at(self, at: datetime) -> HoldStatus:
        """Give the status as the clock has it."""
        is_over = self.expires_at is not None and at >= self.expires_at
        if self.status == HoldStatus.ACTIVE and is_over:
            return HoldStatus.EXPIRED
        return HoldStatus(self.status)

    def is_active(self, at: datetime) -> bool:
        """Say whether it holds anything at this time."""
        return self.status_at(at) is HoldStatus.ACTIVE

    def content_hash(self) -> bytes:
        """Hash what was ordered, for the chain; texts enter as salted commitments (DOMAIN §7)."""
        return chain.content_hash(
            (
                self.hold_id,
                self.target,
                self.target_id,
                self.amount,
                chain.commitment(self.text_salt, self.document_number),
                chain.commitment(self.text_salt, self.reason),
                self.placed_by,
                self.placed_at,
                self.expires_at,
            )
        )

    def end_hash(self) -> bytes:
        """Hash how it ended, for the chain."""
        return chain.content_hash((self.hold_id, self.status, self.ended_at))

    def as_card_hold(self) -> CardHold:
        """Say it to those who meet the card."""
        return CardHold(self.target_id, self.document_number, self.reason, self.expires_at)


@dataclass(frozen=True, slots=True)
class Held:
    """What holds keep of a merchant's money, all together; None keeps all of it."""

    payable_amount: Fen | None = _NOTHING
    custody_amount: Fen | None = _NOTHING

    def of_payable(self, payable_amount: Fen) -> Fen:
        """Say how much of what was earned is kept from the merchant: at most all of it."""
        return _kept(self.payable_amount, payable_amount)

    def of_custody(self, coverable_amount: int) -> Fen:
        """Say how much of what custody could still cover stays there: at most all of it."""
        return _kept(self.custody_amount, coverable_amount)


def held_by(holds: Iterable[Hold], at: datetime) -> Held:
    """Add up what holds keep of a merchant's money; each order has money of its own.

    Holds on cards and holds that have ended count for nothing.
    """
    active = [hold for hold in holds if hold.is_active(at)]
    return Held(
        _sum_of(hold.amount for hold in active if hold.target == HoldTarget.PAYABLE),
        _sum_of(hold.amount for hold in active if hold.target == HoldTarget.CUSTODY_ACCOUNT),
    )


def _sum_of(amounts: Iterable[Fen | None]) -> Fen | None:
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return Fen(total)


def _kept(held_amount: Fen | None, there: int) -> Fen:
    all_of_it = max(there, 0)
    return Fen(all_of_it if held_amount is None else min(held_amount, all_of_it))
