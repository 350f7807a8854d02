"""What a check of evidence finds, and where: a JSON pointer, what must be there, what is."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

FAULTS_MAX: Final = 50
"""What is kept at most: one change in the middle makes every balance after it wrong."""


class Fault(NamedTuple):
    """One place where evidence is not true."""

    place: str
    rule: str
    expected: str
    found: str


@dataclass(slots=True)
class Faults:
    """Collects what is not as it must be, in the order in which it was found."""

    found: list[Fault] = field(default_factory=list[Fault])
    count: int = 0

    def require_same(self, place: str, rule: str, *, expected: object, found: object) -> None:
        """Note a fault where two values differ; `True` is not `1`."""
        if type(expected) is not type(found) or expected != found:
            self.add(place, rule, expected=expected, found=found)

    def require(self, place: str, rule: str, found: object, *, holds: bool) -> None:
        """Note a fault where a rule does not hold."""
        if not holds:
            self.add(place, rule, expected="what the rule says", found=found)

    def add(self, place: str, rule: str, *, expected: object, found: object) -> None:
        """Note a fault."""
        self.count += 1
        if len(self.found) < FAULTS_MAX:
            self.found.append(Fault(place, rule, _shown(expected), _shown(found)))


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
