"""The evidence of a card as it is signed: what was sold, paid and left. Lines: line_schemas."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from app.api.schemas import (
    BusinessDate,
    CardId,
    ConsumerId,
    Currency,
    MerchantId,
    Model,
    ProductId,
    PurchaseId,
    ReceiptId,
    Time,
)
from app.cards.domain import CardKind, CardStatus
from app.evidence.line_schemas import ConsumerKey, EvidenceLineRead, Fen, Figure, Hash, Salt
from app.ids import Prefix, to_text
from app.ledger import chain
from app.money import CURRENCY

if TYPE_CHECKING:
    from datetime import date

    from app.cards.domain import Card
    from app.evidence.queries import Checkpoint, Payment, Sale

Signature = Annotated[
    str, Field(description="Ed25519, in base64.", pattern=r"^[A-Za-z0-9+/]{86}==$")
]
KeyName = Annotated[
    str,
    Field(description="As in `/.well-known/anxin-keys.json`.", examples=["0f3c9d2b7a61e845"]),
]


class EvidenceSellerRead(Model):
    """The merchant. Its number stands in every text of the chain."""

    id: MerchantId
    no: Figure
    name: str
    licence_number: str


class EvidenceHolderRead(Model):
    """Whose card it is."""

    consumer: ConsumerKey
    consumer_id: ConsumerId
    issuer: str | None = Field(
        description="Who issues the holder's tokens; the same for all who ever held the card."
    )


class EvidenceContractRead(Model):
    """The contract as it was accepted."""

    version: Figure
    sha256: Hash
    text: str
    accepted_at: Time | None
    method: Literal["bought_in_app", "accepted_in_app"] = Field(
        description="With the holder's own token: by buying, or by accepting the POS's purchase."
    )

    @classmethod
    def from_domain(cls, sale: Sale) -> Self:
        """Show a contract."""
        bought = sale.accepted_at == sale.purchased_at
        return cls(
            version=sale.contract_version,
            sha256=sale.contract_sha256.hex(),
            text=sale.contract_text,
            accepted_at=sale.accepted_at,
            method="bought_in_app" if bought else "accepted_in_app",
        )


class EvidenceTermsRead(Model):
    """A card's terms, frozen at sale. `terms_hash` covers all but the name and the salt."""

    card_id: CardId
    product_id: ProductId
    product_name: str
    purchase_id: PurchaseId
    kind: CardKind
    paid_amount: Fen
    bonus_amount: Fen
    list_price_amount: Fen | None
    sessions_total: Figure | None
    term_days: Figure | None
    activated_on: BusinessDate
    cooling_off_days: Figure
    paid_at: Time
    currency: Currency
    holder_commitment: Hash = Field(
        description="SHA-256 of the salt and the first holder's `consumer` in 32 hex digits."
    )
    holder_salt: Salt | None = Field(description="Null for a later holder.")
    terms_hash: Hash

    @classmethod
    def from_domain(cls, card: Card, sale: Sale) -> Self:
        """Show a card's terms."""
        first = sale.consumer or card.consumer
        return cls(
            card_id=to_text(Prefix.CARD, card.card_id),
            product_id=to_text(Prefix.PRODUCT, card.product_id),
            product_name=sale.product_name,
            purchase_id=to_text(Prefix.PURCHASE, card.purchase_id),
            kind=CardKind(card.kind),
            paid_amount=card.paid_amount,
            bonus_amount=card.bonus_amount,
            list_price_amount=card.list_price_amount,
            sessions_total=card.sessions_total,
            term_days=card.term_days,
            activated_on=card.activated_on,
            cooling_off_days=card.cooling_off_days,
            paid_at=card.paid_at,
            currency=CURRENCY,
            holder_commitment=chain.commitment(card.holder_salt, first.hex).hex(),
            holder_salt=card.holder_salt.hex() if first == card.consumer else None,
            terms_hash=card.terms_hash.hex(),
        )


class EvidencePaymentRead(Model):
    """The receipt that funded the card. The payer is masked."""

    receipt_id: ReceiptId
    bank: str
    bank_reference: str
    custody_account: str
    amount: Fen
    currency: Currency
    payment_reference: str
    payer_name: str = Field(examples=["*娜"])
    payer_account_number: str = Field(examples=["****4567"])
    paid_at: Time
    received_at: Time

    @classmethod
    def from_domain(cls, payment: Payment, *, name: str, account_number: str) -> Self:
        """Show a payment, with the payer's name and number already masked."""
        return cls(
            receipt_id=to_text(Prefix.RECEIPT, payment.receipt_id),
            bank=payment.bank,
            bank_reference=payment.bank_reference,
            custody_account=payment.custody_account,
            amount=payment.amount,
            currency=CURRENCY,
            payment_reference=payment.payment_reference,
            payer_name=name,
            payer_account_number=account_number,
            paid_at=payment.paid_at,
            received_at=payment.received_at,
        )


