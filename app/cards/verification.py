"""Rules of cards as queries for the rows that break them (DOMAIN §4, TRUST I3 and I4)."""

from typing import Final

from app.ledger.verification import Check

# released() of DOMAIN §4, rounded half up. Numeric: P times a face overflows bigint.
_RELEASED: Final = """
    CASE card.kind
        WHEN 'stored_value' THEN div(
            2 * card.paid_amount::numeric * card.face_used_amount
                + card.paid_amount + card.bonus_amount,
            2 * (card.paid_amount::numeric + card.bonus_amount))
        WHEN 'count' THEN div(
            2 * card.paid_amount::numeric * card.sessions_used + card.sessions_total,
            2 * card.sessions_total::numeric)
        ELSE div(
            2 * card.paid_amount::numeric * card.last_visit_day + card.term_days,
            2 * card.term_days::numeric)
    END
"""

# What a line took from custody beside what it released: refunds, and adjustments to the merchant.
_LEFT: Final = (
    "CASE WHEN entry.kind IN ('refunded', 'adjusted') THEN entry.amount"
    " ELSE coalesce(entry.adjusted_amount, 0) END"
)

# +1 where a line takes from the card, -1 where it gives back, 0 where it is no use.
_SIGN: Final = "CASE entry.kind WHEN 'used' THEN 1 WHEN 'reversed' THEN -1 ELSE 0 END"

_RELEASED_BY_USES: Final = Check(
    "released_is_computed_from_uses",
    "card",
    "What a card released is the function of its uses, and of nothing else.",
    f"""
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('released_amount %s', {_RELEASED}),
           format('released_amount %s', card.released_amount)
    FROM card
    WHERE card.released_amount <> {_RELEASED}
    """,
)

_LEFT_ON_ITS_ACCOUNT: Final = Check(
    "card_principal_is_accounted_for",
    "card",
    "P = released + refunded + adjusted + recalled + left, and left is the account's balance.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('%s left', card.paid_amount - card.released_amount - card.refunded_amount
                  - card.adjusted_amount - card.recalled_amount),
           format('account balance %s', coalesce(account.balance::text, 'missing'))
    FROM card
    LEFT JOIN account
        ON account.merchant_no = card.merchant_no AND account.account_id = card.card_id
            AND account.type = 'card'
    WHERE account.balance IS DISTINCT FROM card.paid_amount - card.released_amount
            - card.refunded_amount - card.adjusted_amount - card.recalled_amount
        OR least(card.released_amount, card.refunded_amount, card.adjusted_amount,
                 card.recalled_amount, account.balance) < 0
    """,
)

_ACCOUNT_HAS_A_CARD: Final = Check(
    "card_account_has_a_card",
    "account",
    "An account of type card is a card's.",
    """
    SELECT account.merchant_no, format('account_id=%s', account.account_id),
           'a card with this id', 'no such card'
    FROM account
    LEFT JOIN card ON card.merchant_no = account.merchant_no AND card.card_id = account.account_id
    WHERE account.type = 'card' AND card.card_id IS NULL
    """,
)

_AVAILABLE: Final = Check(
    "card_available_not_negative",
    "card",
    "What is used and held never exceeds the face or the sessions of a card.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id), 'at least 0 available',
           format('face %s used and %s held, sessions %s used and %s held',
                  face_used_amount, face_held_amount, sessions_used, sessions_held)
    FROM card
    WHERE least(face_used_amount, face_held_amount, sessions_used, sessions_held) < 0
        OR face_used_amount + face_held_amount
            > CASE kind WHEN 'stored_value' THEN paid_amount + bonus_amount ELSE 0 END
        OR sessions_used + sessions_held > coalesce(sessions_total, 0)
    """,
)

_CARD_IS_ITS_LINES: Final = Check(
    "card_is_its_statement",
    "card",
    "What a card counts is the sum of its statement's lines.",
    f"""
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('face %s, list %s, sessions %s, last visit %s, released %s, refunded %s, '
                  'adjusted %s, lines %s',
                  coalesce(face, 0), coalesce(list, 0), coalesce(sessions, 0),
                  coalesce(last_visit, 0), coalesce(released, 0), coalesce(refunded, 0),
                  coalesce(adjusted, 0), coalesce(lines, 0)),
           format('face %s, list %s, sessions %s, last visit %s, released %s, refunded %s, '
                  'adjusted %s, lines %s',
                  card.face_used_amount, card.list_used_amount, card.sessions_used,
                  card.last_visit_day, card.released_amount, card.refunded_amount,
                  card.adjusted_amount, card.entry_count)
    FROM card
    LEFT JOIN (
        SELECT entry.merchant_no, entry.card_id, count(*) AS lines,
               sum({_SIGN} * coalesce(entry.amount, 0)) AS face,
               sum({_SIGN} * coalesce(entry.sessions, 0)) AS sessions,
               sum({_SIGN} * coalesce(entry.list_amount, entry.amount, 0)) AS list,
               sum(entry.release_amount) AS released,
               sum(entry.amount) FILTER (WHERE entry.kind = 'refunded') AS refunded,
               sum(CASE WHEN entry.kind = 'adjusted' THEN entry.amount
                   ELSE entry.adjusted_amount END) AS adjusted
        FROM card_entry AS entry
        GROUP BY entry.merchant_no, entry.card_id
    ) AS line USING (merchant_no, card_id)
    LEFT JOIN (
        SELECT merchant_no, card_id, max(visit_day) AS last_visit
        FROM (
            SELECT merchant_no, card_id, max(visit_day) FILTER (WHERE kind = 'used') AS visit_day
            FROM card_entry
            WHERE kind = 'reversed' OR (kind = 'used' AND visit_day IS NOT NULL)
            GROUP BY merchant_no, card_id, subject_id HAVING NOT bool_or(kind = 'reversed')
        ) AS visit GROUP BY merchant_no, card_id
    ) AS visit USING (merchant_no, card_id)
    WHERE (card.face_used_amount, card.list_used_amount, card.sessions_used,
           card.last_visit_day, card.released_amount, card.refunded_amount,
           card.adjusted_amount, card.entry_count)
        IS DISTINCT FROM (coalesce(face, 0), coalesce(list, 0), coalesce(sessions, 0),
           coalesce(last_visit, 0), coalesce(released, 0), coalesce(refunded, 0),
           coalesce(adjusted, 0), coalesce(lines, 0))
    """,
)

