"""Rows of a card's life as they lie in the database, and what of them enters the hash chain."""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.cards.statement import CardEntryKind
from app.ledger import chain


class CardLife(NamedTuple):
    """How a card's term runs after a line of its life. Never changed."""

    merchant_no: int
    card_id: UUID
    entry_no: int
    kind: CardEntryKind
    frozen_on: date | None
    """The first frozen day, where the term stands still after this."""
    frozen_days: int
    """The frozen days that are over."""
    valid_until: date | None
    at: datetime

    def content_hash(self) -> bytes:
        """Hash it; its line carries this into the chain."""
        return chain.content_hash(
            (
                self.card_id,
                self.entry_no,
                str(self.kind),
                self.frozen_on,
                self.frozen_days,
                self.valid_until,
                self.at,
            )
        )


class TransferStatus(StrEnum):
    """Where a transfer is in its life."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class CardTransfer(NamedTuple):
    """A card on its way from one holder to another; it is theirs when they accept.

    Both are subjects of one issuer. The chain knows them by salted commitments alone.
    """

    merchant_no: int
    transfer_id: UUID
    card_id: UUID
    giver: UUID
    giver_id: str
    receiver: UUID
    receiver_id: str
    issuer: str
    status: TransferStatus
    created_at: datetime
    giver_salt: bytes | None = None
    receiver_salt: bytes | None = None
    giver_commitment: bytes | None = None
    receiver_commitment: bytes | None = None
    entry_no: int | None = None
    policy_version: int | None = None
    """By which the new holder waits for a refund."""
    ended_at: datetime | None = None

    def accepted(
        self, *, salts: tuple[bytes, bytes], entry_no: int, policy_version: int, at: datetime
    ) -> "CardTransfer":
        """Give it as accepted, with the commitments to the giver and the receiver."""
        giver_salt, receiver_salt = salts
        return self._replace(
            status=TransferStatus.ACCEPTED,
            giver_salt=giver_salt,
            receiver_salt=receiver_salt,
            giver_commitment=chain.commitment(giver_salt, self.giver.hex),
            receiver_commitment=chain.commitment(receiver_salt, self.receiver.hex),
            entry_no=entry_no,
            policy_version=policy_version,
            ended_at=at,
        )

    def content_hash(self) -> bytes:
        """Hash an accepted transfer; its line carries this into the chain."""
        return chain.content_hash(
            (
                self.transfer_id,
                self.card_id,
                self.giver_commitment,
                self.receiver_commitment,
                self.ended_at,
            )
        )
