"""Answers of calls that own their transaction, kept as facts so that a retry gets the same one."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

Value = TypeVar("Value")
Given_co = TypeVar("Given_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Answered(Generic[Given_co]):
    """What a call gave; `replayed` if an earlier request under the same key did the work."""

    value: Given_co
    replayed: bool = False


def as_facts(value: object) -> Mapping[str, object]:
    """Say a dataclass as JSON; leave secrets out of it before."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_facts(shape: type[Value], facts: Mapping[str, object]) -> Value:
    """Read a dataclass from what `as_facts` said."""
    return _adapter(shape).validate_python(facts, strict=False)


@cache
def _adapter(shape: type[Value]) -> TypeAdapter[Any]:
    return TypeAdapter(shape)
