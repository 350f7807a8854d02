"""The life of a case over the full product of what it is and what happens to it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.cases.domain import (
    BY_CLOSURE,
    WITHDRAWAL,
    Answer,
    Opening,
    Ruling,
    Scheduling,
    Silence,
    Step,
    after,
    entry_of,
    event_of,
    is_silent,
    open_case,
    words,
)
from app.cases.rows import CaseDecision, CaseFile, CaseKind, CaseStatus, DecidedBy
from app.errors import DomainError
from app.ids import new_id
from app.money import Fen

OPENED = datetime(2026, 11, 23, 10, tzinfo=UTC)
DUE = date(2026, 11, 30)
IN_TIME = datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC)
"""A second before midnight in Shanghai, on the last day."""
LATE = IN_TIME + timedelta(seconds=1)
SALT = bytes(16)
APPROVAL = new_id()

STEPS: Mapping[str, Step] = {
    "agrees": Answer(agree=True, text=None, by="chen.wei"),
    "disagrees": Answer(agree=False, text=words(b"sealed", "否", SALT), by="chen.wei"),
    "silence": Silence(),
    "schedules": Scheduling(DUE + timedelta(days=30)),
    "two uphold": Ruling(CaseDecision.UPHELD, DecidedBy.TWO_PERSONS, None, Fen(7), APPROVAL),
    "two reject": Ruling(CaseDecision.REJECTED, DecidedBy.TWO_PERSONS, None, None, APPROVAL),
    "withdraws": WITHDRAWAL,
    "closes": BY_CLOSURE,
}


def a_case(due: date | None = DUE) -> CaseFile:
    opening = Opening(
        merchant_no=1,
        case_id=new_id(1),
        kind=CaseKind.REFUND_CLAIM,
        consumer=new_id(),
        reason="health",
        salt=SALT,
        text=words(b"sealed", "医生不建议", SALT),
        answer_due_on=due,
        card_id=new_id(1),
        refund_id=new_id(1),
    )
    return open_case(opening, OPENED)


def taken(*names: str, at: datetime = IN_TIME, due: date | None = DUE) -> CaseFile:
    case = a_case(due)
    for name in names:
        case = after(case, STEPS[name], at)
    return case


STATES: Mapping[str, Callable[[], CaseFile]] = {
    "open": a_case,
    "open without a day": lambda: a_case(None),
    "answered": lambda: taken("disagrees"),
    "agreed": lambda: taken("agrees"),
    "upheld": lambda: taken("disagrees", "two uphold"),
    "rejected": lambda: taken("disagrees", "two reject"),
    "withdrawn": lambda: taken("withdraws"),
    "silent": lambda: taken("silence", at=LATE),
    "closed": lambda: taken("closes"),
}
SAME = "the same"
STATE, PASSED = "case_state", "deadline_passed"

# What becomes of a case by each step: another state, the same, or a refusal; in time and late.
IN_TIME_TABLE: Mapping[tuple[str, str], str] = {
    ("open", "agrees"): "agreed",
    ("open", "disagrees"): "answered",
    ("open", "two uphold"): "upheld",
    ("open", "two reject"): "rejected",
    ("open", "withdraws"): "withdrawn",
    ("open", "closes"): "closed",
    ("open without a day", "agrees"): "agreed",
    ("open without a day", "disagrees"): "answered",
    ("open without a day", "schedules"): "open",
    ("open without a day", "two uphold"): "upheld",
    ("open without a day", "two reject"): "rejected",
    ("open without a day", "withdraws"): "withdrawn",
    ("open without a day", "closes"): "closed",
    ("answered", "agrees"): STATE,
    ("answered", "two uphold"): "upheld",
    ("answered", "two reject"): "rejected",
    ("answered", "withdraws"): "withdrawn",
    ("answered", "closes"): "closed",
    ("agreed", "disagrees"): STATE,
    ("upheld", "agrees"): STATE,
    ("rejected", "agrees"): STATE,
    ("withdrawn", "agrees"): STATE,
    ("withdrawn", "disagrees"): STATE,
    ("closed", "agrees"): STATE,
    ("closed", "disagrees"): STATE,
    ("silent", "agrees"): PASSED,
    ("silent", "disagrees"): PASSED,
    **{
        (state, step): STATE
        for state in ("agreed", "upheld", "rejected", "withdrawn", "silent", "closed")
        for step in ("two uphold", "two reject", "withdraws")
    },
}
LATE_TABLE = {
    **IN_TIME_TABLE,
    ("open", "agrees"): PASSED,
    ("open", "disagrees"): PASSED,
    ("open", "silence"): "silent",
    ("open", "two uphold"): STATE,
    ("open", "two reject"): STATE,
    ("open", "withdraws"): STATE,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("at", "table"), [(IN_TIME, IN_TIME_TABLE), (LATE, LATE_TABLE)], ids=["in time", "late"]
)
def test_every_step_in_every_state(
    state: str, step: str, at: datetime, table: Mapping[tuple[str, str], str]
) -> None:
    case = STATES[state]()
    expected = table.get((state, step), SAME)

    if expected in {STATE, PASSED}:
        with pytest.raises(DomainError) as refused:
            after(case, STEPS[step], at)
        assert refused.value.code == expected
        return
    told = after(case, STEPS[step], at)
    if expected is SAME:
        assert told is case
        return
    like = STATES[expected]()
    assert (told.status, told.decision) == (like.status, like.decision)
    decided_by_closure = step == "closes"
    assert told.decided_by == (DecidedBy.CLOSURE if decided_by_closure else like.decided_by)
    assert told.content_hash() != case.content_hash()


def test_an_answer_with_other_words_is_another_answer() -> None:
    case = taken("disagrees")
    again = Answer(agree=False, text=words(b"sealed anew", "否", SALT), by="wang.fang")
    other = Answer(agree=False, text=words(b"sealed", "另一说法", SALT), by="chen.wei")

    assert after(case, again, LATE) is case
    with pytest.raises(DomainError) as refused:
        after(case, other, LATE)
    assert refused.value.code == STATE


def test_a_case_without_a_day_is_never_silent() -> None:
    assert not is_silent(a_case(None), LATE + timedelta(days=1000))
    assert is_silent(a_case(), LATE)
    assert not is_silent(a_case(), IN_TIME)


def test_sealed_words_are_not_in_the_hash_and_their_commitments_are() -> None:
    case = taken("disagrees", "two uphold")
    erased = case._replace(salt=None, text=None, answer_text=None, decision_reason=None)

    assert erased.content_hash() == case.content_hash()
    for column in ("text_commitment", "answer_text_commitment"):
        assert case._replace(**{column: bytes(32)}).content_hash() != case.content_hash()


def test_each_step_has_its_entry_and_event() -> None:
    opened, answered, decided = a_case(), taken("disagrees"), taken("agrees")

    assert [entry_of(case).kind for case in (opened, answered, decided)] == [
        "case_open",
        "case_answered",
        "case_decided",
    ]
    assert [event_of(case) for case in (opened, answered, decided)] == [
        "case.opened",
        "case.answered",
        "case.decided",
    ]
    assert entry_of(opened).content_hash == opened.content_hash()
    assert entry_of(opened).movement is None


def test_the_same_words_of_two_cases_have_two_commitments() -> None:
    assert words(b"", "否", SALT).commitment != words(b"", "否", bytes(15) + b"1").commitment
    opening = replace(
        Opening(
            merchant_no=1,
            case_id=new_id(1),
            kind=CaseKind.DISPUTE,
            consumer=new_id(),
            stated_reason=words(b"sealed", "not_provided", SALT),
            salt=SALT,
            answer_due_on=None,
        ),
        charge_id=new_id(1),
    )
    assert open_case(opening, OPENED).status == CaseStatus.OPEN


def test_what_a_dispute_gives_as_its_reason_can_be_erased_too() -> None:
    opening = Opening(
        merchant_no=1,
        case_id=new_id(1),
        kind=CaseKind.DISPUTE,
        consumer=new_id(),
        stated_reason=words(b"sealed", "李娜没有剪发", SALT),
        salt=SALT,
        answer_due_on=DUE,
        charge_id=new_id(1),
    )
    case = open_case(opening, OPENED)

    assert (case.reason, case.stated_reason) == (None, b"sealed")
    erased = case._replace(salt=None, stated_reason=None)
    assert erased.content_hash() == case.content_hash()
    other = case._replace(stated_reason_commitment=bytes(32))
    assert other.content_hash() != case.content_hash()
