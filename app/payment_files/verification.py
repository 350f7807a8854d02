"""Rules of bank files as queries for the rows that break them (TRUST I3 and I8)."""

from typing import Final

from app.ledger.verification import Check

_FILE_IS_ITS_ORDERS: Final = Check(
    "file_is_its_orders",
    "payment_file",
    "A sealed file's count and total are those of its orders.",
    """
    SELECT NULL::integer, format('file_id=%s', file_id),
           format('%s orders of %s', count(orders.order_id), coalesce(sum(orders.amount), 0)),
           format('%s orders of %s', order_count, total_amount)
    FROM payment_file
    LEFT JOIN payment_order AS orders USING (file_id)
    WHERE payment_file.status <> 'cutting'
    GROUP BY file_id
    HAVING order_count <> count(orders.order_id) OR total_amount <> coalesce(sum(orders.amount), 0)
    """,
)

_FILE_STATUS: Final = Check(
    "file_status_is_its_orders",
    "payment_file",
    "A finished file has no order that waits; a rejected one none that was paid.",
    """
    SELECT orders.merchant_no, format('order_id=%s', orders.order_id),
           format('a final status in the %s file %s', payment_file.status, file_id), orders.status
    FROM payment_file
    JOIN payment_order AS orders USING (file_id)
    WHERE (payment_file.status IN ('completed', 'rejected', 'cancelled')
            AND orders.status = 'pending')
        OR (payment_file.status = 'cutting' AND orders.status <> 'pending')
        OR payment_file.kind <> orders.kind
    """,
)

_SEQUENCES: Final = Check(
    "file_sequence_without_gap",
    "payment_file",
    "The numbers of a bank's files of one kind have no gap, up to the last that was given.",
    """
    SELECT NULL::integer, format('bank=%s, kind=%s, sequence=%s', bank, kind, sequence),
           format('sequence %s', number), format('sequence %s', sequence)
    FROM (
        SELECT bank, kind, sequence,
               row_number() OVER (PARTITION BY bank, kind ORDER BY sequence) AS number
        FROM payment_file WHERE sequence IS NOT NULL
    ) AS numbered
    WHERE sequence <> number
    UNION ALL
    SELECT NULL::integer, format('bank=%s, kind=%s', bank, kind),
           format('last sequence %s', last_sequence), format('last sequence %s', coalesce(last, 0))
    FROM file_sequence
    FULL JOIN (
        SELECT bank, kind, max(sequence) AS last FROM payment_file
        WHERE sequence IS NOT NULL GROUP BY bank, kind
    ) AS given USING (bank, kind)
    WHERE last_sequence IS DISTINCT FROM coalesce(last, 0)
    """,
)

_ORDER_IS_BOOKED: Final = Check(
    "order_is_booked",
    "payment_order",
    "An order's transfer took its amount from payable into transit.",
    """
    SELECT orders.merchant_no, format('order_id=%s', orders.order_id),
           format('%s from payable into transit in seq %s', orders.amount, orders.seq),
           CASE WHEN transfer.seq IS NULL THEN 'no such transfer'
               ELSE format('%s from %s to %s', transfer.amount, debit.type, credit.type) END
    FROM payment_order AS orders
    LEFT JOIN transfer USING (merchant_no, seq)
    LEFT JOIN account AS debit
        ON debit.merchant_no = orders.merchant_no
            AND debit.account_id = transfer.debit_account_id
    LEFT JOIN account AS credit
        ON credit.merchant_no = orders.merchant_no
            AND credit.account_id = transfer.credit_account_id
    WHERE (transfer.amount, debit.type, credit.type) IS DISTINCT FROM (
        orders.amount,
        CASE orders.kind WHEN 'release' THEN 'merchant_payable' ELSE 'refund_payable' END,
        orders.kind || '_in_transit')
    """,
)

_TRANSIT_HAS_AN_ORDER: Final = Check(
    "transit_has_an_order",
    "transfer",
    "What went from payable into transit is one order's.",
    """
    SELECT transfer.merchant_no, format('seq=%s', transfer.seq), 'one order',
           format('%s orders', count(orders.order_id))
    FROM transfer
    JOIN account AS credit
        ON credit.merchant_no = transfer.merchant_no
            AND credit.account_id = transfer.credit_account_id
            AND credit.type IN ('release_in_transit', 'refund_in_transit')
    LEFT JOIN payment_order AS orders
        ON orders.merchant_no = transfer.merchant_no AND orders.seq = transfer.seq
    GROUP BY transfer.merchant_no, transfer.seq
    HAVING count(orders.order_id) <> 1
    """,
)

