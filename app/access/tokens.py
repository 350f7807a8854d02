"""Consumers' tokens: JWTs of configured issuers, and the sandbox's own issuer.

A token proves who the consumer is, and a confirmation rests on it. So the algorithm comes
from our configuration and must fit the key's type; the token only may agree with it.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Final, cast

import structlog
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import (
    JWSAlgModel,  # pyright: ignore[reportPrivateImportUsage]  # named in the method we override
    JWSRegistry,
    extract_compact,
)

from app.access.principals import ConsumerPrincipal, consumer_of
from app.errors import NotFound, Unauthenticated
from app.settings import SANDBOX_ISSUER, Issuer

TOKEN_LENGTH_MAX: Final = 8_192
SANDBOX_AUDIENCE: Final = "anxin"
SANDBOX_TOKEN_SECONDS: Final = 24 * 60 * 60

_SUBJECT_LENGTH_MAX: Final = 255
_TIME_MAX: Final = 253_402_300_799
"""The last second of the year 9999."""
_SKEW_SECONDS: Final = 5
_REMEMBERED_MAX: Final = 20_000
_RELOAD_EVERY_SECONDS: Final = 10.0
"""How often at most an issuer's file is read for a key id that it did not have."""
_KEYS_TRUSTED_SECONDS: Final = 30.0
_CHECK_TRUSTED_SECONDS: Final = 30.0
"""So long keys that were read, and a token that was checked, are believed without another look:
a key that its issuer drops is believed for their sum at most, not as long as its tokens last."""
_ISSUER_FILE: Final = "sandbox-issuer.json"

_log = structlog.stdlib.get_logger()

_Key = OKPKey | ECKey | RSAKey
_CURVE_OF_ALGORITHM: Final[Mapping[str, tuple[type[object], str | None]]] = {
    "EdDSA": (OKPKey, "Ed25519"),
    "ES256": (ECKey, "P-256"),
    "RS256": (RSAKey, None),
}


class _Registry(JWSRegistry):
    """joserfc's algorithms without its warning that RFC 9864 renames EdDSA.

    The contract and the issuers say EdDSA; that its curve is Ed25519 is checked with the key.
    """

    def get_alg(self, name: str) -> JWSAlgModel:
        if self.allowed is None or name not in self.allowed:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: ConsumerPrincipal
    not_before: float
    expires_at: float
    trusted_until: float
    """By the process's clock; then the token is checked anew."""


class _IssuerKeys:
    """The keys of one issuer; a file is read again when it is old, and for an unknown key id."""

    def __init__(self, issuer: Issuer, clock: Callable[[], float]) -> None:
        self.issuer = issuer
        self._clock = clock
        self._loaded_at = clock()
        self._keys = _load(issuer)

    def find(self, key_id: str | None, algorithm: str) -> _Key:
        """Find the key that a token names, if it fits the algorithm.

        Raises:
            Unauthenticated: The issuer has no such key.
        """
        age = self._clock() - self._loaded_at
        if age > _KEYS_TRUSTED_SECONDS:
            self._read_again()
        found = self._fitting(key_id, algorithm)
        if not found and _RELOAD_EVERY_SECONDS < age <= _KEYS_TRUSTED_SECONDS:
            self._read_again()
            found = self._fitting(key_id, algorithm)
        if len(found) != 1:
            raise Unauthenticated
        return found[0]

    def _read_again(self) -> None:
        """Read the issuer's file; what cannot be read now leaves the keys that were read last.

        An issuer that is just writing it must not lock all of its consumers out.
        """
        if self.issuer.jwks_file is None:
            return
        self._loaded_at = self._clock()
        try:
            self._keys = _load(self.issuer)
        except (OSError, JoseError, ValueError, TypeError) as error:
            _log.error(
                "issuer.unreadable", issuer=self.issuer.issuer, error=type(error).__qualname__
            )

    def _fitting(self, key_id: str | None, algorithm: str) -> list[_Key]:
        kind, curve = _CURVE_OF_ALGORITHM[algorithm]
        return [
            key
            for key in self._keys
            if type(key) is kind
            and (curve is None or key.as_dict(private=False).get("crv") == curve)
            and key.get("alg") in {None, algorithm}
            and key.get("use") in {None, "sig"}
            and key_id in {None, key.kid}
        ]


