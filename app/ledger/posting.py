"""Append entries to a book: pure, and the only place where balances and hashes are made."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.ledger import chain
from app.ledger.chart import AccountType
from app.ledger.rows import Account, BookHead, Fact, Transfer
from app.money import Fen


class Movement(NamedTuple):
    """What a transfer moves: debit the one account, credit the other."""

    debit: UUID
    credit: UUID
    amount: Fen


class Entry(NamedTuple):
    """One entry to append: a transfer where it moves something, else a fact."""

    kind: str
    subject_id: UUID
    movement: Movement | None = None
    content_hash: bytes = chain.NO_CONTENT
    corrects_seq: int | None = None
    effective_at: datetime | None = None
    """When it happened, where that is not when it was recorded (a bank's value date)."""


class Appended(NamedTuple):
    """A book after entries were appended, and the rows that say so."""

    head: BookHead
    accounts: Mapping[UUID, Account]
    transfers: Sequence[Transfer]
    facts: Sequence[Fact]


class FloorBroken(Exception):
    """A posting would take an account below zero: its decision was wrong, nothing is booked."""


def append(
    head: BookHead, accounts: Mapping[UUID, Account], entries: Sequence[Entry], at: datetime
) -> Appended:
    """Number, balance and chain entries after the head of a book.

    Args:
        head: The locked book.
        accounts: At least the accounts that the entries name.
        entries: In the order in which they happened.
        at: When they are recorded; not before the head's `last_at`.

    Raises:
        FloorBroken: An account other than custody would fall below zero.
    """
    assert at >= head.last_at, "time runs forward within a book"
    changed: dict[UUID, Account] = {}
    transfers: list[Transfer] = []
    facts: list[Fact] = []
    seq, chain_hash = head.seq, head.chain_hash
    for entry in entries:
        seq += 1
        if entry.movement is None:
            fact = _fact(head.merchant_no, seq, entry, at)
            chain_hash = chain.after_fact(chain_hash, fact)
            facts.append(fact._replace(chain_hash=chain_hash))
        else:
            transfer = _transfer(seq, entry, at, accounts, changed)
            chain_hash = chain.after_transfer(chain_hash, transfer)
            transfers.append(transfer._replace(chain_hash=chain_hash))
    return Appended(
        head._replace(seq=seq, chain_hash=chain_hash, last_at=at), changed, transfers, facts
    )


def _fact(merchant_no: int, seq: int, entry: Entry, at: datetime) -> Fact:
    effective_at = entry.effective_at or at
    return Fact(
        merchant_no, seq, entry.kind, entry.subject_id, entry.content_hash, b"", effective_at, at
    )


def _transfer(
    seq: int,
    entry: Entry,
    at: datetime,
    accounts: Mapping[UUID, Account],
    changed: dict[UUID, Account],
) -> Transfer:
    movement = entry.movement
    assert movement is not None, "a transfer moves something"
    assert movement.amount > 0, "a transfer moves something"
    debit = (changed.get(movement.debit) or accounts[movement.debit]).debited(movement.amount)
    credit = (changed.get(movement.credit) or accounts[movement.credit]).credited(movement.amount)
    for account in (debit, credit):
        if account.balance < 0 and account.type != AccountType.CUSTODY:
            raise FloorBroken(f"{account.type} {account.account_id} would be {account.balance}")
        changed[account.account_id] = account
    return Transfer(
        debit.merchant_no,
        seq,
        entry.kind,
        debit.account_id,
        credit.account_id,
        movement.amount,
        debit.balance,
        credit.balance,
        debit.version,
        credit.version,
        entry.subject_id,
        entry.corrects_seq,
        entry.content_hash,
        b"",
        entry.effective_at or at,
        at,
    )
