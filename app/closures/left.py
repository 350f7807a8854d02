"""What is left of a closing merchant's money, fen by fen, each with the name that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from app.closures.keeping import Uncovered
from app.money import Fen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.db.engine import Transaction


class Left(NamedTuple):
    """Money that is left, on which account it lies, whose it is, and why."""

    account: str
    subject: str
    """What kind of thing names it: `card`, `charge`, `refund`, `receipt`, `order`, `merchant`."""
    subject_id: UUID
    holder: str | None
    """The consumer's id with the wallet; None where it is nobody's yet, or the merchant's."""
    amount: Fen
    why: str


_PAYABLE: Final = "merchant_payable"
_LEFT: Final = """
SELECT 'card' AS account, 'card' AS subject, card.card_id AS subject_id,
       card.consumer_id AS holder, account.balance AS amount,
       CASE WHEN card.on_hold THEN 'hold'
            WHEN card.status IN ('refunding', 'refunded') AND EXISTS (
                SELECT FROM refund WHERE refund.merchant_no = card.merchant_no
                    AND refund.card_id = card.card_id AND refund.unpaid_amount > 0)
            THEN 'shortfall'
            WHEN card.status IN ('refunding', 'refunded') THEN 'rest_of_a_refund'
            ELSE 'not_refunded' END AS why
FROM account JOIN card
    ON card.merchant_no = account.merchant_no AND card.card_id = account.account_id
WHERE account.merchant_no = :no AND account.type = 'card' AND account.balance <> 0
UNION ALL
SELECT 'refund_payable', 'refund', refund.refund_id, card.consumer_id, refund.amount,
       CASE WHEN card.on_hold THEN 'hold' WHEN refund.status = 'account_needed'
           THEN 'account_needed' ELSE 'to_be_paid' END
FROM refund LEFT JOIN card
    ON card.merchant_no = refund.merchant_no AND card.card_id = refund.card_id
WHERE refund.merchant_no = :no AND refund.status IN ('decided', 'account_needed')
UNION ALL
SELECT orders.kind || '_in_transit', 'order', orders.order_id, card.consumer_id, orders.amount,
       'not_answered_by_the_bank'
FROM payment_order AS orders
LEFT JOIN refund
    ON refund.merchant_no = orders.merchant_no AND refund.refund_id = orders.refund_id
LEFT JOIN card ON card.merchant_no = refund.merchant_no AND card.card_id = refund.card_id
WHERE orders.merchant_no = :no AND orders.status = 'pending'
UNION ALL
SELECT 'suspense', 'receipt', receipt.receipt_id, NULL,
       CASE receipt.status WHEN 'suspense' THEN receipt.amount ELSE refund.unpaid_amount END,
       CASE receipt.status WHEN 'suspense' THEN 'funds_nothing' ELSE 'shortfall' END
FROM receipt LEFT JOIN refund
    ON refund.merchant_no = receipt.merchant_no AND refund.refund_id = receipt.refund_id
WHERE receipt.merchant_no = :no
    AND (receipt.status = 'suspense' OR refund.unpaid_amount > 0)
UNION ALL
-- A refund that came back after the bank had made it good otherwise is nobody's yet.
SELECT 'suspense', 'merchant', merchant.merchant_id, NULL, account.balance - lying.amount,
       'without_a_receipt'
FROM account JOIN merchant USING (merchant_no)
CROSS JOIN (
    SELECT CAST(coalesce(sum(CASE receipt.status WHEN 'suspense' THEN receipt.amount
        ELSE coalesce(refund.unpaid_amount, 0) END), 0) AS bigint) AS amount
    FROM receipt LEFT JOIN refund
        ON refund.merchant_no = receipt.merchant_no AND refund.refund_id = receipt.refund_id
    WHERE receipt.merchant_no = :no
) AS lying
WHERE account.merchant_no = :no AND account.type = 'suspense'
    AND account.balance <> lying.amount
UNION ALL
SELECT account.type, 'merchant', merchant.merchant_id, NULL, account.balance,
       CASE account.type WHEN 'merchant_payable' THEN 'earned' WHEN 'release_disputed'
           THEN 'disputed' ELSE 'interest' END
FROM account JOIN merchant USING (merchant_no)
WHERE account.merchant_no = :no AND account.balance <> 0
    AND account.type IN ('merchant_payable', 'release_disputed', 'custody_yield')
ORDER BY account, subject_id
"""


async def what_is_left(
    tx: Transaction, merchant_no: int, uncovered: Sequence[Uncovered]
) -> Sequence[Left]:
    """Name all that is left on a merchant's accounts: their sum is custody and `bank_claim`.

    What is kept of payable for a dispute that was upheld has its holder's name, and what lies in
    suspense without a receipt of its own the merchant's.
    """
    left = await tx.fetch(Left, _LEFT, no=merchant_no)
    kept = [
        Left(_PAYABLE, "charge", one.charge_id, one.holder, one.kept_amount, "set_aside")
        for one in uncovered
        if one.kept_amount > 0
    ]
    own = Fen(sum(one.amount for one in kept))
    rest = [
        one._replace(amount=Fen(one.amount - own)) if one.account == _PAYABLE else one
        for one in left
    ]
    named = [*(one for one in rest if one.amount != 0), *kept]
    return sorted(named, key=lambda one: (one.account, one.subject_id))


async def uncovered_reversals(tx: Transaction, merchant_no: int) -> Sequence[Uncovered]:
    """Name, in their turn, the uses taken back for which payable has not enough."""
    return await tx.fetch(
        Uncovered,
        """
        SELECT charge.charge_id, (
                   SELECT consumer_id FROM card
                   WHERE card.merchant_no = charge.merchant_no
                       AND card.consumer = charge.consumer LIMIT 1) AS holder,
               charge.reversal_amount AS amount,
               CASE WHEN charge.reversal_status = 'pending' AND dispute.status = 'upheld'
                   THEN dispute.set_aside_amount ELSE 0 END AS set_aside_amount,
               0 AS kept_amount
        FROM charge LEFT JOIN dispute USING (merchant_no, charge_id)
        WHERE charge.merchant_no = :no AND charge.reversal_status IN ('pending', 'failed')
        ORDER BY charge.status <> 'disputed', charge.reversal_requested_at, charge.charge_id
        """,
        no=merchant_no,
    )
