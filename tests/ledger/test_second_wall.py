"""The database guards itself: what the service's own role cannot write, even with a bug of ours."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from app.card_products.domain import CardKind
from app.charges.domain import Use
from app.money import Fen
from tests.builder import Shop, Trader, a_consumer
from tests.card_life.conftest import Life
from tests.refunds.claiming import Claimant
from tests.refunds.conftest import Refunder

FACTS = (
    "transfer", "fact", "card_entry", "card_life", "checkpoint", "signing_key", "alert",
    "result_outcome",
)  # fmt: skip
"""Tables of what has happened: rows are added, never changed or taken away."""

KEPT = (
    "account", "book", "card", "card_transfer", "case_file", "charge", "purchase", "receipt",
    "refund", "merchant", "store",
)  # fmt: skip
"""Tables whose rows change, but never go."""


_TRANSFER = """
INSERT INTO transfer (
    merchant_no, seq, kind, debit_account_id, credit_account_id, amount, debit_balance,
    credit_balance, debit_version, credit_version, subject_id, content_hash, chain_hash,
    effective_at, recorded_at)
SELECT merchant_no, 99999, kind, debit_account_id, {credit}, {amount}, 0, 0, 0, 0, subject_id,
       content_hash, chain_hash, effective_at, recorded_at
FROM transfer WHERE merchant_no = :no LIMIT 1
"""
_FACT = """
INSERT INTO fact
SELECT merchant_no, seq, kind, subject_id, content_hash, chain_hash, effective_at, recorded_at
FROM transfer WHERE merchant_no = :no LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Scene:
    shop: Shop
    service: asyncpg.Connection


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene(given: Trader, database_url: str) -> AsyncIterator[Scene]:
    """Give a book with some of everything, and a connection as the service's role."""
    shop, li = await given.shop(), a_consumer()
    value = await given.card(shop, li)
    await given.card(shop, li, CardKind.COUNT)
    await given.card(shop, li, CardKind.PERIOD)
    await given.used(shop, li, value, Use(amount=Fen(80_00)))
    await given.used_by_code(shop, li, Use(sessions=1))
    await given.used_by_code(shop, li, Use(visit=True))
    await given.waiting(shop, value, Use(amount=Fen(1_00)), client_reference="till-1")
    await given.paid(shop, await given.purchase(shop, await given.product(shop.merchant), li), 1)
    claimant = Claimant(Refunder(given))
    claimed = await given.card(shop, li)
    await claimant.withdrawn(li, await claimant.claimed(li, claimed))
    await claimant.claimed(li, claimed)
    await Life(given).offered(li, await given.card(shop, li), a_consumer())
    service = await asyncpg.connect(database_url)
    yield Scene(shop, service)
    await service.close()


async def _refused(scene: Scene, sql: str) -> asyncpg.PostgresError:
    """Run a statement that must be refused; leave nothing behind if it is not."""
    transaction = scene.service.transaction()
    await transaction.start()
    try:
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await scene.service.execute(sql.replace(":no", str(scene.shop.merchant_no)))
    finally:
        await transaction.rollback()
    return refusal.value


