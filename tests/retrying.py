"""Idempotency keys of a request whose every try must send the same ones.

A test's helper may take several calls for what it does, and makes a key for each on the way. While
`KEYS` is set, `tests.builder.a_key` and the writer take the keys from there, call by call, so that
whoever runs the helper again sends its calls again.
"""

from collections import Counter
from contextvars import ContextVar
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from itertools import count
from typing import Any, Final

from app.errors import DomainError
from app.writer.commands import Command, Outcome
from app.writer.engine import Writer
from app.writer.requests import RequestKey

_NUMBERS: Final = count(1)


@dataclass(slots=True)
class Keys:
    """The keys of one request's calls."""

    number: int = field(default_factory=lambda: next(_NUMBERS))
    fingerprint: bytes = bytes(32)
    keeps_refusal: bool = False
    """Whether the last try ended in a refusal that is stored under its key."""
    _calls: Counter[str] = field(default_factory=Counter[str])

    @property
    def are_used(self) -> bool:
        return bool(self._calls)

    def begin(self) -> None:
        """Begin a try: its first call is the first one again."""
        self._calls.clear()
        self.keeps_refusal = False

    def next(self, call: str, fingerprint: bytes | None = None) -> RequestKey:
        """Give the key of the next call of a kind."""
        self._calls[call] += 1
        key = f"{self.number}/{call}/{self._calls[call]}"
        return RequestKey.of(
            tenant="retrying", key=key, fingerprint=fingerprint or self.fingerprint
        )

    def of_another_body(self) -> "Keys":
        """Give the same keys for other requests."""
        return Keys(self.number, b"another body".ljust(32))


KEYS: Final[ContextVar[Keys | None]] = ContextVar("KEYS", default=None)


class KeyedWriter(Writer):
    """A writer whose callers may leave out the key of what a client asks for."""

    async def submit(self, command: Command) -> Outcome[Any]:
        keys = KEYS.get()
        if keys is None or command.request is not None or not _is_asked(type(command)):
            return await super().submit(command)
        keyed: Any = command
        try:
            return await super().submit(replace(keyed, request=keys.next(type(command).__name__)))
        except DomainError as refused:
            keys.keeps_refusal = refused.storable
            raise


@cache
def _is_asked(command: type[Any]) -> bool:
    """Say whether a client asks for it: what the service asks of itself needs no key."""
    (request,) = (one for one in fields(command) if one.name == "request")
    return request.default is MISSING
