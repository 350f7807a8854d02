"""Signatures over files and checkpoints, by the service's one Ed25519 key.

Public keys are kept for ever in `signing_key`, so that what an old key signed can be checked
after the key was changed.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from app.db.engine import Database
from app.settings import StartRefused

_KEY_ID_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """Signs with the key of a PEM file."""

    private_key: Ed25519PrivateKey

    @staticmethod
    def load(path: Path) -> "Ed25519Signer":
        """Read the key.

        Raises:
            StartRefused: The file is no Ed25519 private key in PEM without a password.
        """
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, TypeError, ValueError) as error:
            raise StartRefused(f"SIGNING_KEY_FILE {path} cannot be read as a PEM key.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise StartRefused(f"SIGNING_KEY_FILE {path} holds no Ed25519 key.")
        return Ed25519Signer(key)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that check its signatures."""
        return self.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def key_id(self) -> str:
        """Name the key by a digest of its public half, the same in every process."""
        return sha256(self.public_key).hexdigest()[:_KEY_ID_LENGTH]

    def sign(self, content: bytes) -> bytes:
        """Give the detached signature of the bytes."""
        return self.private_key.sign(content)

    async def publish(self, db: Database) -> None:
        """Keep the public key among those that are published; again changes nothing."""
        async with db.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO signing_key (key_id, public_key, created_at)
                VALUES (:key_id, :public_key, anxin_now()) ON CONFLICT (key_id) DO NOTHING
                """,
                key_id=self.key_id,
                public_key=self.public_key,
            )
