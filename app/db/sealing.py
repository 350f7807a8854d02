"""Personal data at rest: sealed with AES-256-GCM, looked up by a keyed index.

A sealed value is a version byte, a random nonce and the ciphertext with its tag. Sealing the
same text twice gives different bytes, so equal values do not show; `index` gives equal bytes
for equal texts to those who hold the key, and nothing to others.
"""

import base64
import hmac
import os
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class SealBroken(Exception):
    """The bytes were sealed with another key, or were changed."""


class Sealer:
    """Seals and opens with keys derived from the one data key; keeps no other secret."""

    def __init__(self, data_key: bytes) -> None:
        if len(data_key) != KEY_BYTES:
            raise ValueError(f"The data key must have {KEY_BYTES} bytes.")
        # Two jobs, two keys: what the index gives away says nothing about the other.
        self._cipher = AESGCM(_derived(data_key, b"anxin seal"))
        self._index_key = _derived(data_key, b"anxin index")

    @staticmethod
    def from_base64(data_key: str) -> "Sealer":
        """Make a sealer from the key as settings write it.

        Raises:
            ValueError: It is not 32 bytes in base64.
        """
        return Sealer(base64.b64decode(data_key, validate=True))

    def seal(self, text: str) -> bytes:
        """Seal a text."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), _VERSION)

    def open(self, sealed: bytes) -> str:
        """Open what `seal` sealed.

        Raises:
            SealBroken: It was sealed with another key, or changed.
        """
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, sealed[:1]).decode()
        except (InvalidTag, ValueError):
            raise SealBroken from None

    def index(self, text: str) -> bytes:
        """Give the 32 bytes under which a sealed text can be found again."""
        return hmac.digest(self._index_key, text.encode(), sha256)


def _derived(data_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(data_key)
