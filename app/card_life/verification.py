"""Rules of a card's life as queries for the rows that break them (DOMAIN §4, §6)."""

from typing import Final

from app.ledger.verification import Check

_DAY: Final = "(life.at AT TIME ZONE 'Asia/Shanghai')::date"
_KINDS: Final = "'frozen', 'unfrozen', 'lost', 'replaced', 'reactivated'"

_LIFE_HAS_A_LINE: Final = Check(
    "life_is_in_the_statement",
    "card_life",
    "Every step of a card's life is a line of its statement, and every such line is one.",
    f"""
    SELECT coalesce(life.merchant_no, line.merchant_no),
           format('card_id=%s, entry_no=%s', coalesce(life.card_id, line.card_id),
                  coalesce(life.entry_no, line.entry_no)),
           format('a line of kind %s', coalesce(life.kind, 'none')),
           format('a line of kind %s', coalesce(line.kind, 'none'))
    FROM card_life AS life
    FULL JOIN (SELECT * FROM card_entry WHERE kind IN ({_KINDS})) AS line
        ON line.merchant_no = life.merchant_no AND line.card_id = life.card_id
            AND line.entry_no = life.entry_no
    WHERE (life.kind, life.at) IS DISTINCT FROM (line.kind, line.at)
        OR line.subject_id <> line.card_id
    """,
)

# The days from the first frozen one to the day before the term runs on.
_FROZEN: Final = f"greatest(0, coalesce({_DAY} - frozen_on_before, 0))"

_LIFE_FOLLOWS: Final = Check(
    "life_follows_itself",
    "card_life",
    "Each step leaves of a term what the step before left and its own day make of it.",
    f"""
    SELECT merchant_no, format('card_id=%s, entry_no=%s', card_id, entry_no),
           format('what follows from %s: frozen on %s, %s days, until %s', kind_before,
                  frozen_on_before, frozen_days_before, valid_until_before),
           format('%s: frozen on %s, %s days, until %s', kind, frozen_on, frozen_days, valid_until)
    FROM (
        SELECT life.*, card.kind AS card_kind, card.term_days,
               coalesce(lag(life.kind) OVER earlier, 'sold') AS kind_before,
               lag(life.frozen_on) OVER earlier AS frozen_on_before,
               lag(life.frozen_days, 1, 0) OVER earlier AS frozen_days_before,
               CASE WHEN lag(life.kind) OVER earlier IS NULL
                   THEN card.activated_on + card.term_days - 1
                   ELSE lag(life.valid_until) OVER earlier END AS valid_until_before
        FROM card_life AS life
        JOIN card USING (merchant_no, card_id)
        WINDOW earlier AS (PARTITION BY life.merchant_no, life.card_id ORDER BY life.entry_no)
    ) AS life
    WHERE NOT coalesce(CASE kind
        WHEN 'frozen' THEN card_kind = 'period' AND kind_before NOT IN ('frozen', 'lost')
            AND frozen_on BETWEEN {_DAY} AND {_DAY} + 1
            AND frozen_days = frozen_days_before AND valid_until = valid_until_before
        WHEN 'lost' THEN kind_before <> 'lost'
            AND CASE
                WHEN frozen_on_before IS NOT NULL THEN frozen_on = frozen_on_before
                WHEN card_kind = 'period' AND {_DAY} <= valid_until_before
                    THEN frozen_on BETWEEN {_DAY} AND {_DAY} + 1
                ELSE frozen_on IS NULL END
            AND frozen_days = frozen_days_before
            AND valid_until IS NOT DISTINCT FROM valid_until_before
        WHEN 'reactivated' THEN card_kind <> 'period' AND kind_before <> 'lost'
            AND valid_until_before < {_DAY} AND valid_until = {_DAY} + term_days - 1
            AND frozen_on IS NULL AND frozen_days = 0
        ELSE kind_before = CASE kind WHEN 'unfrozen' THEN 'frozen' ELSE 'lost' END
            AND frozen_on IS NULL AND frozen_days = frozen_days_before + {_FROZEN}
            AND valid_until IS NOT DISTINCT FROM valid_until_before + {_FROZEN}
        END, false)
    """,
)

