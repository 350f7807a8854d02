"""Who is calling: one value per role, with what the credential narrows it to.

A principal's `tenant` is the scope of its idempotency keys. It is the same for every key of
one merchant, so that a key rotated between two tries does not turn a retry into a second use.
"""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final
from unicodedata import category, normalize
from uuid import UUID

from app.errors import Forbidden, NotFound
from app.ids import uuid_of

_INVISIBLE: Final = frozenset({"C", "Z"})
"""Unicode's first letters of what nobody sees: controls, formats, blanks."""


class Role(StrEnum):
    """The roles of DOMAIN §2."""

    OPERATOR = "operator"
    MERCHANT = "merchant"
    BANK = "bank"
    REGULATOR = "regulator"
    WALLET = "wallet"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True)
class OperatorPrincipal:
    """A person of the platform."""

    key_id: UUID
    person_id: str

    @property
    def tenant(self) -> str:
        """Say in which scope idempotency keys of this caller live."""
        return "operator"


@dataclass(frozen=True, slots=True)
class MerchantPrincipal:
    """The POS or back office of one merchant; `store_ids` is None for all of its stores."""

    key_id: UUID
    person_id: str
    merchant_no: int
    store_ids: frozenset[UUID] | None

    @property
    def tenant(self) -> str:
        """Say in which scope idempotency keys of this caller live."""
        return f"merchant:{self.merchant_no}"

    def may_use_store(self, store_id: UUID) -> bool:
        """Say whether the credential reaches this store of its merchant."""
        return self.store_ids is None or store_id in self.store_ids

    def require_store(self, store_id: UUID) -> None:
        """Go on only where the credential reaches this store.

        Raises:
            NotFound: The key is narrowed to other stores, for which this one does not exist.
        """
        if not self.may_use_store(store_id):
            raise NotFound

    def require_every_store(self) -> None:
        """Go on only where the credential reaches the whole merchant.

        Raises:
            Forbidden: The key is narrowed to stores, and this concerns all of them.
        """
        if self.store_ids is not None:
            raise Forbidden("This concerns every store; your key is for some of them.")


@dataclass(frozen=True, slots=True)
class BankPrincipal:
    """The settlement job of a custodian bank."""

    key_id: UUID
    person_id: str
    bank: str

    @property
    def tenant(self) -> str:
        """Say in which scope idempotency keys of this caller live."""
        return f"bank:{self.bank}"


@dataclass(frozen=True, slots=True)
class RegulatorPrincipal:
    """Market supervision or an industry department; None reaches every industry or district."""

    key_id: UUID
    person_id: str
    industries: frozenset[str] | None
    districts: frozenset[str] | None

    @property
    def tenant(self) -> str:
        """Say in which scope idempotency keys of this caller live."""
        return f"regulator:{self.person_id}"


@dataclass(frozen=True, slots=True)
class WalletPrincipal:
    """The backend of the app that issues consumers' tokens."""

    key_id: UUID
    person_id: str
    issuer: str

    @property
    def tenant(self) -> str:
        """Say in which scope idempotency keys of this caller live."""
        return f"wallet:{self.issuer}"


@dataclass(frozen=True, slots=True)
class ConsumerPrincipal:
    """A person, known by the issuer and subject of the wallet's token."""

    consumer: UUID
    consumer_id: str
    issuer: str

    @property
    def tenant(self) -> str:
        """Say in which scope idempotency keys of this caller live."""
        return f"consumer:{self.consumer}"


KeyPrincipal = (
    OperatorPrincipal | MerchantPrincipal | BankPrincipal | RegulatorPrincipal | WalletPrincipal
)
Principal = KeyPrincipal | ConsumerPrincipal


def is_same_person(one: str, other: str) -> bool:
    """Say whether two names of persons are read as one: by case, width, blanks they do not differ.

    Else who proposed could approve, with a key that was made out to `Li.Na` instead of `li.na`.
    """
    return _read(one) == _read(other)


def _read(person_id: str) -> str:
    plain = normalize("NFKC", person_id).casefold()
    return "".join(letter for letter in plain if category(letter)[0] not in _INVISIBLE)


def consumer_of(issuer: str, subject: str) -> UUID:
    """Give the one id under which a person's cards lie: a digest of issuer and subject."""
    return uuid_of(sha256(f"{issuer}\0{subject}".encode()).digest()[:16])
