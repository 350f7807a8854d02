"""Rules of uses as queries for the rows that break them (DOMAIN §4, TRUST I3 and I4)."""

from typing import Final

import asyncpg

from app.charges.domain import Charge, confirmation_hash
from app.db.rows import columns_of
from app.ledger.verification import FINDINGS_MAX, Check, Finding, Tell, rows_of

_DRAWN: Final = """
    jsonb_to_recordset(charge.draws) AS draw (
        card_id uuid, face_amount bigint, sessions integer, visit_day integer,
        list_amount bigint, release_amount bigint)
"""

_DRAWS: Final = f"""
    SELECT charge.merchant_no, charge.charge_id, charge.status, charge.store_id,
           charge.confirmation_hash, draw.*
    FROM charge
    CROSS JOIN LATERAL {_DRAWN}
"""


def _draws_are_lines(name: str, rule: str, *, kind: str, charges: str, compared: str) -> Check:
    """Compare the draws of some charges with the statement's lines of one kind, both ways."""
    draw = ", ".join(f"draw.{column}" for column in compared.split())
    line = ", ".join(f"line.{_LINE_OF_DRAW.get(column, column)}" for column in compared.split())
    return Check(
        name,
        "charge",
        rule,
        f"""
        SELECT coalesce(draw.merchant_no, line.merchant_no),
               format('charge_id=%s, card_id=%s', coalesce(draw.charge_id, line.subject_id),
                      coalesce(draw.card_id, line.card_id)),
               CASE WHEN line.seq IS NULL THEN 'no line' ELSE format(
                   'entry_no %s with {compared}: %s', line.entry_no, ({line})) END,
               CASE WHEN draw.charge_id IS NULL THEN 'no such draw of a charge in that state'
                   ELSE format('a draw with {compared}: %s', ({draw})) END
        FROM (SELECT * FROM ({_DRAWS}) AS every WHERE status {charges}) AS draw
        FULL JOIN (SELECT * FROM card_entry WHERE kind = '{kind}') AS line
            ON line.merchant_no = draw.merchant_no AND line.subject_id = draw.charge_id
                AND line.card_id = draw.card_id
        WHERE draw.charge_id IS NULL OR line.seq IS NULL OR ({draw}) IS DISTINCT FROM ({line})
        """,
    )


_LINE_OF_DRAW: Final = {"face_amount": "amount", "confirmation_hash": "evidence_hash"}

_USED: Final = _draws_are_lines(
    "use_is_in_the_statement",
    "A confirmed use took from each card what that card's statement says, and no other use did.",
    kind="used",
    charges="IN ('confirmed', 'disputed', 'reversed')",
    compared="face_amount sessions visit_day list_amount release_amount store_id confirmation_hash",
)

_REVERSED: Final = _draws_are_lines(
    "reversal_is_in_the_statement",
    "A reversed use gave back what it took, in each card's statement, and no other use did.",
    kind="reversed",
    charges="= 'reversed'",
    compared="face_amount sessions",
)

_USED_ONCE: Final = Check(
    "use_takes_effect_once",
    "charge",
    "A charge is confirmed at most once, and reversed at most once, on each card.",
    """
    SELECT merchant_no, format('charge_id=%s, card_id=%s', subject_id, card_id),
           format('one line of kind %s', kind), format('%s lines', count(*))
    FROM card_entry
    WHERE kind IN ('used', 'reversed')
    GROUP BY merchant_no, subject_id, card_id, kind
    HAVING count(*) > 1
    """,
)

_CONFIRMED_ONCE: Final = Check(
    "confirmation_is_of_one_charge",
    "charge",
    "A confirmation, and the code that gave it, belong to one charge.",
    """
    SELECT merchant_no, format('confirmation_id=%s', confirmation_id), 'one charge',
           format('charges %s', string_agg(charge_id::text, ', '))
    FROM charge WHERE confirmation_id IS NOT NULL
    GROUP BY merchant_no, confirmation_id HAVING count(*) > 1
    UNION ALL
    SELECT merchant_no, format('code_hash=%s', encode(code_hash, 'hex')), 'one charge',
           format('charges %s', string_agg(charge_id::text, ', '))
    FROM charge WHERE code_hash IS NOT NULL
    GROUP BY merchant_no, code_hash HAVING count(*) > 1
    """,
)

_TOTALS: Final = Check(
    "charge_is_its_draws",
    "charge",
    "A charge is for what its draws take, and released what they released.",
    f"""
    SELECT merchant_no, format('charge_id=%s', charge_id),
           concat_ws(', ', 'draws', 'amount ' || face, 'sessions ' || drawn,
                     'released ' || released),
           concat_ws(', ', 'charge', 'amount ' || amount, 'sessions ' || sessions,
                     'released ' || release_amount)
    FROM charge
    -- Charge by charge: nothing is grouped or sorted over all of them.
    CROSS JOIN LATERAL (
        SELECT sum(face_amount) AS face, sum(draw.sessions) AS drawn,
               sum(draw.release_amount) AS released, count(*) AS times,
               count(DISTINCT card_id) AS cards
        FROM {_DRAWN}
    ) AS sums
    WHERE (amount, sessions, release_amount) IS DISTINCT FROM (face, drawn, released)
        OR times <> cards OR times = 0
    """,
)

