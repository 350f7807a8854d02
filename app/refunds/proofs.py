"""Compute every stored refund again from its own inputs, and find it in the chain."""

from typing import Final

import asyncpg

from app.db.rows import columns_of
from app.ledger.verification import FINDINGS_MAX, Finding, Tell, rows_of
from app.refunds.domain import Figures, Formula, figure
from app.refunds.rows import CardRefund

FIGURES: Final = "refund_is_computed_from_its_inputs"
IN_THE_CHAIN: Final = "refund_is_in_the_chain"
REFUND_RULES: Final = {
    FIGURES: "A refund is what the formula of its version makes of its inputs.",
    IN_THE_CHAIN: "What decided a refund is what its line put into the chain.",
}

_COLUMNS: Final = ", ".join(
    f"CAST(refund.{column.name} AS text)" if column.json else f"refund.{column.name}"
    for column in columns_of(CardRefund)
)
_REFUNDS: Final = f"""
SELECT {_COLUMNS}, line.evidence_hash
FROM refund
LEFT JOIN card_entry AS line
    ON line.merchant_no = refund.merchant_no AND line.card_id = refund.card_id
        AND line.subject_id = refund.refund_id AND line.kind = 'refunded'
WHERE refund.card_id IS NOT NULL
ORDER BY refund.merchant_no, refund.refund_id
"""  # noqa: S608  # our own column names


async def check_refunds(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Compute every refund again and compare; name each row that comes to something else."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _REFUNDS, tell):
        refund = CardRefund(*row[:-1])  # pyright: ignore[reportArgumentType]  # the columns of _REFUNDS
        findings += [
            Finding(check, "refund", refund.merchant_no, f"refund_id={refund.refund_id}", *compared)
            for check, compared in _wrong(refund, row[-1])
        ]
        if len(findings) >= FINDINGS_MAX:
            break
    return findings


def _wrong(refund: CardRefund, evidence_hash: object) -> list[tuple[str, tuple[str, str]]]:
    wrong: list[tuple[str, tuple[str, str]]] = []
    try:
        computed = figure(
            Formula(refund.formula), refund.read_inputs(), version=refund.formula_version
        )
    except (KeyError, TypeError, ValueError):
        known = "a formula, a version and inputs that are known"
        said = f"{refund.formula} of version {refund.formula_version}"
        return [(FIGURES, (known, said))]
    if computed != refund.figures:
        wrong.append((FIGURES, (_said(computed), _said(refund.figures))))
    if refund.decided_at is not None and refund.content_hash() != evidence_hash:
        in_chain = evidence_hash.hex() if isinstance(evidence_hash, bytes) else "nothing"
        wrong.append(
            (IN_THE_CHAIN, (f"what has hash {in_chain}", f"hash {refund.content_hash().hex()}"))
        )
    return wrong


def _said(figures: Figures) -> str:
    return (
        f"amount {figures.amount}, residue {figures.residue_amount},"
        f" interest claim {figures.interest_claim_amount}"
    )
