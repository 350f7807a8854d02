"""API keys at the door: from a secret to a principal, mostly without the database.

A key once read is remembered. What may not be remembered for long is that it still counts:
every fraction of a second the ring reads which keys were revoked lately, and it believes its
memory only while such a reading is younger than a second. So a revocation counts within a
second in every process, and thousands of keys cost no query each.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Final

import structlog

from app.access import queries
from app.access.domain import ApiKey, Scope, secret_hash
from app.access.limits import FailureLimit
from app.access.principals import (
    BankPrincipal,
    KeyPrincipal,
    MerchantPrincipal,
    OperatorPrincipal,
    RegulatorPrincipal,
    Role,
    WalletPrincipal,
)
from app.db.engine import Database
from app.db.gathering import Gathered
from app.errors import DatabaseUnavailable, Forbidden, Unauthenticated

_log = structlog.stdlib.get_logger()

_READING_EVERY_SECONDS: Final = 0.3
_BELIEVED_SECONDS: Final = 0.8
"""With the reading's own duration this stays below the second that the contract promises."""

_REVOKED_WITHIN_SECONDS: Final = 600
"""How far back a reading looks: far longer than any transaction that revokes may take."""

_GAP_SECONDS: Final = 300
"""After so long without a reading, a reading could have missed some: all is forgotten."""

_REMEMBERED_MAX: Final = 100_000
_SECRET_LENGTH_MAX: Final = 100
_FAILURES_PER_MINUTE: Final = 300


@dataclass(frozen=True, slots=True)
class _Known:
    principal: KeyPrincipal
    may_write: bool
    may_read: bool
    expires_at: float | None
    read_at: float


class KeyRing:
    """The keys that this process has seen."""

    def __init__(
        self,
        db: Database,
        *,
        failures_per_minute: int = _FAILURES_PER_MINUTE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Begin with an empty memory; `clock` is monotonic seconds."""
        self._db = db
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._hashes: dict[bytes, str] = {}
        self._read_at = float("-inf")
        self._kept = Gathered(self._read_kept)
        self.failures = FailureLimit(failures_per_minute, clock)

    async def authenticate(self, secret: str, *, writes: bool, caller: str = "") -> KeyPrincipal:
        """Say whose key this is.

        Args:
            secret: The whole key, `ak_…`.
            writes: Whether the call changes anything; a key may be for reading only.
            caller: Where the call comes from; failures are limited per caller.

        Raises:
            DatabaseUnavailable: The key is not remembered and cannot be read.
            Forbidden: The key's scopes do not have this call.
            RateLimited: Too many failures from this caller.
            Unauthenticated: No such key, or it is expired or revoked.
        """
        known = self._known.get(secret)
        now = self._clock()
        if known is None or now - max(self._read_at, known.read_at) > _BELIEVED_SECONDS:
            known = await self._look_up(secret, caller, known_before=known is not None)
        # Expiry is real time, whatever the sandbox's clock says.
        if known.expires_at is not None and known.expires_at <= time():
            raise Unauthenticated
        if not (known.may_write if writes else known.may_read):
            raise Forbidden("This key's scopes do not have this call.")
        return known.principal

    async def watch(self) -> None:
        """Read revocations for as long as the process lives."""
        while True:
            try:
                await self.read_revocations()
            except DatabaseUnavailable:
                # The memory grows old by itself; each call then looks for its key.
                _log.warning("revocations.unread")
            await asyncio.sleep(_READING_EVERY_SECONDS)

    async def read_revocations(self) -> None:
        """Forget the keys that were revoked lately."""
        started_at = self._clock()
        async with self._db.at_once() as tx:
            revoked = await queries.recently_revoked(tx, within_seconds=_REVOKED_WITHIN_SECONDS)
        if started_at - self._read_at > _GAP_SECONDS:
            self._forget_all()
        for row in revoked:
            secret = self._hashes.pop(bytes(row.secret_hash), None)
            if secret is not None:
                self._known.pop(secret, None)
        # What was committed after this reading began may be missing from it.
        self._read_at = started_at

    async def _look_up(self, secret: str, caller: str, *, known_before: bool) -> _Known:
        if not known_before:
            # A key that was good a moment ago is not a guess, even behind a guesser's address.
            self.failures.check(caller)
        read_at = self._clock()
        key = await self._find(secret)
        if key is None or key.revoked_at is not None:
            self._known.pop(secret, None)
            self.failures.count(caller)
            raise Unauthenticated
        known = _remember(key, read_at)
        if len(self._known) >= _REMEMBERED_MAX:
            self._forget_all()
        self._known[secret] = known
        self._hashes[secret_hash(secret)] = secret
        return known

    def _forget_all(self) -> None:
        self._known.clear()
        self._hashes.clear()

    async def _find(self, secret: str) -> ApiKey | None:
        if len(secret) > _SECRET_LENGTH_MAX:
            return None
        return await self._kept.find(secret_hash(secret))

    async def _read_kept(self, hashes: Collection[bytes]) -> Mapping[bytes, ApiKey]:
        async with self._db.at_once() as tx:
            return await queries.find_keys_by_secret(tx, hashes)


def _remember(key: ApiKey, read_at: float) -> _Known:
    return _Known(
        principal=principal_of(key),
        may_write=key.scopes is None or Scope.WRITE in key.scopes,
        may_read=key.scopes is None or Scope.READ in key.scopes,
        expires_at=None if key.expires_at is None else key.expires_at.timestamp(),
        read_at=read_at,
    )


def principal_of(key: ApiKey) -> KeyPrincipal:
    """Say what a key stands for."""
    match Role(key.role):
        case Role.OPERATOR:
            return OperatorPrincipal(key.key_id, key.person_id)
        case Role.MERCHANT:
            assert key.merchant_no is not None
            stores = None if key.store_ids is None else frozenset(key.store_ids)
            return MerchantPrincipal(key.key_id, key.person_id, key.merchant_no, stores)
        case Role.BANK:
            assert key.bank is not None
            return BankPrincipal(key.key_id, key.person_id, key.bank)
        case Role.REGULATOR:
            return RegulatorPrincipal(
                key.key_id, key.person_id, _set(key.industries), _set(key.districts)
            )
        case Role.WALLET:
            assert key.issuer is not None
            return WalletPrincipal(key.key_id, key.person_id, key.issuer)
        case Role.CONSUMER:
            raise AssertionError("A consumer has no key.")


def _set(values: Sequence[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
