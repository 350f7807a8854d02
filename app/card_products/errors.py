"""What a product is refused for."""

from collections.abc import Sequence

from app.errors import DomainError


class ProductTermsRefused(DomainError):
    """The terms take away what the law gives the consumer."""

    code = "product_terms_refused"

    def __init__(self, refused: Sequence[str]) -> None:
        super().__init__(
            "A card must be refundable and transferable, keep its balance when it expires, and "
            "keep its terms: these terms are refused: " + ", ".join(refused) + ".",
            refused=list(refused),
        )
