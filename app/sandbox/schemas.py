"""What the sandbox takes and gives."""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StringConstraints

from app.api.schemas import Amount, MerchantId, Model, ProductId, StoreId, Time
from app.merchants.domain import Industry
from app.merchants.schemas import Bank, District, LineName
from app.money import Fen
from app.purchases.schemas import AccountNumber, BankReference, PaymentReference
from app.sandbox.domain import BANK, DISTRICT, Sandbox
from app.sandbox.files import shown
from app.sandbox.paying import Payment
from app.sandbox.service import MerchantWish

_SECONDS_MAX: Final = 20 * 366 * 86_400
_CONSUMER_ID_LENGTH_MAX: Final = 255


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("Input should be printable")
    return value


# As narrow as what the verifier takes for a token's subject.
Subject = Annotated[
    str,
    StringConstraints(min_length=1, max_length=_CONSUMER_ID_LENGTH_MAX),
    AfterValidator(_printable),
    Field(examples=["consumer-2"]),
]


class TokenCreate(Model):
    """Be this consumer."""

    consumer_id: Subject


class TokenRead(Model):
    """A consumer's token, good for 24 hours of real time."""

    token: str


class ClockAdvance(Model):
    """Let domain time pass."""

    seconds: Annotated[int, Field(strict=True, ge=0, le=_SECONDS_MAX, examples=[86_400])]


class ClockRead(Model):
    """Domain time."""

    now: Time


class SandboxMerchantCreate(Model):
    """Make another merchant that can sell."""

    name: LineName | None = None
    industry: Industry | None = None
    district: District | None = None
    bank: Bank | None = None

    def to_domain(self) -> MerchantWish:
        """Say it in the service's own terms."""
        return MerchantWish(
            name=self.name or "沙盒商户",
            industry=self.industry or Industry.FITNESS,
            district=self.district or DISTRICT,
            bank=self.bank or BANK,
        )


class SandboxProducts(Model):
    """The products that every sandbox merchant sells."""

    stored_value: ProductId
    count: ProductId
    period: ProductId


class SandboxRead(Model):
    """All that one needs to try the service; the content of `sandbox.json`."""

    base_url: str
    operator_key: str
    operator2_key: str
    merchant_key: str
    bank_key: str
    regulator_key: str
    wallet_key: str
    bank: str
    merchant_id: MerchantId
    store_id: StoreId
    custody_account: str
    products: SandboxProducts
    consumer_id: str
    consumer_token: str

    @classmethod
    def from_domain(cls, sandbox: Sandbox) -> Self:
        """Show a sandbox."""
        return cls.model_validate(shown(sandbox))


class PaymentCreate(Model):
    """Pay as a consumer and a bank would; what is absent is chosen."""

    payment_reference: PaymentReference
    amount: Amount
    bank_reference: BankReference | None = None
    paid_at: Time | None = None
    custody_account: AccountNumber | None = None

    def to_domain(self) -> Payment:
        """Say it in the service's own terms."""
        return Payment(
            payment_reference=self.payment_reference,
            amount=Fen(self.amount),
            bank_reference=self.bank_reference,
            paid_at=self.paid_at,
            custody_account=self.custody_account,
        )
