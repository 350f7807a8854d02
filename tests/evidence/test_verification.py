"""Whoever changes a card, a charge or a file behind the service's back is found out."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from app.db.engine import Database
from app.evidence.verification import Report, rules, verify, verify_in
from tests.builder import Builder
from tests.cluster import Cluster, DatabaseUrls
from tests.evidence.world import World, live, make_writer


@pytest_asyncio.fixture(scope="module")
async def lived(cluster: Cluster) -> AsyncIterator[DatabaseUrls]:
    """Give a database in which a bit of everything happened."""
    made = await cluster.clone("lived")
    db, writer = Database.connect(made.database_url), make_writer(made.database_url)
    await writer.start()
    try:
        await live(World(db, writer, await Builder(db).shop()))
    finally:
        await writer.stop()
        await db.close()
    yield made
    await cluster.drop(made.name)


@pytest_asyncio.fixture
async def tampering(cluster: Cluster, lived: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    """Give a superuser's connection; what it does to the rows is gone after the test."""
    connection = await asyncpg.connect(cluster.superuser_url(lived.name))
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def report_of(connection: asyncpg.Connection) -> Report:
    return await verify_in(connection)


async def test_nothing_is_found_where_nobody_tampered(lived: DatabaseUrls) -> None:
    report = await verify(lived.database_url)

    assert report.findings == []
    assert report.entries >= 20


