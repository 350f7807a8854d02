"""The public keys that check files and checkpoints, old ones too."""

from datetime import datetime
from typing import NamedTuple

from app.db.engine import Database


class PublicKey(NamedTuple):
    """An Ed25519 public key of the service, in force since `created_at`."""

    key_id: str
    public_key: bytes
    created_at: datetime


async def list_keys(db: Database) -> list[PublicKey]:
    """Give every key that ever signed, newest first."""
    async with db.snapshot() as tx:
        return await tx.fetch(
            PublicKey,
            """
            SELECT key_id, public_key, created_at FROM signing_key
            ORDER BY created_at DESC, key_id
            """,
        )
