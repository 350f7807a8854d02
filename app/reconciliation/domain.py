"""A trial balance, and the lines of an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.ledger.chart import ASSETS, AccountType
from app.money import Fen


class Sides(NamedTuple):
    """A balance on its side."""

    type: AccountType
    debit_amount: Fen
    credit_amount: Fen


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """What stands on each type of account at one moment."""

    as_of: datetime
    accounts: tuple[Sides, ...]

    @property
    def balanced(self) -> bool:
        """Say whether both sides are equal."""
        debit_amount = sum(account.debit_amount for account in self.accounts)
        return debit_amount == sum(account.credit_amount for account in self.accounts)


def trial_balance(balances: Mapping[AccountType, Fen], as_of: datetime) -> TrialBalance:
    """Put every type of account, also an empty one, on its side."""
    return TrialBalance(
        as_of, tuple(_sides(kind, balances.get(kind, Fen(0))) for kind in AccountType)
    )


def _sides(kind: AccountType, balance: Fen) -> Sides:
    on_debit = (kind in ASSETS) == (balance >= 0)
    amount = Fen(abs(balance))
    return Sides(kind, amount, Fen(0)) if on_debit else Sides(kind, Fen(0), amount)


class AccountLine(NamedTuple):
    """One transfer, with the balances that it left."""

    seq: int
    kind: str
    debit_account_id: UUID
    credit_account_id: UUID
    amount: Fen
    debit_balance: Fen
    credit_balance: Fen
    subject_id: UUID
    corrects_seq: int | None
    effective_at: datetime
    recorded_at: datetime


class OwnAccount(NamedTuple):
    """An account of a merchant."""

    account_id: UUID
    type: str
    balance: Fen
    version: int
