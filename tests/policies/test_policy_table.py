import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import pytest

from app.access import approvals
from app.access.approvals import Approval, ApprovalStatus
from app.access.errors import OwnProposal
from app.dates import business_date, start_of_day
from app.db.engine import Database
from app.errors import DatabaseUnavailable, InvalidRequest
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from app.policies.errors import PolicyDatePassed, PolicyOverlaps
from app.policies.service import EXECUTORS, NewVersion, propose_version
from app.sandbox.service import advance_clock
from tests.builder import APPROVER, PROPOSER
from tests.cluster import Cluster, DatabaseUrls

KEY = "cooling_off_days"


_STANDING_CLOCK = """
CREATE OR REPLACE FUNCTION anxin_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$ SELECT '{}'::timestamptz $$
"""


class Span(NamedTuple):
    version: int
    value: str
    valid_from: date
    valid_to: date | None


async def today(db: Database) -> date:
    async with db.snapshot() as tx:
        return business_date(await tx.now())


async def proposed(
    db: Database, value: object, valid_from: date, *, region: str = "", key: str = KEY
) -> Approval:
    return await propose_version(db, NewVersion(key, region, value, valid_from), by=PROPOSER)


async def approved(db: Database, approval: Approval, *, by: str = APPROVER) -> Approval:
    await approvals.approve(db, EXECUTORS, approval.approval_id, person_id=by, request=None)
    return await approvals.find(db, approval.approval_id)


async def added(db: Database, value: object, valid_from: date, *, region: str = "") -> None:
    await approved(db, await proposed(db, value, valid_from, region=region))


async def chain(db: Database, region: str = "") -> Sequence[Span]:
    async with db.snapshot() as tx:
        return await tx.fetch(
            Span,
            """
            SELECT version, CAST(value AS text) AS value, valid_from, valid_to FROM policy
            WHERE key = :key AND region = :region ORDER BY valid_from
            """,
            key=KEY,
            region=region,
        )


async def days_in(db: Database, district: str, day: date) -> tuple[int, int]:
    policies = await CurrentPolicies(db, Policies()).policies_in(district, day)
    return policies.cooling_off_days, policies.version


@asynccontextmanager
async def policies_locked(
    cluster: Cluster, database: DatabaseUrls
) -> AsyncGenerator[asyncpg.Connection, None]:
    """Let whoever reads the policies wait for the block's end."""
    connection = await asyncpg.connect(cluster.superuser_url(database.name))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE policy IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def until_waited_for(lock: asyncpg.Connection) -> None:
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'policy'::regclass)"
    )
    async with asyncio.timeout(10):
        while not await lock.fetchval(waiting):  # noqa: ASYNC110  # the database sets no event
            await asyncio.sleep(0.01)


async def test_a_second_person_lets_a_version_count_from_its_day(empty_db: Database) -> None:
    start = await today(empty_db) + timedelta(days=10)

    approval = await proposed(empty_db, 10, start)
    assert await chain(empty_db) == []
    with pytest.raises(OwnProposal):
        await approved(empty_db, approval, by=PROPOSER)
    assert await chain(empty_db) == []
    done = await approved(empty_db, approval)

    assert done.status is ApprovalStatus.APPROVED
    assert done.result is not None
    assert (done.result["value"], done.result["version"]) == (10, 1)
    assert await chain(empty_db) == [Span(1, "10", start, None)]
    assert await days_in(empty_db, "330106", start - timedelta(days=1)) == (7, 0)
    assert await days_in(empty_db, "330106", start) == (10, 1)


async def test_the_next_version_ends_the_one_before_and_leaves_no_gap(empty_db: Database) -> None:
    first = await today(empty_db)
    second, third = first + timedelta(days=30), first + timedelta(days=31)

    for value, start in ((8, first), (9, second), (10, third)):
        await added(empty_db, value, start)

    assert await chain(empty_db) == [
        Span(1, "8", first, second),
        Span(2, "9", second, third),
        Span(3, "10", third, None),
    ]
    days = [first + timedelta(days=n) for n in range(33)]
    found = [await days_in(empty_db, "330106", day) for day in (first, days[29], second, third)]
    assert found == [(8, 1), (8, 1), (9, 2), (10, 3)]


