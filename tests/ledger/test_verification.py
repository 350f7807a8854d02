"""Whoever changes a row behind the service's back is found out, and the row is named."""

from collections.abc import AsyncIterator
from hashlib import sha256
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.db.engine import Database
from app.db.signing import Ed25519Signer
from app.ids import new_id
from app.ledger.books import locked_books
from app.ledger.chain import content_hash, genesis
from app.ledger.chart import AccountType, account_id
from app.ledger.checkpoints import check_checkpoints, take_checkpoint
from app.ledger.checks import LEDGER_CHECKS
from app.ledger.posting import Entry, Movement
from app.ledger.verification import Finding, offenders, walk_chain
from app.money import Fen
from tests.builder import Builder, Shop
from tests.cluster import Cluster, DatabaseUrls

SUBJECT = UUID(int=7)


@pytest_asyncio.fixture(scope="module")
async def ledger(cluster: Cluster) -> AsyncIterator[DatabaseUrls]:
    """Give a database with two books: money came in, some of it became payable."""
    made = await cluster.clone("ledger")
    yield made
    await cluster.drop(made.name)


@pytest_asyncio.fixture(scope="module")
async def books(ledger: DatabaseUrls) -> tuple[Shop, Shop]:
    db = Database.connect(ledger.database_url)
    given = Builder(db)
    shops = await given.shop(), await given.shop()
    for shop in shops:
        await append(db, shop, "money_came", (AccountType.CUSTODY, AccountType.SUSPENSE, 500_00))
        await append(db, shop, "something_was_decided")
        for amount in (100_00, 20_00, 3_00):
            earned = (AccountType.SUSPENSE, AccountType.MERCHANT_PAYABLE, amount)
            await append(db, shop, "was_earned", earned)
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    await signer.publish(db)
    async with db.transaction() as tx:
        await take_checkpoint(tx, signer)
    await db.close()
    return shops


async def append(
    db: Database, shop: Shop, kind: str, legs: tuple[AccountType, AccountType, int] | None = None
) -> None:
    """Append a fact, or a transfer of an amount from the one account to the other."""
    async with db.transaction() as tx, locked_books(tx, [shop.merchant_no]) as books:
        book = books[shop.merchant_no]
        if legs is None:
            book.append(Entry(kind, SUBJECT))
        else:
            debit, credit, amount = legs
            movement = Movement(book.own(debit), book.own(credit), Fen(amount))
            book.append(Entry(kind, SUBJECT, movement))


@pytest_asyncio.fixture
async def tampering(
    cluster: Cluster,
    ledger: DatabaseUrls,
    books: tuple[Shop, Shop],  # noqa: ARG001  # what there is to tamper with
) -> AsyncIterator[asyncpg.Connection]:
    """Give a superuser's connection; what it does to the rows is gone after the test."""
    connection = await asyncpg.connect(cluster.superuser_url(ledger.name))
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def findings(connection: asyncpg.Connection) -> list[Finding]:
    found = await walk_chain(connection, lambda _: None)
    found += await check_checkpoints(connection, lambda _: None)
    for check in LEDGER_CHECKS:
        found += await offenders(connection, check)
    return found


def names(found: list[Finding]) -> set[tuple[str, int | None, str]]:
    return {(finding.check, finding.merchant_no, finding.key) for finding in found}


async def test_nothing_is_found_in_books_that_nobody_touched(
    tampering: asyncpg.Connection,
) -> None:
    assert await findings(tampering) == []


async def test_a_changed_amount_is_named(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[1].merchant_no

    await tampering.execute(
        "UPDATE transfer SET amount = 10100 WHERE merchant_no = $1 AND seq = 3", no
    )

    found = await findings(tampering)
    assert ("hash_chain", no, "seq=3") in names(found)
    assert {finding.merchant_no for finding in found} == {no}
    payable = account_id(no, AccountType.MERCHANT_PAYABLE)
    (said,) = [
        finding
        for finding in found
        if finding.check == "account_is_its_transfers" and str(payable) in finding.key
    ]
    assert said.expected == "version 3, balance 12400"
    assert said.found == "version 3, balance 12300"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "'something_else'"),
        ("subject_id", "gen_random_uuid()"),
        ("content_hash", "sha256('other')"),
        ("chain_hash", "sha256('other')"),
        ("effective_at", "effective_at + interval '1 microsecond'"),
        ("recorded_at", "recorded_at - interval '1 second'"),
        ("corrects_seq", "1"),
        ("debit_version", "debit_version + 1"),
        ("amount", "amount + 1"),
    ],
)
async def test_each_column_of_a_transfer_is_in_the_chain(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop], column: str, value: str
) -> None:
    no = books[0].merchant_no

    await tampering.execute(
        f"UPDATE transfer SET {column} = {value} WHERE merchant_no = $1 AND seq = 4", no
    )

    assert ("hash_chain", no, "seq=4") in names(await findings(tampering))


