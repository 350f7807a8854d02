"""Random stories of a card, its refund and uses taken back, against the rules of DOMAIN §4.

Whatever comes in which order: once nothing waits, all refunds of a card are in sum what its
remaining uses make them, by the class and the day of the refund; nobody gives anything back.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from app.access.principals import ConsumerPrincipal
from app.card_products.domain import CardKind
from app.cases.rows import CaseDecision
from app.charges.domain import Charge, ReversalStatus, Use
from app.dates import business_date
from app.db.engine import Database
from app.ledger.chart import AccountType
from app.money import Fen
from app.refunds import queries
from app.refunds.domain import RefundReason
from app.refunds.errors import RefundNotAllowed
from app.refunds.rows import CardRefund
from tests.builder import Shop, a_consumer
from tests.cluster import DatabaseUrls
from tests.properties.profile import EXAMPLES
from tests.refunds.bank import Bank, banking
from tests.refunds.claiming import Claimant
from tests.refunds.conftest import Refunder

STORIES: Final = max(12, EXAMPLES // 4)


def half_up(paid: int, part: int, whole: int) -> int:
    return (2 * paid * part + whole) // (2 * whole)


@dataclass(slots=True)
class Facts:
    """What the story knows of its card, apart from the service."""

    kind: CardKind
    paid: int
    bonus: int = 0
    list_price: int | None = None
    sessions: int = 0
    term: int = 0
    uses: dict[Charge, tuple[int, int]] = field(default_factory=dict[Charge, tuple[int, int]])
    """Of each use that stays: its face, number or day, and its list value."""

    @property
    def drawn(self) -> int:
        drawn = [part for part, _ in self.uses.values()]
        return max(drawn, default=0) if self.kind == CardKind.PERIOD else sum(drawn)

    @property
    def whole(self) -> int:
        match self.kind:
            case CardKind.STORED_VALUE:
                return self.paid + self.bonus
            case CardKind.COUNT:
                return self.sessions
            case CardKind.PERIOD:
                return self.term

    @property
    def released(self) -> int:
        return half_up(self.paid, self.drawn, self.whole)

    @property
    def listed(self) -> int:
        if self.kind == CardKind.COUNT and self.list_price is None:
            return self.released
        return sum(value for _, value in self.uses.values())

    def refund(self, refund_class: str, day: int, agreed: int) -> int:
        """Say R for the uses that stay (DOMAIN §4)."""
        left = self.paid - self.released
        match refund_class:
            case "consumer_choice" if self.kind == CardKind.PERIOD:
                return min(self.paid - half_up(self.paid, day, self.term), left)
            case "consumer_choice":
                return max(0, min(self.paid - self.listed, left))
            case "agreed":
                return agreed - self.released
            case _:
                return left


@dataclass(slots=True)
class Story:
    bank: Bank
    chance: random.Random
    shop: Shop
    consumer: ConsumerPrincipal
    told: Counter[str] = field(default_factory=Counter[str])

    @property
    def db(self) -> Database:
        return self.bank.parts.db

    async def tell(self) -> None:
        facts, card_id = await self.sells()
        for _ in range(self.chance.randint(1, 5)):
            await self.uses(facts, card_id)
        waiting: list[Charge] = []
        if self.chance.random() < 0.3:
            await self.loses()
            await self.reverses(facts, waiting)
        first = await self.claims(facts, card_id, waiting) if self.chance.random() < 0.5 else None
        if first is None:
            if not waiting:
                await self.uses(facts, card_id)
            first = await self.refunds(card_id)
        if first is None:
            self.told["nothing was left"] += 1
            return
        agreed = first.amount + first.read_inputs().released_amount
        for _ in range(self.chance.randint(1, 8)):
            await self.chance.choice((self.pays, self.earns, self.loses))()
            await self.reverses(facts, waiting)
        # In the end payable covers all that waits, and the bank pays all that is decided.
        await self.earns(10_000_00)
        while await self.pays():
            pass
        await self.check(facts, card_id, first, agreed)

    async def sells(self) -> tuple[Facts, UUID]:
        chance, kind = self.chance, self.chance.choice(list(CardKind))
        price = chance.choice([chance.randint(1, 30), chance.randint(1, 500_00)])
        listed = chance.choice([None, chance.randint(1, price)])
        product: dict[str, Any] = {"price_amount": Fen(price)}
        facts = Facts(kind, price)
        if kind == CardKind.STORED_VALUE:
            facts.bonus = chance.choice([0, chance.randint(0, price)])
            product["bonus_amount"] = Fen(facts.bonus)
        elif kind == CardKind.COUNT:
            sessions, gifts = chance.randint(1, 6), chance.randint(0, 3)
            facts.sessions = sessions + gifts
            product |= {"sessions": sessions, "gift_sessions": gifts}
        else:
            facts.term = chance.choice([1, 3, 30, 365])
            product["term_days"] = facts.term
        if kind != CardKind.PERIOD:
            facts.list_price = listed
            product["list_price_amount"] = None if listed is None else Fen(listed)
        card_id = await self.bank.given.card(self.shop, self.consumer, kind, **product)
        self.told[kind] += 1
        return facts, card_id

    async def uses(self, facts: Facts, card_id: UUID) -> None:
        chance, given = self.chance, self.bank.given
        list_amount: Fen | None = None
        left = facts.whole - facts.drawn
        match facts.kind:
            case CardKind.PERIOD:
                await self.days_pass(chance.choice([0, 0, 1]))
                card = await given.read(card_id)
                if card.status_on(business_date(await given.now())) != "active":
                    return
                use, part = Use(visit=True), card.visit_day_at(await given.now())
                value = 0
            case CardKind.COUNT if left:
                part = chance.randint(1, max(1, left // 2))
                use, value = Use(sessions=part), part * (facts.list_price or 0)
            case CardKind.STORED_VALUE if left:
                part = chance.choice([chance.randint(1, left), max(1, left // 4), min(left, 3)])
                use = Use(amount=Fen(part))
                list_amount = chance.choice([None, Fen(chance.randint(1, 2 * part))])
                value = part if list_amount is None else list_amount
                if list_amount is not None and facts.list_price is not None:
                    value = min(value, facts.list_price)
            case _:
                return
        fields = {} if list_amount is None else {"list_amount": list_amount}
        charge = await given.used(self.shop, self.consumer, card_id, use, **fields)
        facts.uses[charge] = part, value

    async def refunds(self, card_id: UUID) -> CardRefund | None:
        refunder, chance = Refunder(self.bank.given), self.chance
        card = await self.bank.given.read(card_id)
        try:
            if chance.random() < 0.25 and card.custody_amount:
                amount = chance.randint(1, card.custody_amount)
                offer = await refunder.offered(self.shop, card.card_id, amount)
                return await refunder.answered(self.consumer, offer.refund_id, accept=True)
            if chance.random() < 0.3:
                async with self.db.transaction() as tx:
                    await tx.execute(
                        "UPDATE store SET status = 'closed' WHERE merchant_no = :no",
                        no=self.shop.merchant_no,
                    )
                reason = RefundReason.STORE_MOVED
            else:
                reason = chance.choice([RefundReason.CONSUMER_CHOICE, RefundReason.COOLING_OFF])
            return await refunder.refunded(self.consumer, card.card_id, reason)
        except RefundNotAllowed:
            return None
        finally:
            async with self.db.transaction() as tx:
                await tx.execute(
                    "UPDATE store SET status = 'open' WHERE merchant_no = :no",
                    no=self.shop.merchant_no,
                )

    async def claims(self, facts: Facts, card_id: UUID, waiting: list[Charge]) -> CardRefund | None:
        """Let people judge a claim; give the refund where it is upheld."""
        chance, claimant = self.chance, Claimant(Refunder(self.bank.given))
        reason = chance.choice([RefundReason.HEALTH, RefundReason.MINOR])
        try:
            claim = await claimant.claimed(self.consumer, card_id, reason)
        except RefundNotAllowed:
            return None
        if chance.random() < 0.3:
            await self.reverses(facts, waiting)
        if chance.random() < 0.5:
            await claimant.answered(claim, agree=False)
            await self.days_pass(chance.choice([0, 1, 7]))
        ends = ["agreed", "upheld"] if (await claimant.case(claim)).status == "open" else ["upheld"]
        end = chance.choice([*ends, "rejected", "withdrawn"])
        self.told[f"claim {end}"] += 1
        match end:
            case "agreed":
                await claimant.answered(claim, agree=True)
            case "withdrawn":
                await claimant.withdrawn(self.consumer, claim)
            case "rejected":
                await claimant.ruled(claim, CaseDecision.REJECTED)
            case _:
                used = chance.randint(0, facts.paid) if reason == RefundReason.MINOR else None
                await claimant.ruled(claim, CaseDecision.UPHELD, used)
        done = await claimant.refund(claim)
        return None if done.decided_at is None else done

    async def reverses(self, facts: Facts, waiting: list[Charge]) -> None:
        if not facts.uses:
            return
        charge = self.chance.choice(list(facts.uses))
        del facts.uses[charge]
        done = await self.bank.given.reversed(charge, reversal_days=9_999)
        waits = done.reversal_status == ReversalStatus.PENDING
        self.told["waits" if waits else "done"] += 1
        waiting.append(done)

    async def pays(self) -> bool:
        """Let the bank pay all refunds that are decided."""
        async with self.db.snapshot() as tx:
            due = await tx.fetch(
                CardRefund,
                f"SELECT {queries.COLUMNS} FROM refund"  # our own columns
                " WHERE merchant_no = :no AND status = 'decided'",
                no=self.shop.merchant_no,
            )
        if not due:
            return False
        await self.bank.pays(*due)
        self.told["paid"] += 1
        return True

    async def earns(self, amount: int | None = None) -> None:
        """Let money come to payable, which serves what waits."""
        price = amount or self.chance.randint(1, 200_00)
        given, other = self.bank.given, a_consumer()
        card_id = await given.card(self.shop, other, price_amount=Fen(price), bonus_amount=Fen(0))
        await given.used(self.shop, other, card_id, Use(amount=Fen(price)))

    async def loses(self) -> None:
        """Let what is payable be paid out, but for what waits."""
        payable = await self.bank.given.balance(self.shop, AccountType.MERCHANT_PAYABLE)
        async with self.db.snapshot() as tx:
            waiting = await tx.value(
                "SELECT waiting_reversal_amount FROM book WHERE merchant_no = :no",
                no=self.shop.merchant_no,
            )
        assert isinstance(waiting, int)
        if payable - waiting > 0:
            await self.bank.given.paid_out(self.shop, payable - waiting)

    async def days_pass(self, days: int) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(
                "INSERT INTO sandbox_clock (offset_seconds) VALUES (:by) ON CONFLICT (only_row)"
                " DO UPDATE SET offset_seconds = sandbox_clock.offset_seconds"
                " + excluded.offset_seconds",
                by=int(timedelta(days=days).total_seconds()),
            )

    async def check(self, facts: Facts, card_id: UUID, first: CardRefund, agreed: int) -> None:
        card = await self.bank.given.read(card_id)
        day = first.read_inputs().term_day or 0
        due = facts.refund(str(first.refund_class), day, agreed)
        assert (card.released_amount, card.refunded_amount) == (facts.released, due)
        assert card.adjusted_amount == facts.paid - facts.released - due
        assert (card.status, card.custody_amount) == ("refunded", 0)
        assert first.amount <= due
        self.told["grown" if first.amount < due else "as it was"] += 1
        self.told[str(first.refund_class)] += 1


@pytest.mark.parametrize("part", range(4))
async def test_in_the_end_refunds_are_what_the_uses_that_stay_make_them(
    fresh_database: DatabaseUrls, part: int
) -> None:
    told: Counter[str] = Counter()
    async with banking(fresh_database) as bank:
        for number in range(part, STORIES, 4):
            shop = await bank.given.shop()
            story = Story(bank, random.Random(number), shop, a_consumer(), told)
            try:
                await story.tell()
            except BaseException as error:
                error.add_note(f"story {number}")
                raise
    print(dict(told))  # noqa: T201  # how often each thing happened
    assert told["grown"] + told["as it was"]
