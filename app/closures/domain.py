"""What a closure is, and its life.

    (order) -> notice --30 days, by the clock--> closing --two persons--> refunding --> closed
                  '---cancel---> cancelled          ^                          '--> closed_with_
    (order, immediate or absconded) ----------------'                               shortfall

`notice` sells nothing more, uses go on. From `closing` on nothing is sold or used, and the
merchant is not paid. `closed_with_shortfall` becomes `closed` if the bank makes good what lacked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from app.cards.domain import CardKind, CardStatus
from app.closures.errors import ClosureState
from app.ledger import chain
from app.money import Fen

NOTICE: Final = timedelta(days=30)
STEP_MAX: Final = 1_000
"""Cards in one transaction: the closing merchant's book is locked for well under a second."""
REFUNDABLE: Final = tuple(
    str(status)
    for status in (
        CardStatus.ACTIVE,
        CardStatus.FROZEN,
        CardStatus.LOST,
        CardStatus.EXPIRED,
        CardStatus.USED_UP,
    )
)
"""Cards that nobody refunds yet, and that hold their own money: all but these are left alone."""


class ClosureKind(StrEnum):
    """How a merchant closes."""

    NOTICE = "notice"
    IMMEDIATE = "immediate"
    ABSCONDED = "absconded"


class ClosureStatus(StrEnum):
    """See the drawing above."""

    NOTICE = "notice"
    CLOSING = "closing"
    REFUNDING = "refunding"
    CLOSED = "closed"
    CLOSED_WITH_SHORTFALL = "closed_with_shortfall"
    CANCELLED = "cancelled"


class ClosureEvent(StrEnum):
    """What happens to a closure; each is a fact in the merchant's chain."""

    END_NOTICE = "end_notice"
    CANCEL = "cancel"
    EXECUTE = "execute"
    FINISH = "finish"
    FINISH_SHORT = "finish_short"


_NEXT: Final[Mapping[tuple[ClosureStatus, ClosureEvent], ClosureStatus]] = MappingProxyType(
    {
        (ClosureStatus.NOTICE, ClosureEvent.END_NOTICE): ClosureStatus.CLOSING,
        (ClosureStatus.NOTICE, ClosureEvent.CANCEL): ClosureStatus.CANCELLED,
        (ClosureStatus.CLOSING, ClosureEvent.EXECUTE): ClosureStatus.REFUNDING,
        (ClosureStatus.REFUNDING, ClosureEvent.FINISH): ClosureStatus.CLOSED,
        (ClosureStatus.REFUNDING, ClosureEvent.FINISH_SHORT): ClosureStatus.CLOSED_WITH_SHORTFALL,
        # A late bank fact made good what lacked, or left a new lack behind.
        (ClosureStatus.CLOSED_WITH_SHORTFALL, ClosureEvent.FINISH): ClosureStatus.CLOSED,
        (ClosureStatus.CLOSED, ClosureEvent.FINISH_SHORT): ClosureStatus.CLOSED_WITH_SHORTFALL,
    }
)

EVENTS: Final[Mapping[ClosureStatus, str]] = MappingProxyType(
    {
        ClosureStatus.NOTICE: "closure.announced",
        ClosureStatus.CLOSING: "closure.begun",
        ClosureStatus.REFUNDING: "closure.executed",
        ClosureStatus.CLOSED: "closure.finished",
        ClosureStatus.CLOSED_WITH_SHORTFALL: "closure.finished",
        ClosureStatus.CANCELLED: "closure.cancelled",
    }
)
"""What those who follow are told when a closure comes to a status."""

FINISHED: Final = frozenset({ClosureStatus.CLOSED, ClosureStatus.CLOSED_WITH_SHORTFALL})


def next_status(status: ClosureStatus, event: ClosureEvent) -> ClosureStatus:
    """Say where an event takes a closure.

    Raises:
        ClosureState: The drawing has no such arrow.
    """
    try:
        return _NEXT[status, event]
    except KeyError:
        raise ClosureState(status) from None


def first_status(kind: ClosureKind) -> ClosureStatus:
    """Say where a closure of this kind begins."""
    return ClosureStatus.NOTICE if kind is ClosureKind.NOTICE else ClosureStatus.CLOSING


