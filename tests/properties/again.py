"""A client that sometimes sends a request again, at once or later, or its key with another body."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

from app.errors import DomainError
from tests.properties.shown import shown
from tests.retrying import KEYS, Keys

Result = TypeVar("Result")
Doing = Callable[[], Coroutine[Any, Any, Result]]
Rows = Mapping[str, Sequence[str]]

_AT_ONCE: Final = 0.1
_WITH_ANOTHER_BODY: Final = 0.05
_LATER: Final = 0.25
_REMEMBERED_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: what it gave, as it is shown, or a refusal in its words."""

    value: object = None
    refusal: tuple[str, str] | None = None


@dataclass(slots=True)
class Sent:
    """A request, and what was answered to it first."""

    doing: Doing[object]
    keys: Keys
    answer: Answer

    @property
    def name(self) -> str:
        """Name what was asked, without what it was asked of."""
        doing: object = getattr(self.doing, "func", self.doing)
        return getattr(doing, "__qualname__", repr(doing))


@dataclass(slots=True)
class Client:
    """Sends requests; what was answered is answered again, and nothing changes by it."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    rows: Doing[Rows]
    """Gives every row of the merchant's book."""
    chance: Random = field(default_factory=lambda: Random(0))
    again: int = 0
    """How often something was sent again."""
    _remembered: list[Sent] = field(default_factory=list[Sent])

    def send(self, doing: Doing[Result]) -> Result:
        """Send a request, and sometimes send it again.

        Raises:
            DomainError: It was refused.
        """
        keys = Keys()
        refused: DomainError | None = None
        value: Any = None
        try:
            value = self.run(_under(keys, doing))
        except DomainError as error:
            refused = error
        sent = Sent(doing, keys, _answer(value, refused))
        if keys.are_used:
            if self.chance.random() < _AT_ONCE:
                self._send_again(sent)
            # What was refused for its form, say, is not kept: later it may be sound.
            if refused is None or keys.keeps_refusal:
                self._send_now_or_later(sent)
        if refused is not None:
            raise refused
        return value

    def send_later(self) -> None:
        """Send something again that was answered some time ago."""
        if self._remembered:
            self._send_again(self._remembered.pop(self.chance.randrange(len(self._remembered))))

    def _send_now_or_later(self, sent: Sent) -> None:
        if self.chance.random() < _WITH_ANOTHER_BODY:
            self._send_with_another_body(sent)
        if self.chance.random() < _LATER:
            self._remembered = [*self._remembered, sent][-_REMEMBERED_MAX:]

    def _send_again(self, sent: Sent) -> None:
        answer = self._tried(sent, sent.keys)
        assert answer == sent.answer, f"{sent.name}:\n{sent.answer}, and again\n{answer}"

    def _send_with_another_body(self, sent: Sent) -> None:
        answer = self._tried(sent, sent.keys.of_another_body())
        assert answer.refusal is not None, f"{sent.name} with another body: {answer}"
        assert answer.refusal[0] == "idempotency_key_reused", f"{sent.name}: {answer}"

    def _tried(self, sent: Sent, keys: Keys) -> Answer:
        """Send it; nothing may change by it."""
        before = self.run(self.rows())
        try:
            answer = _answer(self.run(_under(keys, sent.doing)), None)
        except DomainError as refused:
            answer = _answer(None, refused)
        self.again += 1
        assert self.run(self.rows()) == before, f"{sent.name} changed rows again"
        return answer


async def _under(keys: Keys, doing: Doing[Result]) -> Result:
    keys.begin()
    token = KEYS.set(keys)
    try:
        return await doing()
    finally:
        KEYS.reset(token)


def _answer(value: object, refused: DomainError | None) -> Answer:
    return Answer(shown(value), None if refused is None else (refused.code, refused.detail))