class TokenVerifier:
    """Checks tokens; one that was checked is remembered for a while."""

    def __init__(self, issuers: Sequence[Issuer], clock: Callable[[], float] = monotonic) -> None:
        """Trust these issuers and no others."""
        self._clock = clock
        self._issuers = {issuer.issuer: _IssuerKeys(issuer, clock) for issuer in issuers}
        self._verified: dict[str, _Verified] = {}

    def authenticate(self, token: str) -> ConsumerPrincipal:
        """Say whose token this is.

        Raises:
            Unauthenticated: It is not a valid token of a configured issuer for this service.
        """
        verified = self._verified.get(token)
        if verified is None or self._clock() >= verified.trusted_until:
            self._verified.pop(token, None)
            verified = self._verify(token)
            if len(self._verified) >= _REMEMBERED_MAX:
                self._verified.clear()
            self._verified[token] = verified
        now = time()
        if not verified.not_before - _SKEW_SECONDS <= now < verified.expires_at:
            self._verified.pop(token, None)
            raise Unauthenticated
        return verified.principal

    def _verify(self, token: str) -> _Verified:
        if len(token) > TOKEN_LENGTH_MAX:
            raise Unauthenticated
        try:
            unverified = extract_compact(token.encode())
            keys = self._issuer_named_in(unverified.payload)
            header = unverified.headers()
            algorithm = header.get("alg")
            if algorithm not in keys.issuer.algorithms:
                raise Unauthenticated
            key = keys.find(_text_or_none(header.get("kid")), algorithm)
            claims = jwt.decode(token, key, registry=_Registry(algorithms=[algorithm])).claims
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            # What a hostile token breaks in a parser is, for its sender, an invalid token.
            raise Unauthenticated from error
        return _checked(claims, keys.issuer, trusted_until=self._clock() + _CHECK_TRUSTED_SECONDS)

    @property
    def default_issuer(self) -> str:
        """Name the issuer whose subjects a POS names by `consumer_id` alone: the first trusted.

        Raises:
            NotFound: No issuer is trusted, so nobody can be named.
        """
        for name in self._issuers:
            return name
        raise NotFound

    def _issuer_named_in(self, payload: bytes) -> _IssuerKeys:
        """Choose by the unverified `iss` whose keys to try; the signature then proves it."""
        claims: object = json.loads(payload)
        name = cast("Mapping[str, object]", claims).get("iss") if isinstance(claims, dict) else None
        keys = self._issuers.get(name) if isinstance(name, str) else None
        if keys is None:
            raise Unauthenticated
        return keys


def _checked(claims: Mapping[str, object], issuer: Issuer, *, trusted_until: float) -> _Verified:
    audience, subject = claims.get("aud"), claims.get("sub")
    expires_at, not_before = claims.get("exp"), claims.get("nbf", 0)
    audiences = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    if (
        claims.get("iss") != issuer.issuer
        or issuer.audience not in audiences
        or not isinstance(subject, str)
        or not 1 <= len(subject) <= _SUBJECT_LENGTH_MAX
        or not subject.isprintable()
        or not _is_time(expires_at)
        or not _is_time(not_before)
    ):
        raise Unauthenticated
    return _Verified(
        ConsumerPrincipal(consumer_of(issuer.issuer, subject), subject, issuer.issuer),
        float(cast("float", not_before)),
        float(cast("float", expires_at)),
        trusted_until,
    )


def _is_time(value: object) -> bool:
    # NaN is in no range, and an integer of hundreds of digits is no float.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= cast("float", value) <= _TIME_MAX


def _text_or_none(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Unauthenticated


def _load(issuer: Issuer) -> list[_Key]:
    if issuer.jwks_file is not None:
        jwks: object = json.loads(issuer.jwks_file.read_text())
    else:
        jwks = issuer.jwks
    keys = KeySet.import_key_set(jwks).keys  # pyright: ignore[reportArgumentType]
    return [key for key in keys if isinstance(key, OKPKey | ECKey | RSAKey)]


class LocalIssuer:
    """The sandbox's issuer, whose key lies in the data folder. Production refuses it."""

    def __init__(self, key: OKPKey) -> None:
        """Sign with this key."""
        self._key = key

    @staticmethod
    def of(data: Path) -> "LocalIssuer":
        """Open the issuer of a data folder, and make its key the first time."""
        path = data / _ISSUER_FILE
        try:
            return LocalIssuer(OKPKey.import_key(json.loads(path.read_text())))
        except FileNotFoundError:
            key = OKPKey.generate_key("Ed25519", {"kid": "sandbox", "use": "sig"}, private=True)
        data.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(key.as_dict(private=True), file)
        try:
            # Under its name it is whole: several processes may start at once and look for it.
            path.hardlink_to(unfinished)
        except FileExistsError:
            # Another process was first: its key is the one.
            return LocalIssuer.of(data)
        finally:
            unfinished.unlink()
        return LocalIssuer(key)

    @property
    def issuer(self) -> Issuer:
        """The issuer as a token verifier trusts it."""
        jwks = {"keys": [self._key.as_dict(private=False)]}
        return Issuer(
            issuer=SANDBOX_ISSUER,
            audience=SANDBOX_AUDIENCE,
            algorithms=("EdDSA",),
            jwks=jwks,  # pyright: ignore[reportArgumentType]
        )

    def mint(self, consumer_id: str, *, seconds: int = SANDBOX_TOKEN_SECONDS) -> str:
        """Make a token for a consumer; it expires by real time, after a day."""
        now = int(time())
        claims: dict[str, object] = {
            "iss": SANDBOX_ISSUER,
            "aud": SANDBOX_AUDIENCE,
            "sub": consumer_id,
            "nbf": now,
            "iat": now,
            "exp": now + seconds,
        }
        header = {"alg": "EdDSA", "kid": "sandbox"}
        return jwt.encode(header, claims, self._key, registry=_Registry(algorithms=["EdDSA"]))
