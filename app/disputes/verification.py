"""Rules of disputes as queries for the rows that break them, and their place in the chain."""

from typing import Final

import asyncpg

from app.db.rows import columns_of
from app.disputes.rows import Dispute
from app.ledger.verification import FINDINGS_MAX, Check, Finding, Tell, rows_of

_SET_ASIDE: Final = Check(
    "set_aside_is_what_is_disputed",
    "account",
    "What lies in release_disputed is what the open disputes of the merchant set aside.",
    """
    SELECT account.merchant_no, 'release_disputed', format('balance %s', coalesce(total, 0)),
           format('balance %s', account.balance)
    FROM account
    LEFT JOIN (
        SELECT merchant_no, sum(set_aside_amount) AS total
        FROM dispute WHERE status = 'open' GROUP BY merchant_no
    ) AS open USING (merchant_no)
    WHERE account.type = 'release_disputed' AND account.balance <> coalesce(total, 0)
    """,
)

_WHOLE: Final = Check(
    "set_aside_whole_or_not",
    "dispute",
    "A dispute set aside all that its use moved, or nothing.",
    """
    SELECT dispute.merchant_no, format('dispute_id=%s', dispute.dispute_id),
           format('0 or %s', charge.release_amount), format('%s', set_aside_amount)
    FROM dispute LEFT JOIN charge USING (merchant_no, charge_id)
    WHERE (set_aside_amount = 0 OR set_aside_amount = charge.release_amount) IS NOT TRUE
    """,
)

_ON_THE_CHARGE: Final = Check(
    "dispute_stands_with_its_charge",
    "charge",
    "A use is disputed while its dispute is open, or upheld and its reversal waits; both say so.",
    """
    SELECT coalesce(charge.merchant_no, dispute.merchant_no),
           format('charge_id=%s', coalesce(charge.charge_id, dispute.charge_id)),
           coalesce(format('dispute %s, %s, of case %s', dispute.dispute_id, dispute.status,
                           dispute.case_id), 'no dispute'),
           format('dispute %s, %s, of case %s, and the charge is %s, its reversal %s',
                  charge.dispute_id, charge.dispute_status, charge.dispute_case_id,
                  charge.status, charge.reversal_status)
    FROM (SELECT * FROM charge WHERE dispute_id IS NOT NULL OR dispute_status IS NOT NULL
              OR dispute_case_id IS NOT NULL OR status = 'disputed') AS charge
    FULL JOIN dispute USING (merchant_no, charge_id)
    WHERE (charge.dispute_id, charge.dispute_status, charge.dispute_case_id)
            IS DISTINCT FROM (dispute.dispute_id, dispute.status, dispute.case_id)
        OR (charge.status = 'disputed') IS DISTINCT FROM (dispute.status = 'open'
            OR (dispute.status = 'upheld' AND charge.reversal_status IS DISTINCT FROM 'done'))
        OR (dispute.status = 'upheld') AND charge.reversal_status IS NULL
        OR (dispute.status = 'open') AND charge.reversal_status IS NOT NULL
    """,
)

_IN_ITS_CASE: Final = Check(
    "dispute_is_as_its_case",
    "dispute",
    "A dispute is open while its case is, upheld where that is upheld, else dismissed.",
    """
    SELECT coalesce(dispute.merchant_no, judged.merchant_no),
           format('dispute_id=%s, case_id=%s', dispute.dispute_id,
                  coalesce(dispute.case_id, judged.case_id)),
           format('status %s', judged.outcome), format('status %s', dispute.status)
    FROM dispute
    FULL JOIN (
        SELECT merchant_no, case_id, charge_id,
               CASE WHEN decision IS NULL THEN 'open' WHEN decision = 'upheld' THEN 'upheld'
                    ELSE 'dismissed' END AS outcome
        FROM case_file WHERE kind = 'dispute'
    ) AS judged USING (merchant_no, case_id)
    WHERE (dispute.charge_id, dispute.status)
        IS DISTINCT FROM (judged.charge_id, judged.outcome)
    """,
)

