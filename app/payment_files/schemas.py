"""Files, orders, results and public keys as the contract shows them."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from app import ids
from app.api.schemas import (
    Amount,
    AmountOrZero,
    BusinessDate,
    Count,
    Currency,
    FileId,
    MerchantId,
    Model,
    OrderId,
    Time,
)
from app.errors import NotFound
from app.ids import Prefix
from app.money import CURRENCY, Fen
from app.payment_files.domain import (
    AppliedReport,
    FileKind,
    FileStatus,
    OrderStatus,
    Outcome,
    PaymentFile,
    PaymentOrder,
    Reason,
    ReportedResult,
    ReportedStatus,
    ResultOutcome,
)
from app.payment_files.errors import OrderNotInFile
from app.payment_files.keys import PublicKey
from app.payment_files.service import DetachedSignature, Figures

Sha256 = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="Of the CSV file's bytes, in hex.")
]


class CutCreate(Model):
    """Cut the files of one kind now."""

    kind: FileKind
    business_date: BusinessDate | None = Field(
        default=None,
        description="When banks execute it; at the earliest the next banking day after today, "
        "and rolled forward from a day off.",
    )


class FileRead(Model):
    """A payment file."""

    id: FileId
    kind: FileKind
    bank: str
    business_date: BusinessDate
    sequence: int
    status: FileStatus
    order_count: Count
    total_amount: Amount
    sha256: Sha256
    created_at: Time

    @classmethod
    def from_domain(cls, file: PaymentFile) -> Self:
        """Show a file."""
        return cls(
            id=ids.to_text(Prefix.FILE, file.file_id),
            kind=file.kind,
            bank=file.bank,
            business_date=file.business_date,
            sequence=file.sequence,
            status=file.status,
            order_count=file.order_count,
            total_amount=file.total_amount,
            sha256=file.sha256.hex(),
            created_at=file.created_at,
        )


class CutRead(Model):
    """The files that a cut made; none where nothing was payable."""

    data: list[FileRead]

    @classmethod
    def from_domain(cls, files: Sequence[PaymentFile]) -> Self:
        """Show files."""
        return cls(data=[FileRead.from_domain(file) for file in files])


class OrderRead(Model):
    """One payment of a file."""

    id: OrderId
    file_id: FileId
    merchant_id: MerchantId
    custody_account: str
    payee_name: str
    payee_account_number: str
    payee_bank_code: str | None
    amount: Amount
    currency: Currency
    remittance: str
    status: OrderStatus
    reason: Reason | None

    @classmethod
    def from_domain(cls, order: PaymentOrder) -> Self:
        """Show an order."""
        return cls(
            id=ids.to_text(Prefix.ORDER, order.order_id),
            file_id=ids.to_text(Prefix.FILE, order.file_id),
            merchant_id=ids.to_text(Prefix.MERCHANT, order.merchant_id),
            custody_account=order.custody_account,
            payee_name=order.payee_name,
            payee_account_number=order.payee_account_number,
            payee_bank_code=order.payee_bank_code,
            amount=order.amount,
            currency=CURRENCY,
            remittance=order.remittance,
            status=order.status,
            reason=order.reason,
        )


class SignatureRead(Model):
    """A detached signature over the CSV file's bytes."""

    algorithm: Literal["Ed25519"]
    key_id: str = Field(description="As in `/.well-known/anxin-keys.json`.")
    signature: str = Field(description="Base64.")

    @classmethod
    def from_domain(cls, signed: DetachedSignature) -> Self:
        """Show a signature."""
        signature = b64encode(signed.signature).decode()
        return cls(algorithm="Ed25519", key_id=signed.key_id, signature=signature)


class FileAcknowledge(Model):
    """What the bank received; figures that are given must be those of the file."""

    sha256: Sha256 | None = None
    order_count: Count | None = None
    total_amount: AmountOrZero | None = None

    def to_domain(self) -> Figures:
        """Say it in the service's own terms."""
        return Figures(
            sha256=None if self.sha256 is None else bytes.fromhex(self.sha256),
            order_count=self.order_count,
            total_amount=self.total_amount,
        )


class ResultCreate(Model):
    """What became of one order."""

    order_id: OrderId
    status: ReportedStatus
    reason: Reason | None = None
    amount: Amount | None = Field(
        default=None, description="Fen; another amount than the order's is a conflict."
    )

    def to_domain(self) -> ReportedResult:
        """Say it in the service's own terms.

        Raises:
            OrderNotInFile: It names no order at all.
        """
        try:
            order_id = ids.parse(Prefix.ORDER, self.order_id)
        except NotFound:
            raise OrderNotInFile(self.order_id) from None
        amount = None if self.amount is None else Fen(self.amount)
        return ReportedResult(order_id, self.status, self.reason, amount)


class ResultsCreate(Model):
    """A report on a file's orders, or on a part of them."""

    results: Annotated[list[ResultCreate], Field(min_length=1)]

    def to_domain(self) -> list[ReportedResult]:
        """Say it in the service's own terms.

        Raises:
            OrderNotInFile: A line names no order at all.
        """
        return [result.to_domain() for result in self.results]


class ResultRead(Model):
    """What a line of a report did."""

    order_id: OrderId
    status: ReportedStatus
    outcome: Outcome

    @classmethod
    def from_domain(cls, result: ResultOutcome) -> Self:
        """Show an outcome."""
        order_id = ids.to_text(Prefix.ORDER, result.order_id)
        return cls(order_id=order_id, status=result.status, outcome=result.outcome)


class ResultsRead(Model):
    """The file after a report, and what each line did, in the report's order."""

    file: FileRead
    results: list[ResultRead]

    @classmethod
    def from_domain(cls, report: AppliedReport) -> Self:
        """Show an applied report."""
        return cls(
            file=FileRead.from_domain(report.file),
            results=[ResultRead.from_domain(result) for result in report.results],
        )


class JwkRead(Model):
    """An Ed25519 public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    use: Literal["sig"]
    alg: Literal["EdDSA"]
    kid: str
    x: str

    @classmethod
    def from_domain(cls, key: PublicKey) -> Self:
        """Show a key."""
        x = urlsafe_b64encode(key.public_key).rstrip(b"=").decode()
        return cls(kty="OKP", crv="Ed25519", use="sig", alg="EdDSA", kid=key.key_id, x=x)


class JwksRead(Model):
    """The keys that check this service's signatures, newest first, old ones too."""

    keys: list[JwkRead]
