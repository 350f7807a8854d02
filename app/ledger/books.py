"""Lock books for bulk work: cutting files, applying results, closing.

The writer is the one door for commands; this is the only other door to posting. One lock order
for all: rows above merchants (a file, a sequence) first, then books ascending, then nothing.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from app.db.engine import Transaction
from app.ledger.chart import MERCHANT_ACCOUNT_TYPES, AccountType, account_id
from app.ledger.posting import Entry, append
from app.ledger.rows import Account, BookHead, Fact, Transfer
from app.money import Fen

_HEADS = """
SELECT merchant_no, status, seq, chain_hash, last_at, waiting_reversal_amount
FROM book WHERE merchant_no = ANY(CAST(:nos AS integer[]))
ORDER BY merchant_no
FOR NO KEY UPDATE
"""
_ACCOUNTS = """
SELECT merchant_no, account_id, type, balance, version
FROM account
WHERE merchant_no = ANY(CAST(:nos AS integer[])) AND account_id = ANY(CAST(:ids AS uuid[]))
"""


@dataclass(slots=True)
class LockedBook:
    """A book that this transaction alone may post to; what is posted is written at the end."""

    head: BookHead
    at: datetime
    accounts: dict[UUID, Account] = field(default_factory=dict[UUID, Account])
    transfers: list[Transfer] = field(default_factory=list[Transfer])
    facts: list[Fact] = field(default_factory=list[Fact])

    def balance(self, kind: AccountType) -> Fen:
        """Give the balance of one of the merchant's own accounts."""
        return self.accounts[account_id(self.head.merchant_no, kind)].balance

    def own(self, kind: AccountType) -> UUID:
        """Name one of the merchant's own accounts."""
        return account_id(self.head.merchant_no, kind)

    async def load(self, tx: Transaction, cards: Iterable[UUID]) -> None:
        """Take in the accounts of cards that were chosen after the lock was got."""
        wanted = [id_ for id_ in cards if id_ not in self.accounts]
        for account in await tx.fetch(Account, _ACCOUNTS, nos=[self.head.merchant_no], ids=wanted):
            self.accounts[account.account_id] = account._replace(type=AccountType(account.type))

    def append(self, *entries: Entry) -> int:
        """Append entries to the book; give the `seq` of the last.

        Raises:
            FloorBroken: An account would fall below zero; nothing is appended.
        """
        appended = append(self.head, self.accounts, entries, self.at)
        self.head = appended.head
        self.accounts.update(appended.accounts)
        self.transfers += appended.transfers
        self.facts += appended.facts
        return self.head.seq


@asynccontextmanager
async def locked_books(
    tx: Transaction, nos: Iterable[int], *, cards: Iterable[UUID] = ()
) -> AsyncGenerator[Mapping[int, LockedBook], None]:
    """Lock books in ascending order and write what was posted to them when the block ends.

    Args:
        tx: The transaction; it still commits or rolls back as a whole.
        nos: The merchants whose books to lock; unknown ones are left out.
        cards: Card accounts to load besides the merchants' own.
    """
    numbers = sorted(set(nos))
    heads = await tx.fetch(BookHead, _HEADS, nos=numbers)
    # Taken after the locks, so that time runs forward within each book.
    now = await tx.now()
    books = {head.merchant_no: LockedBook(head, max(now, head.last_at)) for head in heads}
    own = [account_id(no, kind) for no in books for kind in MERCHANT_ACCOUNT_TYPES]
    for account in await tx.fetch(Account, _ACCOUNTS, nos=list(books), ids=[*own, *cards]):
        books[account.merchant_no].accounts[account.account_id] = account._replace(
            type=AccountType(account.type)
        )
    yield books
    for book in books.values():
        if book.transfers or book.facts:
            await _write(tx, book)


async def _write(tx: Transaction, book: LockedBook) -> None:
    await tx.insert("transfer", Transfer, book.transfers)
    await tx.insert("fact", Fact, book.facts)
    touched = {row.debit_account_id for row in book.transfers} | {
        row.credit_account_id for row in book.transfers
    }
    accounts = [book.accounts[id_] for id_ in sorted(touched)]
    await tx.execute(
        """
        UPDATE account SET balance = new.balance, version = new.version
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:balances AS bigint[]), CAST(:versions AS bigint[])
        ) AS new (account_id, balance, version)
        WHERE account.merchant_no = :no AND account.account_id = new.account_id
        """,
        no=book.head.merchant_no,
        ids=[account.account_id for account in accounts],
        balances=[account.balance for account in accounts],
        versions=[account.version for account in accounts],
    )
    await tx.execute(
        """
        UPDATE book SET seq = :seq, chain_hash = :chain_hash, last_at = :last_at
        WHERE merchant_no = :no
        """,
        no=book.head.merchant_no,
        seq=book.head.seq,
        chain_hash=book.head.chain_hash,
        last_at=book.head.last_at,
    )
