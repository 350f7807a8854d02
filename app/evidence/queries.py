"""Read all that a card's evidence is made of; every query in one snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from app.card_life.rows import CardLife, CardTransfer
from app.cards.queries import find_card
from app.cards.statement import CardEntry
from app.charges.domain import Charge
from app.db.rows import Row, columns_of
from app.ledger.checkpoints import Head
from app.ledger.rows import Fact, Transfer
from app.money import Fen
from app.refunds.rows import CardRefund

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.cards.domain import Card
    from app.db.engine import Transaction


class Sale(NamedTuple):
    """How a card was sold, and by whom."""

    merchant_id: UUID
    name: str
    licence_number: str
    product_name: str
    issuer: str | None
    consumer: UUID | None
    contract_version: int
    contract_sha256: bytes
    contract_text: str
    accepted_at: datetime | None
    purchased_at: datetime


class Payment(NamedTuple):
    """The receipt that funded a card; names and numbers are sealed."""

    receipt_id: UUID
    bank: str
    bank_reference: str
    custody_account: str
    amount: Fen
    payment_reference: str
    payer_name: bytes
    payer_account_number: bytes
    paid_at: datetime
    received_at: datetime


class Checkpoint(NamedTuple):
    """The newest signed checkpoint, and what it says of one book."""

    checkpoint_id: UUID
    sha256: bytes
    signature: bytes
    key_id: str
    created_at: datetime
    seq: int
    chain_hash: bytes


class CardFacts(NamedTuple):
    """All of a card's evidence but its lines."""

    card: Card
    sale: Sale
    payment: Payment | None
    head: Head
    checkpoint: Checkpoint | None
    issued_at: datetime


class LineFacts(NamedTuple):
    """A line of the statement with what stands behind it; None is a row that is not there."""

    line: CardEntry
    store_name: str | None
    charge: Charge | None
    life: CardLife | None
    transfer: CardTransfer | None
    refund: CardRefund | None
    entry: Transfer | Fact | None
    previous_chain_hash: bytes | None


class _StoreName(NamedTuple):
    store_id: UUID
    name: str


class _Link(NamedTuple):
    seq: int
    chain_hash: bytes


def _columns(shape: type[Row]) -> str:
    return ", ".join(
        f"CAST({column.name} AS text) AS {column.name}" if column.json else column.name
        for column in columns_of(shape)
    )


_LINES: Final = f"""
SELECT {_columns(CardEntry)} FROM card_entry
WHERE merchant_no = :no AND card_id = :id AND entry_no > :after
ORDER BY entry_no LIMIT :count
"""  # noqa: S608  # our own column names
_CHARGES: Final = f"""
SELECT {_columns(Charge)} FROM charge
WHERE merchant_no = :no AND charge_id = ANY(CAST(:ids AS uuid[]))
"""  # noqa: S608  # the same
_OF_NUMBERS: Final = (
    "merchant_no = :no AND card_id = :id AND entry_no = ANY(CAST(:numbers AS integer[]))"
)
_LIVES: Final = f"SELECT {_columns(CardLife)} FROM card_life WHERE {_OF_NUMBERS}"  # noqa: S608  # the same
_GIVEN: Final = f"SELECT {_columns(CardTransfer)} FROM card_transfer WHERE {_OF_NUMBERS}"  # noqa: S608  # the same
_REFUNDS: Final = f"""
SELECT {_columns(CardRefund)} FROM refund
WHERE merchant_no = :no AND card_id = :id AND refund_id = ANY(CAST(:ids AS uuid[]))
"""  # noqa: S608  # the same
_OF_SEQS: Final = "merchant_no = :no AND seq = ANY(CAST(:seqs AS bigint[]))"
_TRANSFERS: Final = f"SELECT {_columns(Transfer)} FROM transfer WHERE {_OF_SEQS}"  # noqa: S608  # the same
_FACTS: Final = f"SELECT {_columns(Fact)} FROM fact WHERE {_OF_SEQS}"  # noqa: S608  # the same
_LINKS: Final = f"""
SELECT seq, chain_hash FROM transfer WHERE {_OF_SEQS}
UNION ALL SELECT seq, chain_hash FROM fact WHERE {_OF_SEQS}
"""  # noqa: S608  # the same

# A checkpoint lists every book; the line of this one is cut out where it lies.
_CHECKPOINT: Final = r"""
SELECT checkpoint_id, sha256, signature, key_id, created_at,
       CAST(head[1] AS bigint) AS seq, decode(head[2], 'hex') AS chain_hash
FROM (
    SELECT checkpoint_id, sha256(document) AS sha256, signature, key_id, created_at,
           regexp_match(convert_from(document, 'UTF8'),
                        '\n' || CAST(:no AS text) || '\|(\d+)\|([0-9a-f]{64})\n') AS head
    FROM checkpoint ORDER BY created_at DESC, checkpoint_id DESC LIMIT 1
) AS newest
WHERE head IS NOT NULL
"""