_LINES_FOLLOW: Final = Check(
    "lines_follow_each_other",
    "card_entry",
    "A statement's lines have no gap, and each leaves the balances that it says.",
    f"""
    SELECT merchant_no, format('card_id=%s, entry_no=%s', card_id, entry_no),
           format('face %s, sessions %s, custody %s, seq above %s',
                  face_after, sessions_after, custody_after, seq_before),
           format('face %s, sessions %s, custody %s, seq %s',
                  balance_face_amount, balance_sessions, custody_amount, seq)
    FROM (
        SELECT entry.*,
               row_number() OVER earlier AS number,
               lag(entry.seq, 1, 0::bigint) OVER earlier AS seq_before,
               CASE WHEN card.kind = 'stored_value' THEN card.paid_amount + card.bonus_amount
                   - sum({_SIGN} * coalesce(entry.amount, 0)) OVER earlier END AS face_after,
               CASE WHEN card.kind = 'count' THEN card.sessions_total
                   - sum({_SIGN} * coalesce(entry.sessions, 0)) OVER earlier END AS sessions_after,
               card.paid_amount - sum(entry.release_amount + {_LEFT}) OVER earlier
                   AS custody_after
        FROM card_entry AS entry
        JOIN card USING (merchant_no, card_id)
        WINDOW earlier AS (PARTITION BY entry.merchant_no, entry.card_id ORDER BY entry.entry_no)
    ) AS entry
    WHERE entry_no <> number OR seq <= seq_before
        OR (balance_face_amount, balance_sessions, custody_amount)
            IS DISTINCT FROM (face_after, sessions_after, custody_after)
    """,
)

_LINE_HAS_A_CARD: Final = Check(
    "line_has_a_card",
    "card_entry",
    "A statement's line is a card's.",
    """
    SELECT entry.merchant_no, format('card_id=%s, entry_no=%s', entry.card_id, entry.entry_no),
           'a card with this id', 'no such card'
    FROM card_entry AS entry
    LEFT JOIN card USING (merchant_no, card_id)
    WHERE card.card_id IS NULL
    """,
)

_LINE_MOVES_WHAT_IT_SAYS: Final = Check(
    "line_moves_what_it_says",
    "card_entry",
    "A line's entry in the chain moves its release amount, and none where that is 0.",
    f"""
    SELECT entry.merchant_no, format('card_id=%s, entry_no=%s', entry.card_id, entry.entry_no),
           format('%s %s of this card in seq %s', entry.kind,
                  CASE entry.kind WHEN 'funded' THEN card.paid_amount
                      ELSE entry.release_amount + {_LEFT} END, entry.seq),
           CASE WHEN transfer.seq IS NULL THEN coalesce(fact.kind || ' of 0', 'no such entry')
               ELSE format('%s of %s from %s to %s', transfer.kind, transfer.amount,
                           transfer.debit_account_id, transfer.credit_account_id) END
    FROM card_entry AS entry
    JOIN card USING (merchant_no, card_id)
    LEFT JOIN transfer USING (merchant_no, seq)
    LEFT JOIN fact USING (merchant_no, seq)
    WHERE entry.kind <> 'transferred'
        AND (CASE WHEN entry.kind = 'funded' THEN card.paid_amount
                ELSE -entry.release_amount - {_LEFT} END)
            <> CASE entry.card_id
                WHEN transfer.debit_account_id THEN -transfer.amount
                WHEN transfer.credit_account_id THEN transfer.amount
                -- No number equals this: an entry that is not this card's.
                ELSE CASE WHEN fact.seq IS NOT NULL THEN 0 ELSE 'NaN'::numeric END END
    """,
)

# The account by its id alone, in which its merchant's number lies: by both, the planner takes them
# to be independent, expects a handful of legs, and goes through all lines of a card for each.
_CARD_MONEY_HAS_A_LINE: Final = Check(
    "card_money_has_a_line",
    "transfer",
    "Every transfer to or from a card's account has a line in that card's statement.",
    """
    SELECT leg.merchant_no, format('seq=%s', leg.seq),
           format('a line of card %s', leg.account_id), 'no such line'
    FROM ledger_entry AS leg
    JOIN account ON account.account_id = leg.account_id AND account.type = 'card'
    WHERE NOT EXISTS (
        SELECT FROM card_entry AS line
        WHERE line.merchant_no = leg.merchant_no AND line.seq = leg.seq
            AND line.card_id = leg.account_id)
    """,
)

CARD_CHECKS: Final = (
    _RELEASED_BY_USES,
    _LEFT_ON_ITS_ACCOUNT,
    _ACCOUNT_HAS_A_CARD,
    _AVAILABLE,
    _CARD_IS_ITS_LINES,
    _LINES_FOLLOW,
    _LINE_HAS_A_CARD,
    _LINE_MOVES_WHAT_IT_SAYS,
    _CARD_MONEY_HAS_A_LINE,
)
