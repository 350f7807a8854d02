"""The chart of accounts: what each account means and on which side it grows (DOMAIN §5)."""

from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID

from app.ids import uuid_of


class AccountType(StrEnum):
    """What an account holds; all but `CARD` exist once per merchant."""

    CUSTODY = "custody"
    BANK_CLAIM = "bank_claim"
    CARD = "card"
    MERCHANT_PAYABLE = "merchant_payable"
    RELEASE_DISPUTED = "release_disputed"
    RELEASE_IN_TRANSIT = "release_in_transit"
    REFUND_PAYABLE = "refund_payable"
    REFUND_IN_TRANSIT = "refund_in_transit"
    SUSPENSE = "suspense"
    CUSTODY_YIELD = "custody_yield"


ASSETS: Final = frozenset({AccountType.CUSTODY, AccountType.BANK_CLAIM})
"""Accounts that grow by debit; all others are liabilities and grow by credit."""

MERCHANT_ACCOUNT_TYPES: Final = tuple(kind for kind in AccountType if kind is not AccountType.CARD)
"""The accounts that every merchant has from its first day."""

# An account's number within its merchant is part of its id for good: only append to this.
_ORDINALS: Final = {kind: ordinal for ordinal, kind in enumerate(MERCHANT_ACCOUNT_TYPES, start=1)}
_ORDINAL_SHIFT: Final = 32


@lru_cache(maxsize=4096)  # each use is credited to its merchant's
def account_id(merchant_no: int, kind: AccountType) -> UUID:
    """Name a merchant's own account; it is computed, so that no lookup is needed.

    A card's account has the card's id.
    """
    return uuid_of((_ORDINALS[kind] << _ORDINAL_SHIFT | merchant_no).to_bytes(16, "big"))
