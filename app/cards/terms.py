"""A card's terms at sale, as they enter the hash chain."""

from datetime import datetime

from app.cards.domain import Card
from app.ledger import chain


def terms_hash(card: Card, *, contract_sha256: bytes, accepted_at: datetime) -> bytes:
    """Hash a card's terms at sale: what decides every later release and refund.

    The holder enters as a salted commitment (DOMAIN §7).
    """
    return chain.content_hash(
        (
            card.card_id,
            card.product_id,
            card.purchase_id,
            card.kind,
            card.paid_amount,
            card.bonus_amount,
            card.list_price_amount,
            card.sessions_total,
            card.term_days,
            card.activated_on,
            card.cooling_off_days,
            card.paid_at,
            contract_sha256,
            accepted_at,
            chain.commitment(card.holder_salt, card.consumer.hex),
        )
    )