_NO_SUCH_ID = "'00000000-0000-0000-0000-00000000dead'"
_TAMPERINGS = [
    ("UPDATE transfer SET debit_version = debit_version + 1", "entries_follow_each_other"),
    ("UPDATE transfer SET credit_balance = -1", "balance_was_not_negative"),
    ("UPDATE transfer SET corrects_seq = 0", "correction_names_a_transfer"),
    (f"UPDATE transfer SET credit_account_id = {_NO_SUCH_ID}", "entry_has_its_accounts"),
    ("UPDATE account SET balance = -1 WHERE type = 'suspense'", "balance_not_negative"),
    ("UPDATE account SET balance = 1 WHERE type = 'bank_claim'", "trial_balance"),
    ("DELETE FROM account WHERE type = 'bank_claim'", "merchant_has_its_accounts"),
    ("DELETE FROM book", "entry_has_its_book"),
    ("DELETE FROM card WHERE kind = 'period'", "matched_receipt_has_a_card"),
    ("UPDATE card SET sessions_held = 99 WHERE kind = 'count'", "card_available_not_negative"),
    ("DELETE FROM fact; DELETE FROM transfer WHERE seq > 15", "checkpoint_head_is_in_its_book"),
    ("UPDATE transfer SET amount = amount + 1 WHERE kind = 'use_reversed'", "hash_chain"),
    ("DELETE FROM transfer WHERE kind = 'use_reversed'", "seq_without_gap"),
    ("DELETE FROM transfer WHERE seq = (SELECT max(seq) FROM book)", "book_is_at_its_last_entry"),
    ("UPDATE account SET balance = balance + 1 WHERE type = 'custody'", "account_is_its_transfers"),
    (
        "UPDATE card SET released_amount = released_amount + 1 WHERE kind = 'count'",
        "released_is_computed_from_uses",
    ),
    (
        "UPDATE card SET released_amount = released_amount - 1 WHERE kind = 'period'",
        "card_principal_is_accounted_for",
    ),
    (
        "UPDATE card SET face_used_amount = face_used_amount - 1 WHERE face_used_amount > 0",
        "card_is_its_statement",
    ),
    ("UPDATE card SET sessions_used = 1 WHERE kind = 'count'", "card_is_its_statement"),
    ("UPDATE card SET list_used_amount = list_used_amount + 1", "card_is_its_statement"),
    ("UPDATE card SET last_visit_day = 2 WHERE kind = 'period'", "card_is_its_statement"),
    ("UPDATE card SET face_held_amount = 0 WHERE face_held_amount > 0", "held_is_what_waits"),
    ("UPDATE card SET sessions_held = 2 WHERE kind = 'count'", "held_is_what_waits"),
    ("UPDATE card SET pending_count = pending_count + 1", "held_is_what_waits"),
    ("UPDATE card SET paid_amount = paid_amount + 1", "card_was_paid_for"),
    ("UPDATE card SET list_price_amount = 1 WHERE kind = 'count'", "terms_are_those_of_the_sale"),
    ("UPDATE purchase SET consumer = gen_random_uuid()", "terms_are_those_of_the_sale"),
    ("UPDATE card SET consumer = gen_random_uuid()", "card_is_its_last_holders"),
    ("UPDATE card SET frozen_days = 3 WHERE kind = 'period'", "card_is_as_its_life_left_it"),
    ("UPDATE card SET status = 'active' WHERE status = 'lost'", "card_is_as_its_life_left_it"),
    ("DELETE FROM card_life WHERE kind = 'frozen'", "life_is_in_the_statement"),
    ("UPDATE card_life SET frozen_days = 1 WHERE kind = 'unfrozen'", "life_follows_itself"),
    ("UPDATE card_life SET valid_until = valid_until + 1", "life_is_the_one_in_the_chain"),
    ("UPDATE card_transfer SET entry_no = entry_no + 1", "transfer_is_in_the_statement"),
    ("UPDATE card_transfer SET giver = gen_random_uuid()", "card_goes_from_hand_to_hand"),
    ("UPDATE card_transfer SET giver_salt = '\\x00'", "card_goes_from_hand_to_hand"),
    (
        "UPDATE card_transfer SET receiver_commitment = sha256('other')",
        "transfer_is_the_one_in_the_chain",
    ),
    ("UPDATE charge SET consumer = gen_random_uuid()", "given_card_was_used_by_its_holder"),
    (
        "UPDATE refund SET inputs = inputs || '{\"frozen_days\": 3}' WHERE card_id IS NOT NULL",
        "refund_counts_frozen_days",
    ),
    ("UPDATE card SET terms_hash = sha256('other')", "terms_are_those_of_the_sale"),
    ("UPDATE purchase SET contract_sha256 = sha256('other')", "terms_are_those_of_the_sale"),
    ("UPDATE purchase SET status = 'cancelled', card_id = NULL", "card_was_paid_for"),
    ("UPDATE receipt SET amount = amount + 1 WHERE status = 'matched'", "receipt_is_booked_once"),
    (
        "UPDATE receipt SET status = 'suspense', card_id = NULL WHERE status = 'matched'",
        "receipts_in_suspense_lie_there",
    ),
    ("DELETE FROM receipt WHERE status = 'suspense'", "booked_money_has_a_receipt"),
    ("DELETE FROM card WHERE kind = 'period'", "line_has_a_card"),
    ("DELETE FROM card WHERE kind = 'period'", "card_account_has_a_card"),
    ("DELETE FROM card WHERE kind = 'period'", "funded_purchase_has_a_card"),
    ("DELETE FROM card WHERE kind = 'period'", "charge_has_its_store_and_cards"),
    ("UPDATE card_entry SET amount = amount + 1 WHERE kind = 'used'", "line_is_in_the_chain"),
    ("UPDATE card_entry SET at = at + interval '1 microsecond'", "line_is_in_the_chain"),
    ("UPDATE card_entry SET store_id = NULL WHERE kind = 'used'", "use_is_in_the_statement"),
    ("UPDATE card_entry SET custody_amount = custody_amount + 1", "lines_follow_each_other"),
    (
        "UPDATE card_entry SET release_amount = release_amount + 1 WHERE kind = 'used'",
        "line_moves_what_it_says",
    ),
    ("UPDATE card_entry SET seq = seq + 1 WHERE kind = 'used'", "line_is_in_the_chain"),
    ("DELETE FROM card_entry WHERE kind = 'used'", "card_money_has_a_line"),
    ("DELETE FROM card_entry WHERE kind = 'used'", "use_is_in_the_statement"),
    ("DELETE FROM card_entry WHERE kind = 'reversed'", "reversal_is_in_the_statement"),
    (
        (
            "INSERT INTO card_entry SELECT"
            " (jsonb_populate_record(card_entry, '{\"entry_no\": 99}')).*"
            " FROM card_entry WHERE kind = 'used' LIMIT 1"
        ),
        "use_takes_effect_once",
    ),
    ("UPDATE charge SET release_amount = release_amount + 1", "charge_is_its_draws"),
    ("UPDATE charge SET amount = amount + 1", "charge_is_its_draws"),
    (
        (
            "UPDATE charge SET draws = jsonb_set(draws, '{0,release_amount}', '0')"
            " WHERE release_amount > 0"
        ),
        "use_is_in_the_statement",
    ),
    ("UPDATE charge SET draws = '[]'", "charge_is_its_draws"),
    ("UPDATE charge SET draws = draws || draws", "charge_is_its_draws"),
    (
        (
            "UPDATE charge SET confirmation_id = '00000000-0000-0000-0000-000000000001'"
            " WHERE confirmation_id IS NOT NULL"
        ),
        "confirmation_is_of_one_charge",
    ),
    ("UPDATE charge SET confirmed_at = now()", "confirmation_binds_the_use"),
    ("UPDATE charge SET description = '染发'", "confirmation_binds_the_use"),
    ("UPDATE charge SET confirmation_hash = sha256('other')", "use_is_in_the_statement"),
    (
        "UPDATE charge SET status = 'confirmed' WHERE status = 'reversed'",
        "charge_status_has_its_proof",
    ),
    (
        "UPDATE charge SET status = 'reversed' WHERE status = 'confirmed'",
        "reversal_is_in_the_statement",
    ),
    ("DELETE FROM charge WHERE status = 'confirmed'", "use_is_in_the_statement"),
    (
        "UPDATE charge SET reversal_amount = 1 WHERE reversal_status = 'pending'",
        "waiting_reversals_add_up",
    ),
    ("UPDATE book SET waiting_reversal_amount = 0", "waiting_reversals_add_up"),
    ("UPDATE charge SET store_id = gen_random_uuid()", "charge_has_its_store_and_cards"),
    (
        (
            "UPDATE transfer SET credit_account_id = (SELECT account_id FROM account WHERE type ="
            " 'suspense' ORDER BY merchant_no LIMIT 1) WHERE kind = 'use_confirmed'"
        ),
        "use_pays_its_merchant",
    ),
    ("UPDATE payment_order SET amount = amount + 1 WHERE kind = 'release'", "file_is_its_orders"),
    ("UPDATE payment_order SET amount = amount + 1 WHERE kind = 'release'", "order_is_booked"),
    (
        "UPDATE payment_order SET amount = amount + 1 WHERE kind = 'release'",
        "in_transit_is_what_waits",
    ),
    (
        "UPDATE payment_order SET amount = amount + 1 WHERE kind = 'release'",
        "release_is_what_may_be_paid",
    ),
    (
        (
            "UPDATE payment_order SET deductions = deductions || '{\"custody_amount\": 1}'"
            " WHERE kind = 'release'"
        ),
        "release_is_what_may_be_paid",
    ),
    (
        (
            "UPDATE payment_order SET deductions = deductions || '{\"waiting_reversal_amount\": 1}'"
            " WHERE kind = 'release'"
        ),
        "release_is_what_may_be_paid",
    ),
    (
        "UPDATE payment_order SET amount = amount + 1 WHERE kind = 'refund'",
        "refund_order_is_its_refund",
    ),
    ("UPDATE payment_order SET status = 'paid'", "in_transit_is_what_waits"),
    ("UPDATE payment_order SET status = 'paid'", "refund_order_is_its_refund"),
    ("DELETE FROM payment_order", "transit_has_an_order"),
    ("UPDATE payment_file SET total_amount = total_amount + 1", "file_is_its_orders"),
    ("UPDATE payment_file SET sequence = sequence + 1", "file_sequence_without_gap"),
    ("UPDATE payment_file SET status = 'completed'", "file_status_is_its_orders"),
    ("UPDATE file_sequence SET last_sequence = 7", "file_sequence_without_gap"),
    ("UPDATE refund SET status = 'decided'", "refund_payable_is_what_waits"),
    ("UPDATE refund SET amount = amount + 1", "returned_receipt_has_a_refund"),
    (
        "UPDATE refund SET residue_amount = residue_amount + 1 WHERE card_id IS NOT NULL",
        "refund_is_computed_from_its_inputs",
    ),
    ("UPDATE refund SET reason = 'health' WHERE card_id IS NOT NULL", "refund_is_in_the_chain"),
    ("DELETE FROM refund WHERE card_id IS NOT NULL", "refund_is_in_the_statement"),
    (
        (
            "INSERT INTO card_entry SELECT"
            " (jsonb_populate_record(card_entry, '{\"entry_no\": 99}')).*"
            " FROM card_entry WHERE kind = 'refunded' LIMIT 1"
        ),
        "refund_takes_effect_once",
    ),
    (
        "UPDATE refund SET settled_at = NULL WHERE settled_at IS NOT NULL",
        "rest_follows_the_refund",
    ),
    (
        "UPDATE card SET adjusted_amount = adjusted_amount + 1 WHERE status = 'refunding'",
        "refunds_follow_the_uses",
    ),
    (
        "UPDATE refund SET supplements = gen_random_uuid() WHERE card_id IS NOT NULL",
        "supplement_adds_to_a_refund",
    ),
    (
        (
            "UPDATE transfer SET credit_account_id = (SELECT account_id FROM account WHERE type ="
            " 'suspense' ORDER BY merchant_no LIMIT 1) WHERE kind = 'refund_decided'"
        ),
        "refund_moves_to_its_place",
    ),
    ("UPDATE card SET status = 'active' WHERE status = 'refunding'", "refunded_card_says_so"),
    (
        "UPDATE refund SET status = 'paid' WHERE card_id IS NOT NULL AND amount > 0",
        "paid_refund_has_its_order",
    ),
    (
        "UPDATE dispute SET set_aside_amount = set_aside_amount + 1 WHERE status = 'open'",
        "set_aside_is_what_is_disputed",
    ),
    ("UPDATE dispute SET set_aside_amount = 1", "set_aside_whole_or_not"),
    (
        "UPDATE charge SET dispute_status = 'dismissed' WHERE dispute_status = 'open'",
        "dispute_stands_with_its_charge",
    ),
    (f"UPDATE dispute SET case_id = {_NO_SUCH_ID} WHERE status = 'open'", "dispute_is_as_its_case"),
    (
        "UPDATE transfer SET kind = 'dispute_dismissed' WHERE kind = 'dispute_upheld'",
        "dispute_moves_what_it_set_aside",
    ),
    (
        "UPDATE transfer SET kind = 'release_cut', debit_balance = 0 WHERE kind = 'use_reversed'",
        "set_aside_is_kept_until_it_is_paid",
    ),
    (
        (
            "WITH gone AS (UPDATE transfer SET kind = 'x' WHERE kind = 'use_reversed')"
            " UPDATE fact SET kind = 'reversal_ended', subject_id = dispute.charge_id FROM dispute"
            " WHERE fact.merchant_no = dispute.merchant_no AND fact.subject_id = dispute.case_id"
            " AND fact.kind = 'case_decided' AND dispute.status = 'upheld'"
        ),
        "kept_reversal_does_not_end",
    ),
    (
        "UPDATE dispute SET decided_at = decided_at + interval '1 second'",
        "dispute_is_in_the_chain",
    ),
    (
        "UPDATE case_file SET decided_by = 'silence', answered_at = NULL",
        "case_is_decided_by_the_clock",
    ),
    (
        "UPDATE case_file SET approval_id = gen_random_uuid()",
        "case_is_decided_as_two_persons_approved",
    ),
    ("DELETE FROM case_file", "case_in_the_chain_exists"),
    ("UPDATE case_file SET reason = 'health'", "case_is_in_the_chain"),
    ("UPDATE refund SET status = 'rejected'", "claim_stands_as_its_case"),
    (
        "UPDATE case_file SET used_amount = 1 WHERE kind = 'refund_claim'",
        "claim_counts_what_was_stated",
    ),
    ("DELETE FROM fact WHERE kind = 'hold_placed'", "hold_is_in_its_book"),
    ("DELETE FROM hold", "hold_entry_has_a_hold"),
    (
        "UPDATE hold SET expires_at = ended_at WHERE status = 'lifted'",
        "hold_expired_on_its_day",
    ),
    ("UPDATE approval SET action = 'other'", "hold_was_lifted_by_two"),
    ("UPDATE card SET on_hold = NOT on_hold", "held_card_says_so"),
    ("UPDATE hold SET amount = 2 WHERE amount = 1", "cut_left_what_was_held"),
    (
        (
            "UPDATE hold SET seq = 1, target_id = (SELECT card_id FROM refund"
            " JOIN payment_order USING (merchant_no, refund_id) WHERE card_id IS NOT NULL LIMIT 1)"
            " WHERE target = 'card'"
        ),
        "held_card_was_not_refunded",
    ),
    ("UPDATE hold SET reason = '别的'", "hold_is_what_was_ordered"),
    ("UPDATE hold SET ended_at = ended_at + interval '1 s'", "hold_ended_as_it_says"),
    ("UPDATE checkpoint SET signature = sha256('') || sha256('')", "checkpoint_is_signed"),
    (
        "UPDATE book SET status = 'refunding' WHERE status = 'closed_with_shortfall'",
        "book_has_its_closures_status",
    ),
    ("UPDATE book SET status = 'notice' WHERE status = 'open'", "closing_book_has_its_closure"),
    ("UPDATE closure SET refunded_amount = refunded_amount + 1", "closure_counts_its_refunds"),
    (
        (
            "UPDATE card SET status = 'active' FROM closure"
            " WHERE closure.merchant_no = card.merchant_no"
        ),
        "closed_card_is_refunded_or_named",
    ),
    (
        "UPDATE refund SET unpaid_amount = unpaid_amount + 1 WHERE unpaid_amount > 0",
        "unpaid_claim_lies_on_its_account",
    ),
    (
        (
            "UPDATE closure_certificate"
            """ SET document = replace(document, '"left_amount":', '"left_amount":1')"""
        ),
        "certificate_names_every_fen",
    ),
    (
        "UPDATE closure_certificate SET signature = sha256('') || sha256('')",
        "certificate_is_signed",
    ),
    ("UPDATE closure SET kind = 'absconded'", "closure_is_what_was_ordered"),
    ("DELETE FROM closure_certificate", "closed_merchant_has_a_certificate"),
]


