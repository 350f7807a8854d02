"""Policies over dates and regions: which rule counts where, and since when.

    built in --> version 3 --> version 8 --> ...      one line for each key and region

A version begins on a day and runs until the next one of its key and region begins, so there is
neither a gap nor an overlap. Before the first one, what is built in counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from app.policies.domain import POLICY_KEYS, REGIONAL_DEFAULTS, Policies, PolicyValue

EVERYWHERE: Final = ""
"""The region that is the start of every district."""


class PolicyVersion(NamedTuple):
    """One rule of one region; `valid_to` is the first day on which it does not count any more.

    What is built in has the version 0, no id, and began before all days.
    """

    policy_id: UUID | None
    version: int
    key: str
    region: str
    value: PolicyValue
    valid_from: date | None
    valid_to: date | None

    def counts_on(self, day: date) -> bool:
        """Say whether this is the rule of its key and region on this day."""
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_to is None or day < self.valid_to)


class ListedVersion(NamedTuple):
    """A version and its place in the list of all, which is highest for the newest."""

    place: int
    policy: PolicyVersion


@dataclass(frozen=True, slots=True)
class VersionFilter:
    """Which versions to list; what is None does not matter."""

    key: str | None = None
    region: str | None = None
    on: date | None = None

    def takes(self, policy: PolicyVersion) -> bool:
        """Say whether this version was asked for."""
        return (
            self.key in (None, policy.key)
            and self.region in (None, policy.region)
            and (self.on is None or policy.counts_on(self.on))
        )


def in_force(
    base: Policies, district: str, day: date, versions: Iterable[PolicyVersion] = ()
) -> Policies:
    """Give the policies of a district on a day.

    The narrowest region decides, and in it the version that began last; where a region has
    none yet, what is built in for it. `base` counts where no region says anything. Only the
    starts matter, so that the versions up to the one that a decision stored give what it knew.
    """
    known = [*_regional_defaults(), *versions]
    applicable = [
        rule
        for rule in known
        if district.startswith(rule.region) and (rule.valid_from is None or rule.valid_from <= day)
    ]
    applicable.sort(key=lambda rule: (len(rule.region), rule.valid_from or date.min))
    chosen = {rule.key: rule for rule in applicable}
    number = max((rule.version for rule in chosen.values()), default=0)
    values: dict[str, PolicyValue] = {key: rule.value for key, rule in chosen.items()}
    return replace(base, version=number, **values)  # pyright: ignore[reportArgumentType]


def listed(base: Policies, versions: Iterable[PolicyVersion]) -> list[ListedVersion]:
    """List every version, newest first, and last what is built in."""
    rows = sorted(versions, key=lambda policy: policy.version, reverse=True)
    first_starts = {
        (policy.key, policy.region): policy.valid_from
        for policy in sorted(rows, key=lambda row: row.valid_from or date.min, reverse=True)
    }
    built_in = [
        policy._replace(valid_to=first_starts.get((policy.key, policy.region)))
        for policy in _built_in(base)
    ]
    return [
        *(ListedVersion(policy.version, policy) for policy in rows),
        *(ListedVersion(-number, policy) for number, policy in enumerate(built_in, start=1)),
    ]


def _built_in(base: Policies) -> Sequence[PolicyVersion]:
    everywhere = [
        PolicyVersion(None, 0, key, EVERYWHERE, getattr(base, key), None, None)
        for key in POLICY_KEYS
    ]
    return [*everywhere, *_regional_defaults()]


def _regional_defaults() -> list[PolicyVersion]:
    return [
        PolicyVersion(None, 0, rule.key, rule.region, rule.value, None, None)
        for rule in REGIONAL_DEFAULTS
    ]
