"""What stands behind a line of a card's life: its term, or from whose hands to whose it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field, StrictInt

from app.api.schemas import BusinessDate, Model
from app.cards.statement import CardEntryKind

if TYPE_CHECKING:
    from uuid import UUID

    from app.card_life.rows import CardLife, CardTransfer

Days = Annotated[StrictInt, Field(examples=[30])]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["9f86d081884c7d65" * 4])]
Salt = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$", examples=["00112233445566778899aabb"])]

OF_LIFE: Final = frozenset(
    {
        CardEntryKind.FROZEN,
        CardEntryKind.UNFROZEN,
        CardEntryKind.LOST,
        CardEntryKind.REPLACED,
        CardEntryKind.REACTIVATED,
    }
)
"""The kinds of lines that say how a card's term runs on."""


class EvidenceLifeRead(Model):
    """How a card's term runs after a line.

    The line's `evidence_hash` is the SHA-256 of these, joined by `|`: card, line number, kind,
    frozen_on, frozen_days, valid_until, at.
    """

    frozen_on: BusinessDate | None = Field(
        description="The first frozen day, where the term stands still after this."
    )
    frozen_days: Days = Field(description="The frozen days that are over.")
    valid_until: BusinessDate | None

    @classmethod
    def from_domain(cls, life: CardLife | None) -> Self | None:
        """Show a step of a card's life; None where the line is of something else."""
        if life is None:
            return None
        return cls(
            frozen_on=life.frozen_on, frozen_days=life.frozen_days, valid_until=life.valid_until
        )


class EvidenceTransferRead(Model):
    """From whose hands to whose a card went.

    The line's `evidence_hash` is the SHA-256 of these, joined by `|`: transfer, card,
    giver_commitment, receiver_commitment, at.
    """

    giver_commitment: Hash = Field(description="That of the holder before, whoever it was.")
    receiver_commitment: Hash = Field(
        description="SHA-256 of the salt and the receiver's `consumer` in 32 hex digits."
    )
    receiver_salt: Salt | None = Field(description="Null where the receiver is not the holder.")

    @classmethod
    def from_domain(cls, transfer: CardTransfer | None, holder: UUID) -> Self | None:
        """Show a transfer to the card's holder; None where the line is of something else."""
        if (
            transfer is None
            or transfer.giver_commitment is None
            or transfer.receiver_commitment is None
        ):
            return None
        salt = transfer.receiver_salt
        return cls(
            giver_commitment=transfer.giver_commitment.hex(),
            receiver_commitment=transfer.receiver_commitment.hex(),
            receiver_salt=salt.hex() if salt is not None and transfer.receiver == holder else None,
        )
