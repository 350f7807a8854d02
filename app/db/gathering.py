"""Readings of single things, gathered: one query for all that are asked for meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from itertools import islice
from typing import Final, Generic, TypeVar

KeyT = TypeVar("KeyT")
FoundT = TypeVar("FoundT")

_AT_ONCE_MAX: Final = 500
"""Keys of one query, so that none takes long."""


class Gathered(Generic[KeyT, FoundT]):
    """Finds things by their keys, while one query is under way the keys for the next.

    After a start every till's credential is new to the process. A query each would cost more
    than the uses they came with.
    """

    def __init__(
        self, read: Callable[[Collection[KeyT]], Awaitable[Mapping[KeyT, FoundT]]]
    ) -> None:
        """Find by `read`, which gives what there is of the keys."""
        self._read = read
        self._asked: dict[KeyT, asyncio.Future[FoundT | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key: KeyT) -> FoundT | None:
        """Find a thing, as it is after this was asked; None where there is none.

        Whatever a query raises, all get who ask meanwhile: a database that is silent would keep
        those whose keys are for the next query waiting twice.
        """
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
            if self._reading is None:
                self._reading = asyncio.create_task(self._read_all(), name="gathered-reading")
        # Whoever leaves takes the answer from nobody else.
        return await asyncio.shield(answer)

    async def _read_all(self) -> None:
        try:
            while self._asked:
                # Whoever asks from here on is answered by another query.
                keys = list(islice(self._asked, _AT_ONCE_MAX))
                await self._answer({key: self._asked.pop(key) for key in keys})
        finally:
            self._reading = None

    async def _answer(self, answers: Mapping[KeyT, asyncio.Future[FoundT | None]]) -> None:
        try:
            found = await self._read(answers.keys())
        except Exception as error:  # noqa: BLE001  # it is theirs who asked
            for answer in (*answers.values(), *self._asked.values()):
                answer.set_exception(error)
                # If all of them have left, nobody needs it.
                answer.exception()
            self._asked.clear()
        except BaseException:
            for answer in answers.values():
                answer.cancel()
            raise
        else:
            for key, answer in answers.items():
                answer.set_result(found.get(key))