@pytest.mark.parametrize("side", ["debit", "credit"])
async def test_a_changed_balance_of_a_transfer_is_named_though_the_chain_does_not_cover_it(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop], side: str
) -> None:
    no = books[0].merchant_no

    await tampering.execute(
        f"UPDATE transfer SET {side}_balance = {side}_balance - 1"
        " WHERE merchant_no = $1 AND seq = 4",
        no,
    )

    found = names(await findings(tampering))
    assert {(check, merchant) for check, merchant, _ in found} == {
        ("entries_follow_each_other", no)
    }


async def test_a_changed_fact_is_named(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no

    await tampering.execute("UPDATE fact SET kind = 'undecided' WHERE merchant_no = $1", no)

    assert names(await findings(tampering)) == {("hash_chain", no, "seq=2")}


@pytest.mark.parametrize("table", ["transfer", "fact"])
async def test_a_missing_entry_shows_as_a_gap(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop], table: str
) -> None:
    no = books[0].merchant_no
    seq = 4 if table == "transfer" else 2

    await tampering.execute(f"DELETE FROM {table} WHERE merchant_no = $1 AND seq = $2", no, seq)

    found = await findings(tampering)
    (gap,) = [finding for finding in found if finding.check == "seq_without_gap"]
    assert (gap.expected, gap.found) == (f"seq={seq}", f"seq={seq + 1}")


async def test_a_tail_that_was_cut_off_shows_against_the_book(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no

    await tampering.execute("DELETE FROM transfer WHERE merchant_no = $1 AND seq = 5", no)

    assert ("book_is_at_its_last_entry", no, f"merchant_no={no}") in names(
        await findings(tampering)
    )


async def test_a_tail_that_was_cut_off_with_care_shows_against_the_checkpoint(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no
    payable, suspense = (
        account_id(no, kind) for kind in (AccountType.MERCHANT_PAYABLE, AccountType.SUSPENSE)
    )

    await tampering.execute("DELETE FROM transfer WHERE merchant_no = $1 AND seq = 5", no)
    await tampering.execute(
        """
        UPDATE book SET seq = 4, chain_hash = transfer.chain_hash FROM transfer
        WHERE book.merchant_no = $1 AND transfer.merchant_no = $1 AND transfer.seq = 4
        """,
        no,
    )
    await tampering.execute(
        """
        UPDATE account SET version = version - 1,
               balance = balance + CASE account_id WHEN $2 THEN -300 ELSE 300 END
        WHERE merchant_no = $1 AND account_id IN ($2, $3)
        """,
        no,
        payable,
        suspense,
    )

    assert names(await findings(tampering)) == {("checkpoint_head_is_in_its_book", no, "seq=5")}


async def test_a_forged_checkpoint_is_named(tampering: asyncpg.Connection) -> None:
    await tampering.execute("UPDATE checkpoint SET document = document || '9|1|00'::bytea")

    (forged,) = await findings(tampering)
    assert forged.check == "checkpoint_is_signed"


async def test_a_changed_balance_is_named(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no
    payable = account_id(no, AccountType.MERCHANT_PAYABLE)

    await tampering.execute(
        "UPDATE account SET balance = balance + 1 WHERE merchant_no = $1 AND account_id = $2",
        no,
        payable,
    )

    assert names(await findings(tampering)) == {
        ("account_is_its_transfers", no, f"account_id={payable} (merchant_payable)"),
        ("trial_balance", no, "all accounts"),
    }


async def test_a_transfer_to_an_account_that_is_not_there_is_named(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no

    await tampering.execute(
        "UPDATE transfer SET credit_account_id = $2 WHERE merchant_no = $1 AND seq = 1",
        no,
        new_id(no),
    )

    assert ("entry_has_its_accounts", no, "seq=1") in names(await findings(tampering))


async def test_a_merchant_without_one_of_its_accounts_is_named(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no
    claim = account_id(no, AccountType.BANK_CLAIM)

    await tampering.execute("DELETE FROM account WHERE account_id = $1", claim)

    assert names(await findings(tampering)) == {
        ("merchant_has_its_accounts", no, f"account_id={claim}")
    }


async def test_a_whole_book_that_is_gone_is_named(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no
    await tampering.execute("SET session_replication_role = replica")  # no foreign keys

    await tampering.execute("DELETE FROM book WHERE merchant_no = $1", no)

    assert ("entry_has_its_book", no, f"merchant_no={no}") in names(await findings(tampering))


async def test_a_balance_below_zero_is_named_where_the_constraint_was_dropped(
    tampering: asyncpg.Connection, books: tuple[Shop, Shop]
) -> None:
    no = books[0].merchant_no
    payable = account_id(no, AccountType.MERCHANT_PAYABLE)
    await tampering.execute("ALTER TABLE account DROP CONSTRAINT account_balance_not_negative")

    await tampering.execute("UPDATE account SET balance = -1 WHERE account_id = $1", payable)

    assert ("balance_not_negative", no, f"account_id={payable} (merchant_payable)") in names(
        await findings(tampering)
    )


def test_the_chain_can_be_computed_from_what_its_docstring_says() -> None:
    assert genesis(42) == sha256(b"anxin|42").digest()
    assert content_hash((1, None, b"\x0f", "x")) == sha256(b"1||0f|x").digest()
