"""The one-time code that a consumer shows at the till: the proof that they were there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from app.cards import queries as card_queries
from app.cards.errors import CardOnHold
from app.charges import queries
from app.charges.service import code_hash
from app.charges.tables import ConsumerCode
from app.dates import business_date
from app.errors import NotFound
from app.ids import merchant_no_of
from app.money import Fen
from app.qr import qr_svg

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.access.principals import ConsumerPrincipal
    from app.db.engine import Database, Transaction

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is read as a digit, and dense in a QR code."""
_LENGTH: Final = 16
"""80 random bits: more than the 64 that DOMAIN §6 asks for."""


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """For what a consumer wants a code: any use at a merchant, or narrower."""

    merchant_no: int
    card_id: UUID | None
    product_id: UUID | None
    store_id: UUID | None
    max_amount: Fen | None


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code, shown once to its consumer."""

    code: str
    expires_at: datetime
    qr_svg: str


async def issue_code(
    db: Database, consumer: ConsumerPrincipal, wanted: CodeRequest, *, lifetime_seconds: int
) -> IssuedCode:
    """Make a code for one use; every call makes another, and unused ones simply expire.

    Raises:
        CardInRefund, CardNotActive, CardOnHold: The card named cannot be used.
        NotFound: No such merchant, store, product, or card of this consumer.
    """
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    async with db.at_once() as tx:
        now = await _check(tx, consumer, wanted)
        expires_at = now + timedelta(seconds=lifetime_seconds)
        kept = ConsumerCode(
            wanted.merchant_no,
            code_hash(code),
            consumer.consumer,
            wanted.card_id,
            wanted.product_id,
            wanted.store_id,
            wanted.max_amount,
            now,
            expires_at,
        )
        await queries.keep_code(tx, kept)
    return IssuedCode(code, expires_at, qr_svg(code))


async def _check(tx: Transaction, consumer: ConsumerPrincipal, wanted: CodeRequest) -> datetime:
    """Look whether there is what the code is wanted for; give the time."""
    now = await queries.time_where_there_is(
        tx, wanted.merchant_no, store_id=wanted.store_id, product_id=wanted.product_id
    )
    if now is None:
        raise NotFound
    if wanted.card_id is not None:
        card = await card_queries.find_card(tx, merchant_no_of(wanted.card_id), wanted.card_id)
        if card is None or card.consumer != consumer.consumer:
            raise NotFound
        if card.on_hold:
            raise CardOnHold(
                card.card_id, (await card_queries.holds_on(tx, [card])).get(card.card_id, ())
            )
        card.check_usable(business_date(now))
    return now
