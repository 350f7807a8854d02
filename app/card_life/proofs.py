"""Rules of a card's life that need the rows themselves: their hashes made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.card_life.rows import CardLife, CardTransfer
from app.ledger.verification import FINDINGS_MAX, Finding, Tell, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

LIFE: Final = "life_is_the_one_in_the_chain"
TRANSFER: Final = "transfer_is_the_one_in_the_chain"
LIFE_RULES: Final[Mapping[str, str]] = {
    LIFE: "What a step left of a card's term is what its line put into the chain.",
    TRANSFER: "Who gave a card to whom is what its line put into the chain.",
}

_OF_LINE: Final = """
LEFT JOIN card_entry AS line
    ON line.merchant_no = said.merchant_no AND line.card_id = said.card_id
        AND line.entry_no = said.entry_no
"""
_LIVES: Final = f"""
SELECT {", ".join(f"said.{name}" for name in CardLife._fields)}, line.evidence_hash
FROM card_life AS said {_OF_LINE}
"""  # noqa: S608  # our own column names
_TRANSFERS: Final = f"""
SELECT {", ".join(f"said.{name}" for name in CardTransfer._fields)}, line.evidence_hash
FROM card_transfer AS said {_OF_LINE} WHERE said.status = 'accepted'
"""  # noqa: S608  # the same


async def check_lives(connection: asyncpg.Connection, tell: Tell) -> list[Finding]:
    """Hash every step and every accepted transfer anew and compare with its line."""
    findings: list[Finding] = []
    async for row in rows_of(connection, _LIVES, tell):
        life = CardLife(*row[:-1])  # pyright: ignore[reportArgumentType]  # the columns of _LIVES
        key = f"card_id={life.card_id}, entry_no={life.entry_no}"
        findings += _compared(LIFE, "card_life", life.merchant_no, key, (row[-1], life))
        if len(findings) >= FINDINGS_MAX:
            return findings
    async for row in rows_of(connection, _TRANSFERS, tell):
        transfer = CardTransfer(*row[:-1])  # pyright: ignore[reportArgumentType]  # of _TRANSFERS
        key = f"transfer_id={transfer.transfer_id}"
        findings += _compared(
            TRANSFER, "card_transfer", transfer.merchant_no, key, (row[-1], transfer)
        )
        if len(findings) >= FINDINGS_MAX:
            break
    return findings


def _compared(
    check: str, table: str, merchant_no: int, key: str, pair: tuple[object, CardLife | CardTransfer]
) -> list[Finding]:
    known, row = pair
    in_chain = known.hex() if isinstance(known, bytes) else "nothing"
    computed = row.content_hash().hex()
    if computed == in_chain:
        return []
    expected, found = f"what has hash {in_chain}", f"hash {computed}"
    return [Finding(check, table, merchant_no, key, expected, found)]
