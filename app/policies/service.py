"""Add versions of policies, and list them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.dates import business_date
from app.db.engine import Database, Transaction
from app.errors import FieldError, InvalidRequest
from app.ids import Prefix, new_platform_id, to_text
from app.policies import queries
from app.policies.domain import (
    NATIONWIDE_KEYS,
    POLICY_KEYS,
    Policies,
    PolicyInvalid,
    as_json,
    read_json,
)
from app.policies.errors import PolicyDatePassed, PolicyOverlaps
from app.policies.versions import (
    EVERYWHERE,
    ListedVersion,
    PolicyVersion,
    VersionFilter,
    listed,
)

ADD_VERSION: Final = "policy.add_version"
"""The action under which approvals of policies are found and executed."""

_REGION: Final = re.compile(r"([0-9]{2}){0,3}")


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A rule as it was asked for: its value may be anything that JSON can say."""

    key: str
    region: str
    value: object
    valid_from: date
    valid_to: date | None = None


async def propose_version(db: Database, new: NewVersion, *, by: str) -> Approval:
    """Put a version before a second person; nothing changes yet. Repeating it proposes again.

    Raises:
        InvalidRequest: It names no policy or region, its value is outside its limits, it begins
            in the past, or it has an end.
        PolicyOverlaps: A version of this key and region begins on that day or later.
    """
    value = _require_sound(new)
    async with db.transaction() as tx:
        if new.valid_from < business_date(await tx.now()):
            raise InvalidRequest(FieldError("/valid_from", "Lies in the past"))
        _require_last(await queries.last_version(tx, new.key, new.region), new)
        request = {
            "key": new.key,
            "region": new.region,
            "value": value,
            "valid_from": new.valid_from,
        }
        return await approvals.propose(tx, ADD_VERSION, new.key, request, by)


async def add_version(tx: Transaction, approval: Approval) -> Execution:
    """Do what a second person approved: the version counts from its day, and ends the last one.

    Raises:
        PolicyDatePassed: That day is over.
        PolicyOverlaps: Another version was approved meanwhile that begins then or later.
    """
    new = _asked(approval.request)
    number = await queries.lock(tx)
    now = await tx.now()
    if new.valid_from < business_date(now):
        raise PolicyDatePassed(new.valid_from)
    _require_last(await queries.last_version(tx, new.key, new.region), new)
    added = PolicyVersion(
        policy_id=new_platform_id(),
        version=number,
        key=new.key,
        region=new.region,
        value=read_json(new.key, new.value),
        valid_from=new.valid_from,
        valid_to=None,
    )
    await queries.add(tx, added, approval.approval_id, now)
    return Execution(policy_facts(added))


EXECUTORS: Final[Mapping[str, Executor]] = {ADD_VERSION: add_version}


async def list_versions(
    db: Database, base: Policies, wanted: VersionFilter, *, below: int | None, count: int
) -> list[ListedVersion]:
    """Give a page of versions, newest first, and last what is built in.

    There are few and every process reads them all each second, so the page is cut here.
    """
    async with db.snapshot() as tx:
        versions = await queries.all_versions(tx)
    found = [
        entry
        for entry in listed(base, versions)
        if wanted.takes(entry.policy) and (below is None or entry.place < below)
    ]
    return found[:count]


def policy_facts(policy: PolicyVersion) -> Mapping[str, object]:
    """Say a version in the contract's fields."""
    return {
        "id": None if policy.policy_id is None else to_text(Prefix.POLICY, policy.policy_id),
        "key": policy.key,
        "region": policy.region,
        "value": as_json(policy.value),
        "valid_from": policy.valid_from,
        "valid_to": policy.valid_to,
        "version": policy.version,
    }


def _require_sound(new: NewVersion) -> bool | int | str:
    """Give the value as JSON says it, once everything about the version is right by itself."""
    if new.key not in POLICY_KEYS:
        raise InvalidRequest(FieldError("/key", "There is no such policy"))
    wrong: list[FieldError] = []
    if _REGION.fullmatch(new.region) is None:
        wrong.append(FieldError("/region", "Is no start of a division code: 2, 4 or 6 digits"))
    elif new.region != EVERYWHERE and new.key in NATIONWIDE_KEYS:
        wrong.append(FieldError("/region", "This policy is the same everywhere"))
    if new.valid_to is not None:
        wrong.append(FieldError("/valid_to", "Would leave a gap: the next version ends this one"))
    try:
        value = read_json(new.key, new.value)
    except PolicyInvalid as error:
        raise InvalidRequest(*wrong, FieldError("/value", error.reason)) from None
    if wrong:
        raise InvalidRequest(*wrong)
    return as_json(value)


def _require_last(last: PolicyVersion | None, new: NewVersion) -> None:
    """A version is only ever added behind the last one, so it splits none and leaves no gap."""
    if last is None:
        return
    assert last.valid_from is not None, "only what is built in has no start"
    if new.valid_from <= last.valid_from:
        raise PolicyOverlaps(version=last.version, valid_from=last.valid_from)


def _asked(request: Mapping[str, object]) -> NewVersion:
    return NewVersion(
        key=str(request["key"]),
        region=str(request["region"]),
        value=request["value"],
        valid_from=date.fromisoformat(str(request["valid_from"])),
    )
