"""Rules of refunds as queries for the rows that break them (DOMAIN §4, TRUST I3)."""

from typing import Final

from app.ledger.verification import Check

_ENACTED: Final = "refund.card_id IS NOT NULL AND refund.decided_at IS NOT NULL"

_REFUND_HAS_A_LINE: Final = Check(
    "refund_is_in_the_statement",
    "refund",
    "A decided refund took its amount from its card, and what a shortfall withheld is back.",
    f"""
    SELECT coalesce(refund.merchant_no, line.merchant_no),
           format('refund_id=%s, card_id=%s', coalesce(refund.refund_id, line.subject_id),
                  coalesce(refund.card_id, line.card_id)),
           format('a line of %s', coalesce(refund.amount::text, 'nothing')),
           format('a line of %s', coalesce(line.amount::text, 'nothing'))
    FROM (SELECT * FROM refund WHERE {_ENACTED}) AS refund
    FULL JOIN (
        SELECT merchant_no, card_id, subject_id, sum(amount) AS amount
        FROM card_entry WHERE kind = 'refunded' GROUP BY merchant_no, card_id, subject_id
    ) AS line
        ON line.merchant_no = refund.merchant_no AND line.card_id = refund.card_id
            AND line.subject_id = refund.refund_id
    WHERE refund.amount IS DISTINCT FROM line.amount
    """,
)

_ONE_LINE: Final = Check(
    "refund_takes_effect_once",
    "refund",
    "A refund has one line in its card's statement, and at most one for the rest.",
    """
    SELECT merchant_no, format('refund_id=%s', subject_id), format('one line of kind %s', kind),
           format('%s lines', count(*))
    FROM card_entry WHERE kind IN ('refunded', 'adjusted')
        -- What a shortfall withholds of a decided refund goes back in lines below 0.
        AND (kind = 'adjusted' OR amount >= 0)
    GROUP BY merchant_no, subject_id, kind HAVING count(*) > 1
    """,
)

_REST_FOLLOWS: Final = Check(
    "rest_follows_the_refund",
    "card",
    "The merchant has nothing of the rest before the card's refund is paid.",
    f"""
    SELECT card.merchant_no, format('card_id=%s', card.card_id), 'a rest of 0',
           format('a rest of %s', card.adjusted_amount)
    FROM card
    WHERE card.adjusted_amount <> 0 AND NOT EXISTS (
        SELECT FROM refund
        WHERE refund.merchant_no = card.merchant_no AND refund.card_id = card.card_id
            AND {_ENACTED} AND refund.supplements IS NULL AND refund.settled_at IS NOT NULL)
    """,
)

_SUPPLEMENTS: Final = Check(
    "supplement_adds_to_a_refund",
    "refund",
    "A supplement adds to the one refund of the same card, class and day.",
    """
    SELECT more.merchant_no, format('refund_id=%s', more.refund_id),
           format('what adds to the refund of card %s', more.card_id),
           format('what adds to %s of card %s', more.supplements,
                  coalesce(first.card_id::text, 'none'))
    FROM refund AS more
    LEFT JOIN refund AS first
        ON first.merchant_no = more.merchant_no AND first.refund_id = more.supplements
    WHERE more.supplements IS NOT NULL
        AND (more.card_id, more.refund_class, more.as_of, more.consumer, true, true)
            IS DISTINCT FROM (first.card_id, first.refund_class, first.as_of, first.consumer,
                first.supplements IS NULL, first.decided_at <= more.decided_at)
    """,
)

_MOVES_TO_ITS_PLACE: Final = Check(
    "refund_moves_to_its_place",
    "transfer",
    "What is refunded goes from the card to refund_payable, the rest to merchant_payable.",
    """
    SELECT transfer.merchant_no, format('seq=%s', transfer.seq),
           format('%s of a card''s line', transfer.kind),
           format('from %s to %s', debit.type, credit.type)
    FROM transfer
    LEFT JOIN account AS debit
        ON debit.merchant_no = transfer.merchant_no
            AND debit.account_id = transfer.debit_account_id
    LEFT JOIN account AS credit
        ON credit.merchant_no = transfer.merchant_no
            AND credit.account_id = transfer.credit_account_id
    WHERE transfer.kind IN ('refund_decided', 'refund_adjusted', 'refund_withheld')
        AND format('%s to %s', debit.type, credit.type) <> CASE transfer.kind
            WHEN 'refund_decided' THEN 'card to refund_payable'
            WHEN 'refund_withheld' THEN 'refund_payable to card'
            ELSE 'card to merchant_payable' END
    """,
)