async def test_a_region_and_everywhere_are_lines_of_their_own(empty_db: Database) -> None:
    start = await today(empty_db)

    await added(empty_db, 10, start)
    await added(empty_db, 20, start, region="3301")

    assert await days_in(empty_db, "330106", start) == (20, 2)
    assert await days_in(empty_db, "330206", start) == (10, 1)
    assert await days_in(empty_db, "320102", start) == (15, 0)


@pytest.mark.parametrize("offset", [0, -5])
async def test_an_overlap_is_refused_when_proposed_and_when_approved(
    empty_db: Database, offset: int
) -> None:
    start = await today(empty_db) + timedelta(days=20)
    late = await proposed(empty_db, 12, start + timedelta(days=offset))
    await added(empty_db, 10, start)

    with pytest.raises(PolicyOverlaps) as refusal:
        await proposed(empty_db, 11, start + timedelta(days=offset))
    with pytest.raises(PolicyOverlaps):
        await approved(empty_db, late)

    assert (refusal.value.version, refusal.value.valid_from) == (1, start.isoformat())
    assert await chain(empty_db) == [Span(1, "10", start, None)]
    assert (await approvals.find(empty_db, late.approval_id)).status is ApprovalStatus.PROPOSED


async def test_of_versions_approved_at_once_those_that_fit_form_one_line(
    empty_db: Database,
) -> None:
    start = await today(empty_db)
    waiting = [await proposed(empty_db, n, start + timedelta(days=n % 5)) for n in range(10)]

    outcomes = await asyncio.gather(
        *(approved(empty_db, approval) for approval in waiting), return_exceptions=True
    )

    spans = await chain(empty_db)
    refused = [outcome for outcome in outcomes if isinstance(outcome, PolicyOverlaps)]
    assert len(spans) + len(refused) == 10
    assert [span.version for span in spans] == list(range(1, len(spans) + 1))
    assert [span.valid_to for span in spans] == [*(span.valid_from for span in spans[1:]), None]


async def test_a_version_never_begins_in_the_past(empty_db: Database) -> None:
    start = await today(empty_db)
    waiting = await proposed(empty_db, 10, start)

    with pytest.raises(InvalidRequest) as refusal:
        await proposed(empty_db, 10, start - timedelta(days=1))
    await advance_clock(empty_db, 86_400)
    with pytest.raises(PolicyDatePassed):
        await approved(empty_db, waiting)

    assert [error.pointer for error in refusal.value.errors] == ["/valid_from"]
    assert await chain(empty_db) == []


