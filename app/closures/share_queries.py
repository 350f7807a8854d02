"""Rows of claims and of what each gets where custody does not cover all."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from app.cards.domain import Card
from app.closures.domain import REFUNDABLE, Closure
from app.closures.queries import LEFT
from app.closures.sharing import Claim
from app.db.engine import Transaction
from app.db.rows import columns_of
from app.ids import new_id
from app.money import Fen
from app.refunds.rows import CardRefund

_UNCUT: Final = "('decided', 'account_needed')"
_CARD_COLUMNS: Final = ", ".join(f"card.{column.name}" for column in columns_of(Card))
_REFUND_COLUMNS: Final = ", ".join(
    f"CAST(refund.{column.name} AS text) AS {column.name}"
    if column.json
    else f"refund.{column.name}"
    for column in columns_of(CardRefund)
)
_OF_REFUNDS: Final = f"""
    SELECT card_id, sum(amount) FILTER (WHERE status IN {_UNCUT}) AS uncut,
           sum(amount + unpaid_amount) AS came_to,
           bool_or(settled_at IS NULL) FILTER (WHERE supplements IS NULL) AS is_open
    FROM refund WHERE merchant_no = :no AND card_id IS NOT NULL AND decided_at IS NOT NULL
    GROUP BY card_id
"""  # noqa: S608  # our own names
# What refunds leave is the merchant's, once the first is paid: no claim. It is not what was stored
# with them: a use taken back since may change the rest without a supplement.
_REST: Final = (
    "CASE WHEN decided.is_open THEN greatest(0, card.paid_amount - card.released_amount"
    " - card.recalled_amount - decided.came_to) ELSE 0 END"
)
_OF_CARDS: Final = f"""
    SELECT card.card_id AS claim_id,
           CAST(card.refunded_amount + {LEFT} - least({LEFT}, {_REST}) AS bigint) AS amount,
           CAST(card.refunded_amount - coalesce(decided.uncut, 0) AS bigint) AS paid_amount
    FROM card LEFT JOIN ({_OF_REFUNDS}) AS decided USING (card_id)
    WHERE card.merchant_no = :no AND (
        (card.status = ANY(CAST(:statuses AS text[])) AND {LEFT} > 0)
        OR (card.status IN ('refunding', 'refunded') AND (
            decided.uncut > 0 OR {LEFT} > least({LEFT}, {_REST}))))
"""  # noqa: S608  # our own names


class Share(NamedTuple):
    """What a claim gets where custody does not cover all."""

    merchant_no: int
    claim_id: UUID
    closure_id: UUID
    claim_amount: Fen
    amount: Fen


class Receipt(NamedTuple):
    """Money without a card, with what its share is, and its refund where it has one."""

    receipt_id: UUID
    amount: Fen
    payer_name: bytes
    payer_account_number: bytes
    refund_id: UUID | None
    refund_status: str | None
    refund_amount: Fen | None
    share: Fen


async def claims_of(tx: Transaction, merchant_no: int) -> Sequence[Claim]:
    """Read all claims of a merchant whose book is locked: cards, refunds, suspense.

    A card's claim is what is left on it and what was refunded of it; of that, what a bank has
    got already is paid. Only cards with something to be paid yet are claims.
    """
    cards = await tx.fetch(Claim, _OF_CARDS, no=merchant_no, statuses=list(REFUNDABLE))
    receipts = await tx.fetch(
        Claim,
        f"""
        SELECT receipt.receipt_id AS claim_id, receipt.amount,
               CASE WHEN refund.status NOT IN {_UNCUT} THEN refund.amount ELSE 0 END
                   AS paid_amount
        FROM receipt LEFT JOIN refund
            ON refund.merchant_no = receipt.merchant_no AND refund.refund_id = receipt.refund_id
        WHERE receipt.merchant_no = :no AND (
            receipt.status = 'suspense'
            OR refund.status IN {_UNCUT} OR refund.unpaid_amount > 0)
        """,  # noqa: S608  # our own names
        no=merchant_no,
    )
    return [*cards, *(row._replace(paid_amount=row.paid_amount or Fen(0)) for row in receipts)]


async def claims_have_changed(tx: Transaction, merchant_no: int) -> bool:
    """Say whether a card is owed, or was refunded, something else than custody was shared out for.

    A use was taken back since, or a claim was upheld and refunded whole.
    """
    found = await tx.value(
        f"""
        SELECT EXISTS (
            SELECT FROM ({_OF_CARDS}) AS claim
            JOIN card ON card.merchant_no = :no AND card.card_id = claim.claim_id
            LEFT JOIN closure_share AS share
                ON share.merchant_no = :no AND share.claim_id = claim.claim_id
            WHERE claim.amount > 0 AND (share.claim_amount IS DISTINCT FROM claim.amount
                OR card.refunded_amount > share.amount))
        """,  # noqa: S608  # our own names
        no=merchant_no,
        statuses=list(REFUNDABLE),
    )
    return bool(found)


async def keep_shares(tx: Transaction, closure: Closure, shares: Sequence[Share]) -> None:
    """Keep what each claim gets, instead of what was kept before."""
    await tx.execute("DELETE FROM closure_share WHERE merchant_no = :no", no=closure.merchant_no)
    await tx.insert("closure_share", Share, shares)


async def shares_of(
    tx: Transaction, merchant_no: int, claims: Sequence[UUID]
) -> Mapping[UUID, Fen]:
    """Give the shares of claims; nothing for those that have none."""
    rows = await tx.fetch(
        Share,
        """
        SELECT merchant_no, claim_id, closure_id, claim_amount, amount FROM closure_share
        WHERE merchant_no = :no AND claim_id = ANY(CAST(:ids AS uuid[]))
        """,
        no=merchant_no,
        ids=list(claims),
    )
    return {row.claim_id: row.amount for row in rows}


async def cards_off_their_share(
    tx: Transaction, merchant_no: int, *, after: UUID | None, limit: int
) -> Sequence[Card]:
    """Give the next refunded cards that were refunded more or less than their share."""
    return await tx.fetch(
        Card,
        f"""
        SELECT {_CARD_COLUMNS} FROM card
        JOIN closure_share AS share
            ON share.merchant_no = card.merchant_no AND share.claim_id = card.card_id
        WHERE card.merchant_no = :no AND card.status IN ('refunding', 'refunded')
            AND share.amount <> card.refunded_amount
            AND (CAST(:after AS uuid) IS NULL OR card.card_id > CAST(:after AS uuid))
        ORDER BY card.card_id LIMIT :limit
        """,  # noqa: S608  # our own names
        no=merchant_no,
        after=after,
        limit=limit,
    )


async def decided_refunds(
    tx: Transaction, merchant_no: int, cards: Sequence[UUID]
) -> Mapping[UUID, list[CardRefund]]:
    """Give the decided refunds of cards, each card's first one first."""
    rows = await tx.fetch(
        CardRefund,
        f"""
        SELECT {_REFUND_COLUMNS} FROM refund
        WHERE merchant_no = :no AND card_id = ANY(CAST(:ids AS uuid[])) AND decided_at IS NOT NULL
        ORDER BY supplements IS NOT NULL, decided_at, refund_id
        """,  # noqa: S608  # our own names
        no=merchant_no,
        ids=list(cards),
    )
    found: dict[UUID, list[CardRefund]] = {}
    for row in rows:
        found.setdefault(row.card_id, []).append(row)
    return found


