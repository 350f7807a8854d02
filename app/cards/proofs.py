"""Rules of cards that need the rows themselves: lines and terms hashed anew (TRUST I4)."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from app.cards.domain import Card
from app.cards.statement import CardEntry
from app.cards.terms import terms_hash
from app.ledger.verification import FINDINGS_MAX, Finding, Tell, rows_of

_LINES: Final = f"""
SELECT {", ".join(f"entry.{name}" for name in CardEntry._fields)},
       coalesce(transfer.content_hash, fact.content_hash) AS content_hash
FROM card_entry AS entry
LEFT JOIN transfer USING (merchant_no, seq)
LEFT JOIN fact USING (merchant_no, seq)
"""  # noqa: S608  # our own column names

_TERMS: Final = f"""
SELECT {", ".join(f"card.{name}" for name in Card._fields)},
       purchase.consumer, purchase.contract_sha256, purchase.accepted_at, funded.evidence_hash
FROM card
JOIN purchase USING (merchant_no, purchase_id)
LEFT JOIN card_entry AS funded
    ON funded.merchant_no = card.merchant_no AND funded.card_id = card.card_id
        AND funded.kind = 'funded'
"""  # noqa: S608  # our own column names


async def check_lines(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every line of every statement anew and compare with its entry in the chain."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _LINES, tell):
        line = CardEntry(*row[:-1])  # pyright: ignore[reportArgumentType]  # the columns of _LINES
        key = f"card_id={line.card_id}, entry_no={line.entry_no}"
        in_chain = _hex(row[-1])
        if line.content_hash().hex() != in_chain:
            findings.append(
                Finding(
                    "line_is_in_the_chain",
                    "card_entry",
                    line.merchant_no,
                    key,
                    f"a line with content_hash {in_chain}, as in seq {line.seq}",
                    f"content_hash {line.content_hash().hex()}",
                )
            )
            if len(findings) >= FINDINGS_MAX:
                break
    return findings


async def check_terms(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every card's terms anew and compare with what its first line put into the chain."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _TERMS, tell):
        card = Card(*row[:-4])  # pyright: ignore[reportArgumentType]  # the columns of _TERMS
        buyer, contract_sha256, accepted_at, evidence_hash = row[-4:]
        assert isinstance(contract_sha256, bytes)
        assert isinstance(buyer, UUID)
        computed = (
            # The terms name who accepted them, whoever holds the card by now.
            terms_hash(
                card._replace(consumer=buyer),
                contract_sha256=contract_sha256,
                accepted_at=accepted_at,
            )
            if isinstance(accepted_at, datetime)
            else b""
        )
        if not computed == card.terms_hash == evidence_hash:
            findings.append(
                Finding(
                    "terms_are_those_of_the_sale",
                    "card",
                    card.merchant_no,
                    f"card_id={card.card_id}",
                    f"terms with hash {_hex(evidence_hash)}, as in its first line",
                    f"terms_hash {card.terms_hash.hex()}, of the terms {computed.hex()}",
                )
            )
            if len(findings) >= FINDINGS_MAX:
                break
    return findings


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else "nothing"