class EvidenceBalancesRead(Model):
    """The card as it stands: what its lines add up to."""

    status: CardStatus
    on_hold: bool
    face_used_amount: Fen
    face_held_amount: Fen
    list_used_amount: Fen = Field(description="ΣL: the list price of the uses that stay.")
    list_price_missing: bool
    sessions_used: Figure
    sessions_held: Figure
    last_visit_day: Figure
    frozen_on: BusinessDate | None = Field(
        description="The first frozen day, while the term of a period card stands still."
    )
    frozen_days: Figure = Field(description="The frozen days that are over.")
    valid_until: BusinessDate | None
    cooling_off_ends_on: BusinessDate | None
    released_amount: Fen
    refunded_amount: Fen
    adjusted_amount: Fen
    recalled_amount: Fen
    custody_amount: Fen
    line_count: Figure

    @classmethod
    def from_domain(cls, card: Card, today: date) -> Self:
        """Show a card as it stands today."""
        return cls(
            status=card.status_on(today),
            on_hold=card.on_hold,
            face_used_amount=card.face_used_amount,
            face_held_amount=card.face_held_amount,
            list_used_amount=card.list_used_amount,
            list_price_missing=card.list_price_missing,
            sessions_used=card.sessions_used,
            sessions_held=card.sessions_held,
            last_visit_day=card.last_visit_day,
            frozen_on=card.frozen_on,
            frozen_days=card.frozen_days,
            valid_until=card.valid_until,
            cooling_off_ends_on=card.cooling_off_ends_on,
            released_amount=card.released_amount,
            refunded_amount=card.refunded_amount,
            adjusted_amount=card.adjusted_amount,
            recalled_amount=card.recalled_amount,
            custody_amount=card.custody_amount,
            line_count=card.entry_count,
        )


class EvidenceHeadRead(Model):
    """Where the merchant's book stood at `issued_at`: a signed checkpoint of this book alone."""

    seq: Figure
    chain_hash: Hash
    document: str = Field(description="The signed bytes, as text; may be given to others.")
    key_id: KeyName
    signature: Signature


class EvidenceCheckpointRead(Model):
    """What the newest checkpoint of all books says of this one; its document is not shown."""

    id: str = Field(examples=["0197a2f0-6c1b-7a44-9d27-5b1f0c3e8a12"])
    created_at: Time
    seq: Figure
    chain_hash: Hash
    sha256: Hash = Field(description="Of the checkpoint's document, which lists every merchant.")
    key_id: KeyName
    signature: Signature

    @classmethod
    def from_domain(cls, checkpoint: Checkpoint) -> Self:
        """Show a checkpoint."""
        return cls(
            id=str(checkpoint.checkpoint_id),
            created_at=checkpoint.created_at,
            seq=checkpoint.seq,
            chain_hash=checkpoint.chain_hash.hex(),
            sha256=checkpoint.sha256.hex(),
            key_id=checkpoint.key_id,
            signature=b64encode(checkpoint.signature).decode(),
        )


class EvidenceRead(Model):
    """Everything that decides what a card's holder is owed."""

    format: Literal["anxin evidence 1"]
    issued_at: Time
    merchant: EvidenceSellerRead
    holder: EvidenceHolderRead
    contract: EvidenceContractRead
    terms: EvidenceTermsRead
    payment: EvidencePaymentRead | None = Field(description="Null only where the receipt is gone.")
    balances: EvidenceBalancesRead
    lines: list[EvidenceLineRead] = Field(description="All lines of the statement, oldest first.")
    head: EvidenceHeadRead
    checkpoint: EvidenceCheckpointRead | None


class EvidenceSignatureRead(Model):
    """Over the text `anxin evidence 1`, line feed, `sha256`, line feed."""

    algorithm: Literal["Ed25519"]
    key_id: KeyName
    sha256: Hash = Field(description="Of `evidence` in canonical form (RFC 8785).")
    signature: Signature


class SignedEvidenceRead(Model):
    """A card's evidence with the service's signature; `anxin verify-evidence` checks it."""

    evidence: EvidenceRead
    signature: EvidenceSignatureRead
