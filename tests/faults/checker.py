"""Hold the clients' history against the rows, in the way of Jepsen's set and bank tests.

Set: what was acknowledged is there exactly once, what was refused is not, what nobody was told
about is there once or not at all, and nothing is there that nobody asked for (I5, I6). Bank:
from the charges that must stand, the cards and the custody account follow to the fen.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import asyncpg

from app import ids
from app.evidence.verification import verify
from app.ids import Prefix
from tests.faults.client import Client
from tests.faults.history import Asked, Body, History, Kind
from tests.faults.world import World

_ASKED_AGAIN_MAX = 24

_CHARGES = """
SELECT client_reference, charge_id, status, amount, reversal_status, draws::text AS draws,
       coalesce(entry.used, 0) AS used, coalesce(entry.reversed, 0) AS reversed
FROM charge LEFT JOIN (
    SELECT merchant_no, subject_id AS charge_id, count(*) FILTER (WHERE kind = 'used') AS used,
           count(*) FILTER (WHERE kind = 'reversed') AS reversed
    FROM card_entry GROUP BY 1, 2
) AS entry USING (merchant_no, charge_id)
"""
_ENDED_BY = {Kind.CONFIRM: "confirmed", Kind.DECLINE: "declined"}


Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """What the database says."""

    charges: dict[str, Row]
    purchases: set[str]
    receipts: dict[str, Row]
    cards: dict[str, Row]
    custody: int


@dataclass(slots=True)
class Check:
    """One look at everything; `wrong` says what does not hold."""

    rows: Rows
    history: History
    wrong: list[str] = field(default_factory=list[str])

    def run(self) -> None:
        self.wrong += self.history.violations
        self._purchases()
        self._receipts()
        self._charges()
        self._states()
        self._cards()

    def _expect(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            self.wrong.append(f"{what}: {found}, expected {expected}")

    def _purchases(self) -> None:
        bought = self.history.of(Kind.BUY)
        told = {one.answer.body["id"] for one in bought if one.answer and one.answer.accepted}
        unknown = sum(one.given_up for one in bought)
        self._expect("purchases that are lost", told - self.rows.purchases, set[str]())
        extra = len(self.rows.purchases - told)
        if extra > unknown:
            self.wrong.append(f"{extra} purchases that {unknown} unknown requests do not explain")

    def _receipts(self) -> None:
        asked = {one.body["bank_reference"]: one for one in self.history.of(Kind.RECEIPT)}
        self._expect("receipts of nobody", self.rows.receipts.keys() - asked.keys(), set[str]())
        for reference, one in asked.items():
            row = self.rows.receipts.get(reference)
            if one.answer is None:
                continue
            self._expect(f"receipt {reference} is there", row is not None, one.answer.accepted)
            if row is not None and one.answer.accepted:
                self._expect(f"receipt {reference}", row["amount"], one.answer.body["amount"])
        received = sum(row["amount"] for row in self.rows.receipts.values())
        self._expect("custody", self.rows.custody, received)

    def _charges(self) -> None:
        placed: dict[str, tuple[bool | None, Body]] = {}
        for one in self.history.of(Kind.PLACE):
            answer = one.answer
            placed[one.body["client_reference"]] = (
                None if answer is None else answer.accepted,
                {} if answer is None else answer.body,
            )
        for one in self.history.of(Kind.BATCH):
            for index, item in enumerate(one.body["items"]):
                placed[item["client_reference"]] = self._verdict(one, index)
        self._expect("charges of nobody", self.rows.charges.keys() - placed.keys(), set[str]())
        for reference, (accepted, body) in placed.items():
            row = self.rows.charges.get(reference)
            if accepted is None:
                continue
            self._expect(f"charge {reference} is there", row is not None, accepted)
            if row is not None and accepted:
                self._expect(f"charge {reference}", _text(row["charge_id"]), body["id"])
                self._expect(f"amount of {reference}", row["amount"], body["amount"])

    def _verdict(self, one: Asked, index: int) -> tuple[bool | None, Body]:
        if one.answer is None:
            return None, {}
        if not one.answer.accepted:
            self.wrong.append(f"a batch was refused as a whole: {one.answer.code}")
            return None, {}
        verdict = one.answer.body["data"][index]
        if verdict["status"] not in {201, 404, 409, 422}:
            self.wrong.append(f"an item of a batch has the status {verdict['status']}")
            return None, {}
        return verdict["status"] == 201, verdict["charge"] or {}

    def _states(self) -> None:
        """Each charge is in the state that its last acknowledged request left it in."""
        expected: dict[str, set[str]] = {}
        for row in self.rows.charges.values():
            expected[_text(row["charge_id"])] = set()
        for one in self.history.of(Kind.PLACE, Kind.BATCH):
            for body in _accepted_charges(one):
                expected[body["id"]] = {body["status"]}
        for one in self.history.of(Kind.CONFIRM, Kind.DECLINE, Kind.REVERSE):
            charge = one.path.split("/")[-2]
            if one.answer is None:
                # It happened or it did not; its lines must agree with what it is.
                expected[charge] |= {_ENDED_BY.get(one.kind, "reversed")}
            elif one.answer.accepted:
                # Equal to what was answered, or further where a waiting reversal was served.
                further = {"reversed"} if one.kind is Kind.REVERSE else set[str]()
                expected[charge] = {one.answer.body["status"]} | further
        for row in self.rows.charges.values():
            charge, status = _text(row["charge_id"]), row["status"]
            if expected[charge] and status not in expected[charge]:
                self.wrong.append(f"{charge} is {status}, expected {expected[charge]}")
            drawn = len(json.loads(row["draws"]))
            counts = status in {"confirmed", "reversed"}
            self._expect(f"lines of {charge}", row["used"], drawn if counts else 0)
            back = drawn if status == "reversed" else 0
            self._expect(f"lines back of {charge}", row["reversed"], back)

    def _cards(self) -> None:
        """The bank test: what the charges say must be what the cards say."""
        used, held = Counter[str](), Counter[str]()
        for row in self.rows.charges.values():
            into = {"confirmed": used, "pending_confirmation": held}.get(row["status"])
            if into is not None:
                for draw in json.loads(row["draws"]):
                    into[draw["card_id"]] += draw["face_amount"]
        for card_id, row in self.rows.cards.items():
            self._expect(f"used of {card_id}", row["face_used_amount"], used[card_id])
            self._expect(f"held of {card_id}", row["face_held_amount"], held[card_id])


def _accepted_charges(one: Asked) -> list[Body]:
    if one.answer is None or not one.answer.accepted:
        return []
    if one.kind is Kind.BATCH:
        return [item["charge"] for item in one.answer.body["data"] if item["charge"]]
    return [one.answer.body]


def _text(charge_id: Any) -> str:
    return ids.to_text(Prefix.CHARGE, charge_id)


async def check(world: World, history: History) -> None:
    """Fail with every row and every answer that does not agree."""
    async with world.witness() as connection:
        looked = Check(await _read(connection), history)
    looked.run()
    assert not looked.wrong, "\n".join([*looked.wrong[:40], history.summary()])


async def _read(connection: asyncpg.Connection) -> Rows:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        charges = await connection.fetch(_CHARGES)
        purchases = await connection.fetch("SELECT purchase_id FROM purchase")
        receipts = await connection.fetch("SELECT * FROM receipt")
        cards = await connection.fetch("SELECT * FROM card")
        custody = await connection.fetchval(
            "SELECT coalesce(sum(balance), 0)::bigint FROM account WHERE type = 'custody'"
        )
    return Rows(
        {row["client_reference"]: dict(row) for row in charges},
        {ids.to_text(Prefix.PURCHASE, row["purchase_id"]) for row in purchases},
        {row["bank_reference"]: dict(row) for row in receipts},
        {str(row["card_id"]): dict(row) for row in cards},
        custody,
    )


async def ask_again(client: Client, random: Random) -> int:
    """Repeat what was answered: the same key gives the same answer (I6). Give how many.

    What was given up is asked to its end, twice: both times the same. A merchant that showed too
    many unknown codes is not asked about codes.
    """
    may_be = [
        one
        for one in client.history.asked
        if not one.by_code or client.takes_codes(one.merchant_id)
    ]
    known = [one for one in may_be if not one.given_up]
    unknown = [one for one in may_be if one.given_up]
    chosen = random.sample(known, min(len(known), _ASKED_AGAIN_MAX))
    chosen += random.sample(unknown, min(len(unknown), _ASKED_AGAIN_MAX) // 2)
    await asyncio.gather(*(_again(client, one) for one in chosen))
    return len(chosen)


async def _again(client: Client, one: Asked) -> None:
    for _ in range(2 if one.given_up else 1):
        answer = await client.attempt(one)
        if answer is None and one.put_off:
            return
        if answer is None:
            client.history.violations.append(f"{one.kind} {one.path}: {one.last} in peace")
            return
        if one.answer is None:
            one.answer = answer
        elif (answer.status, answer.body) != (one.answer.status, one.answer.body):
            client.history.violations.append(
                f"{one.kind} {one.path}: asked again, {answer.body} instead of {one.answer.body}"
            )


async def prove(world: World) -> int:
    """Check every invariant from the rows alone (I1-I4, I7, I8); give the number of entries."""
    report = await verify(world.database_url)
    assert not report.findings, "\n".join(map(str, report.findings[:40]))
    return report.entries
