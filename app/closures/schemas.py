"""What crosses the HTTP border for closures."""

from typing import Annotated, Literal, Self

from pydantic import Field

from app.api.schemas import (
    AmountOrZero,
    ChargeId,
    ClosureId,
    Count,
    Currency,
    MerchantId,
    Model,
    Reason,
    Time,
)
from app.cards.domain import CardKind
from app.closures.answer import closure_answer, preview_facts
from app.closures.certificate import Certificate
from app.closures.domain import ClosureKind, ClosureStatus, Preview, View

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_RATE = Field(ge=0, description="Cards refunded in a second of work; null before any was.")
_LEFT = Field(ge=0, description="At this rate; null where nobody knows.")


class ClosureCreate(Model):
    """Order that a merchant closes."""

    kind: ClosureKind = Field(
        description="`notice`: 30 days without new sales; `immediate`: at once; `absconded`: at "
        "once, ordered by a regulator."
    )
    reason: Annotated[Reason, Field(examples=["租约到期"])]


class ClosureRead(Model):
    """The closing of a merchant, and how far it is."""

    id: ClosureId
    merchant_id: MerchantId
    kind: ClosureKind
    reason: str = Field(examples=["租约到期"])
    status: ClosureStatus
    card_count: Count = Field(
        description="Cards to refund: as things stand now, and from the execution on as they did"
        " then. More where more cards were refunded since."
    )
    refund_amount: AmountOrZero = Field(
        description="What is to be refunded on them, counted as the cards are: more where a use"
        " was taken back since, or a refund from before gets what it lacked."
    )
    refunded_count: Count
    refunded_amount: AmountOrZero
    shortfall_amount: AmountOrZero = Field(
        description="What claims go short of, as it was shared out; 0 where custody covers all."
    )
    currency: Currency
    rate_per_second: Annotated[float, _RATE] | None
    seconds_left: Annotated[float, _LEFT] | None
    created_at: Time
    notice_ends_at: Time | None
    closing_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    certificate_url: str | None = Field(
        examples=["http://127.0.0.1:8000/v1/closures/clo_01h455vb4pex5vsknk084sn02q/certificate"]
    )

    @classmethod
    def from_domain(cls, view: View, base_url: str) -> Self:
        """Show a closure."""
        return cls.model_validate(closure_answer(view, base_url))


class KindTotalRead(Model):
    """What there is to refund on cards of one kind."""

    kind: CardKind
    card_count: Count
    refund_amount: AmountOrZero


class ClosurePreviewRead(Model):
    """What executing a closure would do as things stand now."""

    closure_id: ClosureId
    as_of: Time
    card_count: Count
    refund_amount: AmountOrZero
    currency: Currency
    kinds: list[KindTotalRead]
    disputed_count: Count = Field(description="Cards that wait for a dispute.")
    held_count: Count = Field(description="Cards under a hold, which keeps their refund back.")
    custody_amount: int = Field(description="At the bank.", examples=[120000])
    in_transit_amount: AmountOrZero
    refund_payable_amount: AmountOrZero = Field(description="Refunds decided before, in no file.")
    suspense_amount: AmountOrZero
    disputed_amount: AmountOrZero = Field(description="Set aside until disputes end.")
    payable_amount: AmountOrZero = Field(description="The merchant's own, held meanwhile.")
    waiting_reversal_amount: AmountOrZero
    bank_claim_amount: AmountOrZero
    shortfall_amount: AmountOrZero = Field(
        description="What claims would go short of; they are then paid pro rata."
    )

    @classmethod
    def from_domain(cls, preview: Preview) -> Self:
        """Show a preview."""
        return cls.model_validate(preview_facts(preview))


class CertifiedClosure(Model):
    """The closure that ended."""

    id: ClosureId
    kind: ClosureKind
    reason: str = Field(examples=["租约到期"])
    status: ClosureStatus
    created_at: Time
    closing_at: Time | None
    started_at: Time | None


class CertifiedMerchant(Model):
    """Whose closure it was."""

    id: MerchantId
    name: str = Field(examples=["安心健身"])
    licence_number: str
    industry: str
    district: str


class CertifiedRefunds(Model):
    """What was refunded, and what of it was paid by then."""

    card_count: Count
    amount: AmountOrZero
    kinds: list[KindTotalRead]
    paid_count: Count
    paid_amount: AmountOrZero


class LeftRead(Model):
    """Money that is left, and whose it is."""

    account: str = Field(examples=["refund_payable"])
    subject_id: str = Field(description="The card, charge, refund, receipt, order or merchant.")
    holder: str | None = Field(description="Masked.")
    amount: int = Field(examples=[8000])
    why: str = Field(examples=["account_needed"])


class UncoveredRead(Model):
    """A use taken back that the merchant's money does not cover: its holder's claim on it."""

    charge_id: ChargeId
    holder: str | None = Field(description="Masked.")
    amount: AmountOrZero
    kept_amount: AmountOrZero = Field(
        description="What is kept of it in custody, set aside for the upheld dispute, until the"
        " rest is there; among `left` by the charge."
    )


class CertifiedHead(Model):
    """Where the merchant's book stood."""

    seq: Count
    chain_hash: Digest


class CertificateDocument(Model):
    """What is signed."""

    format: Literal["anxin closure certificate 1"]
    number: Count = Field(description="1 at the end; a late bank fact makes another.")
    issued_at: Time
    closure: CertifiedClosure
    merchant: CertifiedMerchant
    currency: Currency
    refunded: CertifiedRefunds
    custody_amount: int = Field(examples=[0])
    bank_claim_amount: AmountOrZero
    shortfall_amount: AmountOrZero
    left_amount: int = Field(description="custody_amount + bank_claim_amount.", examples=[0])
    left: list[LeftRead]
    uncovered_reversals: list[UncoveredRead]
    book: CertifiedHead


class CertificateSignature(Model):
    """Ed25519 over two lines: the format, and the SHA-256 of the certificate (RFC 8785)."""

    algorithm: Literal["Ed25519"]
    key_id: str
    signature: str = Field(description="Base64.")
    sha256: Digest


class CertificateRead(Model):
    """The signed end of a closure."""

    certificate: CertificateDocument
    signature: CertificateSignature

    @classmethod
    def from_domain(cls, certificate: Certificate) -> Self:
        """Show a certificate."""
        return cls.model_validate(
            {"certificate": certificate.read(), "signature": certificate.signature_facts()}
        )
