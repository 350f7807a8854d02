"""The table of policies."""

import json
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Transaction
from app.policies.domain import POLICY_KEYS, as_json, read_json
from app.policies.versions import PolicyVersion

_LOCK: Final = 7_021_386_554
"""Any constant that nothing else locks; the numbers of versions come one after the other."""

_VERSIONS: Final = """
SELECT policy_id, version, key, region, CAST(value AS text) AS value, valid_from, valid_to
FROM policy
"""


class _Row(NamedTuple):
    policy_id: UUID
    version: int
    key: str
    region: str
    value: str
    valid_from: date
    valid_to: date | None

    def to_domain(self) -> PolicyVersion:
        return PolicyVersion(*self._replace(value=read_json(self.key, json.loads(self.value))))


async def all_versions(tx: Transaction) -> list[PolicyVersion]:
    """Give every version of every policy that this version of the service knows."""
    rows = await tx.fetch(_Row, _VERSIONS)
    return [row.to_domain() for row in rows if row.key in POLICY_KEYS]


async def last_version(tx: Transaction, key: str, region: str) -> PolicyVersion | None:
    """Give the version that no other one ends yet; it may begin on a day to come."""
    row = await tx.fetch_one(
        _Row,
        f"{_VERSIONS} WHERE key = :key AND region = :region AND valid_to IS NULL",
        key=key,
        region=region,
    )
    return None if row is None else row.to_domain()


async def lock(tx: Transaction) -> int:
    """Let one transaction at a time add a version; give the number that it takes."""
    await tx.execute("SELECT pg_advisory_xact_lock(:lock)", lock=_LOCK)
    number = await tx.value("SELECT coalesce(max(version), 0) + 1 FROM policy")
    assert isinstance(number, int)
    return number


async def add(tx: Transaction, policy: PolicyVersion, approval_id: UUID, at: datetime) -> None:
    """Add a version and end the one before it, in one statement.

    Between two statements the chain would have a gap or two ends, which the table refuses.
    """
    await tx.execute(
        """
        WITH ended AS (
            UPDATE policy SET valid_to = CAST(:valid_from AS date)
            WHERE key = :key AND region = :region AND valid_to IS NULL
            RETURNING version
        )
        INSERT INTO policy
            (policy_id, version, key, region, value, valid_from, approval_id, created_at)
        SELECT :policy_id, :version, :key, :region, CAST(:value AS jsonb),
               CAST(:valid_from AS date), :approval_id, :at
        -- Reading the count lets the update end before the row is added.
        FROM (SELECT count(*) FROM ended) AS before
        """,
        policy_id=policy.policy_id,
        version=policy.version,
        key=policy.key,
        region=policy.region,
        value=json.dumps(as_json(policy.value)),
        valid_from=policy.valid_from,
        approval_id=approval_id,
        at=at,
    )