@pytest.mark.parametrize(
    ("new", "pointers"),
    [
        (NewVersion("no_such", "", 1, date(2100, 1, 1)), ["/key"]),
        (NewVersion(KEY, "", "10", date(2100, 1, 1)), ["/value"]),
        (NewVersion(KEY, "3", 367, date(2100, 1, 1)), ["/region", "/value"]),
        (NewVersion(KEY, "Jiangsu", 10, date(2100, 1, 1)), ["/region"]),
        (NewVersion("cut_time", "33", "21:00", date(2100, 1, 1)), ["/region"]),
        (NewVersion(KEY, "", 10, date(2100, 1, 1), date(2101, 1, 1)), ["/valid_to"]),
    ],
)
async def test_what_cannot_be_a_rule_is_refused_by_place(
    db: Database, new: NewVersion, pointers: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await propose_version(db, new, by=PROPOSER)

    assert [error.pointer for error in refusal.value.errors] == pointers


@pytest.mark.parametrize(
    ("spans", "constraint"),
    [
        ([("2027-01-01", None), ("2027-01-01", None)], "policy_begins_once"),
        ([("2027-01-01", None), ("2027-02-01", None)], "policy_runs_on_once"),
        ([("2027-01-01", "2027-02-01")], "policy_ends_where_the_next_begins"),
        ([("2027-01-01", "2027-02-01"), ("2027-02-02", None)], "policy_ends_where_the_next_begins"),
        ([("2027-01-01", "2027-02-01"), ("2027-01-15", None)], "policy_ends_where_the_next_begins"),
        (
            [("2027-01-01", "2027-02-01"), ("2027-01-15", "2027-02-01"), ("2027-02-01", None)],
            "policy_ends_once",
        ),
        ([("2027-02-01", "2027-01-01"), ("2027-01-01", None)], "policy_ends_after_its_start"),
    ],
)
async def test_the_table_itself_takes_no_gap_and_no_overlap(
    cluster: Cluster,
    fresh_database: DatabaseUrls,
    spans: list[tuple[str, str | None]],
    constraint: str,
) -> None:
    rows = [
        f"('{uuid4()}', {number}, '{KEY}', '', '7', '{start}', "
        f"{'NULL' if end is None else repr(end)}, '{uuid4()}', now())"
        for number, (start, end) in enumerate(spans, start=1)
    ]

    with pytest.raises(asyncpg.PostgresError) as refusal:
        await cluster.execute(
            # Whether an approval stands behind each row is another rule.
            "ALTER TABLE policy DROP CONSTRAINT policy_approval_id_fkey",
            "INSERT INTO policy (policy_id, version, key, region, value, valid_from, valid_to,"
            f" approval_id, created_at) VALUES {', '.join(rows)}",
            database=fresh_database.name,
        )

    assert getattr(refusal.value, "constraint_name", None) == constraint


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy SET value = '1'",
        "UPDATE policy SET valid_from = '2000-01-01'",
        "DELETE FROM policy",
        "TRUNCATE policy",
    ],
)
async def test_the_service_may_not_rewrite_a_policy(
    fresh_database: DatabaseUrls, statement: str
) -> None:
    connection = await asyncpg.connect(fresh_database.database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_version_is_seen_within_a_second_of_its_approval(
    empty_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("app.policies.current.monotonic", lambda: now)
    current = CurrentPolicies(empty_db, Policies())
    day = await today(empty_db)
    assert (await current.policies_in("330106", day)).cooling_off_days == 7

    await added(empty_db, 10, day)
    assert (await current.policies_in("330106", day)).cooling_off_days == 7
    now += 1.001

    assert (await current.policies_in("330106", day)).cooling_off_days == 10
    assert (await current.policies_today("330106")).version == 1


async def test_today_is_the_day_of_the_domain_and_goes_on(
    empty_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("app.policies.current.monotonic", lambda: now)
    await added(empty_db, 10, await today(empty_db) + timedelta(days=2))
    current = CurrentPolicies(empty_db, Policies())
    assert (await current.policies_today("330106")).cooling_off_days == 7

    await advance_clock(empty_db, 2 * 86_400)
    now += 1.001

    assert (await current.policies_today("330106")).cooling_off_days == 10


async def test_a_day_ends_within_a_reading_and_not_before_its_time(
    empty_db: Database,
    cluster: Cluster,
    fresh_database: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr("app.policies.current.monotonic", lambda: now)
    tomorrow = await today(empty_db) + timedelta(days=1)
    await added(empty_db, 10, tomorrow)
    half_a_second_before = start_of_day(tomorrow) - timedelta(seconds=0.5)
    await cluster.execute(
        _STANDING_CLOCK.format(half_a_second_before), database=fresh_database.name
    )
    current = CurrentPolicies(empty_db, Policies())

    async def found(at: float) -> int:
        nonlocal now
        now = at
        return (await current.policies_today("330106")).cooling_off_days

    async with policies_locked(cluster, fresh_database) as lock:
        reading = asyncio.create_task(found(1_000.0))
        await until_waited_for(lock)
        now = 1_000.3  # the query waited; the database says its time only now
    await reading

    assert [await found(at) for at in (1_000.3, 1_000.79, 1_000.81)] == [7, 7, 10]


async def test_many_who_ask_at_once_share_one_reading(empty_db: Database) -> None:
    current = CurrentPolicies(empty_db, Policies())
    day = await today(empty_db)

    found = await asyncio.gather(*(current.policies_in("330106", day) for _ in range(50)))

    assert all(policies is found[0] for policies in found)


async def test_a_database_that_is_gone_is_said_to_all_who_wait(tmp_path: Path) -> None:
    db = Database.connect(f"postgresql://nobody@/anxin?host={tmp_path}")
    current = CurrentPolicies(db, Policies())
    try:
        outcomes = await asyncio.gather(
            *(current.policies_today("330106") for _ in range(5)), return_exceptions=True
        )
    finally:
        await db.close()

    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 5
