"""Who sells: the merchant, its stores, and the two bank accounts that its money moves between.

A merchant is there at once; nothing is paid out before its payee account counts.

    payee account   (propose) -> proposed --approve--> approved, counts from `effective_from`
                                     '-----reject----> rejected

The first approved account counts at once. A later one counts after a delay, so that someone
who got hold of two operators' credentials is seen before money goes to the new account.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.errors import FieldError, InvalidRequest

_MASKED_DIGITS: Final = 4


class Industry(StrEnum):
    """What a merchant does; decides which regulator sees it."""

    HAIRDRESSING = "hairdressing"
    BEAUTY = "beauty"
    FITNESS = "fitness"
    CATERING = "catering"
    TRAINING = "training"
    RETAIL = "retail"
    LAUNDRY = "laundry"
    CAR_SERVICE = "car_service"
    OTHER = "other"


class BookStatus(StrEnum):
    """What a merchant's book allows; only an `open` one sells."""

    OPEN = "open"
    NOTICE = "notice"
    FROZEN = "frozen"
    CLOSING = "closing"
    REFUNDING = "refunding"
    CLOSED = "closed"
    CLOSED_WITH_SHORTFALL = "closed_with_shortfall"


class StoreStatus(StrEnum):
    """A store that moved or closed gives its consumers a refund claim (DOMAIN §4)."""

    OPEN = "open"
    MOVED = "moved"
    CLOSED = "closed"


class PayeeStatus(StrEnum):
    """See the drawing above."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class PayeeBlock(StrEnum):
    """A bank's answer after which nothing more is sent to this account."""

    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_UNKNOWN = "account_unknown"
    NAME_MISMATCH = "name_mismatch"


@dataclass(frozen=True, slots=True)
class PayeeDetails:
    """Where a merchant wants its money; only ever sealed, masked or on its way to the bank."""

    holder_name: str
    account_number: str
    bank_code: str

    @property
    def account_number_mask(self) -> str:
        """Show the end of the number, as on a receipt."""
        return masked(self.account_number)


@dataclass(frozen=True, slots=True)
class Payee:
    """A merchant's payee account as it may be shown."""

    merchant_no: int
    payee_account_id: UUID
    holder_name: str
    account_number_mask: str
    bank_code: str
    status: PayeeStatus
    approval_id: UUID | None
    proposed_at: datetime
    effective_from: datetime | None
    blocked_at: datetime | None
    blocked_reason: PayeeBlock | None


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant; `payee` is the account that counts, or the first one proposed."""

    merchant_no: int
    merchant_id: UUID
    name: str
    licence_number: str
    industry: Industry
    district: str
    status: BookStatus
    payee: Payee | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Store:
    """A place where cards are sold and used."""

    merchant_no: int
    store_id: UUID
    name: str
    address: str | None
    status: StoreStatus
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CustodyAccount:
    """The special account at a bank that holds one merchant's prepaid money."""

    merchant_no: int
    bank: str
    account_number: str
    holder_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewMerchant:
    """What onboarding needs; the payee's holder must be the licensed name."""

    name: str
    licence_number: str
    industry: Industry
    district: str
    payee: PayeeDetails

    def __post_init__(self) -> None:
        """Check what concerns two fields at once.

        Raises:
            InvalidRequest: The payee account is somebody else's.
        """
        require_same_holder(self.name, self.payee.holder_name)


@dataclass(frozen=True, slots=True)
class MerchantChange:
    """What to change of a merchant; None leaves it as it is.

    A new name and a new payee account belong together, and wait for a second person together.
    """

    name: str | None = None
    industry: Industry | None = None
    district: str | None = None
    payee: PayeeDetails | None = None


@dataclass(frozen=True, slots=True)
class NewStore:
    """A store to open."""

    name: str
    address: str | None


@dataclass(frozen=True, slots=True)
class NewCustodyAccount:
    """A custody account that a bank opened for a merchant."""

    bank: str
    account_number: str
    holder_name: str


def require_same_holder(name: str, holder_name: str) -> None:
    """Go on only where the payee account is in the merchant's licensed name.

    Raises:
        InvalidRequest: It is in another name.
    """
    if holder_name != name:
        raise InvalidRequest(
            FieldError("/payee/holder_name", "Must be the licensed name of the merchant")
        )


def masked(account_number: str) -> str:
    """Show the last four digits of an account number: `****1234`."""
    return "****" + account_number[-_MASKED_DIGITS:]
