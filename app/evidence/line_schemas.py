"""A line of a card's evidence: what happened, the consumer's proof, the place in the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field, StrictInt, WithJsonSchema

from app.api.schemas import CardId, ChargeId, ConfirmationId, Model, StoreId, Time
from app.cards.statement import CardEntryKind
from app.charges.domain import ChargeStatus, ConfirmationMethod, ReversalStatus
from app.evidence.dispute_schemas import EvidenceDisputeRead
from app.evidence.life_schemas import OF_LIFE, EvidenceLifeRead, EvidenceTransferRead
from app.evidence.refund_schemas import EvidenceRefundRead
from app.ids import Prefix, to_text
from app.ledger import chain
from app.ledger.rows import Transfer

if TYPE_CHECKING:
    from uuid import UUID

    from app.cards.domain import Draw
    from app.charges.domain import Charge
    from app.evidence.queries import LineFacts

# No bounds: evidence shows what is there, and the check says whether it can be so.
Fen = Annotated[StrictInt, Field(description="Fen: 8000 is 80.00 yuan.", examples=[8000])]
Figure = Annotated[StrictInt, Field(examples=[10])]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["9f86d081884c7d65" * 4])]
Salt = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$", examples=["00112233445566778899aabb"])]
ConsumerKey = Annotated[
    str,
    WithJsonSchema({
        "type": "string",
        "description": "The first 16 bytes of SHA-256 of issuer, NUL and subject, as an id.",
        "examples": [f"{Prefix.CONSUMER}_01h455vb4pex5vsknk084sn02q"],
    }),
]  # fmt: skip

SUBJECTS: Final = {
    CardEntryKind.FUNDED: Prefix.RECEIPT,
    CardEntryKind.USED: Prefix.CHARGE,
    CardEntryKind.REVERSED: Prefix.CHARGE,
    CardEntryKind.REFUNDED: Prefix.REFUND,
    CardEntryKind.ADJUSTED: Prefix.REFUND,
    CardEntryKind.TRANSFERRED: Prefix.TRANSFER,
    **dict.fromkeys(OF_LIFE, Prefix.CARD),
}
"""What the id of a line's subject names; any other is shown as a plain UUID."""


class EvidenceStoreRead(Model):
    """A store. Its id is in the chain, its name is not."""

    id: StoreId
    name: str | None


class EvidenceDrawRead(Model):
    """What the consumer let one of their cards be charged."""

    card_id: CardId
    face_amount: Fen | None
    sessions: Figure | None
    visit_day: Figure | None

    @classmethod
    def from_domain(cls, draw: Draw) -> Self:
        """Show a draw."""
        return cls(
            card_id=to_text(Prefix.CARD, draw.card_id),
            face_amount=draw.face_amount,
            sessions=draw.sessions,
            visit_day=draw.visit_day,
        )


class EvidenceProofRead(Model):
    """The consumer's confirmation, with all that `hash` is computed from."""

    id: ConfirmationId
    method: ConfirmationMethod
    at: Time
    consumer: ConsumerKey
    store_id: StoreId
    amount: Fen | None
    sessions: Figure | None
    visit: bool | None
    list_amount: Fen | None
    code_hash: Hash | None = Field(description="SHA-256 of the one-time code that was shown.")
    description: str | None
    description_salt: Salt | None
    description_commitment: Hash | None = Field(
        description="SHA-256 of salt and description; stays where those were erased."
    )
    draws: list[EvidenceDrawRead]
    hash: Hash = Field(
        description=(
            "SHA-256 of these, joined by `|`: charge, confirmation, method, consumer, store,"
            " amount, sessions, visit (1), list_amount, code_hash, at, description_commitment,"
            " and of each draw card, face_amount, sessions, visit_day. Ids as 32 hex digits,"
            " times as microseconds since 1970 UTC, nothing for null."
        )
    )

    @classmethod
    def from_domain(cls, charge: Charge, holder: UUID) -> Self | None:
        """Show a confirmation to the card's holder; None where there is none.

        What was written for a former holder is not shown; its commitment stands for it.
        """
        if (
            charge.confirmation_id is None
            or charge.confirmed_at is None
            or charge.confirmation_method is None
            or charge.confirmation_hash is None
        ):
            return None
        text, salt = charge.description, charge.text_salt or b""
        is_own = text is not None and charge.consumer == holder
        return cls(
            id=to_text(Prefix.CONFIRMATION, charge.confirmation_id),
            method=ConfirmationMethod(charge.confirmation_method),
            at=charge.confirmed_at,
            consumer=to_text(Prefix.CONSUMER, charge.consumer),
            store_id=to_text(Prefix.STORE, charge.store_id),
            amount=charge.amount,
            sessions=charge.sessions,
            visit=charge.visit,
            list_amount=charge.list_amount,
            code_hash=_hex(charge.code_hash),
            description=text if is_own else None,
            description_salt=salt.hex() if is_own else None,
            description_commitment=None if text is None else chain.commitment(salt, text).hex(),
            draws=[EvidenceDrawRead.from_domain(draw) for draw in charge.read_draws()],
            hash=charge.confirmation_hash.hex(),
        )


class EvidenceReversalRead(Model):
    """What became of a use that the merchant takes back; `amount` is over all its cards."""

    status: ReversalStatus
    amount: Fen | None
    requested_at: Time | None
    done_at: Time | None
    reason: str | None

    @classmethod
    def from_domain(cls, charge: Charge) -> Self | None:
        """Show a reversal; None where none was asked for."""
        if charge.reversal_status is None:
            return None
        return cls(
            status=ReversalStatus(charge.reversal_status),
            amount=charge.reversal_amount,
            requested_at=charge.reversal_requested_at,
            done_at=charge.reversal_done_at,
            reason=charge.reversal_reason,
        )


