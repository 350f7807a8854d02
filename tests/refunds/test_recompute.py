"""Every stored refund can be computed again from its own row, and a changed one is named."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from app.charges.domain import Use
from app.money import Fen
from app.refunds.domain import RefundReason
from app.refunds.proofs import (
    AS_USED,
    FIGURES,
    IN_THE_CHAIN,
    check_refunded_cards,
    check_refunds,
)
from app.refunds.rows import CardRefund
from tests.builder import Trader, a_consumer
from tests.refunds.conftest import Refunder


@pytest_asyncio.fixture
async def tampering(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Give the owner's connection in a transaction that is rolled back."""
    connection = await asyncpg.connect(owner_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def a_refund(given: Trader, refunder: Refunder) -> CardRefund:
    shop, consumer = await given.shop(), a_consumer()
    card_id = await given.card(shop, consumer)
    await given.used(shop, consumer, card_id, Use(amount=Fen(60_00)))
    return await refunder.refunded(consumer, card_id, RefundReason.CONSUMER_CHOICE)


def silent(_: int) -> None:
    """Tell nobody."""


async def test_what_was_stored_is_what_comes_out_again(
    given: Trader, refunder: Refunder, tampering: asyncpg.Connection
) -> None:
    await a_refund(given, refunder)

    assert await check_refunds(tampering, silent) == []


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        ("amount = amount - 1, residue_amount = residue_amount + 1", [FIGURES, IN_THE_CHAIN]),
        (
            "inputs = jsonb_set(inputs, '{list_used_amount}', '1')",
            [FIGURES, IN_THE_CHAIN],
        ),
        ("reason = 'health'", [IN_THE_CHAIN]),
        ("formula_version = 99", [FIGURES]),
        ("formula = 'whatever'", [FIGURES]),
    ],
)
async def test_a_refund_that_was_changed_is_named(
    given: Trader,
    refunder: Refunder,
    tampering: asyncpg.Connection,
    change: str,
    checks: list[str],
) -> None:
    refund = await a_refund(given, refunder)

    await tampering.execute(
        f"UPDATE refund SET {change} WHERE refund_id = $1",
        refund.refund_id,
    )

    findings = await check_refunds(tampering, silent)
    assert [finding.check for finding in findings] == checks
    assert {finding.key for finding in findings} == {f"refund_id={refund.refund_id}"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE card SET list_used_amount = 1 WHERE card_id = $1",
        "UPDATE card SET adjusted_amount = 1 WHERE card_id = $1",
        "UPDATE refund SET amount = amount - 1 WHERE card_id = $1",
    ],
)
async def test_a_card_whose_refunds_do_not_follow_its_uses_is_named(
    given: Trader, refunder: Refunder, tampering: asyncpg.Connection, change: str
) -> None:
    refund = await a_refund(given, refunder)
    assert await check_refunded_cards(tampering, silent) == []

    await tampering.execute(change, refund.card_id)

    (finding,) = await check_refunded_cards(tampering, silent)
    assert (finding.check, finding.key) == (AS_USED, f"card_id={refund.card_id}")