_CARD_STATUS: Final = Check(
    "refunded_card_says_so",
    "card",
    "A card is refunding while a claim of it is judged or a refund of it not paid, then refunded.",
    f"""
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('status %s', CASE WHEN refunds IS NULL THEN 'of a card without a refund'
                  WHEN settled THEN 'refunded' ELSE 'refunding' END),
           format('status %s', card.status)
    FROM card
    LEFT JOIN (
        SELECT merchant_no, card_id, count(*) AS refunds,
               bool_and(settled_at IS NOT NULL) AS settled
        FROM refund WHERE ({_ENACTED}) OR refund.status = 'case_open'
        GROUP BY merchant_no, card_id
    ) AS decided USING (merchant_no, card_id)
    WHERE (card.status IN ('refunding', 'refunded')) <> (refunds IS NOT NULL)
        OR (refunds IS NOT NULL
            AND card.status <> CASE WHEN settled THEN 'refunded' ELSE 'refunding' END)
    """,
)

_PAID_BY_AN_ORDER: Final = Check(
    "paid_refund_has_its_order",
    "refund",
    "A refund of more than 0 that is paid was paid by an order.",
    """
    SELECT refund.merchant_no, format('refund_id=%s', refund.refund_id), 'a paid order',
           'no paid order'
    FROM refund
    WHERE refund.status = 'paid' AND refund.amount > 0 AND refund.card_id IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM payment_order AS orders
            WHERE orders.merchant_no = refund.merchant_no
                AND orders.refund_id = refund.refund_id AND orders.status = 'paid')
    """,
)

_CLAIM_AND_CASE: Final = Check(
    "claim_stands_as_its_case",
    "refund",
    "A claim and its case are of one card, person and reason, and stand alike.",
    """
    SELECT coalesce(refund.merchant_no, judged.merchant_no),
           format('refund_id=%s', coalesce(refund.refund_id, judged.refund_id)),
           format('case %s, %s', judged.case_id, coalesce(CASE
               WHEN judged.status = 'decided' THEN judged.decision ELSE judged.status END,
               'that is not there')),
           format('case %s, refund %s', refund.case_id, coalesce(refund.status, 'missing'))
    FROM (
        SELECT * FROM refund
        WHERE case_id IS NOT NULL OR status IN ('case_open', 'rejected', 'withdrawn')
    ) AS refund
    FULL JOIN (SELECT * FROM case_file WHERE kind = 'refund_claim') AS judged
        ON judged.merchant_no = refund.merchant_no AND judged.refund_id = refund.refund_id
    WHERE (refund.case_id, refund.card_id, refund.consumer, refund.reason)
            IS DISTINCT FROM (judged.case_id, judged.card_id, judged.consumer, judged.reason)
        OR CASE WHEN refund.status IN ('rejected', 'withdrawn') THEN refund.status
                WHEN refund.decided_at IS NULL THEN 'case_open' ELSE 'upheld' END
            IS DISTINCT FROM coalesce(judged.decision, 'case_open')
    """,
)

_STATED: Final = Check(
    "claim_counts_what_was_stated",
    "refund",
    "What a claim counts as used is what the decision of its case states.",
    """
    SELECT refund.merchant_no, format('refund_id=%s', refund.refund_id),
           format('used_amount %s', coalesce(judged.used_amount, 0)),
           format('used_amount %s', refund.inputs ->> 'used_amount')
    FROM refund
    JOIN case_file AS judged
        ON judged.merchant_no = refund.merchant_no AND judged.refund_id = refund.refund_id
    WHERE refund.decided_at IS NOT NULL AND refund.refund_class = 'agreed'
        AND (refund.inputs ->> 'used_amount')::bigint
            IS DISTINCT FROM coalesce(judged.used_amount, 0)
    """,
)

REFUND_CHECKS: Final = (
    _REFUND_HAS_A_LINE,
    _ONE_LINE,
    _REST_FOLLOWS,
    _SUPPLEMENTS,
    _MOVES_TO_ITS_PLACE,
    _CARD_STATUS,
    _PAID_BY_AN_ORDER,
    _CLAIM_AND_CASE,
    _STATED,
)
