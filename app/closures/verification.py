"""Rules of closures as queries for the rows that break them (DOMAIN §6, Closure)."""

from typing import Final

from app.ledger.verification import Check

_BOOK_HAS_THE_STATUS: Final = Check(
    "book_has_its_closures_status",
    "closure",
    "A merchant's book has the status of its closure, and its chain says so.",
    """
    SELECT closure.merchant_no, format('closure_id=%s', closure.closure_id),
           format('book %s, with a fact of it',
                  CASE closure.status WHEN 'cancelled' THEN 'of no closure'
                      ELSE closure.status END),
           format('book %s, %s facts', book.status, facts)
    FROM closure JOIN book USING (merchant_no)
    CROSS JOIN LATERAL (
        SELECT count(*) AS facts FROM fact
        WHERE fact.merchant_no = closure.merchant_no AND fact.subject_id = closure.closure_id
            AND fact.kind = 'closure_' || closure.status
    ) AS said
    WHERE facts = 0 OR (closure.status <> 'cancelled' AND book.status <> closure.status)
    """,
)

_BOOK_HAS_A_CLOSURE: Final = Check(
    "closing_book_has_its_closure",
    "book",
    "A book that is on notice, closing or closed has its closure.",
    """
    SELECT book.merchant_no, format('merchant_no=%s', book.merchant_no),
           format('a closure that is %s', book.status), 'no such closure'
    FROM book
    WHERE book.status NOT IN ('open', 'frozen') AND NOT EXISTS (
        SELECT FROM closure
        WHERE closure.merchant_no = book.merchant_no AND closure.status = book.status)
    """,
)

_COUNTS: Final = Check(
    "closure_counts_its_refunds",
    "closure",
    "What a closure says that it refunded is the sum of its refunds, one for each card.",
    """
    SELECT closure.merchant_no, format('closure_id=%s', closure.closure_id),
           format('%s cards, %s in sum', coalesce(cards, 0), coalesce(total, 0)),
           format('%s cards, %s in sum', refunded_count, refunded_amount)
    FROM closure
    LEFT JOIN (
        SELECT merchant_no, closure_id, count(*) FILTER (WHERE supplements IS NULL) AS cards,
               sum(amount) AS total
        FROM refund WHERE closure_id IS NOT NULL GROUP BY merchant_no, closure_id
    ) AS refunds USING (merchant_no, closure_id)
    WHERE (refunded_count, refunded_amount)
        IS DISTINCT FROM (coalesce(cards, 0), coalesce(total, 0))
    """,
)

_ONCE_OR_NAMED: Final = Check(
    "closed_card_is_refunded_or_named",
    "card",
    "When a merchant has closed, every card with money on it was refunded, or is held by name.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           'refunded once, or held', format('%s with %s left', card.status, account.balance)
    FROM closure
    JOIN book USING (merchant_no)
    JOIN card USING (merchant_no)
    JOIN account
        ON account.merchant_no = card.merchant_no AND account.account_id = card.card_id
    -- What came after the end was looked at last is taken up in the worker's next round.
    WHERE closure.status IN ('closed', 'closed_with_shortfall') AND book.seq = closure.seen_seq
        AND account.balance > 0 AND NOT card.on_hold
        AND card.status NOT IN ('refunding', 'refunded')
    """,
)

_UNPAID: Final = Check(
    "unpaid_claim_lies_on_its_account",
    "refund",
    "What a shortfall leaves unpaid of a card's refunds is still on the card.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('at least %s left', unpaid),
           format('%s left', account.balance)
    FROM (
        SELECT merchant_no, card_id, sum(unpaid_amount) AS unpaid
        FROM refund WHERE card_id IS NOT NULL GROUP BY merchant_no, card_id
        HAVING sum(unpaid_amount) <> 0
    ) AS claim
    JOIN card USING (merchant_no, card_id)
    JOIN account
        ON account.merchant_no = card.merchant_no AND account.account_id = card.card_id
    WHERE unpaid < 0 OR unpaid > account.balance
    """,
)

_CERTIFICATE: Final = Check(
    "certificate_names_every_fen",
    "closure_certificate",
    "What a certificate names in sum is what custody and bank_claim held at its seq.",
    """
    SELECT merchant_no, format('closure_id=%s, number=%s', closure_id, number),
           format('%s named, of %s in custody and %s owed by the bank', held + owed, held, owed),
           format('%s named, %s in custody and %s owed by the bank', named,
                  document -> 'custody_amount', document -> 'bank_claim_amount')
    FROM (
        SELECT certificate.merchant_no, certificate.closure_id, certificate.number,
               certified.document,
               (SELECT coalesce(sum((item ->> 'amount')::bigint), 0)
                FROM jsonb_array_elements(certified.document -> 'left') AS item) AS named,
               coalesce(sum(CASE entry.side WHEN 'debit' THEN entry.amount ELSE -entry.amount END)
                   FILTER (WHERE account.type = 'custody'), 0) AS held,
               coalesce(sum(CASE entry.side WHEN 'debit' THEN entry.amount ELSE -entry.amount END)
                   FILTER (WHERE account.type = 'bank_claim'), 0) AS owed
        FROM closure_certificate AS certificate
        CROSS JOIN LATERAL (SELECT certificate.document::jsonb AS document) AS certified
        LEFT JOIN ledger_entry AS entry ON entry.merchant_no = certificate.merchant_no
            AND entry.seq <= (certified.document -> 'book' ->> 'seq')::bigint
        LEFT JOIN account ON account.merchant_no = entry.merchant_no
            AND account.account_id = entry.account_id
        GROUP BY certificate.merchant_no, certificate.closure_id, certificate.number,
            certified.document
    ) AS certificate
    WHERE (named, held, owed) IS DISTINCT FROM (
            held + owed, (document ->> 'custody_amount')::numeric,
            (document ->> 'bank_claim_amount')::numeric)
        OR named <> (document ->> 'left_amount')::numeric
    """,
)

_CERTIFIED: Final = Check(
    "closed_merchant_has_a_certificate",
    "closure",
    "A closure that ended has a certificate, and its certificates are numbered without a gap.",
    """
    SELECT closure.merchant_no, format('closure_id=%s', closure.closure_id),
           format('%s certificates, the last %s', greatest(1, coalesce(last, 1)),
                  greatest(1, coalesce(last, 1))),
           format('%s certificates, the last %s', coalesce(issued, 0), coalesce(last, 0))
    FROM closure
    LEFT JOIN (
        SELECT merchant_no, closure_id, count(*) AS issued, max(number) AS last
        FROM closure_certificate GROUP BY merchant_no, closure_id
    ) AS certificate USING (merchant_no, closure_id)
    WHERE (closure.status IN ('closed', 'closed_with_shortfall') AND coalesce(issued, 0) = 0)
        OR issued <> last
    """,
)

CLOSURE_CHECKS: Final = (
    _BOOK_HAS_THE_STATUS,
    _BOOK_HAS_A_CLOSURE,
    _COUNTS,
    _ONCE_OR_NAMED,
    _UNPAID,
    _CERTIFICATE,
    _CERTIFIED,
)
