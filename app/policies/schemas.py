"""Policies as the contract shows them."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema

from app.api.schemas import BusinessDate, Model, PolicyId, text
from app.policies.domain import POLICY_KEYS
from app.policies.service import NewVersion, policy_facts
from app.policies.versions import EVERYWHERE, PolicyVersion

_REGION_LENGTH_MAX = 6


def _known_key(key: str) -> str:
    if key not in POLICY_KEYS:
        raise ValueError("There is no such policy")
    return key


PolicyKey = Annotated[
    str,
    AfterValidator(_known_key),
    WithJsonSchema({"type": "string", "enum": list(POLICY_KEYS), "examples": ["cooling_off_days"]}),
]
Region = Annotated[
    str,
    text(_REGION_LENGTH_MAX, min_length=0),
    Field(
        description="The start of the division codes (GB/T 2260) that the rule covers; empty is "
        "everywhere. The narrowest region decides.",
        examples=["32"],
    ),
]


class PolicyWrite(Model):
    """A rule, and the day from which it counts."""

    key: PolicyKey
    region: Region | None = None
    value: Annotated[
        JsonValue,
        Field(
            description="A whole number, true or false, or a time of day such as 22:00.",
            examples=[15],
        ),
    ]
    valid_from: BusinessDate
    valid_to: Annotated[
        BusinessDate | None,
        Field(description="Always null: a version runs until the next one begins."),
    ] = None

    def to_domain(self) -> NewVersion:
        """Say it in the service's own terms."""
        region = EVERYWHERE if self.region is None else self.region
        return NewVersion(self.key, region, self.value, self.valid_from, self.valid_to)


class PolicyRead(Model):
    """A rule of a region. What is built in has version 0, no id and no start."""

    id: PolicyId | None
    key: PolicyKey
    region: Region
    value: Annotated[int | bool | str, Field(examples=[15])]
    valid_from: BusinessDate | None
    valid_to: Annotated[
        BusinessDate | None, Field(description="The first day on which it does not count.")
    ]
    version: int

    @classmethod
    def from_domain(cls, policy: PolicyVersion) -> Self:
        """Show a version."""
        return cls.model_validate(policy_facts(policy))
