"""Rules of sales and receipts as queries for the rows that break them (DOMAIN §6, Sell)."""

from typing import Final

from app.ledger.verification import Check

_RECEIPT_IS_BOOKED: Final = Check(
    "receipt_is_booked_once",
    "receipt",
    "A receipt entered custody once, whole.",
    """
    SELECT receipt.merchant_no, format('receipt_id=%s', receipt.receipt_id),
           format('one transfer of %s from custody', receipt.amount),
           format('%s transfers of %s', coalesce(transfers, 0), coalesce(total, 0))
    FROM receipt
    LEFT JOIN (
        SELECT merchant_no, subject_id, count(*) AS transfers, sum(amount) AS total
        FROM transfer WHERE kind IN ('purchase_funded', 'receipt_suspended')
        GROUP BY merchant_no, subject_id
    ) AS booked
        ON booked.merchant_no = receipt.merchant_no AND booked.subject_id = receipt.receipt_id
    WHERE receipt.merchant_no <> 0
        AND (transfers IS DISTINCT FROM 1 OR total IS DISTINCT FROM receipt.amount)
    """,
)

_BOOKED_HAS_A_RECEIPT: Final = Check(
    "booked_money_has_a_receipt",
    "transfer",
    "Money that entered custody for a card or suspense has its receipt.",
    """
    SELECT transfer.merchant_no, format('seq=%s', transfer.seq),
           format('receipt %s', transfer.subject_id), 'no such receipt'
    FROM transfer
    LEFT JOIN receipt
        ON receipt.merchant_no = transfer.merchant_no AND receipt.receipt_id = transfer.subject_id
    WHERE transfer.kind IN (
            'purchase_funded', 'receipt_suspended', 'receipt_matched', 'receipt_given_back')
        AND receipt.receipt_id IS NULL
    """,
)

# Money can come to suspense without a receipt of its own, so not the account is compared but
# what receipts moved into it and out of it.
_SUSPENSE: Final = Check(
    "receipts_in_suspense_lie_there",
    "receipt",
    "Exactly the receipts in suspense have money there.",
    """
    SELECT receipt.merchant_no, format('receipt_id=%s', receipt.receipt_id),
           format('%s in suspense', CASE receipt.status WHEN 'suspense' THEN receipt.amount
                  ELSE coalesce(refund.unpaid_amount, 0) END),
           format('%s in suspense', coalesce(lying, 0))
    FROM receipt
    -- What a closure's shortfall leaves unpaid of a receipt stays in suspense.
    LEFT JOIN refund
        ON refund.merchant_no = receipt.merchant_no AND refund.refund_id = receipt.refund_id
    LEFT JOIN (
        SELECT merchant_no, subject_id,
               sum(CASE WHEN kind IN ('receipt_suspended', 'receipt_withheld') THEN amount
                   ELSE -amount END) AS lying
        FROM transfer WHERE kind IN (
            'receipt_suspended', 'receipt_matched', 'receipt_given_back', 'receipt_withheld')
        GROUP BY merchant_no, subject_id
    ) AS moved
        ON moved.merchant_no = receipt.merchant_no AND moved.subject_id = receipt.receipt_id
    WHERE receipt.merchant_no <> 0
        AND coalesce(lying, 0) <> CASE receipt.status WHEN 'suspense' THEN receipt.amount
            ELSE coalesce(refund.unpaid_amount, 0) END
    """,
)

_CARD_WAS_PAID: Final = Check(
    "card_was_paid_for",
    "card",
    "A card is of one funded purchase, paid by one matched receipt of exactly its price.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('%s paid by a matched receipt, a funded purchase and a transfer',
                  card.paid_amount),
           format('receipts %s, purchase %s, transfers %s',
                  coalesce(matched.total::text, 'none'),
                  coalesce(purchase.amount::text, 'none'), coalesce(credited.total::text, 'none'))
    FROM card
    LEFT JOIN purchase
        ON purchase.merchant_no = card.merchant_no AND purchase.card_id = card.card_id
            AND purchase.purchase_id = card.purchase_id AND purchase.status = 'funded'
    LEFT JOIN (
        SELECT merchant_no, card_id, sum(amount) AS total, count(*) AS receipts
        FROM receipt WHERE status = 'matched' GROUP BY merchant_no, card_id
    ) AS matched ON matched.merchant_no = card.merchant_no AND matched.card_id = card.card_id
    LEFT JOIN (
        SELECT merchant_no, credit_account_id, sum(amount) AS total
        FROM transfer WHERE kind IN ('purchase_funded', 'receipt_matched')
        GROUP BY merchant_no, credit_account_id
    ) AS credited
        ON credited.merchant_no = card.merchant_no AND credited.credit_account_id = card.card_id
    WHERE purchase.amount IS DISTINCT FROM card.paid_amount
        OR matched.total IS DISTINCT FROM card.paid_amount
        OR matched.receipts IS DISTINCT FROM 1
        OR credited.total IS DISTINCT FROM card.paid_amount
    """,
)

_FUNDED_HAS_A_CARD: Final = Check(
    "funded_purchase_has_a_card",
    "purchase",
    "A funded purchase has its card.",
    """
    SELECT purchase.merchant_no, format('purchase_id=%s', purchase.purchase_id),
           format('card %s', purchase.card_id), 'no such card'
    FROM purchase
    LEFT JOIN card USING (merchant_no, card_id)
    WHERE purchase.status = 'funded' AND card.card_id IS NULL
    """,
)

_MATCHED_HAS_A_CARD: Final = Check(
    "matched_receipt_has_a_card",
    "receipt",
    "A matched receipt has its card.",
    """
    SELECT receipt.merchant_no, format('receipt_id=%s', receipt.receipt_id),
           format('card %s', receipt.card_id), 'no such card'
    FROM receipt
    LEFT JOIN card USING (merchant_no, card_id)
    WHERE receipt.status = 'matched' AND card.card_id IS NULL
    """,
)

_RETURNED_HAS_A_REFUND: Final = Check(
    "returned_receipt_has_a_refund",
    "receipt",
    "A receipt that goes back to its payer has one refund of the same amount.",
    """
    SELECT receipt.merchant_no, format('receipt_id=%s', receipt.receipt_id),
           format('refund %s of %s', receipt.refund_id, receipt.amount),
           format('refund of %s', coalesce(refund.amount::text, 'nothing'))
    FROM receipt
    LEFT JOIN refund
        ON refund.merchant_no = receipt.merchant_no AND refund.refund_id = receipt.refund_id
            AND refund.receipt_id = receipt.receipt_id
    WHERE receipt.status = 'returned'
        AND refund.amount + refund.unpaid_amount IS DISTINCT FROM receipt.amount
    """,
)

SALE_CHECKS: Final = (
    _RECEIPT_IS_BOOKED,
    _BOOKED_HAS_A_RECEIPT,
    _SUSPENSE,
    _CARD_WAS_PAID,
    _FUNDED_HAS_A_CARD,
    _MATCHED_HAS_A_CARD,
    _RETURNED_HAS_A_REFUND,
)