async def receipts_off_their_share(tx: Transaction, merchant_no: int) -> Sequence[Receipt]:
    """Give the money without a card that is not refunded at its share, and can be."""
    return await tx.fetch(
        Receipt,
        f"""
        SELECT receipt.receipt_id, receipt.amount, receipt.payer_name,
               receipt.payer_account_number, refund.refund_id, refund.status AS refund_status,
               refund.amount AS refund_amount, share.amount AS share
        FROM receipt
        JOIN closure_share AS share
            ON share.merchant_no = receipt.merchant_no AND share.claim_id = receipt.receipt_id
        LEFT JOIN refund
            ON refund.merchant_no = receipt.merchant_no AND refund.refund_id = receipt.refund_id
        WHERE receipt.merchant_no = :no AND share.amount <> coalesce(refund.amount, 0)
            AND (refund.status IS NULL OR refund.status IN {_UNCUT})
        ORDER BY receipt.receipt_id
        """,  # noqa: S608  # our own names
        no=merchant_no,
    )


async def return_receipt(
    tx: Transaction, merchant_no: int, receipt_id: UUID, refund_id: UUID
) -> None:
    """Let a receipt be on its way back to its payer."""
    await tx.execute(
        """
        UPDATE receipt SET status = 'returned', refund_id = :refund_id
        WHERE merchant_no = :no AND receipt_id = :id
        """,
        no=merchant_no,
        id=receipt_id,
        refund_id=refund_id,
    )


async def resize_refund(
    tx: Transaction, merchant_no: int, refund_id: UUID, *, amount: int, unpaid: int
) -> None:
    """Let a refund of a receipt pay its share; of 0 nothing is paid, and it is over."""
    await tx.execute(
        """
        UPDATE refund SET amount = :amount, unpaid_amount = :unpaid,
            status = CASE WHEN :amount = 0 THEN 'paid' ELSE status END
        WHERE merchant_no = :no AND refund_id = :id
        """,
        no=merchant_no,
        id=refund_id,
        amount=amount,
        unpaid=unpaid,
    )


async def raise_shortfall(tx: Transaction, closure: Closure) -> None:
    """Tell people that a closing merchant's custody does not cover what is owed."""
    await tx.execute(
        """
        INSERT INTO alert (alert_id, merchant_no, kind, subject_id, detail, created_at)
        VALUES (:id, :no, 'closure_shortfall', :closure_id, CAST(:detail AS jsonb), anxin_now())
        """,
        id=new_id(closure.merchant_no),
        no=closure.merchant_no,
        closure_id=closure.closure_id,
        detail=json.dumps({"shortfall_amount": closure.shortfall_amount}),
    )


async def mark_levelled(tx: Transaction, closure: Closure) -> None:
    """Record that all refunds are at the shares that were made then; not at newer ones."""
    await tx.execute(
        """
        UPDATE closure SET adjusting = false
        WHERE merchant_no = :no AND closure_id = :id AND shared_seq = :shared_seq
        """,
        no=closure.merchant_no,
        id=closure.closure_id,
        shared_seq=closure.shared_seq,
    )


async def recount(tx: Transaction, closure: Closure) -> None:
    """Count anew what the closure refunded, after refunds were brought to their shares."""
    await tx.execute(
        """
        UPDATE closure SET refunded_amount = (
            SELECT coalesce(sum(amount), 0) FROM refund
            WHERE refund.merchant_no = :no AND refund.closure_id = :id)
        WHERE merchant_no = :no AND closure_id = :id
        """,
        no=closure.merchant_no,
        id=closure.closure_id,
    )
