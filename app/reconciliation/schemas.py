"""The ledger as the contract shows it to operators."""

from typing import Annotated, Self

from pydantic import Field

from app import ids
from app.api.schemas import AccountId, Amount, AmountOrZero, Currency, Model, Time
from app.ids import Prefix
from app.ledger.chart import AccountType
from app.money import CURRENCY
from app.reconciliation.domain import AccountLine, OwnAccount, Sides, TrialBalance

Balance = Annotated[int, Field(description="Fen; only custody may be below 0.")]


class TrialAccountRead(Model):
    """What stands on one type of account, on its side."""

    type: AccountType
    debit_amount: AmountOrZero
    credit_amount: AmountOrZero

    @classmethod
    def from_domain(cls, sides: Sides) -> Self:
        """Show a balance on its side."""
        return cls(**sides._asdict())


class TrialBalanceRead(Model):
    """What stands on all accounts of all merchants at one moment."""

    as_of: Time
    accounts: list[TrialAccountRead]
    balanced: bool

    @classmethod
    def from_domain(cls, trial: TrialBalance) -> Self:
        """Show a trial balance."""
        accounts = [TrialAccountRead.from_domain(sides) for sides in trial.accounts]
        return cls(as_of=trial.as_of, accounts=accounts, balanced=trial.balanced)


class AccountRead(Model):
    """An account of a merchant."""

    id: AccountId
    type: AccountType
    balance_amount: Balance
    version: int = Field(description="How many transfers it had.")
    currency: Currency

    @classmethod
    def from_domain(cls, account: OwnAccount) -> Self:
        """Show an account."""
        return cls(
            id=ids.to_text(Prefix.ACCOUNT, account.account_id),
            type=AccountType(account.type),
            balance_amount=account.balance,
            version=account.version,
            currency=CURRENCY,
        )


class AccountsRead(Model):
    """A merchant's own accounts; a card's account has the card's id, with `acc_`."""

    data: list[AccountRead]

    @classmethod
    def from_domain(cls, accounts: list[OwnAccount]) -> Self:
        """Show accounts."""
        return cls(data=[AccountRead.from_domain(account) for account in accounts])


class TransferRead(Model):
    """One movement between two accounts of a merchant, with the balances after it."""

    seq: int
    kind: str = Field(examples=["use_confirmed"])
    debit_account_id: AccountId
    credit_account_id: AccountId
    amount: Amount
    currency: Currency
    debit_balance_amount: Balance
    credit_balance_amount: Balance
    subject: str = Field(description="What it belongs to: the UUID within that thing's id.")
    corrects_seq: int | None
    effective_at: Time
    recorded_at: Time

    @classmethod
    def from_domain(cls, line: AccountLine) -> Self:
        """Show a transfer."""
        return cls(
            seq=line.seq,
            kind=line.kind,
            debit_account_id=ids.to_text(Prefix.ACCOUNT, line.debit_account_id),
            credit_account_id=ids.to_text(Prefix.ACCOUNT, line.credit_account_id),
            amount=line.amount,
            currency=CURRENCY,
            debit_balance_amount=line.debit_balance,
            credit_balance_amount=line.credit_balance,
            subject=str(line.subject_id),
            corrects_seq=line.corrects_seq,
            effective_at=line.effective_at,
            recorded_at=line.recorded_at,
        )
