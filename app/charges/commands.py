"""What can be asked of uses. Every new id and every random byte is in the command."""

from dataclasses import dataclass
from uuid import UUID

from app.cards.directory import MerchantRef
from app.charges.domain import Echo, Use
from app.money import Fen
from app.writer.requests import RequestKey


@dataclass(frozen=True, slots=True)
class UseLimits:
    """The policies that decide whether a code alone confirms, and how long a charge waits."""

    code_use_amount: Fen
    code_day_amount: Fen
    pending_lifetime_seconds: int
    pending_per_card: int


@dataclass(frozen=True, slots=True)
class PlaceCharge:
    """Charge a use to a consumer's cards: named by their one-time code, or by one of the cards.

    Exactly one of `code_hash` and `card_id` is given.
    """

    merchant_no: int
    request: RequestKey | None
    charge_id: UUID
    confirmation_id: UUID
    store_id: UUID
    use: Use
    code_hash: bytes | None
    card_id: UUID | None
    product_id: UUID | None
    list_amount: Fen | None
    description: str | None
    text_salt: bytes | None
    client_reference: str | None
    limits: UseLimits


@dataclass(frozen=True, slots=True)
class ConfirmCharge:
    """Let a waiting charge take effect: the consumer's own act."""

    merchant_no: int
    request: RequestKey | None
    charge_id: UUID
    confirmation_id: UUID
    consumer: UUID
    echo: Echo
    merchant: MerchantRef


@dataclass(frozen=True, slots=True)
class DeclineCharge:
    """Refuse a waiting charge as its consumer."""

    merchant_no: int
    request: RequestKey | None
    charge_id: UUID
    consumer: UUID


@dataclass(frozen=True, slots=True)
class CancelCharge:
    """Take a waiting charge back as its merchant; `store_ids` narrows whose charges."""

    merchant_no: int
    request: RequestKey | None
    charge_id: UUID
    store_ids: frozenset[UUID] | None


@dataclass(frozen=True, slots=True)
class ExpireCharges:
    """Free what charges hold whose time is over; the clock has ended them already."""

    merchant_no: int
    charge_ids: tuple[UUID, ...]
    request: RequestKey | None = None


@dataclass(frozen=True, slots=True)
class ReverseCharge:
    """Give a confirmed use back to its consumer; it waits where payable does not cover it."""

    merchant_no: int
    request: RequestKey | None
    charge_id: UUID
    store_ids: frozenset[UUID] | None
    reason: str | None
    reversal_days: int


@dataclass(frozen=True, slots=True)
class ServeReversals:
    """Carry out waiting reversals as far as payable covers them, oldest first, whole."""

    merchant_no: int
    request: RequestKey | None = None