async def facts_of(tx: Transaction, merchant_no: int, card_id: UUID) -> CardFacts | None:
    """Read a card with its sale, its payment and where its book stands."""
    card = await find_card(tx, merchant_no, card_id)
    if card is None:
        return None
    sale = await tx.fetch_one(
        Sale,
        """
        SELECT merchant.merchant_id, merchant.name, merchant.licence_number,
               card_product.name AS product_name, purchase.issuer, purchase.consumer,
               purchase.contract_version, purchase.contract_sha256, card_product.contract_text,
               purchase.accepted_at, purchase.created_at AS purchased_at
        FROM purchase
        JOIN card_product USING (merchant_no, product_id)
        JOIN merchant USING (merchant_no)
        WHERE purchase.merchant_no = :no AND purchase.purchase_id = :purchase_id
        """,
        no=merchant_no,
        purchase_id=card.purchase_id,
    )
    assert sale is not None, "a foreign key keeps a card's purchase and product"
    head = await tx.fetch_one(
        Head, "SELECT merchant_no, seq, chain_hash FROM book WHERE merchant_no = :no",
        no=merchant_no,
    )  # fmt: skip
    assert head is not None, "a merchant has a book"
    checkpoint = await tx.fetch_one(Checkpoint, _CHECKPOINT, no=merchant_no)
    payment = await _payment_of(tx, merchant_no, card_id)
    return CardFacts(card, sale, payment, head, checkpoint, await tx.now())


async def lines_of(
    tx: Transaction, merchant_no: int, card_id: UUID, *, after: int, count: int
) -> Sequence[LineFacts]:
    """Read a page of a card's statement with all that stands behind it, oldest first."""
    lines = await tx.fetch(CardEntry, _LINES, no=merchant_no, id=card_id, after=after, count=count)
    seqs = [line.seq for line in lines]
    of_lines = {"no": merchant_no, "seqs": seqs}
    charges = await tx.fetch(
        Charge, _CHARGES, no=merchant_no, ids=[line.subject_id for line in lines]
    )
    by_id = {charge.charge_id: charge for charge in charges}
    stores = await _store_names(tx, merchant_no, lines)
    numbers = {"no": merchant_no, "id": card_id, "numbers": [line.entry_no for line in lines]}
    lives = {life.entry_no: life for life in await tx.fetch(CardLife, _LIVES, **numbers)}
    given = {one.entry_no: one for one in await tx.fetch(CardTransfer, _GIVEN, **numbers)}
    subjects = [line.subject_id for line in lines]
    refunds = {
        refund.refund_id: refund
        for refund in await tx.fetch(CardRefund, _REFUNDS, no=merchant_no, id=card_id, ids=subjects)
    }
    entries: dict[int, Transfer | Fact] = {}
    for fact in await tx.fetch(Fact, _FACTS, **of_lines):
        entries[fact.seq] = fact
    for transfer in await tx.fetch(Transfer, _TRANSFERS, **of_lines):
        entries[transfer.seq] = transfer
    links = await tx.fetch(_Link, _LINKS, no=merchant_no, seqs=[seq - 1 for seq in seqs])
    hashes = {link.seq: link.chain_hash for link in links}
    return [
        LineFacts(
            line,
            None if line.store_id is None else stores.get(line.store_id),
            by_id.get(line.subject_id),
            lives.get(line.entry_no),
            given.get(line.entry_no),
            refunds.get(line.subject_id),
            entries.get(line.seq),
            hashes.get(line.seq - 1),
        )
        for line in lines
    ]


async def _payment_of(tx: Transaction, merchant_no: int, card_id: UUID) -> Payment | None:
    return await tx.fetch_one(
        Payment,
        """
        SELECT receipt_id, bank, bank_reference, custody_account, receipt.amount,
               payment_reference, payer_name, payer_account_number, paid_at, received_at
        FROM receipt
        JOIN card_entry AS funded
            ON funded.merchant_no = receipt.merchant_no AND funded.subject_id = receipt.receipt_id
        WHERE funded.merchant_no = :no AND funded.card_id = :id AND funded.entry_no = 1
        """,
        no=merchant_no,
        id=card_id,
    )


async def _store_names(
    tx: Transaction, merchant_no: int, lines: Sequence[CardEntry]
) -> Mapping[UUID, str]:
    found = await tx.fetch(
        _StoreName,
        "SELECT store_id, name FROM store"
        " WHERE merchant_no = :no AND store_id = ANY(CAST(:ids AS uuid[]))",
        no=merchant_no,
        ids=list({line.store_id for line in lines if line.store_id is not None}),
    )
    return {store.store_id: store.name for store in found}
