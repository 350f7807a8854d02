"""The ledger's rows, as they lie in the database."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.db.rows import wide
from app.ledger.chart import ASSETS, AccountType
from app.money import Fen


@wide
class BookHead(NamedTuple):
    """A merchant's lock, its sequence and the head of its hash chain."""

    merchant_no: int
    status: str
    seq: int
    chain_hash: bytes
    last_at: datetime
    waiting_reversal_amount: Fen


class Account(NamedTuple):
    """One balance: of an asset debits less credits, of a liability credits less debits."""

    merchant_no: int
    account_id: UUID
    type: AccountType
    balance: Fen = Fen(0)
    version: int = 0

    def debited(self, amount: Fen) -> "Account":
        """Give the account after a debit."""
        return self._moved(amount if self.type in ASSETS else -amount)

    def credited(self, amount: Fen) -> "Account":
        """Give the account after a credit."""
        return self._moved(-amount if self.type in ASSETS else amount)

    def _moved(self, change: int) -> "Account":
        return Account(
            self.merchant_no,
            self.account_id,
            self.type,
            Fen(self.balance + change),
            self.version + 1,
        )


@wide
class Transfer(NamedTuple):
    """One movement with both legs, both balances after it and its place in the chain."""

    merchant_no: int
    seq: int
    kind: str
    debit_account_id: UUID
    credit_account_id: UUID
    amount: Fen
    debit_balance: Fen
    credit_balance: Fen
    debit_version: int
    credit_version: int
    subject_id: UUID
    corrects_seq: int | None
    content_hash: bytes
    chain_hash: bytes
    effective_at: datetime
    recorded_at: datetime


class Fact(NamedTuple):
    """A chain entry that moves no money."""

    merchant_no: int
    seq: int
    kind: str
    subject_id: UUID
    content_hash: bytes
    chain_hash: bytes
    effective_at: datetime
    recorded_at: datetime
