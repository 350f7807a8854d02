"""The writer without HTTP: the same uses as commands, from callers in its own process."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from os import urandom
from time import perf_counter, process_time
from uuid import UUID

from app.charges.commands import PlaceCharge, UseLimits
from app.charges.domain import Charge, ChargeStatus, Use
from app.charges.service import code_hash
from app.ids import new_id
from app.money import Fen
from app.registry import REGISTRY
from app.writer.engine import Writer
from app.writer.requests import RequestKey
from bench.load import Counted, run_timed
from bench.money import may_release
from bench.processes import POLICIES

_LIMITS = UseLimits(
    Fen(POLICIES["code_use_amount"]),
    Fen(POLICIES["code_day_amount"]),
    900,
    POLICIES["pending_per_card"],
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A use, as far as a command needs it."""

    merchant_no: int
    store_id: UUID
    code: str
    amount: int


@dataclass(frozen=True, slots=True)
class Callers:
    """How many callers submit uses at once, and for how long."""

    dsn: str
    callers: int
    warm_up_seconds: float
    seconds: float
    uses: Sequence[Wanted]


def run_callers(callers: Callers, pipe: Connection) -> None:
    """Say `begin`, `end`, and what was counted, as the load generator does."""
    run_timed(_submit_all(callers, pipe))


async def _submit_all(callers: Callers, pipe: Connection) -> None:
    writer = Writer(callers.dsn, REGISTRY)
    await writer.start()
    counted = Counted()
    uses = iter(callers.uses)
    now = perf_counter()
    begin_at, end_at = (
        now + callers.warm_up_seconds,
        now + callers.warm_up_seconds + callers.seconds,
    )
    tasks = [
        asyncio.create_task(_call(writer, uses, counted, begin_at, end_at))
        for _ in range(callers.callers)
    ]
    await asyncio.sleep(callers.warm_up_seconds)
    pipe.send("begin")
    cpu, began = process_time(), perf_counter()
    await asyncio.wait(tasks, timeout=callers.seconds)
    counted.cpu_seconds, counted.seconds = process_time() - cpu, perf_counter() - began
    pipe.send("end")
    await asyncio.gather(*tasks)
    await writer.stop()
    pipe.send(counted)


async def _call(
    writer: Writer, uses: Iterator[Wanted], counted: Counted, begin_at: float, end_at: float
) -> None:
    for use in uses:
        started = perf_counter()
        if started >= end_at:
            return
        outcome = await writer.submit(_command(use))
        now = perf_counter()
        charge: Charge = outcome.result
        released = charge.release_amount or 0
        if charge.status != ChargeStatus.CONFIRMED or not may_release(use.amount, released):
            counted.wrong += 1
        counted.confirmed += 1
        counted.released_amount += released
        if begin_at <= now <= end_at:
            counted.units += 1
            counted.latencies.append(now - started)
    counted.ran_out = True


def _command(use: Wanted) -> PlaceCharge:
    return PlaceCharge(
        merchant_no=use.merchant_no,
        request=RequestKey(UUID(bytes=urandom(16)), urandom(32)),
        charge_id=new_id(use.merchant_no),
        confirmation_id=new_id(use.merchant_no),
        store_id=use.store_id,
        use=Use(Fen(use.amount)),
        code_hash=code_hash(use.code),
        card_id=None,
        product_id=None,
        list_amount=None,
        description=None,
        text_salt=None,
        client_reference=None,
        limits=_LIMITS,
    )