# The running balances of the few accounts that bound an order; its own transfer is taken out.
_RELEASE_IS_WHAT_IT_MAY: Final = Check(
    "release_is_what_may_be_paid",
    "payment_order",
    "A release order is payable at its seq less what is deducted, at most what custody covers.",
    """
    SELECT merchant_no, format('order_id=%s', order_id),
           format('amount %s; payable %s, bank_claim %s, custody %s, in transit %s',
                  least(payable - waiting - held - claimed, custody - in_transit - kept),
                  payable, claimed, custody, in_transit),
           format('amount %s; payable %s, bank_claim %s, custody %s, in transit %s',
                  amount, deductions -> 'payable_amount', deductions -> 'bank_claim_amount',
                  deductions -> 'custody_amount', deductions -> 'in_transit_amount')
    FROM (
        SELECT orders.merchant_no, orders.order_id, orders.amount, orders.deductions,
               transfer.debit_balance + transfer.amount AS payable,
               (orders.deductions ->> 'waiting_reversal_amount')::bigint AS waiting,
               (orders.deductions ->> 'held_amount')::bigint AS held,
               (orders.deductions ->> 'held_custody_amount')::bigint AS kept,
               standing.claimed, standing.custody, standing.in_transit - orders.amount AS in_transit
        FROM payment_order AS orders
        JOIN transfer USING (merchant_no, seq)
        JOIN (
            SELECT entry.merchant_no, entry.seq, account.type,
                   sum(CASE entry.side WHEN 'debit' THEN entry.amount ELSE -entry.amount END)
                       FILTER (WHERE account.type = 'custody') OVER earlier AS custody,
                   coalesce(sum(
                       CASE entry.side WHEN 'debit' THEN entry.amount ELSE -entry.amount END)
                       FILTER (WHERE account.type = 'bank_claim') OVER earlier, 0) AS claimed,
                   sum(CASE entry.side WHEN 'credit' THEN entry.amount ELSE -entry.amount END)
                       FILTER (WHERE account.type IN ('release_in_transit', 'refund_in_transit'))
                       OVER earlier AS in_transit
            FROM ledger_entry AS entry
            JOIN account USING (merchant_no, account_id)
            WHERE account.type IN (
                'custody', 'bank_claim', 'release_in_transit', 'refund_in_transit')
            WINDOW earlier AS (PARTITION BY entry.merchant_no ORDER BY entry.seq)
        ) AS standing
            ON standing.merchant_no = orders.merchant_no AND standing.seq = orders.seq
                AND standing.type = 'release_in_transit'
        WHERE orders.kind = 'release'
    ) AS orders
    WHERE amount IS DISTINCT FROM
            least(payable - waiting - held - claimed, custody - in_transit - kept)
        OR (payable, claimed, custody, in_transit) IS DISTINCT FROM (
            (deductions ->> 'payable_amount')::numeric,
            (deductions ->> 'bank_claim_amount')::numeric,
            (deductions ->> 'custody_amount')::numeric,
            (deductions ->> 'in_transit_amount')::numeric)
    """,
)

_IN_TRANSIT: Final = Check(
    "in_transit_is_what_waits",
    "account",
    "What is in transit is the sum of the orders that no bank has answered.",
    """
    SELECT account.merchant_no, format('account_id=%s (%s)', account.account_id, account.type),
           format('balance %s', coalesce(total, 0)), format('balance %s', account.balance)
    FROM account
    LEFT JOIN (
        SELECT merchant_no, kind || '_in_transit' AS type, sum(amount) AS total
        FROM payment_order WHERE status = 'pending' GROUP BY merchant_no, kind
    ) AS waiting USING (merchant_no, type)
    WHERE account.type IN ('release_in_transit', 'refund_in_transit')
        AND account.balance <> coalesce(total, 0)
    """,
)

_REFUND_PAYABLE: Final = Check(
    "refund_payable_is_what_waits",
    "account",
    "What is payable as refunds is the sum of the refunds that are in no file and not paid.",
    """
    SELECT account.merchant_no, format('account_id=%s (refund_payable)', account.account_id),
           format('balance %s', coalesce(total, 0)), format('balance %s', account.balance)
    FROM account
    LEFT JOIN (
        SELECT merchant_no, sum(amount) AS total
        FROM refund WHERE status IN ('decided', 'account_needed') GROUP BY merchant_no
    ) AS waiting USING (merchant_no)
    WHERE account.type = 'refund_payable' AND account.balance <> coalesce(total, 0)
    """,
)

_REFUND_ORDERS: Final = Check(
    "refund_order_is_its_refund",
    "payment_order",
    "A refund's order is for the whole refund, and a refund in transit has one order that waits.",
    """
    SELECT orders.merchant_no, format('order_id=%s', orders.order_id),
           format('refund %s of %s', orders.refund_id, orders.amount),
           format('refund of %s', coalesce(refund.amount::text, 'nothing'))
    FROM payment_order AS orders
    LEFT JOIN refund USING (merchant_no, refund_id)
    WHERE orders.kind = 'refund' AND orders.amount IS DISTINCT FROM refund.amount
        -- What paid nothing of it, or once more than it was to, was for what it came to then: a
        -- closure's shares change since. A supplement to a share (below 0) came to them alone.
        AND (refund.amount IS NULL
            OR (orders.status IN ('pending', 'paid') AND orders.claimed_amount = 0)
            OR (refund.unpaid_amount >= 0
                AND orders.amount > refund.amount + refund.unpaid_amount))
    UNION ALL
    SELECT refund.merchant_no, format('refund_id=%s', refund.refund_id),
           format('%s waiting orders', CASE refund.status WHEN 'in_transit' THEN 1 ELSE 0 END),
           format('%s waiting orders', count(orders.order_id))
    FROM refund
    LEFT JOIN payment_order AS orders
        ON orders.merchant_no = refund.merchant_no AND orders.refund_id = refund.refund_id
            AND orders.status = 'pending'
    GROUP BY refund.merchant_no, refund.refund_id
    HAVING count(orders.order_id) <> CASE refund.status WHEN 'in_transit' THEN 1 ELSE 0 END
    """,
)

FILE_CHECKS: Final = (
    _FILE_IS_ITS_ORDERS,
    _FILE_STATUS,
    _SEQUENCES,
    _ORDER_IS_BOOKED,
    _TRANSIT_HAS_AN_ORDER,
    _RELEASE_IS_WHAT_IT_MAY,
    _IN_TRANSIT,
    _REFUND_PAYABLE,
    _REFUND_ORDERS,
)
