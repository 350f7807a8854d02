"""Commands that wait: in order within a book, and one lane at a book."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.writer.jobs import Job


SKIPS_MAX: Final = 5
"""A book that another process held so often in a row is waited for."""


@dataclass(slots=True)
class Queue:
    """Waiting jobs by book: a book's jobs keep their order, and one lane has a book at a time."""

    size: int = 0
    _waiting: dict[int, deque[Job]] = field(default_factory=dict[int, "deque[Job]"])
    _ready: deque[int] = field(default_factory=deque[int])
    _starved: deque[int] = field(default_factory=deque[int])
    _busy: set[int] = field(default_factory=set[int])

    def add(self, job: Job) -> None:
        """Put a job behind the others of its book."""
        no = job.command.merchant_no
        jobs = self._waiting.get(no)
        if jobs is None:
            jobs = self._waiting[no] = deque()
            if no not in self._busy:
                self._ready.append(no)
        jobs.append(job)
        self.size += 1

    def take(self, most: int) -> list[Job]:
        """Take the jobs of books that no lane has, book by book, and keep those books."""
        taken: list[Job] = []
        while self._ready and len(taken) < most:
            taken += self._take_book(self._ready.popleft(), most - len(taken))
        return taken

    def take_starved(self, most: int) -> list[Job]:
        """Take the jobs of one book that other processes held too often."""
        return list(self._take_book(self._starved.popleft(), most)) if self._starved else []

    def _take_book(self, no: int, most: int) -> Iterable[Job]:
        self._busy.add(no)
        jobs = self._waiting.pop(no)
        if len(jobs) > most:
            self._waiting[no] = deque(islice(jobs, most, None))
            jobs = deque(islice(jobs, most))
        self.size -= len(jobs)
        return jobs

    def give_back(self, nos: Iterable[int], unfinished: Sequence[Job]) -> None:
        """Free books; jobs that were not done go to the head of their books, in their order."""
        for job in reversed(unfinished):
            self._waiting.setdefault(job.command.merchant_no, deque()).appendleft(job)
            self.size += 1
        for no in nos:
            self._busy.discard(no)
        skipped = {job.command.merchant_no: job.skips for job in reversed(unfinished)}
        # Books that were skipped come first again.
        self._ready.extendleft(no for no, skips in skipped.items() if skips < SKIPS_MAX)
        self._starved.extend(no for no, skips in reversed(skipped.items()) if skips >= SKIPS_MAX)
        self._ready.extend(no for no in nos if no in self._waiting and no not in skipped)

    def drop_all(self) -> list[Job]:
        """Take everything out."""
        jobs = [job for waiting in self._waiting.values() for job in waiting]
        self._waiting.clear()
        self._ready.clear()
        self._starved.clear()
        self.size = 0
        return jobs
