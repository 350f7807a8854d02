"""What crosses the HTTP border for purchases and receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from app.api.schemas import (
    Amount,
    CardId,
    ConsumerId,
    Currency,
    Model,
    ProductId,
    PurchaseId,
    ReceiptId,
    StoreId,
    Time,
    text,
)
from app.ids import Prefix, to_text
from app.money import CURRENCY, Fen
from app.purchases.domain import PurchaseStatus, ReceiptStatus, SuspenseReason
from app.purchases.receiving import Payer, ReportedReceipt

if TYPE_CHECKING:
    from app.purchases.domain import Purchase, Receipt

ContractSha256 = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the contract's text, in hex.")
]
PaymentReference = Annotated[str, text(140), Field(examples=["AX01H455VB4PEX5VSKNK084SN02Q"])]
BankReference = Annotated[str, text(64), Field(examples=["20261122-000017"])]
AccountNumber = Annotated[str, text(64), Field(examples=["6222020200112233445"])]


class PurchaseCreate(Model):
    """A sale that the POS starts; without `consumer_id`, who accepts first is the holder."""

    product_id: ProductId
    store_id: StoreId
    consumer_id: ConsumerId | None = None


class OwnPurchaseCreate(Model):
    """A purchase by the consumer, who accepts this contract with it."""

    product_id: ProductId
    store_id: StoreId
    contract_sha256: ContractSha256


class PurchaseAccept(Model):
    """The contract that the consumer accepts."""

    contract_sha256: ContractSha256


class ContractShown(Model):
    """Which contract is sold."""

    version: int
    sha256: str


class PurchaseRead(Model):
    """A sale."""

    id: PurchaseId
    status: PurchaseStatus
    product_id: ProductId
    store_id: StoreId
    consumer_id: str | None
    amount: Amount
    currency: Currency
    payment_reference: str = Field(description="To be quoted by the payment, unchanged.")
    pay_url: str = Field(description="What the POS shows as a QR code.")
    contract: ContractShown
    accepted_at: Time | None
    expires_at: Time
    card_id: CardId | None
    created_at: Time

    @classmethod
    def from_domain(cls, purchase: Purchase, base_url: str) -> Self:
        """Show a purchase."""
        purchase_id = to_text(Prefix.PURCHASE, purchase.purchase_id)
        card = purchase.card_id
        return cls(
            id=purchase_id,
            status=PurchaseStatus(purchase.status),
            product_id=to_text(Prefix.PRODUCT, purchase.product_id),
            store_id=to_text(Prefix.STORE, purchase.store_id),
            consumer_id=purchase.consumer_id,
            amount=purchase.amount,
            currency=CURRENCY,
            payment_reference=purchase.payment_reference,
            pay_url=f"{base_url}/pay/{purchase_id}",
            contract=ContractShown(
                version=purchase.contract_version, sha256=purchase.contract_sha256.hex()
            ),
            accepted_at=purchase.accepted_at,
            expires_at=purchase.expires_at,
            card_id=None if card is None else to_text(Prefix.CARD, card),
            created_at=purchase.created_at,
        )


class PayerModel(Model):
    """Who paid; kept sealed, and never shown again in full."""

    name: Annotated[str, text(200)]
    account_number: AccountNumber


class ReceiptCreate(Model):
    """Money received in custody, as the bank reports it."""

    bank_reference: BankReference
    custody_account: AccountNumber
    amount: Amount
    payment_reference: Annotated[str, text(140, min_length=0)]
    paid_at: Time
    payer: PayerModel

    def to_domain(self, bank: str) -> ReportedReceipt:
        """Say it in the domain's terms."""
        return ReportedReceipt(
            bank,
            self.bank_reference,
            self.custody_account,
            Fen(self.amount),
            self.payment_reference,
            self.paid_at,
            Payer(self.payer.name, self.payer.account_number),
        )


class ReceiptRead(Model):
    """Money received: it funds a card, lies in suspense with a reason, or went back."""

    id: ReceiptId
    status: ReceiptStatus
    suspense_reason: SuspenseReason | None
    bank_reference: str
    custody_account: str
    amount: Amount
    currency: Currency
    payment_reference: str
    purchase_id: PurchaseId | None
    card_id: CardId | None
    paid_at: Time

    @classmethod
    def from_domain(cls, receipt: Receipt) -> Self:
        """Show a receipt, without its payer."""
        purchase, card = receipt.purchase_id, receipt.card_id
        return cls(
            id=to_text(Prefix.RECEIPT, receipt.receipt_id),
            status=ReceiptStatus(receipt.status),
            suspense_reason=receipt.suspense_reason,
            bank_reference=receipt.bank_reference,
            custody_account=receipt.custody_account,
            amount=receipt.amount,
            currency=CURRENCY,
            payment_reference=receipt.payment_reference,
            purchase_id=None if purchase is None else to_text(Prefix.PURCHASE, purchase),
            card_id=None if card is None else to_text(Prefix.CARD, card),
            paid_at=receipt.paid_at,
        )


class ReceiptMatch(Model):
    """Which purchase the money is for."""

    purchase_id: PurchaseId
