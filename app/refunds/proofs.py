"""Compute every stored refund again from its own inputs, and find it in the chain."""

from typing import Final

import asyncpg

from app.cards.domain import Card
from app.db.rows import Row, columns_of
from app.ledger.verification import FINDINGS_MAX, Finding, Tell, rows_of
from app.refunds.domain import Figures, Formula, figure
from app.refunds.recomputing import figure_now
from app.refunds.rows import CardRefund

FIGURES: Final = "refund_is_computed_from_its_inputs"
IN_THE_CHAIN: Final = "refund_is_in_the_chain"
AS_USED: Final = "refunds_follow_the_uses"
REFUND_RULES: Final = {
    FIGURES: "A refund is what the formula of its version makes of its inputs.",
    IN_THE_CHAIN: "What decided a refund is what its line put into the chain.",
    AS_USED: (
        "A card's refunds and what its merchant has of the rest are what the uses that stand make"
        " them, by the class and the day of the first refund."
    ),
}


def _columns(table: str, shape: type[Row]) -> str:
    """List a row's columns, JSON as text."""
    names = [(f"{table}.{column.name}", column.json) for column in columns_of(shape)]
    return ", ".join(f"CAST({name} AS text)" if json else name for name, json in names)


_COLUMNS: Final = _columns("refund", CardRefund)
_REFUNDS: Final = f"""
SELECT {_COLUMNS}, line.evidence_hash
FROM refund
LEFT JOIN card_entry AS line
    ON line.merchant_no = refund.merchant_no AND line.card_id = refund.card_id
        AND line.subject_id = refund.refund_id AND line.kind = 'refunded'
WHERE refund.card_id IS NOT NULL
ORDER BY refund.merchant_no, refund.refund_id
"""  # noqa: S608  # our own column names

# A recalled payment takes from refunds by rules of its own (DOMAIN §5).
_CARDS: Final = f"""
SELECT {_COLUMNS}, {_columns("card", Card)},
       (SELECT sum(every.amount + every.unpaid_amount) FROM refund AS every
        WHERE every.merchant_no = card.merchant_no AND every.card_id = card.card_id
            AND every.decided_at IS NOT NULL)::bigint AS refunded
FROM refund
JOIN card ON card.merchant_no = refund.merchant_no AND card.card_id = refund.card_id
WHERE refund.decided_at IS NOT NULL AND refund.supplements IS NULL AND card.recalled_amount = 0
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


async def check_refunded_cards(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Compute what each refunded card comes to with the uses that stand; name those that differ.

    Uses are taken back after a refund too: then what was refunded in sum has followed them.
    """
    findings: list[Finding] = []
    width = len(CardRefund._fields)
    async for row in rows_of(connection, _CARDS, tell):
        first = CardRefund(*row[:width])  # pyright: ignore[reportArgumentType]  # the columns of _CARDS
        card = Card(*row[width:-1])  # pyright: ignore[reportArgumentType]  # the same
        try:
            now = figure_now(first, card)
        except (KeyError, TypeError, ValueError):
            # What is not known by now is named as such where the row itself is computed.
            continue
        rest = now.residue_amount if first.settled_at is not None else 0
        if (now.amount, rest) != (row[-1], card.adjusted_amount):
            findings.append(
                Finding(
                    AS_USED,
                    "card",
                    card.merchant_no,
                    f"card_id={card.card_id}",
                    f"refunds of {now.amount} in sum, a rest of {rest}",
                    f"refunds of {row[-1]} in sum, a rest of {card.adjusted_amount}",
                )
            )
            if len(findings) >= FINDINGS_MAX:
                break
    return findings
