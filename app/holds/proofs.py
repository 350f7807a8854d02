"""Find in the hash chain what every hold ordered, and how it ended."""

from typing import Final

import asyncpg

from app.db.rows import columns_of
from app.holds.domain import Hold, HoldStatus
from app.ledger.verification import FINDINGS_MAX, Finding, Tell, rows_of

ORDERED: Final = "hold_is_what_was_ordered"
ENDED: Final = "hold_ended_as_it_says"
HOLD_RULES: Final = {
    ORDERED: "A hold is what its entry put into the chain.",
    ENDED: "A hold ended as its last entry in the chain says.",
}

_HOLDS: Final = f"""
SELECT {", ".join(f"hold.{column.name}" for column in columns_of(Hold))},
       placed.content_hash, ended.content_hash
FROM hold
LEFT JOIN fact AS placed ON placed.merchant_no = hold.merchant_no AND placed.seq = hold.seq
LEFT JOIN fact AS ended ON ended.merchant_no = hold.merchant_no AND ended.seq = hold.ended_seq
ORDER BY hold.merchant_no, hold.hold_id
"""  # noqa: S608  # our own column names


async def check_holds(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every hold again and compare; name each row that is not as it was ordered or ended."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _HOLDS, tell):
        hold = Hold(*row[:-2])  # pyright: ignore[reportArgumentType]  # the columns of _HOLDS
        pairs = [(ORDERED, hold.content_hash(), row[-2])]
        if hold.status != HoldStatus.ACTIVE:
            pairs.append((ENDED, hold.end_hash(), row[-1]))
        findings += [
            Finding(
                check,
                "hold",
                hold.merchant_no,
                f"hold_id={hold.hold_id}",
                f"what has hash {known.hex() if isinstance(known, bytes) else 'nothing'}",
                f"hash {computed.hex()}",
            )
            for check, computed, known in pairs
            if computed != known
        ]
        if len(findings) >= FINDINGS_MAX:
            break
    return findings
