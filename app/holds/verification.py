"""Rules of holds as queries for the rows that break them (DOMAIN §6, TRUST I4)."""

from typing import Final

from app.ledger.verification import Check

_IN_THE_BOOK: Final = Check(
    "hold_is_in_its_book",
    "hold",
    "A hold has its entry in the book, and, once it has ended, the one that says how.",
    """
    SELECT hold.merchant_no, format('hold_id=%s', hold.hold_id),
           format('%s in seq %s', expected.kind, expected.seq),
           coalesce(fact.kind || ' of ' || fact.subject_id, 'no such entry')
    FROM hold
    CROSS JOIN LATERAL (VALUES
        ('hold_placed', hold.seq), ('hold_' || hold.status, hold.ended_seq)
    ) AS expected (kind, seq)
    LEFT JOIN fact ON fact.merchant_no = hold.merchant_no AND fact.seq = expected.seq
    WHERE expected.kind <> 'hold_active'
        AND (fact.kind, fact.subject_id) IS DISTINCT FROM (expected.kind, hold.hold_id)
    """,
)

_ENTRY_HAS_A_HOLD: Final = Check(
    "hold_entry_has_a_hold",
    "fact",
    "An entry of a hold is that hold's, so that none was left out.",
    """
    SELECT fact.merchant_no, format('seq=%s', fact.seq),
           format('%s of a hold that says so', fact.kind),
           coalesce(format('hold placed in seq %s and ended in seq %s', hold.seq, hold.ended_seq),
                    'no such hold')
    FROM fact
    LEFT JOIN hold ON hold.merchant_no = fact.merchant_no AND hold.hold_id = fact.subject_id
    WHERE fact.kind IN ('hold_placed', 'hold_lifted', 'hold_expired')
        AND fact.seq IS DISTINCT FROM
            CASE fact.kind WHEN 'hold_placed' THEN hold.seq ELSE hold.ended_seq END
    """,
)

_ENDED_IN_TIME: Final = Check(
    "hold_expired_on_its_day",
    "hold",
    "An expired hold ended at its own end, a lifted one before it.",
    """
    SELECT merchant_no, format('hold_id=%s', hold_id),
           format('%s, which ends at %s', status, expires_at), format('ended at %s', ended_at)
    FROM hold
    WHERE (status = 'expired' AND ended_at <> expires_at)
        OR (status = 'lifted' AND ended_at >= expires_at)
    """,
)

_LIFTED_BY_TWO: Final = Check(
    "hold_was_lifted_by_two",
    "hold",
    "A lifted hold was put before a second person, who did not refuse.",
    """
    SELECT merchant_no, format('hold_id=%s', hold_id), 'an approval to lift it', 'none'
    FROM hold
    WHERE status = 'lifted' AND NOT EXISTS (
        SELECT FROM stored_request
        JOIN approval ON approval.approval_id = stored_request.request_id
        WHERE stored_request.merchant_no = hold.merchant_no
            AND stored_request.command = 'LiftHold'
            AND stored_request.subject_id = hold.hold_id
            AND approval.action = 'hold.lift' AND approval.status <> 'rejected')
    """,
)

# The flag says that there may be something, so that uses of other cards ask for nothing; it may
# outlast a hold until the worker has been there, and is never missing while one stands.
_CARD_SAYS_SO: Final = Check(
    "held_card_says_so",
    "card",
    "A card is marked while a hold stands against it, and not without any.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('on_hold %s', NOT on_hold), format('on_hold %s', on_hold)
    FROM card
    LEFT JOIN (
        SELECT merchant_no, target_id AS card_id,
               bool_or((expires_at > anxin_now()) IS NOT FALSE) AS stands
        FROM hold WHERE status = 'active' AND target = 'card' GROUP BY merchant_no, target_id
    ) AS held USING (merchant_no, card_id)
    WHERE (coalesce(held.stands, false) AND NOT on_hold) OR (on_hold AND held.card_id IS NULL)
    """,
)

# What stood when an order was cut: placed before it in the book, and not ended by then.
_STOOD: Final = """
    hold.merchant_no = orders.merchant_no AND hold.seq < orders.seq
        AND (hold.status <> 'lifted' OR hold.ended_seq > orders.seq)
        AND (hold.expires_at > orders.created_at) IS NOT FALSE
"""

_CUT_LEFT_IT: Final = Check(
    "cut_left_what_was_held",
    "payment_order",
    "An order left in the book what holds kept of payable and custody when it was cut.",
    f"""
    SELECT orders.merchant_no, format('order_id=%s', orders.order_id),
           format('held %s of payable and %s of custody',
                  coalesce(held.payable::text, 'all'), coalesce(held.custody::text, 'all')),
           format('held %s of payable and %s of custody',
                  orders.deductions -> 'held_amount', orders.deductions -> 'held_custody_amount')
    FROM payment_order AS orders
    CROSS JOIN LATERAL (
        SELECT CASE WHEN bool_or(target = 'payable' AND amount IS NULL) THEN NULL
                   ELSE coalesce(sum(amount) FILTER (WHERE target = 'payable'), 0) END AS payable,
               CASE WHEN bool_or(target = 'custody_account' AND amount IS NULL) THEN NULL
                   ELSE coalesce(sum(amount) FILTER (WHERE target = 'custody_account'), 0)
                   END AS custody
        FROM hold WHERE target <> 'card' AND {_STOOD}
    ) AS held
    -- An order of a merchant all of whose money is held is wrong whatever it says.
    WHERE held.custody IS DISTINCT FROM (orders.deductions ->> 'held_custody_amount')::numeric
        OR (orders.kind = 'release'
            AND held.payable IS DISTINCT FROM (orders.deductions ->> 'held_amount')::numeric)
    """,
)

_REFUND_WAITED: Final = Check(
    "held_card_was_not_refunded",
    "payment_order",
    "No refund was cut while its card was held.",
    f"""
    SELECT orders.merchant_no, format('order_id=%s', orders.order_id),
           format('no order while hold %s stood', hold.hold_id), format('%s', orders.amount)
    FROM payment_order AS orders
    JOIN refund ON refund.merchant_no = orders.merchant_no AND refund.refund_id = orders.refund_id
    JOIN hold ON hold.target = 'card' AND hold.target_id = refund.card_id AND {_STOOD}
    """,
)

HOLD_CHECKS: Final = (
    _IN_THE_BOOK,
    _ENTRY_HAS_A_HOLD,
    _ENDED_IN_TIME,
    _LIFTED_BY_TWO,
    _CARD_SAYS_SO,
    _CUT_LEFT_IT,
    _REFUND_WAITED,
)
