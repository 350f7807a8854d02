"""What an API key is, and who may make one alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final, NamedTuple
from uuid import UUID

from app.access.principals import Role
from app.errors import FieldError, InvalidRequest

SECRET_PREFIX: Final = "ak_"  # noqa: S105  # the visible start of every key, not a secret
_SECRET_BYTES: Final = 32

_OF_PERSONS: Final = frozenset({Role.OPERATOR, Role.BANK, Role.REGULATOR})
"""Roles that can move or stop others' money, so that a key for them takes two persons."""


class Scope(StrEnum):
    """What a key may do of what its role may do; a key without scopes may do all of it."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """A key that somebody asks for, in its own terms."""

    role: Role
    person_id: str
    merchant_id: UUID | None = None
    store_ids: tuple[UUID, ...] | None = None
    bank: str | None = None
    industries: tuple[str, ...] | None = None
    districts: tuple[str, ...] | None = None
    issuer: str | None = None
    scopes: tuple[Scope, ...] | None = None
    expires_at: datetime | None = None
    sandbox: bool = False

    @property
    def needs_two_persons(self) -> bool:
        """Say whether DOMAIN §2 wants a second person for it."""
        return self.role in _OF_PERSONS

    def check(self) -> None:
        """Refuse a narrowing that its role does not have, or lacks.

        Raises:
            InvalidRequest: Fields contradict the role.
        """
        needed = {Role.MERCHANT: "merchant_id", Role.BANK: "bank", Role.WALLET: "issuer"}
        owners = {
            "merchant_id": Role.MERCHANT,
            "store_ids": Role.MERCHANT,
            "bank": Role.BANK,
            "industries": Role.REGULATOR,
            "districts": Role.REGULATOR,
            "issuer": Role.WALLET,
        }
        errors = [
            FieldError(f"/{name}", f"Only a key of role {owner} has this")
            for name, owner in owners.items()
            if owner is not self.role and getattr(self, name) is not None
        ]
        required = needed.get(self.role)
        if required is not None and getattr(self, required) is None:
            errors.append(FieldError(f"/{required}", f"A key of role {self.role} needs this"))
        if errors:
            raise InvalidRequest(*errors)


class ApiKey(NamedTuple):
    """A key as it is kept: of its secret there is only a digest."""

    key_id: UUID
    role: str
    person_id: str
    merchant_no: int | None
    merchant_id: UUID | None
    store_ids: Sequence[UUID] | None
    bank: str | None
    industries: Sequence[str] | None
    districts: Sequence[str] | None
    issuer: str | None
    scopes: Sequence[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    secret_hash: bytes


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key, with its secret the one time that it is shown (later None)."""

    key: ApiKey
    secret: str | None


def new_secret() -> str:
    """Make a secret of 256 random bits."""
    return SECRET_PREFIX + token_urlsafe(_SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """Digest a secret; it is random enough that a plain digest cannot be searched."""
    return sha256(secret.encode()).digest()
