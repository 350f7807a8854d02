"""The keys of the merchants' tills."""

import base64
from hashlib import sha256

from app.access.domain import SECRET_PREFIX


def secret_of(merchant_no: int) -> str:
    """Give the key of a merchant's till. The cluster lives for one run on one machine."""
    digest = sha256(f"bench till {merchant_no}".encode()).digest()
    return SECRET_PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")
