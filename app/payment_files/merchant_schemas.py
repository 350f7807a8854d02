"""A merchant's balance and settlements as the contract shows them."""

from typing import Annotated, Literal, Self

from pydantic import Field

from app import ids
from app.api.schemas import (
    Amount,
    AmountOrZero,
    BusinessDate,
    ChargeId,
    Count,
    Currency,
    FileId,
    Model,
    OrderId,
    Time,
)
from app.holds.domain import Hold, HoldTarget
from app.ids import Prefix
from app.ledger.chart import AccountType
from app.money import CURRENCY
from app.payment_files.domain import (
    OrderStatus,
    Reason,
    Standing,
)
from app.payment_files.settlements import Balances, Item, Settlement

SignedAmount = Annotated[int, Field(description="Fen; below 0 where bank facts contradict.")]


class MerchantHoldRead(Model):
    """What holds a merchant's payable or custody account, and why."""

    target: HoldTarget
    amount: Amount | None = Field(description="Fen; null holds all.")
    document_number: str
    reason: str
    expires_at: Time | None = Field(description="Null stands until it is lifted.")

    @classmethod
    def from_domain(cls, hold: Hold) -> Self:
        """Show a hold to the merchant."""
        return cls(
            target=HoldTarget(hold.target),
            amount=hold.amount,
            document_number=hold.document_number,
            reason=hold.reason,
            expires_at=hold.expires_at,
        )


class BalanceRead(Model):
    """Where a merchant's money is."""

    custody_amount: SignedAmount
    card_amount: AmountOrZero
    payable_amount: AmountOrZero
    disputed_amount: AmountOrZero
    release_in_transit_amount: AmountOrZero
    refund_payable_amount: AmountOrZero
    refund_in_transit_amount: AmountOrZero
    suspense_amount: AmountOrZero
    custody_yield_amount: AmountOrZero
    bank_claim_amount: AmountOrZero
    pending_reversal_amount: AmountOrZero
    held_amount: AmountOrZero = Field(description="Of what is payable.")
    held_custody_amount: AmountOrZero = Field(description="Of what custody could still cover.")
    holds: list[MerchantHoldRead] = Field(description="What holds it, oldest first.")
    currency: Currency
    as_of: Time

    @classmethod
    def from_domain(cls, balances: Balances) -> Self:
        """Show a merchant's balances."""
        amounts = balances.amounts
        return cls(
            custody_amount=amounts[AccountType.CUSTODY],
            card_amount=amounts[AccountType.CARD],
            payable_amount=amounts[AccountType.MERCHANT_PAYABLE],
            disputed_amount=amounts[AccountType.RELEASE_DISPUTED],
            release_in_transit_amount=amounts[AccountType.RELEASE_IN_TRANSIT],
            refund_payable_amount=amounts[AccountType.REFUND_PAYABLE],
            refund_in_transit_amount=amounts[AccountType.REFUND_IN_TRANSIT],
            suspense_amount=amounts[AccountType.SUSPENSE],
            custody_yield_amount=amounts[AccountType.CUSTODY_YIELD],
            bank_claim_amount=amounts[AccountType.BANK_CLAIM],
            pending_reversal_amount=balances.waiting_reversal_amount,
            held_amount=balances.held.of_payable(amounts[AccountType.MERCHANT_PAYABLE]),
            held_custody_amount=balances.held.of_custody(balances.coverable_amount),
            holds=[MerchantHoldRead.from_domain(hold) for hold in balances.holds],
            currency=CURRENCY,
            as_of=balances.as_of,
        )


class SettlementItemRead(Model):
    """One thing that a settlement pays, or takes off."""

    seq: int = Field(description="Its place in the merchant's book.")
    kind: str = Field(examples=["use_confirmed"])
    charge_id: ChargeId | None
    order_id: OrderId | None
    direction: Literal["credit", "debit"]
    amount: Amount
    at: Time

    @classmethod
    def from_domain(cls, item: Item) -> Self:
        """Show an item."""
        of_charge = item.kind.startswith(("use_", "dispute_"))
        of_order = item.kind.startswith("release_")
        return cls(
            seq=item.seq,
            kind=item.kind,
            charge_id=ids.to_text(Prefix.CHARGE, item.subject_id) if of_charge else None,
            order_id=ids.to_text(Prefix.ORDER, item.subject_id) if of_order else None,
            direction="credit" if item.is_credit else "debit",
            amount=item.amount,
            at=item.at,
        )


class DeductionsRead(Model):
    """What bounded a settlement when it was cut."""

    payable_amount: AmountOrZero
    waiting_reversal_amount: AmountOrZero
    held_amount: AmountOrZero
    bank_claim_amount: AmountOrZero
    custody_amount: SignedAmount
    in_transit_amount: AmountOrZero
    held_custody_amount: AmountOrZero

    @classmethod
    def from_domain(cls, standing: Standing) -> Self:
        """Show what bounded a settlement."""
        return cls.model_validate(standing.deductions())


class SettlementRead(Model):
    """One payment to the merchant, and what it is for."""

    id: OrderId
    file_id: FileId
    business_date: BusinessDate
    amount: Amount
    currency: Currency
    remittance: str
    status: OrderStatus
    reason: Reason | None
    deductions: DeductionsRead
    item_count: Count
    items: list[SettlementItemRead] = Field(
        description="Since the settlement before, oldest first; of many the first 200."
    )
    created_at: Time

    @classmethod
    def from_domain(cls, settlement: Settlement) -> Self:
        """Show a settlement."""
        return cls(
            id=ids.to_text(Prefix.ORDER, settlement.order_id),
            file_id=ids.to_text(Prefix.FILE, settlement.file_id),
            business_date=settlement.business_date,
            amount=settlement.amount,
            currency=CURRENCY,
            remittance=settlement.remittance,
            status=settlement.status,
            reason=settlement.reason,
            deductions=DeductionsRead.from_domain(settlement.standing),
            item_count=settlement.item_count,
            items=[SettlementItemRead.from_domain(item) for item in settlement.items],
            created_at=settlement.created_at,
        )
