from datetime import time

import pytest

from app.policies.domain import Policies, PolicyInvalid, PolicyValue, as_json, read_json


def test_the_defaults_are_those_of_the_domain() -> None:
    policies = Policies()

    assert policies.code_lifetime_seconds == 60
    assert (policies.code_use_amount, policies.code_day_amount) == (200_00, 500_00)
    assert (policies.pending_lifetime_seconds, policies.pending_per_card) == (900, 3)
    assert policies.purchase_lifetime_seconds == 1_800
    assert (policies.suspense_days, policies.reversal_days) == (3, 90)
    assert policies.cut_time == time(22, 0)
    assert policies.retention_years == 10


def test_settings_change_a_default_and_may_be_text() -> None:
    policies = Policies.from_settings(
        {
            "code_day_amount": 1_000_000_00,
            "pending_per_card": "9",
            "cut_time": "21:30",
            "cooling_off_unused_only": "true",
        }
    )

    assert policies.code_day_amount == 1_000_000_00
    assert policies.pending_per_card == 9
    assert policies.cut_time == time(21, 30)
    assert policies.cooling_off_unused_only is True
    assert policies.code_use_amount == 200_00


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unheard_of", 1),
        ("code_lifetime_seconds", 0),
        ("code_lifetime_seconds", "soon"),
        ("code_use_amount", -1),
        ("pending_per_card", True),
        ("cut_time", 22),
        ("cut_time", "25:00"),
        ("term_end_release", 1),
        ("term_end_release", "perhaps"),
        ("term_end_release", "true"),
        ("automatic_confirmation", True),
    ],
)
def test_a_setting_that_no_rule_can_work_with_is_refused_by_name(
    key: str, value: PolicyValue
) -> None:
    with pytest.raises(PolicyInvalid, match=key):
        Policies.from_settings({key: value})


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("code_use_amount", 8000.0, 80_00),
        ("cooling_off_unused_only", True, True),
        ("cut_time", "21:30", time(21, 30)),
    ],
)
def test_json_says_a_value_in_its_own_type(key: str, value: object, read: PolicyValue) -> None:
    assert read_json(key, value) == read
    assert read_json(key, as_json(read)) == read


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("no_such_policy", 1),
        ("version", 1),
        ("code_use_amount", "8000"),
        ("code_use_amount", 80.5),
        ("code_use_amount", True),
        ("code_use_amount", 2**53),
        ("suspense_days", -1),
        ("suspense_days", None),
        ("term_end_release", "true"),
        ("term_end_release", 1),
        ("term_end_release", True),
        ("automatic_confirmation", True),
        ("cut_time", 2200),
        ("cut_time", "late"),
        ("cut_time", "22:00+08:00"),
        ("cut_time", ["22:00"]),
    ],
)
def test_a_value_of_another_type_is_refused(key: str, value: object) -> None:
    with pytest.raises(PolicyInvalid, match=key):
        read_json(key, value)