@pytest.mark.parametrize(("statement", "check"), _TAMPERINGS)
async def test_tampering_is_named(
    tampering: asyncpg.Connection, statement: str, check: str
) -> None:
    # Constraints stop mistakes; whoever owns the database can drop them.
    await tampering.execute("SET LOCAL session_replication_role = replica")
    await _drop_checks(tampering)

    changed = await tampering.execute(statement)
    report = await report_of(tampering)

    assert not changed.endswith(" 0"), "nothing was changed"
    assert check in {finding.check for finding in report.findings}
    assert {finding.check for finding in report.findings} <= rules().keys()


def test_every_rule_has_a_tampering_that_breaks_it() -> None:
    assert {check for _, check in _TAMPERINGS} == rules().keys()


async def test_the_finding_says_which_row_what_was_expected_and_what_is_there(
    tampering: asyncpg.Connection,
) -> None:
    card_id, released = await tampering.fetchrow(
        "UPDATE card SET released_amount = released_amount + 1"
        " WHERE card_id = (SELECT card_id FROM card WHERE kind = 'count' LIMIT 1)"
        " RETURNING card_id, released_amount"
    )

    report = await report_of(tampering)

    (finding,) = [
        finding for finding in report.findings if finding.check == "released_is_computed_from_uses"
    ]
    assert (finding.table, finding.key) == ("card", f"card_id={card_id}")
    assert finding.expected == f"released_amount {released - 1}"
    assert finding.found == f"released_amount {released}"


async def _drop_checks(connection: asyncpg.Connection) -> None:
    for table, name in await connection.fetch(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint"
        " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    ):
        await connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