_CARD_IS_ITS_LIFE: Final = Check(
    "card_is_as_its_life_left_it",
    "card",
    "A card's term and status are those that the last step of its life left.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('after %s: frozen on %s, %s days, until %s', coalesce(life.kind, 'its sale'),
                  life.frozen_on, coalesce(life.frozen_days, 0),
                  coalesce(life.valid_until, card.activated_on + card.term_days - 1)),
           format('%s: frozen on %s, %s days, until %s', card.status, card.frozen_on,
                  card.frozen_days, card.valid_until)
    FROM card
    LEFT JOIN (
        SELECT DISTINCT ON (merchant_no, card_id) * FROM card_life
        ORDER BY merchant_no, card_id, entry_no DESC
    ) AS life USING (merchant_no, card_id)
    WHERE (card.frozen_on, card.frozen_days, card.valid_until) IS DISTINCT FROM
            (life.frozen_on, coalesce(life.frozen_days, 0),
             coalesce(life.valid_until, card.activated_on + card.term_days - 1))
        OR CASE WHEN life.kind IN ('frozen', 'lost')
            THEN card.status NOT IN (life.kind, 'refunding', 'refunded', 'recalled')
            ELSE card.status IN ('frozen', 'lost') END
    """,
)

_TRANSFER_HAS_A_LINE: Final = Check(
    "transfer_is_in_the_statement",
    "card_transfer",
    "Every accepted transfer is a line of its card's statement, and every such line is one.",
    """
    SELECT coalesce(given.merchant_no, line.merchant_no),
           format('transfer_id=%s, card_id=%s', coalesce(given.transfer_id, line.subject_id),
                  coalesce(given.card_id, line.card_id)),
           format('line %s at %s', given.entry_no, given.ended_at),
           format('line %s at %s', line.entry_no, line.at)
    FROM (SELECT * FROM card_transfer WHERE status = 'accepted') AS given
    FULL JOIN (SELECT * FROM card_entry WHERE kind = 'transferred') AS line
        ON line.merchant_no = given.merchant_no AND line.card_id = given.card_id
            AND line.subject_id = given.transfer_id
    WHERE (given.entry_no, given.ended_at) IS DISTINCT FROM (line.entry_no, line.at)
    """,
)

# Who gave and who took, line by line; the first giver is the one who bought.
_HANDS: Final = """
    SELECT given.*, card.holder_salt,
           coalesce(lag(given.receiver) OVER earlier, purchase.consumer) AS holder,
           lag(given.receiver_commitment) OVER earlier AS commitment_before
    FROM card_transfer AS given
    JOIN card USING (merchant_no, card_id)
    JOIN purchase USING (merchant_no, purchase_id)
    WHERE given.status = 'accepted'
    WINDOW earlier AS (PARTITION BY given.merchant_no, given.card_id ORDER BY given.entry_no)
