"""The contract and the code's refusals are one list, seen from both ends."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter, ValidationError

from app.api.application import routes_of
from app.api.problems import STATUS_BY_CODE
from app.errors import DomainError, StoredRefusal
from app.main import create_api
from app.settings import Settings
from openapi.export import PATH, contract

_APP: Final = Path(__file__).parents[2] / "app"
_DESIGNED: Final = frozenset(
    {
        "ceiling_exceeded",
        "closure_in_progress",
        "closure_state",
        "refund_changed",
        "refund_in_progress",
        "refund_not_allowed",
    }
)
"""Codes that the catalogue has for refunds and closures; no call gives them yet."""
_EVERYWHERE: Final = frozenset({"method_not_allowed", "headers_too_large", "internal_fault"})
"""What any path may answer, whichever call was meant."""


def _errors() -> Iterator[type[DomainError]]:
    """Give every refusal of the service; a class that only groups others has no code."""
    for path in sorted(_APP.rglob("errors.py")):
        import_module(".".join(path.relative_to(_APP.parent).with_suffix("").parts))
    waiting: list[type[DomainError]] = [DomainError]
    while waiting:
        found = waiting.pop()
        waiting.extend(found.__subclasses__())
        if "code" in vars(found) and found.__module__.startswith("app."):
            yield found


ERRORS: Final = sorted(set(_errors()), key=lambda error: error.code)


@pytest.fixture(scope="module")
def document() -> Mapping[str, Any]:
    return json.loads(contract())


def _calls(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            yield f"{method.upper()} {path}", call


def _codes(call: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for status, response in call["responses"].items():
        problem = response.get("content", {}).get("application/problem+json", {})
        for code in problem.get("examples", {}):
            yield code, int(status)


def test_every_refusal_has_one_status_and_no_status_is_left_over() -> None:
    codes = [error.code for error in ERRORS]
    assert len(codes) == len(set(codes)), "two refusals share a code"
    assert set(codes) <= set(STATUS_BY_CODE)
    assert set(STATUS_BY_CODE) - set(codes) <= _DESIGNED
    assert StoredRefusal not in ERRORS


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_refusal_says_in_one_line_what_happened(error: type[DomainError]) -> None:
    first = (error.__doc__ or "").strip().splitlines()[0]
    assert first.endswith("."), error
    assert error.__doc__ != DomainError.__doc__, "inherited, so it says nothing of this one"


def test_every_refusal_appears_in_the_contract_with_its_status(
    document: Mapping[str, Any],
) -> None:
    declared = {pair for _, call in _calls(document) for pair in _codes(call)}
    assert {error.code for error in ERRORS} - dict(declared).keys() <= _EVERYWHERE | _DESIGNED
    for code, status in declared:
        assert STATUS_BY_CODE[code] == status


def test_a_storable_refusal_is_a_conflict() -> None:
    assert {STATUS_BY_CODE[error.code] for error in ERRORS if error.storable} == {409}


def test_the_committed_contract_is_the_service(document: Mapping[str, Any]) -> None:
    assert json.loads(PATH.read_text()) == document


def test_every_call_is_in_the_contract(document: Mapping[str, Any]) -> None:
    api = create_api(Settings.model_construct())
    routes = {
        f"{method} {route.path}" for route in routes_of(api) for method in route.methods or ()
    }
    assert {name for name, _ in _calls(document)} == routes


def test_every_call_says_what_it_does(document: Mapping[str, Any]) -> None:
    for name, call in _calls(document):
        assert call.get("summary"), name
        assert call.get("description"), name
        assert call.get("tags"), name
        assert any(status.startswith("2") for status in call["responses"]), name


def test_every_body_and_answer_has_an_example_that_fits(document: Mapping[str, Any]) -> None:
    lacking = [
        f"{name} {where}"
        for name, call in _calls(document)
        for where, content in _contents(call)
        if "example" not in content and "examples" not in content
    ]
    assert lacking == []


def test_every_example_would_be_taken_or_given() -> None:
    api = create_api(Settings.model_construct())
    document = api.openapi()
    wrong: list[str] = []
    for route in routes_of(api):
        for method in route.methods or ():
            call = document["paths"][route.path][method.lower()]
            models = {"request": route.body_field and route.body_field.field_info.annotation}
            models[str(route.status_code or 200)] = route.response_model
            for where, content in _contents(call):
                model = models.get(where)
                if model is None or "example" not in content:
                    continue
                try:
                    TypeAdapter(model).validate_json(json.dumps(content["example"]))
                except ValidationError as error:
                    wrong.append(f"{method} {route.path} {where}: {error.errors()[:2]}")
    assert not wrong, "\n".join(wrong)


def _contents(call: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    body = call.get("requestBody", {}).get("content", {})
    for content in body.values():
        yield "request", content
    for status, response in call["responses"].items():
        for content in response.get("content", {}).values():
            yield status, content


def test_every_post_says_of_its_key(document: Mapping[str, Any]) -> None:
    """API.md: required on every POST but codes and the sandbox's."""
    free = re.compile(r"/v1/(me/codes|sandbox/.*)|.*/preview")
    for name, call in _calls(document):
        method, path = name.split(" ")
        keys = [p for p in call.get("parameters", []) if p["name"] == "Idempotency-Key"]
        required = method == "POST" and not free.fullmatch(path)
        assert [key["required"] for key in keys] in ([[True]] if required else [[], [False]]), name
