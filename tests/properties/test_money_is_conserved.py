"""The real service against a model in plain Python, step by step, with invariants from SQL."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from app import ids
from app.access.principals import ConsumerPrincipal
from app.cases.domain import WITHDRAWAL
from app.charges.commands import CancelCharge, DeclineCharge
from app.charges.domain import Charge, ReversalStatus, Use
from app.charges.errors import (
    ChargeDisputed,
    ChargeNotConfirmed,
    ChargeNotPending,
    InsufficientBalance,
)
from app.charges.queries import find_charge
from app.db.engine import Database
from app.ledger.chart import AccountType
from app.money import Fen, share
from app.policies.domain import Policies
from app.purchases.commands import ReturnReceipt
from app.writer.engine import Writer
from tests.builder import Shop, Trader, a_consumer, writing
from tests.cluster import Cluster
from tests.disputes.conftest import AGREES, Disputer
from tests.properties.again import Client, Doing
from tests.properties.profile import EXAMPLES, PHASES

Result = TypeVar("Result")

NO_CHARGE: Final[Any] = multiple()  # pyright: ignore[reportUnknownVariableType]  # adds nothing to the bundle

_NEAR_THE_EDGE: Final = st.sampled_from([-1, 0, 1])
"""What is left after a use: one too much, nothing, one fen; a uniform share never finds these."""

# Each row is something that must not be.
_BROKEN: Final = """
SELECT 'a card is not P = released + left' FROM card
JOIN account ON account.merchant_no = card.merchant_no AND account.account_id = card.card_id
WHERE paid_amount <> released_amount + balance
UNION ALL
SELECT 'negative ' || type FROM account WHERE balance < 0
UNION ALL
SELECT 'custody is not the sum of all liabilities' FROM account GROUP BY merchant_no
HAVING sum(CASE WHEN type IN ('custody', 'bank_claim') THEN balance ELSE -balance END) <> 0
UNION ALL
SELECT 'a card is not its uses' FROM card
LEFT JOIN LATERAL (
    SELECT sum((draw ->> 'face_amount')::bigint)
               FILTER (WHERE status IN ('confirmed', 'disputed')) AS used,
           sum((draw ->> 'face_amount')::bigint)
               FILTER (WHERE status = 'pending_confirmation') AS held
    FROM charge CROSS JOIN LATERAL jsonb_array_elements(draws) AS draw
    WHERE charge.merchant_no = card.merchant_no AND (draw ->> 'card_id')::uuid = card.card_id
) AS charged ON true
WHERE kind = 'stored_value'
    AND (face_used_amount, face_held_amount) <> (coalesce(used, 0), coalesce(held, 0))
UNION ALL
SELECT 'waiting reversals do not add up' FROM book
WHERE waiting_reversal_amount <> (
    SELECT coalesce(sum(reversal_amount), 0) FROM charge
    WHERE charge.merchant_no = book.merchant_no AND reversal_status = 'pending')
UNION ALL
SELECT 'what is set aside is not what is disputed' FROM account
WHERE type = 'release_disputed' AND balance <> (
    SELECT coalesce(sum(set_aside_amount), 0) FROM dispute
    WHERE dispute.merchant_no = account.merchant_no AND status = 'open')
UNION ALL
SELECT 'the sequence has a gap' FROM book
WHERE seq <> (SELECT count(*) FROM transfer WHERE transfer.merchant_no = book.merchant_no)
           + (SELECT count(*) FROM fact WHERE fact.merchant_no = book.merchant_no)