"""

_HANDS_FOLLOW: Final = Check(
    "card_goes_from_hand_to_hand",
    "card_transfer",
    "Whoever gives a card holds it, and the chain knows both by commitments that link up.",
    f"""
    SELECT merchant_no, format('transfer_id=%s', transfer_id),
           format('given by %s, known as before', holder),
           format('given by %s', giver)
    FROM ({_HANDS}) AS hand
    WHERE giver <> holder
        OR giver_commitment <> coalesce(commitment_before,
            sha256(holder_salt || convert_to(replace(giver::text, '-', ''), 'UTF8')))
        OR giver_commitment
            <> sha256(giver_salt || convert_to(replace(giver::text, '-', ''), 'UTF8'))
        OR receiver_commitment
            <> sha256(receiver_salt || convert_to(replace(receiver::text, '-', ''), 'UTF8'))
    """,
)

_HOLDER_IS_THE_LAST: Final = Check(
    "card_is_its_last_holders",
    "card",
    "A card is the buyer's, or of the last who accepted it; only its holder offers it.",
    """
    SELECT card.merchant_no, format('card_id=%s', card.card_id),
           format('holder %s', coalesce(given.receiver, purchase.consumer)),
           format('holder %s, offered by %s', card.consumer, offered.giver)
    FROM card
    JOIN purchase USING (merchant_no, purchase_id)
    LEFT JOIN (
        SELECT DISTINCT ON (merchant_no, card_id) * FROM card_transfer WHERE status = 'accepted'
        ORDER BY merchant_no, card_id, entry_no DESC
    ) AS given ON given.merchant_no = card.merchant_no AND given.card_id = card.card_id
    LEFT JOIN card_transfer AS offered
        ON offered.merchant_no = card.merchant_no AND offered.card_id = card.card_id
            AND offered.status = 'offered'
    WHERE card.consumer IS DISTINCT FROM coalesce(given.receiver, purchase.consumer)
        OR offered.giver <> card.consumer
    """,
)

# Only cards that changed hands are looked at: of all others the buyer is the holder.
_HOLDER_USED: Final = Check(
    "given_card_was_used_by_its_holder",
    "card_entry",
    "A use of a card that changed hands was confirmed by whoever held it then.",
    """
    SELECT line.merchant_no, format('card_id=%s, entry_no=%s', line.card_id, line.entry_no),
           format('confirmed by %s', held.holder), format('confirmed by %s', charge.consumer)
    FROM (
        SELECT merchant_no, card_id, giver AS holder, entry_no AS until,
               lag(entry_no, 1, 0) OVER earlier AS since
        FROM card_transfer WHERE status = 'accepted'
        WINDOW earlier AS (PARTITION BY merchant_no, card_id ORDER BY entry_no)
        UNION ALL
        SELECT merchant_no, card_id, consumer, entry_count + 1,
               (SELECT max(given.entry_no) FROM card_transfer AS given
                WHERE given.merchant_no = card.merchant_no AND given.card_id = card.card_id)
        FROM card
        WHERE (merchant_no, card_id) IN (
            SELECT merchant_no, card_id FROM card_transfer WHERE status = 'accepted')
    ) AS held
    JOIN card_entry AS line
        ON line.merchant_no = held.merchant_no AND line.card_id = held.card_id
            AND line.entry_no > held.since AND line.entry_no < held.until AND line.kind = 'used'
    JOIN charge ON charge.merchant_no = line.merchant_no AND charge.charge_id = line.subject_id
    WHERE charge.consumer <> held.holder
    """,
)

_REFUND_COUNTS_FROZEN_DAYS: Final = Check(
    "refund_counts_frozen_days",
    "refund",
    "The term's day and the frozen days of a refund are those of its card on that day.",
    """
    SELECT merchant_no, format('refund_id=%s', refund_id),
           format('day %s, %s frozen', least(term_days, day - frozen), frozen),
           format('day %s, %s frozen', inputs ->> 'term_day', inputs ->> 'frozen_days')
    FROM (
        SELECT refund.merchant_no, refund.refund_id, refund.inputs, card.term_days,
               refund.as_of - card.activated_on + 1 AS day,
               coalesce(life.frozen_days, 0)
                   + greatest(0, coalesce(refund.as_of - life.frozen_on + 1, 0)) AS frozen
        FROM refund
        JOIN card USING (merchant_no, card_id)
        LEFT JOIN LATERAL (
            SELECT * FROM card_life
            WHERE card_life.merchant_no = card.merchant_no AND card_life.card_id = card.card_id
                AND card_life.at <= refund.decided_at
            ORDER BY entry_no DESC LIMIT 1
        ) AS life ON true
        WHERE card.kind = 'period' AND refund.decided_at IS NOT NULL
            AND refund.supplements IS NULL
    ) AS counted
    WHERE (CAST(inputs ->> 'frozen_days' AS bigint), CAST(inputs ->> 'term_day' AS bigint))
        IS DISTINCT FROM (CAST(frozen AS bigint), CAST(least(term_days, day - frozen) AS bigint))
    """,
)

CARD_LIFE_CHECKS: Final = (
    _LIFE_HAS_A_LINE,
    _LIFE_FOLLOWS,
    _CARD_IS_ITS_LIFE,
    _TRANSFER_HAS_A_LINE,
    _HANDS_FOLLOW,
    _HOLDER_IS_THE_LAST,
    _HOLDER_USED,
    _REFUND_COUNTS_FROZEN_DAYS,
)