@pytest.mark.parametrize("statement", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", FACTS)
async def test_what_has_happened_is_not_changed(scene: Scene, table: str, statement: str) -> None:
    column = await scene.service.fetchval(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 LIMIT 1", table
    )
    refusal = await _refused(scene, statement.format(table, f"{column} = {column}"))
    assert isinstance(refusal, asyncpg.InsufficientPrivilegeError)


@pytest.mark.parametrize("table", KEPT)
async def test_what_there_is_does_not_go(scene: Scene, table: str) -> None:
    refusal = await _refused(scene, f"DELETE FROM {table}")
    assert isinstance(refusal, asyncpg.InsufficientPrivilegeError)


@pytest.mark.parametrize("column", ["reason", "text", "refund_id", "consumer", "created_at"])
async def test_what_a_case_is_about_does_not_change(scene: Scene, column: str) -> None:
    refusal = await _refused(scene, f"UPDATE case_file SET {column} = {column}")
    assert isinstance(refusal, asyncpg.InsufficientPrivilegeError)


@pytest.mark.parametrize("column", ["giver", "receiver", "card_id", "issuer", "created_at"])
async def test_who_gives_what_to_whom_does_not_change(scene: Scene, column: str) -> None:
    refusal = await _refused(scene, f"UPDATE card_transfer SET {column} = {column}")
    assert isinstance(refusal, asyncpg.InsufficientPrivilegeError)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE transfer DROP CONSTRAINT transfer_amount_is_positive",
        "DROP TABLE transfer",
        "ALTER TABLE transfer DISABLE TRIGGER ALL",
        "ALTER FUNCTION anxin_now() RENAME TO my_now",
        "CREATE TABLE public.mine (n int)",
    ],
)
async def test_the_service_does_not_change_its_own_schema(scene: Scene, statement: str) -> None:
    refusal = await _refused(scene, statement)
    assert isinstance(refusal, asyncpg.InsufficientPrivilegeError)


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        (
            "account_balance_not_negative",
            "UPDATE account SET balance = -1 WHERE merchant_no = :no AND type = 'suspense'",
        ),
        (
            "card_face_available_not_negative",
            (
                "UPDATE card SET face_used_amount = paid_amount + bonus_amount"
                " WHERE merchant_no = :no AND kind = 'stored_value'"
            ),
        ),
        (
            "card_face_available_not_negative",
            "UPDATE card SET face_held_amount = -1 WHERE merchant_no = :no",
        ),
        (
            "card_face_available_not_negative",
            "UPDATE card SET face_used_amount = 1 WHERE merchant_no = :no AND kind = 'count'",
        ),
        (
            "card_sessions_available_not_negative",
            "UPDATE card SET sessions_used = 13 WHERE merchant_no = :no AND kind = 'count'",
        ),
        (
            "card_visits_within_term",
            "UPDATE card SET last_visit_day = 366 WHERE merchant_no = :no AND kind = 'period'",
        ),
        (
            "card_money_is_never_negative",
            "UPDATE card SET released_amount = paid_amount + 1 WHERE merchant_no = :no",
        ),
        (
            "card_money_is_never_negative",
            "UPDATE card SET refunded_amount = -1 WHERE merchant_no = :no",
        ),
        (
            "card_frozen_since_a_day",
            "UPDATE card SET status = 'frozen' WHERE merchant_no = :no AND kind = 'period'",
        ),
        (
            "card_frozen_is_of_a_period",
            "UPDATE card SET frozen_on = '2026-03-01' WHERE merchant_no = :no AND kind = 'count'",
        ),
        (
            "card_frozen_days_not_negative",
            "UPDATE card SET frozen_days = -1 WHERE merchant_no = :no AND kind = 'period'",
        ),
        (
            "card_transfer_accepted_is_in_the_chain",
            (
                "UPDATE card_transfer SET status = 'accepted', ended_at = now()"
                " WHERE merchant_no = :no"
            ),
        ),
        (
            "card_transfer_offered_has_no_end",
            "UPDATE card_transfer SET status = 'declined' WHERE merchant_no = :no",
        ),
        (
            "card_of_one_purchase",
            (
                "UPDATE card SET purchase_id = (SELECT purchase_id FROM card"
                " WHERE merchant_no = :no AND kind = 'count') WHERE merchant_no = :no"
            ),
        ),
        (
            "book_waiting_reversals_not_negative",
            "UPDATE book SET waiting_reversal_amount = -1 WHERE merchant_no = :no",
        ),
        (
            "charge_released_was_confirmed",
            (
                "UPDATE charge SET status = 'confirmed'"
                " WHERE merchant_no = :no AND status = 'pending_confirmation'"
            ),
        ),
        (
            "charge_released_was_confirmed",
            (
                "UPDATE charge SET confirmation_id = NULL"
                " WHERE merchant_no = :no AND status = 'confirmed'"
            ),
        ),
        (
            "purchase_funded_was_accepted",
            "UPDATE purchase SET accepted_at = NULL WHERE merchant_no = :no AND status = 'funded'",
        ),
        (
            "purchase_funded_was_accepted",
            (
                "UPDATE purchase SET status = 'funded'"
                " WHERE merchant_no = :no AND status = 'awaiting_payment'"
            ),
        ),
        (
            "receipt_matched_has_a_card",
            "UPDATE receipt SET status = 'matched' WHERE merchant_no = :no AND status = 'suspense'",
        ),
        (
            "receipt_returned_has_a_refund",
            "UPDATE receipt SET status = 'returned', card_id = NULL WHERE merchant_no = :no",
        ),
        (
            "receipt_bank_reference_is_unique",
            "UPDATE receipt SET bank_reference = 'R' WHERE merchant_no = :no",
        ),
        (
            "charge_client_reference_is_unique",
            "UPDATE charge SET client_reference = 'till-1' WHERE merchant_no = :no",
        ),
        (
            "charge_code_is_used_once",
            "UPDATE charge SET code_hash = sha256('x') WHERE merchant_no = :no",
        ),
        (
            "case_status_follows_its_steps",
            "UPDATE case_file SET status = 'answered' WHERE merchant_no = :no",
        ),
        (
            "case_status_follows_its_steps",
            "UPDATE case_file SET status = 'decided' WHERE merchant_no = :no",
        ),
        (
            "case_answer_is_whole",
            "UPDATE case_file SET answer_agree = false WHERE merchant_no = :no",
        ),
        (
            "case_decision_is_whole",
            "UPDATE case_file SET decision = 'upheld' WHERE merchant_no = :no",
        ),
        (
            "case_decided_by_two_persons_is_approved",
            (
                "UPDATE case_file SET status = 'decided', decision = 'upheld', decided_at = now(),"
                " decided_by = 'two_persons' WHERE merchant_no = :no"
            ),
        ),
        (
            "case_agreed_by_the_merchant",
            (
                "UPDATE case_file SET status = 'decided', decision = 'upheld', decided_at = now(),"
                " decided_by = 'merchant' WHERE merchant_no = :no"
            ),
        ),
        (
            "refund_of_a_card_once",
            "UPDATE refund SET status = 'case_open', decided_at = NULL WHERE merchant_no = :no",
        ),
        (
            "transfer_pkey",
            "INSERT INTO transfer SELECT * FROM transfer WHERE merchant_no = :no LIMIT 1",
        ),
        (
            "fact_pkey",
            f"{_FACT}; {_FACT}",
        ),
        (
            "transfer_amount_is_positive",
            _TRANSFER.format(credit="credit_account_id", amount=0),
        ),
        (
            "transfer_is_between_two_accounts",
            _TRANSFER.format(credit="debit_account_id", amount=1),
        ),
    ],
)
async def test_a_wrong_row_is_refused_by_the_rules_own_constraint(
    scene: Scene, constraint: str, statement: str
) -> None:
    refusal = await _refused(scene, statement)
    assert getattr(refusal, "constraint_name", None) == constraint
