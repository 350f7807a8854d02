"""Merchants, stores and accounts as the contract shows them."""

from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints

from app import ids
from app.api.schemas import ApprovalId, MerchantId, Model, StoreId, Time
from app.ids import Prefix
from app.merchants.domain import (
    BookStatus,
    CustodyAccount,
    Industry,
    Merchant,
    MerchantChange,
    NewCustodyAccount,
    NewMerchant,
    NewStore,
    Payee,
    PayeeBlock,
    PayeeDetails,
    PayeeStatus,
    Store,
    StoreStatus,
)

_NAME_LENGTH_MAX: Final = 200
_CODE_LENGTH_MAX: Final = 64
_ADDRESS_LENGTH_MAX: Final = 500


def line(max_length: int, *, pattern: str = r"^[^\x00-\x1f\x7f]*$") -> StringConstraints:
    """Bound a text of one line: it goes into contracts and bank files, where a line break lies."""
    return StringConstraints(min_length=1, max_length=max_length, pattern=pattern)


LineName = Annotated[str, line(_NAME_LENGTH_MAX), Field(examples=["安心健身"])]
LicenceNumber = Annotated[str, line(_CODE_LENGTH_MAX), Field(examples=["91330106MA2KXXXX0X"])]
District = Annotated[
    str,
    line(_CODE_LENGTH_MAX),
    Field(
        description="Administrative division code (GB/T 2260); its start chooses the region's "
        "policies.",
        examples=["330106"],
    ),
]
AccountNumber = Annotated[
    str,
    line(_CODE_LENGTH_MAX, pattern=r"^[0-9A-Za-z][0-9A-Za-z -]*$"),
    Field(examples=["6222021234567890"]),
]
MaskedNumber = Annotated[str, Field(description="The last four digits.", examples=["****7890"])]
BankCode = Annotated[
    str,
    line(_CODE_LENGTH_MAX),
    Field(description="CNAPS code of the branch.", examples=["102331000012"]),
]
Bank = Annotated[str, line(_CODE_LENGTH_MAX), Field(examples=["HZCB"])]


class PayeeWrite(Model):
    """Where the merchant wants its money; the holder must be the licensed name."""

    holder_name: LineName
    account_number: AccountNumber
    bank_code: BankCode

    def to_domain(self) -> PayeeDetails:
        """Say it in the service's own terms."""
        return PayeeDetails(self.holder_name, self.account_number, self.bank_code)


class MerchantCreate(Model):
    """Take a merchant in."""

    name: LineName
    licence_number: LicenceNumber
    industry: Industry
    district: District
    payee: PayeeWrite

    def to_domain(self) -> NewMerchant:
        """Say it in the service's own terms."""
        return NewMerchant(
            self.name, self.licence_number, self.industry, self.district, self.payee.to_domain()
        )


class MerchantUpdate(Model):
    """Change a merchant; what is absent or null stays. With `payee` all of it is proposed."""

    name: LineName | None = None
    industry: Industry | None = None
    district: District | None = None
    payee: PayeeWrite | None = None

    def to_domain(self) -> MerchantChange:
        """Say it in the service's own terms."""
        payee = None if self.payee is None else self.payee.to_domain()
        return MerchantChange(self.name, self.industry, self.district, payee)


class PayeeRead(Model):
    """A payee account; it counts once it is approved and `effective_from` has come."""

    holder_name: str
    account_number: MaskedNumber
    bank_code: str
    status: PayeeStatus
    approval_id: ApprovalId | None
    proposed_at: Time
    effective_from: Time | None
    blocked_at: Time | None
    blocked_reason: PayeeBlock | None

    @classmethod
    def from_domain(cls, payee: Payee) -> Self:
        """Show a payee account."""
        approval_id = payee.approval_id
        return cls(
            holder_name=payee.holder_name,
            account_number=payee.account_number_mask,
            bank_code=payee.bank_code,
            status=payee.status,
            approval_id=None if approval_id is None else ids.to_text(Prefix.APPROVAL, approval_id),
            proposed_at=payee.proposed_at,
            effective_from=payee.effective_from,
            blocked_at=payee.blocked_at,
            blocked_reason=payee.blocked_reason,
        )


class MerchantRead(Model):
    """A merchant; `payee` is the account that counts, or the one that waits for approval."""

    id: MerchantId
    name: str
    licence_number: str
    industry: Industry
    district: str
    status: BookStatus
    payee: PayeeRead | None
    created_at: Time

    @classmethod
    def from_domain(cls, merchant: Merchant) -> Self:
        """Show a merchant."""
        payee = merchant.payee
        return cls(
            id=ids.to_text(Prefix.MERCHANT, merchant.merchant_id),
            name=merchant.name,
            licence_number=merchant.licence_number,
            industry=merchant.industry,
            district=merchant.district,
            status=merchant.status,
            payee=None if payee is None else PayeeRead.from_domain(payee),
            created_at=merchant.created_at,
        )


class StoreCreate(Model):
    """Open a store."""

    name: LineName
    address: Annotated[str, line(_ADDRESS_LENGTH_MAX)] | None = None

    def to_domain(self) -> NewStore:
        """Say it in the service's own terms."""
        return NewStore(self.name, self.address)


class StoreUpdate(Model):
    """Record what became of a store."""

    status: StoreStatus


class StoreRead(Model):
    """A store."""

    id: StoreId
    merchant_id: MerchantId
    name: str
    address: str | None
    status: StoreStatus
    created_at: Time

    @classmethod
    def from_domain(cls, store: Store, merchant_id: str) -> Self:
        """Show a store."""
        return cls(
            id=ids.to_text(Prefix.STORE, store.store_id),
            merchant_id=merchant_id,
            name=store.name,
            address=store.address,
            status=store.status,
            created_at=store.created_at,
        )


class CustodyAccountCreate(Model):
    """Record the account that a bank opened for a merchant's prepaid money."""

    bank: Bank
    account_number: AccountNumber
    holder_name: LineName

    def to_domain(self) -> NewCustodyAccount:
        """Say it in the service's own terms."""
        return NewCustodyAccount(self.bank, self.account_number, self.holder_name)


class CustodyAccountRead(Model):
    """A merchant's custody account."""

    merchant_id: MerchantId
    bank: str
    account_number: str
    holder_name: str
    created_at: Time

    @classmethod
    def from_domain(cls, account: CustodyAccount, merchant_id: str) -> Self:
        """Show a custody account; its number is the bank's, not a person's."""
        return cls(
            merchant_id=merchant_id,
            bank=account.bank,
            account_number=account.account_number,
            holder_name=account.holder_name,
            created_at=account.created_at,
        )
