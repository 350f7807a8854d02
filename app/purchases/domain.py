"""What a purchase and a receipt are, and which receipt funds which purchase.

awaiting_payment --exact receipt--> funded
    |--cancel--> cancelled
    '--expires_at passes--> expired   (by the clock; a payment made in time still funds)

receipt:  (exact) matched   (else) suspense --by hand--> matched
                                       '--by hand, or in time--> returned
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.cards.domain import Card, CardKind, CardStatus
from app.cards.terms import terms_hash
from app.dates import business_date
from app.ids import Prefix, parse, to_text
from app.money import Fen

_REFERENCE_PREFIX: Final = "AX"


class PurchaseStatus(StrEnum):
    """Where a purchase is in its life; `EXPIRED` is computed, never stored."""

    AWAITING_PAYMENT = "awaiting_payment"
    FUNDED = "funded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class ReceiptStatus(StrEnum):
    """What became of money received."""

    MATCHED = "matched"
    SUSPENSE = "suspense"
    RETURNED = "returned"


class SuspenseReason(StrEnum):
    """Why money funds nothing."""

    UNDERPAID = "underpaid"
    OVERPAID = "overpaid"
    PURCHASE_EXPIRED = "purchase_expired"
    PURCHASE_CANCELLED = "purchase_cancelled"
    ALREADY_FUNDED = "already_funded"
    CONTRACT_NOT_ACCEPTED = "contract_not_accepted"
    UNKNOWN_REFERENCE = "unknown_reference"
    MERCHANT_NOT_SELLING = "merchant_not_selling"
    UNKNOWN_CUSTODY_ACCOUNT = "unknown_custody_account"


class Purchase(NamedTuple):
    """A sale that waits for its payment, or was paid."""

    merchant_no: int
    purchase_id: UUID
    product_id: UUID
    store_id: UUID
    status: PurchaseStatus
    amount: Fen
    consumer: UUID | None
    consumer_id: str | None
    issuer: str | None
    contract_version: int
    contract_sha256: bytes
    accepted_at: datetime | None
    card_id: UUID | None
    expires_at: datetime
    created_at: datetime

    def status_at(self, at: datetime) -> PurchaseStatus:
        """Give the status as the clock has it."""
        if self.status == PurchaseStatus.AWAITING_PAYMENT and at >= self.expires_at:
            return PurchaseStatus.EXPIRED
        return PurchaseStatus(self.status)

    @property
    def payment_reference(self) -> str:
        """What the payer quotes and the bank reports: it leads back to this purchase."""
        text = to_text(Prefix.PURCHASE, self.purchase_id)
        return _REFERENCE_PREFIX + text.removeprefix(f"{Prefix.PURCHASE}_").upper()


class Product(NamedTuple):
    """What of a card product a sale needs."""

    merchant_no: int
    product_id: UUID
    kind: CardKind
    price_amount: Fen
    bonus_amount: Fen
    sessions: int | None
    gift_sessions: int | None
    term_days: int | None
    list_price_amount: Fen | None
    contract_version: int
    contract_sha256: bytes
    on_sale: bool
    ceiling_exempted_at: datetime | None = None

    @property
    def is_exempt(self) -> bool:
        """Whether the ceilings on what is prepaid do not bind it, as two persons decided."""
        return self.ceiling_exempted_at is not None


class Receipt(NamedTuple):
    """Money that the bank reported as received in custody."""

    merchant_no: int
    receipt_id: UUID
    status: ReceiptStatus
    suspense_reason: SuspenseReason | None
    bank: str
    bank_reference: str
    custody_account: str
    amount: Fen
    payment_reference: str
    payer_name: bytes
    payer_account_number: bytes
    payer_index: bytes
    purchase_id: UUID | None
    card_id: UUID | None
    refund_id: UUID | None
    paid_at: datetime
    received_at: datetime

    def says_the_same_as(self, other: "Receipt") -> bool:
        """Say whether two reports state the same facts; names and numbers by keyed index."""
        return (
            self.bank == other.bank
            and self.amount == other.amount
            and self.payment_reference == other.payment_reference
            and self.payer_index == other.payer_index
            and self.paid_at == other.paid_at
        )


class CoolingOff(NamedTuple):
    """The period in which a new card can be given back (DOMAIN §4)."""

    days: int
    ends_on: date | None
    """None where the calendar does not cover it: the period counts as open until it does."""


class CardIssue(NamedTuple):
    """What a new card needs beside its purchase; its id and salt are made by the caller."""

    card_id: UUID
    holder_salt: bytes
    cooling_off: CoolingOff


def purchase_of_reference(payment_reference: str) -> UUID:
    """Read a purchase's id from what a payer quoted; blanks and case do not matter.

    Raises:
        NotFound: It is no reference of ours.
    """
    text = "".join(payment_reference.split()).lower()
    return parse(
        Prefix.PURCHASE, f"{Prefix.PURCHASE}_{text.removeprefix(_REFERENCE_PREFIX.lower())}"
    )


def why_not_funded(
    receipt: Receipt, purchase: Purchase | None, *, selling: bool
) -> SuspenseReason | None:
    """Say why a receipt funds nothing; None where it funds the purchase (DOMAIN §6, Sell).

    Where several reasons hold, the first of them is given.
    """
    if purchase is None:
        return SuspenseReason.UNKNOWN_REFERENCE
    reasons = (
        (SuspenseReason.ALREADY_FUNDED, purchase.status == PurchaseStatus.FUNDED),
        (SuspenseReason.PURCHASE_CANCELLED, purchase.status == PurchaseStatus.CANCELLED),
        (SuspenseReason.CONTRACT_NOT_ACCEPTED, purchase.accepted_at is None),
        (SuspenseReason.PURCHASE_EXPIRED, receipt.paid_at > purchase.expires_at),
        (SuspenseReason.UNDERPAID, receipt.amount < purchase.amount),
        (SuspenseReason.OVERPAID, receipt.amount > purchase.amount),
        (SuspenseReason.MERCHANT_NOT_SELLING, not selling),
    )
    return next((reason for reason, holds in reasons if holds), None)


def new_card(
    purchase: Purchase, product: Product, issue: CardIssue, *, paid_at: datetime, at: datetime
) -> Card:
    """Make the card that a payment buys, its terms frozen as they are now."""
    card = _unsigned(purchase, product, issue, paid_at=paid_at, at=at)
    assert purchase.accepted_at is not None, "only an accepted purchase is funded"
    return card._replace(
        terms_hash=terms_hash(
            card, contract_sha256=purchase.contract_sha256, accepted_at=purchase.accepted_at
        )
    )


def _unsigned(
    purchase: Purchase, product: Product, issue: CardIssue, *, paid_at: datetime, at: datetime
) -> Card:
    """Make a card without the hash of its terms."""
    assert purchase.consumer is not None, "an accepted purchase has a holder"
    assert purchase.consumer_id is not None, "an accepted purchase has a holder"
    today = business_date(at)
    is_count = product.kind == CardKind.COUNT
    return Card(
        merchant_no=purchase.merchant_no,
        card_id=issue.card_id,
        consumer=purchase.consumer,
        consumer_id=purchase.consumer_id,
        product_id=product.product_id,
        purchase_id=purchase.purchase_id,
        kind=product.kind,
        status=CardStatus.ACTIVE,
        on_hold=False,
        paid_amount=purchase.amount,
        bonus_amount=product.bonus_amount,
        face_used_amount=Fen(0),
        face_held_amount=Fen(0),
        list_price_amount=product.list_price_amount,
        list_used_amount=Fen(0),
        list_price_missing=False,
        sessions_total=(product.sessions or 0) + (product.gift_sessions or 0) if is_count else None,
        sessions_used=0,
        sessions_held=0,
        term_days=product.term_days,
        activated_on=today,
        valid_until=_last_day(today, product.term_days),
        last_visit_day=0,
        frozen_days=0,
        released_amount=Fen(0),
        refunded_amount=Fen(0),
        adjusted_amount=Fen(0),
        recalled_amount=Fen(0),
        pending_count=0,
        code_day=None,
        code_day_amount=Fen(0),
        entry_count=0,
        cooling_off_days=issue.cooling_off.days,
        cooling_off_ends_on=issue.cooling_off.ends_on,
        holder_salt=issue.holder_salt,
        terms_hash=b"",
        paid_at=paid_at,
        created_at=at,
    )


def _last_day(first: date, term_days: int | None) -> date | None:
    return None if term_days is None else date.fromordinal(first.toordinal() + term_days - 1)