class EvidenceUseRead(Model):
    """The charge behind a `used` line, as it stands now."""

    charge_id: ChargeId
    status: ChargeStatus
    confirmation: EvidenceProofRead | None
    reversal: EvidenceReversalRead | None
    dispute: EvidenceDisputeRead | None

    @classmethod
    def from_domain(cls, charge: Charge, holder: UUID) -> Self:
        """Show a use to the card's holder."""
        return cls(
            charge_id=to_text(Prefix.CHARGE, charge.charge_id),
            status=ChargeStatus(charge.status),
            confirmation=EvidenceProofRead.from_domain(charge, holder),
            reversal=EvidenceReversalRead.from_domain(charge),
            dispute=EvidenceDisputeRead.from_domain(charge),
        )


class EvidenceEntryRead(Model):
    """The entry of the hash chain that carries a line."""

    text: str = Field(
        description=(
            "Joined by `|`, of a transfer: merchant_no, seq, kind, debit account, credit account,"
            " amount, the versions after it, subject, corrected seq,"
            " content_hash, effective_at, recorded_at; of an entry that moves nothing: merchant_no,"
            " seq, kind, subject, content_hash, effective_at, recorded_at."
        )
    )
    content_hash: Hash
    previous_chain_hash: Hash | None
    chain_hash: Hash = Field(description="SHA-256 of the 32 bytes before it and of `text`.")

    @classmethod
    def from_domain(cls, facts: LineFacts) -> Self | None:
        """Show a place in the chain; None where the entry is gone."""
        entry, previous = facts.entry, facts.previous_chain_hash
        if entry is None:
            return None
        is_transfer = isinstance(entry, Transfer)
        if entry.seq == 1:
            previous = chain.genesis(entry.merchant_no)
        return cls(
            text=chain.text_of_transfer(entry) if is_transfer else chain.text_of_fact(entry),
            content_hash=entry.content_hash.hex(),
            previous_chain_hash=_hex(previous),
            chain_hash=entry.chain_hash.hex(),
        )


class EvidenceLineRead(Model):
    """One line of the statement, with the balances after it; all of it is in `content_hash`."""

    no: Figure
    seq: Figure
    kind: CardEntryKind
    at: Time
    subject_id: str = Field(
        description=(
            "The receipt of `funded`, the charge of `used` and `reversed`, the refund of"
            " `refunded` and `adjusted`, the transfer of `transferred`, else the card."
        ),
        examples=[f"{Prefix.CHARGE}_01h455vb4pex5vsknk084sn02q"],
    )
    store: EvidenceStoreRead | None
    amount: Fen | None = Field(
        description="Of a use its face; of a refund or adjustment what left, negative if back."
    )
    sessions: Figure | None
    visit_day: Figure | None
    list_amount: Fen | None = Field(description="L of this use; null where the face stands for it.")
    release_amount: Fen = Field(description="To the merchant; negative where it came back.")
    adjusted_amount: Fen | None = Field(
        description=(
            "Of a use taken back after a refund: what else went to the merchant with it,"
            " negative where it came back."
        )
    )
    balance_face_amount: Fen | None
    balance_sessions: Figure | None
    custody_amount: Fen
    evidence_hash: Hash = Field(
        description=(
            "The terms' hash of `funded`, the confirmation's of a use, the refund's, that of"
            " `life` or of `transfer`."
        )
    )
    use: EvidenceUseRead | None = Field(description="Of `used` lines.")
    life: EvidenceLifeRead | None = Field(description="Of lines that say how the term runs on.")
    transfer: EvidenceTransferRead | None = Field(description="Of `transferred` lines.")
    refund: EvidenceRefundRead | None = Field(description="Of `refunded` and `adjusted` lines.")
    entry: EvidenceEntryRead | None = Field(description="Null only where the entry is gone.")

    @classmethod
    def from_domain(cls, facts: LineFacts, holder: UUID) -> Self:
        """Show a line to the card's holder."""
        line, charge = facts.line, facts.charge
        kind = CardEntryKind(line.kind)
        shows_use = charge is not None and kind is CardEntryKind.USED
        return cls(
            no=line.entry_no,
            seq=line.seq,
            kind=kind,
            at=line.at,
            subject_id=_subject(kind, line.subject_id),
            store=None
            if line.store_id is None
            else EvidenceStoreRead(id=to_text(Prefix.STORE, line.store_id), name=facts.store_name),
            amount=line.amount,
            sessions=line.sessions,
            visit_day=line.visit_day,
            list_amount=line.list_amount,
            release_amount=line.release_amount,
            adjusted_amount=line.adjusted_amount,
            balance_face_amount=line.balance_face_amount,
            balance_sessions=line.balance_sessions,
            custody_amount=line.custody_amount,
            evidence_hash=line.evidence_hash.hex(),
            use=EvidenceUseRead.from_domain(charge, holder)
            if shows_use and charge is not None
            else None,
            life=EvidenceLifeRead.from_domain(facts.life),
            transfer=EvidenceTransferRead.from_domain(facts.transfer, holder),
            refund=EvidenceRefundRead.from_domain(facts.refund),
            entry=EvidenceEntryRead.from_domain(facts),
        )


def _subject(kind: CardEntryKind, id_: UUID) -> str:
    prefix = SUBJECTS.get(kind)
    return str(id_) if prefix is None else to_text(prefix, id_)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
