"""The service's public keys, from a file or from where it publishes them."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ValidationError

Keys = Mapping[str, Ed25519PublicKey]
"""Public keys by the name that signatures give them."""

_BYTES_MAX: Final = 1024 * 1024
_SECONDS_MAX: Final = 10.0
_KEY_ID_LENGTH: Final = 16


class KeysUnreadable(Exception):
    """There are no keys to check with."""


class _Jwk(BaseModel):
    kid: str
    x: str
    kty: str
    crv: str = ""


class _Jwks(BaseModel):
    keys: list[_Jwk]


def read_keys(source: str) -> Keys:
    """Read a JWKS from a path, or from an `http(s)://` address.

    Raises:
        KeysUnreadable: It cannot be had, is no JWKS, or names a key by another one's digest.
    """
    return keys_in(_content_of(source))


def keys_in(content: bytes) -> Keys:
    """Read the Ed25519 keys of a JWKS.

    Raises:
        KeysUnreadable: It is no JWKS, or names a key by another one's digest.
    """
    try:
        found = _Jwks.model_validate(json.loads(content)).keys
    except (ValueError, RecursionError) as error:
        shown = "it is no JWKS" if isinstance(error, ValidationError) else str(error)
        raise KeysUnreadable(f"The keys cannot be read: {shown}.") from error
    return {key.kid: _public_key(key) for key in found if (key.kty, key.crv) == ("OKP", "Ed25519")}


def is_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Say whether the key's owner signed these bytes."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _content_of(source: str) -> bytes:
    try:
        if source.startswith(("http://", "https://")):
            answer = httpx.get(source, timeout=_SECONDS_MAX).raise_for_status()
            return answer.content
        with Path(source).open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise KeysUnreadable(f"The keys cannot be read: {error}.") from error
    if len(content) > _BYTES_MAX:
        raise KeysUnreadable(f"The keys cannot be read: more than {_BYTES_MAX} bytes.")
    return content


def _public_key(key: _Jwk) -> Ed25519PublicKey:
    try:
        raw = urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4))
        public_key = Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise KeysUnreadable(f"The key {key.kid} cannot be read.") from error
    if sha256(raw).hexdigest()[:_KEY_ID_LENGTH] != key.kid:
        # A name is a digest of its key, so that no other key can be put under it.
        raise KeysUnreadable(f"The key named {key.kid} is another one.")
    return public_key
