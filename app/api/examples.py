"""Examples of every request and answer, made of the examples that each field has.

So they cannot grow stale: a field that is added or renamed is so in the example too. Where the
fields alone would contradict each other, the model says a whole example itself.
"""

from collections.abc import Mapping
from typing import Any, Final

_FORMATS: Final[Mapping[str, str]] = {
    "date": "2026-11-23",
    "date-time": "2026-11-22T10:00:00.123456+08:00",
}
_PATTERNS: Final[Mapping[str, str]] = {
    "^[A-Za-z0-9+/]{86}==$": "A" * 86 + "==",
    "^[0-9a-f]{64}$": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
_BY_TYPE: Final[Mapping[str, object]] = {
    "string": "…",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "null": None,
}


def add_examples(contract: Mapping[str, Any]) -> None:
    """Give each JSON body and answer of the contract an example, unless it has one."""
    schemas: Mapping[str, Any] = contract["components"]["schemas"]
    for calls in contract["paths"].values():
        for call in calls.values():
            _add(call.get("requestBody", {}), schemas, whole=False)
            for response in call["responses"].values():
                _add(response, schemas, whole=True)


def _add(part: Mapping[str, Any], schemas: Mapping[str, Any], *, whole: bool) -> None:
    for content in part.get("content", {}).values():
        if "schema" in content and "example" not in content and "examples" not in content:
            content["example"] = _example(content["schema"], schemas, whole=whole)


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, whole: bool) -> object:
    """Make an example; `whole` with every field, else with those that are required."""
    if "$ref" in schema:
        schema = {**schemas[schema["$ref"].rpartition("/")[2]], **schema}
    for known in ("const", "default"):
        if known in schema and schema[known] is not None:
            return schema[known]
    for known in ("examples", "enum", "anyOf", "oneOf", "allOf"):
        if known in schema:
            first = schema[known][0]
            return first if known in {"examples", "enum"} else _example(first, schemas, whole=whole)
    return _of_type(schema, schemas, whole=whole)


def _of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, whole: bool) -> object:
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {
                name: _example(field, schemas, whole=whole)
                for name, field in schema.get("properties", {}).items()
                if whole or name in required
            }
        case "array":
            return [_example(schema["items"], schemas, whole=whole)]
        case "string" if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        case "string" if schema.get("pattern") in _PATTERNS:
            return _PATTERNS[schema["pattern"]]
        case kind:
            return _BY_TYPE.get(str(kind))
