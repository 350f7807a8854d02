"""Appending to a book: pure, numbered without a gap, balanced, never below a floor."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger import chain
from app.ledger.chart import ASSETS, MERCHANT_ACCOUNT_TYPES, AccountType, account_id
from app.ledger.posting import Entry, FloorBroken, Movement, append
from app.ledger.rows import Account, BookHead
from app.money import Fen

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
HEAD = BookHead(1, "open", 0, chain.genesis(1), NOW, Fen(0))
ACCOUNTS = {
    account_id(1, kind): Account(1, account_id(1, kind), kind) for kind in MERCHANT_ACCOUNT_TYPES
}
IDS = st.sampled_from(sorted(ACCOUNTS))
ENTRIES = st.lists(
    st.one_of(
        st.just(Entry("fact", UUID(int=1))),
        st.builds(Movement, IDS, IDS, st.integers(1, 9).map(Fen)).map(
            lambda movement: Entry("moved", UUID(int=1), movement)
        ),
    ),
    max_size=12,
)


def entry(debit: AccountType, credit: AccountType, amount: int) -> Entry:
    moved = Movement(account_id(1, debit), account_id(1, credit), Fen(amount))
    return Entry("moved", UUID(int=1), moved)


def test_each_account_grows_on_its_side() -> None:
    money_in = entry(AccountType.CUSTODY, AccountType.SUSPENSE, 7)
    appended = append(HEAD, ACCOUNTS, [money_in], NOW)
    balances = {row.type: row.balance for row in appended.accounts.values()}
    assert balances == {AccountType.CUSTODY: 7, AccountType.SUSPENSE: 7}
    assert {AccountType.CUSTODY, AccountType.BANK_CLAIM} == ASSETS


def test_only_custody_falls_below_zero() -> None:
    with pytest.raises(FloorBroken):
        append(HEAD, ACCOUNTS, [entry(AccountType.SUSPENSE, AccountType.CUSTODY, 1)], NOW)
    overdrawn = entry(AccountType.BANK_CLAIM, AccountType.CUSTODY, 1)
    appended = append(HEAD, ACCOUNTS, [overdrawn], NOW)
    assert appended.accounts[account_id(1, AccountType.CUSTODY)].balance == -1


def test_time_never_runs_back_within_a_book() -> None:
    with pytest.raises(AssertionError):
        append(HEAD, ACCOUNTS, [], NOW - timedelta(microseconds=1))


@given(entries=ENTRIES, cut=st.integers(0, 12))
def test_what_is_appended_in_two_parts_is_what_is_appended_at_once(
    entries: list[Entry], cut: int
) -> None:
    entries = [
        one for one in entries if one.movement is None or one.movement.debit != one.movement.credit
    ]
    try:
        whole = append(HEAD, ACCOUNTS, entries, NOW)
    except FloorBroken:
        return
    first = append(HEAD, ACCOUNTS, entries[:cut], NOW)
    second = append(first.head, {**ACCOUNTS, **first.accounts}, entries[cut:], NOW)

    assert second.head == whole.head
    assert [*first.transfers, *second.transfers] == [*whole.transfers]
    assert [*first.facts, *second.facts] == [*whole.facts]
    assert {**first.accounts, **second.accounts} == {**whole.accounts}
    numbers = sorted(row.seq for row in (*whole.transfers, *whole.facts))
    assert numbers == list(range(1, len(entries) + 1))
    assets = sum(row.balance for row in whole.accounts.values() if row.type in ASSETS)
    others = sum(row.balance for row in whole.accounts.values() if row.type not in ASSETS)
    assert assets == others


def test_every_field_of_an_entry_is_in_its_hash() -> None:
    money_in = entry(AccountType.CUSTODY, AccountType.SUSPENSE, 7)
    appended = append(HEAD, ACCOUNTS, [money_in, Entry("fact", UUID(int=1))], NOW)
    (transfer,), (fact,) = appended.transfers, appended.facts
    for name, value in transfer._asdict().items():
        # Balances follow from the amounts; what is shown of an entry says nothing of others.
        if name not in {"chain_hash", "debit_balance", "credit_balance"}:
            changed = transfer._replace(**{name: _other(value)})
            assert chain.after_transfer(HEAD.chain_hash, changed) != transfer.chain_hash, name
    for name, value in fact._asdict().items():
        if name != "chain_hash":
            changed_fact = fact._replace(**{name: _other(value)})
            assert chain.after_fact(transfer.chain_hash, changed_fact) != fact.chain_hash, name
    assert chain.after_transfer(bytes(32), transfer) != transfer.chain_hash


def _other(value: object) -> object:
    match value:
        case None:
            return 1
        case str():
            return value + "x"
        case int():
            return value + 1
        case bytes():
            return value + b"x"
        case UUID():
            return UUID(int=value.int + 1)
        case datetime():
            return value + timedelta(microseconds=1)
        case _:
            raise AssertionError(value)
