"""Which rule counts where and since when: no database, the same answer for the same rows."""

from datetime import date
from itertools import count

import pytest

from app.policies.domain import POLICY_KEYS, REGIONAL_DEFAULTS, Policies, PolicyValue
from app.policies.versions import PolicyVersion, VersionFilter, in_force, listed

NEW_YEAR = date(2027, 1, 1)
_NUMBERS = count(1)


def a_version(
    value: PolicyValue,
    valid_from: date = NEW_YEAR,
    *,
    key: str = "cooling_off_days",
    region: str = "",
    version: int | None = None,
) -> PolicyVersion:
    number = next(_NUMBERS) if version is None else version
    return PolicyVersion(None, number, key, region, value, valid_from, None)


@pytest.mark.parametrize(
    ("district", "days", "unused_only"),
    [("330106", 7, False), ("320102", 15, False), ("110105", 7, True), ("", 7, False)],
)
def test_a_region_has_its_own_cooling_off_built_in(
    district: str, days: int, *, unused_only: bool
) -> None:
    policies = in_force(Policies(), district, NEW_YEAR)

    assert (policies.cooling_off_days, policies.cooling_off_unused_only) == (days, unused_only)
    assert policies.version == 0


@pytest.mark.parametrize(
    ("day", "days", "version"),
    [
        (date(2026, 12, 31), 7, 0),
        (date(2027, 1, 1), 10, 4),
        (date(2027, 5, 31), 10, 4),
        (date(2027, 6, 1), 14, 9),
        (date(2199, 12, 31), 14, 9),
    ],
)
def test_a_version_counts_from_its_day_until_the_next_begins(
    day: date, days: int, version: int
) -> None:
    versions = [a_version(14, date(2027, 6, 1), version=9), a_version(10, version=4)]

    policies = in_force(Policies(), "330106", day, versions)

    assert (policies.cooling_off_days, policies.version) == (days, version)


def test_the_narrowest_region_decides_whenever_its_rule_began() -> None:
    versions = [
        a_version(3, date(2026, 1, 1), region="330106"),
        a_version(4, date(2026, 6, 1), region="33"),
        a_version(5, NEW_YEAR),
    ]

    days = [
        in_force(Policies(), district, NEW_YEAR, versions).cooling_off_days
        for district in ("330106", "330108", "440106", "320102")
    ]

    # Jiangsu's own rule, which is built in, is narrower than one for everywhere.
    assert days == [3, 4, 5, 15]


def test_the_version_is_the_highest_of_those_used_and_no_other() -> None:
    versions = [
        a_version(10, version=3),
        a_version(30, key="reversal_days", version=5),
        a_version(8, region="44", version=7),
        a_version(12, date(2028, 1, 1), version=8),
    ]

    assert in_force(Policies(), "330106", NEW_YEAR, versions).version == 5
    assert in_force(Policies(), "440106", NEW_YEAR, versions).version == 7


def test_a_stored_version_gives_what_the_decision_knew() -> None:
    known = [a_version(10, version=1)]
    since = [*known, a_version(14, date(2027, 2, 1), version=2)]
    day = date(2027, 3, 1)

    replayed = in_force(
        Policies(), "330106", day, [policy for policy in since if policy.version <= 1]
    )

    assert replayed == in_force(Policies(), "330106", day, known)


def test_settings_count_where_no_region_says_anything() -> None:
    base = Policies(cooling_off_days=1, reversal_days=2)

    policies = in_force(base, "320102", NEW_YEAR, [a_version(3, key="reversal_days")])

    assert (policies.cooling_off_days, policies.reversal_days) == (15, 3)
    assert in_force(base, "330106", NEW_YEAR).cooling_off_days == 1


def test_the_list_ends_with_what_is_built_in_until_a_version_begins() -> None:
    first, second = a_version(9, version=1), a_version(8, date(2028, 1, 1), version=2)

    entries = listed(Policies(), [first._replace(valid_to=second.valid_from), second])

    assert [entry.policy.version for entry in entries[:3]] == [2, 1, 0]
    assert len(entries) == 2 + len(POLICY_KEYS) + len(REGIONAL_DEFAULTS)
    places = [entry.place for entry in entries]
    assert places == sorted(set(places), reverse=True)
    ended = [entry.policy for entry in entries if entry.policy.valid_to == NEW_YEAR]
    assert [(policy.key, policy.value) for policy in ended] == [("cooling_off_days", 7)]
    on_the_eve = VersionFilter("cooling_off_days", "", date(2026, 12, 31))
    assert [entry.policy.value for entry in entries if on_the_eve.takes(entry.policy)] == [7]
