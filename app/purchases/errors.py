"""What a sale refuses."""

from uuid import UUID

from app.errors import StateRefusal
from app.ids import Prefix, to_text


class ProductNotOnSale(StateRefusal):
    """The product, its store or its merchant does not sell."""

    code = "product_not_on_sale"

    def __init__(self) -> None:
        super().__init__("This product is not on sale here; nothing was bought.")


class ContractChanged(StateRefusal):
    """The consumer accepted another text than the one on offer."""

    code = "contract_changed"

    def __init__(self, contract_sha256: bytes) -> None:
        super().__init__(
            "The contract is another than the one accepted; show it to the consumer again.",
            contract_sha256=contract_sha256.hex(),
        )


class PurchaseNotAwaitingPayment(StateRefusal):
    """The purchase is funded, expired or cancelled."""

    code = "purchase_not_awaiting_payment"

    def __init__(self, status: str) -> None:
        super().__init__(f"The purchase is {status}.", purchase_status=str(status))


class BankReferenceReused(StateRefusal):
    """The bank reported other facts under the same reference before."""

    code = "bank_reference_reused"

    def __init__(self, receipt_id: UUID) -> None:
        super().__init__(
            "A receipt with this bank_reference and other facts exists; nothing was booked.",
            receipt_id=to_text(Prefix.RECEIPT, receipt_id),
        )


class ReceiptNotInSuspense(StateRefusal):
    """The receipt funds a card already, or went back to its payer."""

    code = "receipt_not_in_suspense"

    def __init__(self, status: str) -> None:
        super().__init__(f"The receipt is {status}.", receipt_status=str(status))