_ENTRIES: Final = """
    SELECT merchant_no, seq, kind, subject_id, amount, debit_account_id, credit_account_id,
           content_hash
    FROM transfer WHERE kind IN ('dispute_opened', 'dispute_upheld', 'dispute_dismissed')
    UNION ALL
    SELECT merchant_no, seq, kind, subject_id, 0, NULL, NULL, content_hash
    FROM fact WHERE kind IN ('dispute_opened', 'dispute_upheld', 'dispute_dismissed')
"""

_MOVES: Final = Check(
    "dispute_moves_what_it_set_aside",
    "transfer",
    "Opened, a dispute moves what it sets aside out of payable; decided, the same back; each once.",
    f"""
    SELECT coalesce(due.merchant_no, entry.merchant_no),
           format('dispute_id=%s, %s', coalesce(due.dispute_id, entry.subject_id),
                  coalesce(due.kind, entry.kind)),
           format('%s once, from %s to %s', due.amount, due.debit, due.credit),
           format('%s, from %s to %s, %s entries', entry.amount, entry.debit, entry.credit,
                  coalesce(entry.times, 0))
    FROM (
        SELECT merchant_no, dispute_id, 'dispute_opened' AS kind, set_aside_amount AS amount,
               CASE WHEN set_aside_amount > 0 THEN 'merchant_payable' END AS debit,
               CASE WHEN set_aside_amount > 0 THEN 'release_disputed' END AS credit
        FROM dispute
        UNION ALL
        SELECT merchant_no, dispute_id, 'dispute_' || status, set_aside_amount,
               CASE WHEN set_aside_amount > 0 THEN 'release_disputed' END,
               CASE WHEN set_aside_amount > 0 THEN 'merchant_payable' END
        FROM dispute WHERE status <> 'open'
    ) AS due
    FULL JOIN (
        SELECT entry.merchant_no, subject_id, kind, count(*) AS times, max(amount) AS amount,
               max(debit.type) AS debit, max(credit.type) AS credit
        FROM ({_ENTRIES}) AS entry
        LEFT JOIN account AS debit
            ON debit.merchant_no = entry.merchant_no
                AND debit.account_id = entry.debit_account_id
        LEFT JOIN account AS credit
            ON credit.merchant_no = entry.merchant_no
                AND credit.account_id = entry.credit_account_id
        GROUP BY entry.merchant_no, subject_id, kind
    ) AS entry
        ON entry.merchant_no = due.merchant_no AND entry.subject_id = due.dispute_id
            AND entry.kind = due.kind
    WHERE entry.times IS DISTINCT FROM 1
        OR (due.amount, due.debit, due.credit)
            IS DISTINCT FROM (entry.amount, entry.debit, entry.credit)
    """,
)

# Upheld disputes whose reversal did not follow at once: what is kept for them, from when to when.
_WAITED: Final = """
    SELECT dispute.merchant_no, dispute.charge_id, upheld.seq AS since,
           least(set_aside_amount, charge.reversal_amount) AS kept, over.seq AS until,
           over.kind AS outcome
    FROM dispute
    JOIN charge USING (merchant_no, charge_id)
    JOIN transfer AS upheld ON upheld.merchant_no = dispute.merchant_no
        AND upheld.subject_id = dispute.dispute_id AND upheld.kind = 'dispute_upheld'
    LEFT JOIN (
        SELECT DISTINCT ON (merchant_no, subject_id) merchant_no, subject_id, seq, kind
        FROM (
            SELECT merchant_no, subject_id, seq, kind FROM transfer WHERE kind = 'use_reversed'
            UNION ALL
            SELECT merchant_no, subject_id, seq, kind FROM fact
            WHERE kind IN ('use_reversed', 'reversal_ended')
        ) AS ended
        ORDER BY merchant_no, subject_id, seq
    ) AS over ON over.merchant_no = dispute.merchant_no AND over.subject_id = dispute.charge_id
    WHERE dispute.status = 'upheld' AND set_aside_amount > 0
        AND over.seq IS DISTINCT FROM upheld.seq + 1
"""

