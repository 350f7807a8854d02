"""What holders can ask of a card's life. Every new id and random byte is in the command."""

from dataclasses import dataclass
from uuid import UUID

from app.cards.ceilings import Ceilings
from app.writer.requests import RequestKey


@dataclass(frozen=True, slots=True)
class FreezeCard:
    """Let the term of a period card stand still, as its holder."""

    merchant_no: int
    request: RequestKey | None
    card_id: UUID
    consumer: UUID


@dataclass(frozen=True, slots=True)
class UnfreezeCard:
    """Let the term of a frozen card run on, as its holder."""

    merchant_no: int
    request: RequestKey | None
    card_id: UUID
    consumer: UUID


@dataclass(frozen=True, slots=True)
class ReportLoss:
    """Stop all use of a card, as its holder."""

    merchant_no: int
    request: RequestKey | None
    card_id: UUID
    consumer: UUID


@dataclass(frozen=True, slots=True)
class ReactivateCard:
    """Make a lost or expired card usable again, as its holder."""

    merchant_no: int
    request: RequestKey | None
    card_id: UUID
    consumer: UUID


@dataclass(frozen=True, slots=True)
class OfferTransfer:
    """Offer a card to somebody else, as its holder. Both are subjects of one issuer."""

    merchant_no: int
    request: RequestKey | None
    transfer_id: UUID
    card_id: UUID
    giver: UUID
    giver_id: str
    receiver: UUID
    receiver_id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class AcceptTransfer:
    """Take an offered card over, as the one it was offered to."""

    merchant_no: int
    request: RequestKey | None
    transfer_id: UUID
    card_id: UUID
    consumer: UUID
    salt: bytes
    """Hides the new holder in the chain."""
    refund_wait_days: int
    """Until the new holder may ask for a refund (policy)."""
    ceilings: Ceilings | None = None
    """What one consumer may have prepaid here; None where no ceiling binds."""
    policy_version: int = 0
    """That of the policies that say so; 0 is what is built in."""


@dataclass(frozen=True, slots=True)
class DeclineTransfer:
    """Leave an offered card with its holder, as the one it was offered to."""

    merchant_no: int
    request: RequestKey | None
    transfer_id: UUID
    card_id: UUID
    consumer: UUID


@dataclass(frozen=True, slots=True)
class WithdrawTransfer:
    """Take an offer back that nobody answered, as the one who made it."""

    merchant_no: int
    request: RequestKey | None
    transfer_id: UUID
    card_id: UUID
    consumer: UUID


TermCommand = FreezeCard | UnfreezeCard | ReportLoss | ReactivateCard
TransferCommand = OfferTransfer | AcceptTransfer | DeclineTransfer | WithdrawTransfer