_STATUS: Final = Check(
    "charge_status_has_its_proof",
    "charge",
    "A confirmed charge has one confirmation, a waiting one has none; a reversal is done or not.",
    """
    SELECT merchant_no, format('charge_id=%s', charge_id),
           'a confirmation where it took effect, a finished reversal where it was taken back',
           format('status %s, confirmation %s, released %s, reversal %s', status, confirmation_id,
                  release_amount, reversal_status)
    FROM charge
    WHERE (status IN ('confirmed', 'disputed', 'reversed')) <> (confirmation_id IS NOT NULL)
        OR (confirmation_id IS NULL) <> (release_amount IS NULL)
        OR (confirmation_id IS NULL) <> (confirmed_at IS NULL)
        OR (confirmation_id IS NULL) <> (confirmation_hash IS NULL)
        OR (status = 'reversed') <> coalesce(reversal_status = 'done', false)
        OR (reversal_status = 'pending' AND reversal_amount IS NULL)
    """,
)

_HELD: Final = Check(
    "held_is_what_waits",
    "card",
    "What a card holds is the sum of the draws of its waiting charges.",
    f"""
    SELECT coalesce(card.merchant_no, waiting.merchant_no),
           format('card_id=%s', coalesce(card.card_id, waiting.card_id)),
           format('face %s, sessions %s held by %s charges',
                  coalesce(face, 0), coalesce(drawn, 0), coalesce(charges, 0)),
           CASE WHEN card.card_id IS NULL THEN 'no such card' ELSE
               format('face %s, sessions %s held by %s charges',
                      face_held_amount, sessions_held, pending_count) END
    FROM card
    FULL JOIN (
        SELECT merchant_no, card_id, sum(face_amount) AS face, sum(sessions) AS drawn,
               count(*) AS charges
        FROM ({_DRAWS} WHERE charge.status = 'pending_confirmation') AS draw
        GROUP BY merchant_no, card_id
    ) AS waiting USING (merchant_no, card_id)
    WHERE (face_held_amount, sessions_held, pending_count)
        IS DISTINCT FROM (coalesce(face, 0), coalesce(drawn, 0), coalesce(charges, 0))
    """,
)

_WAITING_REVERSALS: Final = Check(
    "waiting_reversals_add_up",
    "book",
    "What a book sets aside for waiting reversals is their sum.",
    """
    SELECT book.merchant_no, format('merchant_no=%s', book.merchant_no),
           format('waiting_reversal_amount %s', coalesce(total, 0)),
           format('waiting_reversal_amount %s', waiting_reversal_amount)
    FROM book
    LEFT JOIN (
        SELECT merchant_no, sum(reversal_amount) AS total
        FROM charge WHERE reversal_status = 'pending' GROUP BY merchant_no
    ) AS waiting USING (merchant_no)
    WHERE waiting_reversal_amount <> coalesce(total, 0)
    """,
)

_USES_REACH_PAYABLE: Final = Check(
    "use_pays_its_merchant",
    "transfer",
    "What a use releases goes to the merchant's payable, and comes back from there.",
    """
    SELECT line.merchant_no, format('seq=%s', line.seq), 'the other account: merchant_payable',
           format('%s to %s', transfer.debit_account_id, transfer.credit_account_id)
    FROM card_entry AS line
    JOIN transfer USING (merchant_no, seq)
    LEFT JOIN account AS payable
        ON payable.merchant_no = line.merchant_no AND payable.type = 'merchant_payable'
            AND payable.account_id = CASE line.kind WHEN 'used' THEN transfer.credit_account_id
                ELSE transfer.debit_account_id END
    WHERE line.kind IN ('used', 'reversed') AND payable.account_id IS NULL
    """,
)

_DRAWS_ON_ITS_OWN: Final = Check(
    "charge_has_its_store_and_cards",
    "charge",
    "A charge is of a store of its merchant, and draws on cards of its merchant and kind.",
    f"""
    SELECT draw.merchant_no, format('charge_id=%s', draw.charge_id),
           format('store %s and card %s', draw.store_id, draw.card_id),
           concat_ws(', ', CASE WHEN store.store_id IS NULL THEN 'no such store' END,
                     CASE WHEN card.card_id IS NULL THEN 'no such card' END,
                     CASE WHEN book.merchant_no IS NULL THEN 'no such merchant' END)
    FROM ({_DRAWS}) AS draw
    LEFT JOIN store USING (merchant_no, store_id)
    LEFT JOIN card USING (merchant_no, card_id)
    LEFT JOIN book USING (merchant_no)
    WHERE store.store_id IS NULL OR card.card_id IS NULL OR book.merchant_no IS NULL
    """,
)

CHARGE_CHECKS: Final = (
    _USED,
    _REVERSED,
    _USED_ONCE,
    _CONFIRMED_ONCE,
    _TOTALS,
    _STATUS,
    _HELD,
    _WAITING_REVERSALS,
    _USES_REACH_PAYABLE,
    _DRAWS_ON_ITS_OWN,
)

_CONFIRMED: Final = f"""
SELECT {", ".join(column.name for column in columns_of(Charge))}
FROM charge WHERE confirmation_id IS NOT NULL
"""


async def check_confirmations(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Bind every confirmation anew to what it confirmed, and compare with its hash."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _CONFIRMED, tell):
        charge = Charge(*row)  # pyright: ignore[reportArgumentType]  # the columns of _CONFIRMED
        computed = confirmation_hash(charge, charge.confirmation, charge.read_draws())
        if computed != charge.confirmation_hash:
            findings.append(
                Finding(
                    "confirmation_binds_the_use",
                    "charge",
                    charge.merchant_no,
                    f"charge_id={charge.charge_id}",
                    f"what was confirmed with hash {(charge.confirmation_hash or b'').hex()}",
                    f"hash {computed.hex()}",
                )
            )
            if len(findings) >= FINDINGS_MAX:
                break
    return findings