class Closure(NamedTuple):
    """A closure as it lies in the database."""

    merchant_no: int
    closure_id: UUID
    kind: str
    reason: str
    status: str
    ordered_by: str
    created_at: datetime
    notice_ends_at: datetime | None
    closing_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    card_count: int = 0
    refund_amount: Fen = Fen(0)
    refunded_count: int = 0
    refunded_amount: Fen = Fen(0)
    run_microseconds: int = 0
    shortfall_amount: Fen = Fen(0)
    adjusting: bool = False
    shared_seq: int = 0
    seen_seq: int = 0

    def is_due(self, at: datetime) -> bool:
        """Say whether its notice is over."""
        ends_at = self.notice_ends_at
        return self.status == ClosureStatus.NOTICE and ends_at is not None and ends_at <= at

    def status_at(self, at: datetime) -> ClosureStatus:
        """Give the status as the clock has it."""
        return ClosureStatus.CLOSING if self.is_due(at) else ClosureStatus(self.status)

    @property
    def rate_per_second(self) -> float | None:
        """Give how many cards are refunded in a second of work; None before any was."""
        if not self.refunded_count or not self.run_microseconds:
            return None
        return round(self.refunded_count * 1_000_000 / self.run_microseconds, 1)

    @property
    def seconds_left(self) -> float | None:
        """Give how long the rest takes at this rate; None where nobody knows yet."""
        rate, left = self.rate_per_second, self.card_count - self.refunded_count
        if self.status != ClosureStatus.REFUNDING or rate is None:
            return None
        return round(max(0, left) / rate, 1)

    def content_hash(self) -> bytes:
        """Hash what the chain keeps of it: what it is, and where it stands."""
        return chain.content_hash(
            (self.closure_id, self.kind, self.status, self.ordered_by, self.notice_ends_at)
        )


class KindTotal(NamedTuple):
    """What there is to refund on cards of one kind."""

    kind: CardKind
    card_count: int
    refund_amount: Fen


@dataclass(frozen=True, slots=True)
class Standing:
    """A merchant's own accounts as they bound a closure."""

    custody_amount: Fen
    bank_claim_amount: Fen
    payable_amount: Fen
    disputed_amount: Fen
    in_transit_amount: Fen
    refund_payable_amount: Fen
    suspense_amount: Fen
    custody_yield_amount: Fen
    waiting_reversal_amount: Fen

    @property
    def card_amount(self) -> Fen:
        """Give what lies on all cards: what the merchant's own accounts leave (DOMAIN §4, 2)."""
        others = (
            self.payable_amount
            + self.disputed_amount
            + self.in_transit_amount
            + self.refund_payable_amount
            + self.suspense_amount
            + self.custody_yield_amount
        )
        return Fen(self.custody_amount + self.bank_claim_amount - others)

    @property
    def claim_amount(self) -> Fen:
        """Give what is owed to those who paid; the three rank equal (DOMAIN §6)."""
        return Fen(self.card_amount + self.refund_payable_amount + self.suspense_amount)

    @property
    def offset_amount(self) -> Fen:
        """Give what of the merchant's payable stands against what left without instruction.

        Waiting reversals are served first, so that their sum is left alone.
        """
        return self.offset_beyond(self.waiting_reversal_amount)

    def offset_beyond(self, reserved_amount: Fen) -> Fen:
        """Give what stands against it where this much of payable is left alone."""
        free = self.payable_amount - reserved_amount
        return Fen(max(0, min(free, self.bank_claim_amount)))

    @property
    def shortfall_amount(self) -> Fen:
        """Give what claims go short of, once payable has served `bank_claim`.

        What is disputed may come to be a claim, so that it is kept back whole.
        """
        lacking = self.bank_claim_amount - self.offset_amount - self.custody_yield_amount
        return Fen(max(0, lacking))


@dataclass(frozen=True, slots=True)
class Preview:
    """What executing would do as things stand now."""

    closure: Closure
    at: datetime
    kinds: Sequence[KindTotal]
    disputed_count: int
    held_count: int
    standing: Standing

    @property
    def card_count(self) -> int:
        """Give how many cards are to be refunded."""
        return sum(total.card_count for total in self.kinds)

    @property
    def refund_amount(self) -> Fen:
        """Give what is to be refunded on cards."""
        return Fen(sum(total.refund_amount for total in self.kinds))


@dataclass(frozen=True, slots=True)
class View:
    """A closure as it is shown: before it is executed, with what there is to refund now."""

    closure: Closure
    merchant_id: UUID
    status: ClosureStatus
    certificates: int
    """How many were issued: one at the end, one more after each late bank fact."""
