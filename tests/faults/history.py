"""What the clients asked and what they were told: the only witness beside the rows."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Body = dict[str, Any]


class Kind(StrEnum):
    """What a request does."""

    BUY = "buy"
    RECEIPT = "receipt"
    PLACE = "place"
    CONFIRM = "confirm"
    DECLINE = "decline"
    REVERSE = "reverse"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said for good: neither a fault nor `try again`."""

    status: int
    body: Body
    replayed: bool

    @property
    def accepted(self) -> bool:
        return self.status < 300

    @property
    def code(self) -> str | None:
        return None if self.accepted else self.body.get("code")


@dataclass(slots=True)
class Asked:
    """One request under one key: all its tries are the same request."""

    kind: Kind
    path: str
    credential: str
    key: str
    body: Body
    merchant_id: str
    answer: Answer | None = None
    unknown: int = 0
    """Tries whose outcome the client could not know: no answer, or a 5xx."""
    last: str = ""
    """What became of the last try: its status, with the code of a refusal, or `no answer`."""

    @property
    def given_up(self) -> bool:
        """Whether the client walked away without knowing."""
        return self.answer is None

    @property
    def by_code(self) -> bool:
        """Whether it shows one-time codes, of which a merchant has so many tries a minute."""
        return self.kind is Kind.BATCH or "consumer_code" in self.body

    @property
    def put_off(self) -> bool:
        """Whether the last try was told to come again in a while; that one had no effect."""
        return self.last == "429 rate_limited"

    @property
    def done_before_it_was_told(self) -> bool:
        """Whether it had taken effect in a try that went unanswered.

        A batch tells nothing: it is replayed as soon as its key is stored, before its items.
        """
        told = self.kind is not Kind.BATCH and self.answer is not None and self.answer.replayed
        return self.unknown > 0 and told


@dataclass(slots=True)
class History:
    """All requests, in the order in which they were begun, and what must never be seen."""

    asked: list[Asked] = field(default_factory=list[Asked])
    statuses: Counter[str] = field(default_factory=Counter[str])
    violations: list[str] = field(default_factory=list[str])

    def add(self, asked: Asked) -> None:
        self.asked.append(asked)

    def of(self, *kinds: Kind) -> list[Asked]:
        return [asked for asked in self.asked if asked.kind in kinds]

    def summary(self) -> str:
        done = Counter(
            f"{asked.kind}:{'unknown' if asked.answer is None else asked.answer.code or 'ok'}"
            for asked in self.asked
        )
        shown = " ".join(f"{name}={count}" for name, count in sorted(done.items()))
        seen = " ".join(f"{name}={count}" for name, count in sorted(self.statuses.items()))
        return f"{shown} | answers {seen}"
