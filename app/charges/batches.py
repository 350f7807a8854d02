"""Batches of charges: many in one request, each with a verdict of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from app.charges.commands import PlaceCharge
from app.charges.service import guesser, place_unchecked
from app.errors import DatabaseUnavailable, DomainError, NotFound, Overloaded
from app.writer import requests
from app.writer.requests import RequestKey

if TYPE_CHECKING:
    from app.access.limits import FailureLimit
    from app.charges.domain import Charge
    from app.db.engine import Database
    from app.writer.answers import Answered
    from app.writer.engine import Writer

_SHARES: Final = 8
"""So many merchants at once fill the writer's queue with batches before others are refused."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one item of a batch: a charge or the refusal."""

    index: int
    client_reference: str
    outcome: Answered[Charge] | DomainError


@dataclass(frozen=True, slots=True)
class Batch:
    """Charges of one request, each by its `client_reference`, or what is wrong with it."""

    merchant_no: int
    request: RequestKey
    items: Sequence[tuple[str, PlaceCharge | DomainError]]


@dataclass(slots=True)
class _Line:
    turns: asyncio.Semaphore
    items: int = 0


@dataclass(slots=True)
class BatchShare:
    """How much of the writer's queue the batches of one merchant may take, in this process.

    The queue is everybody's: a merchant that sends many batches at once waits for itself, and
    another's single charge is not `overloaded` for it.
    """

    queue_max: int
    _lines: dict[int, _Line] = field(default_factory=dict[int, _Line])

    @asynccontextmanager
    async def of(self, merchant_no: int, items: int) -> AsyncGenerator[asyncio.Semaphore, None]:
        """Give what each item takes its turn by.

        Raises:
            Overloaded: As many of this merchant's items wait as the whole queue takes.
        """
        line = self._lines.get(merchant_no)
        if line is None:
            turns = asyncio.Semaphore(max(1, self.queue_max // _SHARES))
            line = self._lines[merchant_no] = _Line(turns)
        if line.items and line.items + items > self.queue_max:
            raise Overloaded
        line.items += items
        try:
            yield line.turns
        finally:
            line.items -= items
            if not line.items:
                del self._lines[merchant_no]


@dataclass(frozen=True, slots=True)
class Placing:
    """What batches are placed with."""

    writer: Writer
    db: Database
    guesses: FailureLimit
    share: BatchShare


async def place_batch(placing: Placing, batch: Batch) -> tuple[Sequence[Verdict], bool]:
    """Place many charges, each with a verdict of its own, in the order given.

    The batch's key is stored before its items; each item has a key made from it and its
    `client_reference`, so a retry goes on where an interrupted batch stopped, and what an item
    was refused for, whatever it was, it is refused for again.

    Raises:
        DatabaseUnavailable: What became of an item is unknown; a retry finds out.
        IdempotencyKeyReused: The key was used for another request.
        Overloaded: An item was not taken on; a retry does it.
        RateLimited: The merchant guessed too often; nothing was charged.
    """
    if any(isinstance(item, PlaceCharge) and item.code_hash is not None for _, item in batch.items):
        placing.guesses.check(guesser(batch.merchant_no))
    async with placing.share.of(batch.merchant_no, len(batch.items)) as turns:
        missing, replayed = await _claim(placing.db, batch)

        async def one(index: int, reference: str, item: PlaceCharge | DomainError) -> Verdict:
            if reference in missing:
                return Verdict(index, reference, NotFound())
            if isinstance(item, DomainError):
                return Verdict(index, reference, item)
            keyed = replace(item, request=item_key(batch.request, reference))
            try:
                async with turns:
                    placed = await place_unchecked(
                        placing.writer, placing.db, placing.guesses, keyed
                    )
            except DomainError as refused:
                return Verdict(index, reference, refused)
            return Verdict(index, reference, placed)

        verdicts = await asyncio.gather(
            *(one(index, reference, item) for index, (reference, item) in enumerate(batch.items))
        )
    for verdict in verdicts:
        # No verdict on the item: a 200 would tell the caller that the batch is through.
        if isinstance(verdict.outcome, DatabaseUnavailable | Overloaded):
            raise verdict.outcome
    return verdicts, replayed


async def _claim(db: Database, batch: Batch) -> tuple[frozenset[str], bool]:
    """Keep the batch's key; give the items that never reach a book, and whether it is a retry.

    Those that are not there for one credential of the merchant may be there for another, under
    the same key.
    """
    missing = [reference for reference, item in batch.items if isinstance(item, NotFound)]
    async with db.transaction() as tx:
        stored = await requests.claim(tx, batch.merchant_no, batch.request)
        if stored is not None:
            return frozenset(cast("list[str]", stored.get("missing", []))), True
        await requests.keep(
            tx,
            batch.merchant_no,
            batch.request,
            command="PlaceBatch",
            subject_id=None,
            answer={"missing": missing},
        )
    return frozenset(missing), False


def item_key(batch: RequestKey, client_reference: str) -> RequestKey:
    """Give an item of a batch its own key; its verdict is part of an answer, so all are kept."""
    key = RequestKey.of(
        tenant=batch.request_id.hex, key=client_reference, fingerprint=batch.fingerprint
    )
    return key._replace(keeps_every_refusal=True)