"""


@dataclass(slots=True)
class World:
    """The service, on a loop of its own."""

    loop: asyncio.Runner
    given: Trader

    def run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run(doing)


@dataclass(slots=True)
class ModelCard:
    """What a card should be: its uses, by charge, in the order in which they count."""

    card_id: UUID
    paid: int
    face: int
    used: dict[UUID, int] = field(default_factory=dict[UUID, int])
    held: dict[UUID, int] = field(default_factory=dict[UUID, int])

    @property
    def available(self) -> int:
        return self.face - sum(self.used.values()) - sum(self.held.values())

    @property
    def released(self) -> int:
        return share(self.paid, sum(self.used.values()), self.face)


class Till(RuleBasedStateMachine):
    """One merchant, one consumer, stored value: sold, used, disputed, taken back and paid out."""

    world: World
    charges = Bundle[UUID]("charges")
    receipts = Bundle[UUID]("receipts")

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[ModelCard] = []
        self.paid_out = 0
        self.sent = 0
        self.suspense = 0
        self.refund_payable = 0
        self.waiting: list[UUID] = []
        self.disputes: dict[UUID, int] = {}
        """What each open dispute set aside."""
        self.decided: set[UUID] = set()
        self.statuses: dict[UUID, str] = {}

    @initialize()
    def a_merchant_opens(self) -> None:
        self.given = self.world.given
        self.disputer = Disputer(self.given)
        self.shop: Shop = self.run(self.given.shop())
        self.client = Client(self.run, partial(self.given.rows, self.shop))
        self.li: ConsumerPrincipal = a_consumer()
        for price, bonus in ((30, 0), (20, 10)):
            self.sell(price, bonus)

    def run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return self.world.run(doing)

    def send(self, doing: Doing[Result]) -> Result:
        """Ask for something; sometimes it is sent again, and by that nothing happens."""
        self.sent += 1
        self.client.chance = Random(f"{self.sent}/{self.available}/{self.payable}")
        return self.client.send(doing)

    @rule()
    def something_is_sent_again(self) -> None:
        self.client.send_later()

    @property
    def available(self) -> int:
        return sum(card.available for card in self.cards)

    @property
    def payable(self) -> int:
        released = sum(card.released for card in self.cards)
        return released - self.paid_out - sum(self.disputes.values())

    @property
    def reserved(self) -> int:
        """What waiting reversals need, as they were when they were asked for."""
        return sum(self._read(one).reversal_amount or 0 for one in self.waiting)

    @rule(price=st.integers(1, 30), bonus=st.sampled_from([0, 1, 10]))
    def a_card_is_sold(self, price: int, bonus: int) -> None:
        self.sell(price, bonus)

    def sell(self, price: int, bonus: int) -> None:
        fields = {"price_amount": Fen(price), "bonus_amount": Fen(bonus)}
        card_id = self.send(partial(self.given.card, self.shop, self.li, **fields))
        self.cards.append(ModelCard(card_id, price, price + bonus))

    @rule(target=receipts, amount=st.integers(1, 9))
    def money_comes_for_nothing(self, amount: int) -> UUID:
        async def receive() -> UUID:
            at = await self.given.now()
            reported = self.given.report(self.shop, amount, "会员卡", paid_at=at)
            return (await self.given.received(reported)).value.receipt.receipt_id

        self.suspense += amount
        return self.send(receive)

    @rule(receipt_id=receipts)
    def money_goes_back(self, receipt_id: UUID) -> None:
        no = self.shop.merchant_no
        command = ReturnReceipt(no, None, receipt_id, ids.new_id(no))

        async def give_back() -> object:
            await self.given.writer.submit(command)
            async with self.given.db.snapshot() as tx:
                return await tx.value(
                    "SELECT amount FROM receipt WHERE merchant_no = :no AND receipt_id = :id",
                    no=no,
                    id=receipt_id,
                )

        amount = self.send(give_back)
        assert isinstance(amount, int)
        before, self.refund_payable = self.refund_payable, self._refund_payable()
        assert self.refund_payable in (before, before + amount)
        self.suspense -= self.refund_payable - before

    def _refund_payable(self) -> int:
        return self.run(self.given.balance(self.shop, AccountType.REFUND_PAYABLE))

    def _draw(self, charge: Charge, amount: int, *, confirmed: bool) -> None:
        """Let the model draw on the oldest cards first; the service must have done the same."""
        draws: list[tuple[UUID, int]] = []
        for card in self.cards:
            taken = min(amount, card.available)
            if taken:
                (card.used if confirmed else card.held)[charge.charge_id] = taken
                draws.append((card.card_id, taken))
                amount -= taken
        assert amount == 0
        assert draws == [(draw.card_id, draw.face_amount) for draw in charge.read_draws()]

    def _amount(self, amount: int, left: int | None) -> int:
        return max(1, amount if left is None else self.available - left)

    AMOUNTS = st.tuples(st.integers(1, 12), st.none() | _NEAR_THE_EDGE)

    @rule(target=charges, amounts=AMOUNTS)
    def charge_a_card(self, amounts: tuple[int, int | None]) -> Any:
        return self._charge(self._amount(*amounts), by_code=False)

    @rule(target=charges, amounts=AMOUNTS)
    def charge_by_code(self, amounts: tuple[int, int | None]) -> Any:
        return self._charge(self._amount(*amounts), by_code=True)

    def _charge(self, amount: int, *, by_code: bool) -> Any:
        if not self.cards:
            return NO_CHARGE
        use = Use(amount=Fen(amount))
        doing = (
            partial(self.given.used_by_code, self.shop, self.li, use)
            if by_code
            else partial(self.given.waiting, self.shop, self.cards[0].card_id, use)
        )
        if amount > self.available:
            with pytest.raises(InsufficientBalance):
                self.send(doing)
            return NO_CHARGE
        charge = self.send(doing)
        self._draw(charge, amount, confirmed=by_code)
        self.statuses[charge.charge_id] = "confirmed" if by_code else "pending_confirmation"
        if by_code:
            self._serve()
        return charge.charge_id

    def _read(self, charge_id: UUID) -> Charge:
        async def read() -> Charge | None:
            async with self.given.db.snapshot() as tx:
                return await find_charge(tx, self.shop.merchant_no, charge_id)

        found = self.run(read())
        assert found is not None
        return found

    @rule(charge_id=charges)
    def confirm(self, charge_id: UUID) -> None:
        charge = self._read(charge_id)
        doing = partial(self.given.done, self.given.confirming(self.shop, self.li, charge))
        if self.statuses[charge_id] not in ("pending_confirmation", "confirmed"):
            with pytest.raises(ChargeNotPending):
                self.send(doing)
            return
        confirmed = self.send(doing)
        if self.statuses[charge_id] == "confirmed":
            assert confirmed.confirmation_id == charge.confirmation_id
            return
        before = sum(card.released for card in self.cards)
        for card in self.cards:
            if charge_id in card.held:
                card.used[charge_id] = card.held.pop(charge_id)
        assert confirmed.release_amount == sum(card.released for card in self.cards) - before
        self.statuses[charge_id] = "confirmed"
        self._serve()

    @rule(charge_id=charges, by_consumer=st.booleans())
    def end(self, charge_id: UUID, *, by_consumer: bool) -> None:
        no = self.shop.merchant_no
        ended = "declined" if by_consumer else "cancelled"
        doing = partial(
            self.given.done,
            DeclineCharge(no, None, charge_id, self.li.consumer)
            if by_consumer
            else CancelCharge(no, None, charge_id, None),
        )
        if self.statuses[charge_id] not in ("pending_confirmation", ended):
            with pytest.raises(ChargeNotPending):
                self.send(doing)
            return
        assert self.send(doing).status == ended
        self.statuses[charge_id] = ended
        for card in self.cards:
            card.held.pop(charge_id, None)

    @rule(charge_id=charges)
    def reverse(self, charge_id: UUID) -> None:
        doing = partial(self.given.reversed, self._read(charge_id))
        status = self.statuses[charge_id]
        if charge_id in self.disputes or status not in ("confirmed", "disputed", "reversed"):
            refusal = ChargeDisputed if charge_id in self.disputes else ChargeNotConfirmed
            with pytest.raises(refusal):
                self.send(doing)
            return
        reserved = self.reserved
        back = self.send(doing)
        if status == "reversed" or charge_id in self.waiting:
            return
        if 0 < self._released_by(charge_id) > self.payable - reserved:
            assert back.reversal_status == ReversalStatus.PENDING
            self.waiting.append(charge_id)
        else:
            assert back.status == "reversed"
            self._take_back(charge_id)

    @rule(charge_id=charges)
    def dispute(self, charge_id: UUID) -> None:
        self.contest(charge_id)

    def contest(self, charge_id: UUID) -> None:
        charge = self._read(charge_id)
        doing = partial(self.disputer.disputed, self.li, charge)
        status, waits = self.statuses[charge_id], charge_id in self.waiting
        if status == "disputed":
            assert self.send(doing) == charge
            return
        if status != "confirmed" or waits or charge_id in self.decided:
            again = charge_id in self.decided and status == "confirmed"
            with pytest.raises(ChargeDisputed if again else ChargeNotConfirmed):
                self.send(doing)
            return
        free = self.payable - self.reserved
        moved = charge.release_amount or 0
        assert self.send(doing).status == "disputed"
        self.disputes[charge_id] = moved if moved <= free else 0
        self.statuses[charge_id] = "disputed"

    @rule(target=charges, amount=st.integers(1, 3), paid_out=st.booleans())
    def use_and_dispute(self, amount: int, *, paid_out: bool) -> Any:
        charge_id = self._charge(amount, by_code=True)
        if charge_id is not NO_CHARGE:
            if paid_out:
                self.pay_out(left=0)
            self.contest(charge_id)
        return charge_id

    @rule(which=st.integers(0, 3), agree=st.booleans())
    def judge(self, which: int, *, agree: bool) -> None:
        if not self.disputes:
            return
        charge_id = list(self.disputes)[which % len(self.disputes)]
        charge = self._read(charge_id)
        self.send(partial(self.disputer.step, charge, AGREES if agree else WITHDRAWAL))
        del self.disputes[charge_id]
        self.decided.add(charge_id)
        if not agree:
            self.statuses[charge_id] = "confirmed"
        elif 0 < self._released_by(charge_id) > self.payable:
            # Ahead of the others that wait, but not of those that were upheld before it.
            upheld = [one for one in self.waiting if self.statuses[one] == "disputed"]
            self.waiting.insert(len(upheld), charge_id)
            assert self._read(charge_id).reversal_status == ReversalStatus.PENDING
            return
        else:
            self._take_back(charge_id)
        self._serve()

    def _released_by(self, charge_id: UUID) -> int:
        """Say what the uses release less without this one."""
        total = 0
        for card in self.cards:
            used = sum(card.used.values())
            without = used - card.used.get(charge_id, 0)
            total += share(card.paid, used, card.face) - share(card.paid, without, card.face)
        return total

    def _take_back(self, charge_id: UUID) -> None:
        for card in self.cards:
            card.used.pop(charge_id, None)
        self.statuses[charge_id] = "reversed"

    def _serve(self) -> None:
        """After a credit: the oldest waiting reversals, each whole, as far as payable goes."""
        while self.waiting and self._released_by(self.waiting[0]) <= self.payable:
            self._take_back(self.waiting.pop(0))

    @rule(left=st.sampled_from([0, 0, 1]))
    def the_bank_pays_the_merchant(self, left: int) -> None:
        self.pay_out(left)

    def pay_out(self, left: int) -> None:
        amount = self.payable - self.reserved - left
        if amount > 0:
            self.run(self.given.paid_out(self.shop, amount))
            self.paid_out += amount

    @invariant()
    def every_balance_is_the_models(self) -> None:
        if not hasattr(self, "shop"):
            return
        expected = {
            AccountType.MERCHANT_PAYABLE: self.payable,
            AccountType.RELEASE_DISPUTED: sum(self.disputes.values()),
            AccountType.SUSPENSE: self.suspense,
            AccountType.REFUND_PAYABLE: self.refund_payable,
            **{card.card_id: card.paid - card.released for card in self.cards},
        }
        for account, balance in expected.items():
            assert self.run(self.given.balance(self.shop, account)) == balance, account
        for charge_id, status in self.statuses.items():
            assert self._read(charge_id).status == status

    @invariant()
    def nothing_is_broken(self) -> None:
        async def broken() -> object:
            async with self.given.db.snapshot() as tx:
                return await tx.value(_BROKEN)

        assert self.run(broken()) is None


@contextmanager
def a_world(cluster: Cluster) -> Generator[World]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as loop:
        made = loop.run(cluster.clone("model"))
        stack = AsyncExitStack()

        async def enter() -> Trader:
            db = Database.connect(made.database_url)
            stack.push_async_callback(db.close)
            writer: Writer = await stack.enter_async_context(writing(made.database_url))
            # The limits of codes and of waiting charges have tests of their own.
            policies = Policies(pending_per_card=1_000)
            return Trader(db, writer=writer, policies=policies)

        try:
            yield World(loop, loop.run(enter()))
        finally:
            loop.run(stack.aclose())
            loop.run(cluster.drop(made.name))


def test_money_is_conserved_whatever_is_asked(cluster: Cluster) -> None:
    with a_world(cluster) as world:

        class AtThisTill(Till):
            pass

        AtThisTill.world = world
        run_state_machine_as_test(
            AtThisTill,
            settings=settings(
                max_examples=max(1, EXAMPLES // 4),
                stateful_step_count=40,
                deadline=None,
                phases=PHASES,
                suppress_health_check=(HealthCheck.too_slow,),
            ),
        )
        happened = world.run(_happened(world.given.db))
    print("\nwhat became of charges, reversals and disputes:", happened)  # noqa: T201  # the run's report
    assert {"reversed", "open", "upheld", "dismissed"} <= set(happened)


@dataclass(frozen=True, slots=True)
class _Became:
    what: str
    times: int


async def _happened(db: Database) -> dict[str, int]:
    async with db.snapshot() as tx:
        found = await tx.fetch(
            _Became,
            """
            SELECT what, count(*) AS times FROM charge
            CROSS JOIN LATERAL unnest(ARRAY[status, reversal_status, dispute_status]) AS what
            WHERE what IS NOT NULL GROUP BY what ORDER BY what
            """,
        )
    return {one.what: one.times for one in found}
