"""Rules of cases as queries for the rows that break them, and their place in the chain."""

from typing import Final

import asyncpg

from app.cases.rows import CaseFile
from app.db.rows import columns_of
from app.ledger.verification import FINDINGS_MAX, Check, Finding, Tell, rows_of

_IN_TIME: Final = Check(
    "case_is_decided_by_the_clock",
    "case_file",
    "A merchant answered by the day that it had for it, and kept silent beyond that day.",
    """
    SELECT merchant_no, format('case_id=%s', case_id),
           CASE WHEN answered_at IS NULL THEN format('silence until after %s', answer_due_on)
                ELSE format('an answer by %s', answer_due_on) END,
           CASE WHEN answered_at IS NULL THEN format('silence until %s', decided_at)
                ELSE format('an answer at %s', answered_at) END
    FROM case_file
    WHERE (answered_at AT TIME ZONE 'Asia/Shanghai')::date > answer_due_on
        OR (decided_by = 'silence'
            AND ((decided_at AT TIME ZONE 'Asia/Shanghai')::date > answer_due_on) IS NOT TRUE)
    """,
)

_BY_TWO: Final = Check(
    "case_is_decided_as_two_persons_approved",
    "case_file",
    "What two persons decided is what one of them proposed, and the other did not reject.",
    """
    SELECT case_file.merchant_no, format('case_id=%s', case_id),
           format('%s as approval %s proposed', approval.request ->> 'decision',
                  case_file.approval_id),
           format('%s, and the approval is %s', decision, coalesce(approval.status, 'missing'))
    FROM case_file LEFT JOIN approval ON approval.approval_id = case_file.approval_id
    WHERE case_file.approval_id IS NOT NULL
        AND ((approval.action, approval.request ->> 'decision',
              (approval.request ->> 'used_amount')::bigint)
             IS DISTINCT FROM ('case.decision', decision, used_amount)
            -- Proposed where the answer to the writer's commit was lost: it is approved again.
            OR approval.status NOT IN ('approved', 'proposed'))
    """,
)

_STEPS: Final = "('case_open', 'case_answered', 'case_decided')"

_HAS_ROW: Final = Check(
    "case_in_the_chain_exists",
    "fact",
    "Every step of a case in the chain is one of a case that is there.",
    f"""
    SELECT merchant_no, format('seq=%s', seq), format('a case with id %s', subject_id), 'none'
    FROM fact
    WHERE kind IN {_STEPS}
        AND NOT EXISTS (
            SELECT FROM case_file
            WHERE case_file.merchant_no = fact.merchant_no AND case_id = fact.subject_id)
    """,
)

CASE_CHECKS: Final = (_IN_TIME, _BY_TWO, _HAS_ROW)

IN_THE_CHAIN: Final = "case_is_in_the_chain"
CASE_RULES: Final = {IN_THE_CHAIN: "A case is what its last step put into the chain."}

_COLUMNS: Final = ", ".join(f"case_file.{column.name}" for column in columns_of(CaseFile))
_CASES: Final = f"""
SELECT {_COLUMNS}, step.kind, step.content_hash
FROM case_file
LEFT JOIN (
    SELECT DISTINCT ON (merchant_no, subject_id) merchant_no, subject_id, kind, content_hash
    FROM fact WHERE kind IN {_STEPS} ORDER BY merchant_no, subject_id, seq DESC
) AS step ON step.merchant_no = case_file.merchant_no AND step.subject_id = case_file.case_id
ORDER BY case_file.merchant_no, case_file.case_id
"""


async def check_cases(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every case as it stands and find that in the chain; name each that is not there."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _CASES, tell):
        case = CaseFile(*row[:-2])  # pyright: ignore[reportArgumentType]  # the columns of _CASES
        expected = f"{row[-2] or 'no step'} of hash {_hex(row[-1])}"
        found = f"case_{case.status} of hash {_hex(case.content_hash())}"
        if expected != found:
            key = f"case_id={case.case_id}"
            findings.append(
                Finding(IN_THE_CHAIN, "case_file", case.merchant_no, key, expected, found)
            )
        if len(findings) >= FINDINGS_MAX:
            break
    return findings


def _hex(digest: object) -> str:
    return digest.hex() if isinstance(digest, bytes) else "nothing"