_KEPT: Final = Check(
    "set_aside_is_kept_until_it_is_paid",
    "transfer",
    "While an upheld dispute waits to be paid, what was set aside for it is neither cut to the "
    "merchant nor taken to make good what left custody.",
    f"""
    SELECT taken.merchant_no, format('seq=%s', taken.seq),
           format('at least %s left', least(sum(kept), taken.debit_balance + taken.amount)),
           format('%s taken, %s left', taken.amount, taken.debit_balance)
    FROM ({_WAITED}) AS waited
    JOIN transfer AS taken ON taken.merchant_no = waited.merchant_no
        AND taken.kind IN ('release_cut', 'bank_claim_taken')
        AND taken.seq > since AND (until IS NULL OR taken.seq < until)
    GROUP BY taken.merchant_no, taken.seq
    HAVING taken.debit_balance < least(sum(kept), taken.debit_balance + taken.amount)
    """,
)

_ENDED: Final = Check(
    "kept_reversal_does_not_end",
    "charge",
    "A closure ends no reversal of an upheld dispute while there is something of what was set "
    "aside.",
    f"""
    SELECT waited.merchant_no, format('charge_id=%s', charge_id), 'nothing in payable',
           format('%s in payable when it ended', payable.balance)
    FROM ({_WAITED}) AS waited
    CROSS JOIN LATERAL (
        SELECT entry.balance FROM ledger_entry AS entry
        JOIN account USING (merchant_no, account_id)
        WHERE entry.merchant_no = waited.merchant_no AND entry.seq < waited.until
            AND account.type = 'merchant_payable'
        ORDER BY entry.seq DESC LIMIT 1
    ) AS payable
    WHERE outcome = 'reversal_ended' AND payable.balance > 0
    """,
)

DISPUTE_CHECKS: Final = (
    _SET_ASIDE,
    _WHOLE,
    _ON_THE_CHARGE,
    _IN_ITS_CASE,
    _MOVES,
    _KEPT,
    _ENDED,
)

IN_THE_CHAIN: Final = "dispute_is_in_the_chain"
DISPUTE_RULES: Final = {
    IN_THE_CHAIN: "A dispute is, opened and decided, what its entries put into the chain."
}

_DISPUTES: Final = f"""
SELECT {", ".join(f"dispute.{column.name}" for column in columns_of(Dispute))},
       opened.content_hash, decided.content_hash
FROM dispute
LEFT JOIN ({_ENTRIES}) AS opened
    ON opened.merchant_no = dispute.merchant_no AND opened.subject_id = dispute.dispute_id
        AND opened.kind = 'dispute_opened'
LEFT JOIN ({_ENTRIES}) AS decided
    ON decided.merchant_no = dispute.merchant_no AND decided.subject_id = dispute.dispute_id
        AND decided.kind <> 'dispute_opened'
ORDER BY dispute.merchant_no, dispute.dispute_id
"""


async def check_disputes(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every dispute anew, as opened and as decided, and compare with the chain."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _DISPUTES, tell):
        dispute = Dispute(*row[:-2])  # pyright: ignore[reportArgumentType]  # the columns of _DISPUTES
        computed = (
            dispute.as_opened.content_hash(),
            None if dispute.decided_at is None else dispute.content_hash(),
        )
        if computed != (row[-2], row[-1]):
            findings.append(
                Finding(
                    IN_THE_CHAIN,
                    "dispute",
                    dispute.merchant_no,
                    f"dispute_id={dispute.dispute_id}",
                    f"what has hashes {_hex(row[-2])} and {_hex(row[-1])}",
                    f"hashes {_hex(computed[0])} and {_hex(computed[1])}",
                )
            )
            if len(findings) >= FINDINGS_MAX:
                break
    return findings


def _hex(content_hash: object) -> str:
    return content_hash.hex() if isinstance(content_hash, bytes) else "none"
