"""All that can happen to a merchant's cards, against a model in plain Python, step by step."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random, randrange
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import hypothesis
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    get_state_machine_test,
    initialize,
    invariant,
    rule,
)

from app import ids
from app.card_products.domain import CardKind
from app.cases.domain import WITHDRAWAL
from app.cases.rows import CaseDecision
from app.charges.commands import CancelCharge, DeclineCharge
from app.charges.domain import Charge as ServiceCharge
from app.charges.domain import Use
from app.charges.queries import find_charge
from app.closures.domain import Closure, ClosureKind
from app.errors import DatabaseUnavailable, DomainError, Overloaded
from app.holds.domain import HoldTarget
from app.ledger.chart import AccountType
from app.money import Fen
from app.payment_files.domain import PaymentFile
from app.refunds.commands import Echo
from app.refunds.domain import RefundReason
from tests.builder import BANK
from tests.closures.conftest import OPERATOR, REGULATOR
from tests.cluster import Cluster
from tests.disputes.conftest import AGREES, OBJECTS, REJECTED, SILENCE, UPHELD
from tests.properties import plain
from tests.properties.again import Client, Doing
from tests.properties.plain import DAY
from tests.properties.profile import EXAMPLES, PHASES, SEED
from tests.properties.service_side import KnownFile, Service

Result = TypeVar("Result")
Chosen = TypeVar("Chosen")
Taking = TypeVar("Taking", bound=Callable[..., None])

ALL: Final = 0
"""All of the kind that the holder has, on whatever cards."""
WHICH: Final = range(24)
"""Chooses one of what there is; the newest come first, so that things meet."""
OWN: Final = (True,) * 9 + (False,)
"""Whether one asks for what is one's own; rarely not."""
SENT_LATER: Final = 0.15
"""How often a step begins with a request that was answered before."""
LATE: Final = 20
"""After so many steps a merchant may close."""
MANY: Final = 2_000
"""From so many examples on, everything must have happened."""
GIVEN_UP: Final = "given up"
"""Lives that ended since a machine under load did not answer in time: one, or one in 50."""
KINDS: Final = ("stored_value", "count", "period")
MINUTES: Final = timedelta(minutes=20)


EVENTS: Final = (
    *("sell stored_value", "sell count", "sell period"),
    *("use stored_value", "use count", "use period", "use of several cards"),
    *("charge stored_value", "charge count", "charge period", "confirm", "decline", "cancel"),
    *("charge expired", "reverse", "reversal waits", "reversal served"),
    *("dispute", "dispute agree", "dispute object", "dispute withdraw", "dispute uphold"),
    *("dispute reject", "dispute silence", "dispute upheld", "dispute dismissed"),
    *("freeze", "unfreeze", "lose", "reactivate"),
    *("offer card", "accept card", "decline card", "withdraw card"),
    *("refund consumer_choice", "refund cooling_off", "refund store_moved"),
    *("refund service_unavailable", "refund obligations_transferred", "refund health"),
    *("refund minor", "claim store_moved", "claim obligations_transferred"),
    *("claim service_unavailable", "claim health", "claim minor"),
    *("claim agree", "claim object", "claim uphold", "claim reject", "claim silence"),
    *("withdraw claim", "offer refund", "accept refund", "decline refund", "name account"),
    *("refunded by choice", "refunded by cooling", "refunded by fault", "refunded by agreed"),
    *("refunded by minor", "refunded by closure", "supplement"),
    *("money for nothing", "money given back", "store closed", "store open"),
    *("hold card", "hold payable", "hold custody_account", "lift hold", "hold expired"),
    *("sent again", "time passes", "worker", "cut release", "cut refund", "nothing to release"),
    *("nothing to refund", "cancel file", "file cut again", "payee changed"),
    *("release paid", "release rejected", "release returned", "refund paid", "refund rejected"),
    *("refund returned", "results applied", "results unchanged", "results conflict", "paid late"),
    *("court takes", "bank makes good"),
    *("closure notice", "closure immediate", "closure absconded", "closure preview"),
    *("closure cancel", "closure execute", "worker closes"),
    *("custody is short", "shared out anew", "paid less", "paid more", "share of a receipt"),
    *("set aside waits", "set aside is kept"),
    *(
        "merchant open",
        "merchant notice",
        "merchant closing",
        "merchant refunding",
        "merchant closed",
    ),
    "merchant closed_with_shortfall",
)
REFUSALS: Final = (
    *("not_found", "merchant_frozen", "product_not_on_sale", "closure_in_progress"),
    *("card_on_hold", "card_in_refund", "card_not_active", "card_kind_mismatch"),
    *("insufficient_balance", "charge_kind_mismatch", "product_ambiguous", "too_many_pending"),
    *("charge_not_pending", "charge_changed", "charge_not_confirmed", "charge_disputed"),
    *("deadline_passed", "case_state", "transfer_not_open", "hold_not_active"),
    *("refund_in_progress", "refund_not_allowed", "refund_changed"),
    *("file_already_downloaded", "closure_state"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that may happen, how often among all, and of what its details are chosen."""

    take: Callable[..., None]
    weight: "Weight"
    details: Mapping[str, Sequence[Any]]

    def weigh(self, book: plain.Book) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(book)


Weight = int | Callable[[plain.Book], int]
"""Always the same, or by what the book is like: what is possible seldom comes often then."""
STEPS: Final[list[Step]] = []


def step(weight: Weight, **details: Sequence[Any]) -> Callable[[Taking], Taking]:
    """Let a method be one of the machine's steps."""

    def added(take: Taking) -> Taking:
        STEPS.append(Step(take, weight, details))
        return take

    return added


def ending(book: plain.Book) -> int:
    """Weigh what brings a closure to its end."""
    return 15 if book.closure is not None else 3


def on(status: str, often: int, seldom: int) -> Callable[[plain.Book], int]:
    """Weigh what is for a merchant of this status."""
    return lambda book: often if book.status == status else seldom


def refunds(status: str, often: int, seldom: int) -> Callable[[plain.Book], int]:
    """Weigh what is for refunds of this status."""
    return lambda book: often if any(one.status == status for one in book.refunds) else seldom


def charges(
    fit: Callable[[plain.Charge], bool], often: int, seldom: int
) -> Callable[[plain.Book], int]:
    """Weigh what is for charges like this."""
    return lambda book: often if any(map(fit, book.charges)) else seldom


def can_be_contested(charge: plain.Charge) -> bool:
    """Say whether a use stands and was not contested before."""
    return charge.status == "confirmed" and charge.dispute is None and charge.waits is None


class Life(RuleBasedStateMachine):
    """One merchant, two consumers, a bank, a court and two persons who judge."""

    loop: asyncio.Runner
    cluster: Cluster
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.service = Service.open(self.loop, self.cluster)
        self.book = plain.Book(self.run(self.service.given.now()))
        self.client = Client(self.run, partial(self.service.given.rows, self.service.shop))
        self.products: list[plain.Product] = []
        self.steps = 0
        self.status = "open"

    def teardown(self) -> None:
        self.seen["sent again"] += self.client.again
        self.seen["supplement"] += sum(refund.supplements for refund in self.book.refunds)
        self.service.close()

    # How a step is taken.

    def run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        """Run what a client asks for; where nobody can say what came of it, give up this life.

        A client would ask again with the same key, as tests/contract and tests/faults do.
        """
        try:
            return self.service.run(doing)
        except (DatabaseUnavailable, Overloaded):
            self.seen[GIVEN_UP] += 1
            hypothesis.reject()

    def works(self, event: str, job: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run a job of the worker's, and once more where it was put off, as its loop does."""
        try:
            self.service.run(job())
        except (DatabaseUnavailable, Overloaded):
            self.run(job())
        if self.run(self.service.steps_put_off()):
            # One merchant's step of many: a second round might go further than the model's.
            self.seen[GIVEN_UP] += 1
            hypothesis.reject()
        self.seen[event] += 1

    def ask(
        self, event: str, refusal: str | None, doing: Doing[Result], *, by_worker: bool = False
    ) -> Result | None:
        """Ask for something; it must be refused as the model says, or happen.

        What a client asks for is sometimes sent again; nothing happens by that.
        """
        try:
            result = self.run(doing()) if by_worker else self.client.send(doing)
        except DomainError as refused:
            code = refused.code
        else:
            assert refusal is None, f"{event} was not refused: {refusal}"
            self.seen[event] += 1
            return result
        self.seen[f"{event}: {code}"] += 1
        assert code == refusal, f"{event} was refused: {code}, not {refusal}"
        return None

    def does(self, event: str, doing: Coroutine[Any, Any, object]) -> None:
        """Let something happen that nobody asks the service for."""
        self.run(doing)
        self.seen[event] += 1

    def tick(self) -> None:
        waited = sum(one.status == "expired" for one in self.book.charges)
        self.book.tick(self.run(self.service.given.now()))
        over = sum(one.status == "expired" for one in self.book.charges)
        self.seen["charge expired"] += over - waited
        self.count_status(self.book.status)

    def count_status(self, status: str) -> None:
        if status != self.status:
            self.status = status
            self.seen[f"merchant {status}"] += 1

    @staticmethod
    def choose(things: Sequence[Chosen], which: int) -> Chosen | None:
        return things[-1 - which % len(things)] if things else None

    def rather(
        self, things: Sequence[Chosen], fit: Callable[[Chosen], bool], which: int
    ) -> Chosen | None:
        """Choose mostly among those that fit, if there are any."""
        fitting = [thing for thing in things if fit(thing)]
        return self.choose(fitting if which % 4 and fitting else things, which // 4)

    def is_whole(self, card: plain.Card) -> bool:
        return card.left > 0 and card.status not in plain.IN_REFUND

    @staticmethod
    def other(who: str) -> str:
        return "wang" if who == "li" else "li"

    def asker(self, who: str, *, own: bool) -> str:
        return who if own else self.other(who)

    # Sales.

    @initialize(
        prices=st.tuples(*[st.integers(1, 60)] * 5),
        bonus=st.integers(0, 20),
        lists=st.tuples(st.integers(1, 30), st.integers(1, 30)),
        terms=st.tuples(st.integers(4, 30), st.sampled_from([3, 12, 365])),
        closes_at=st.integers(LATE, 40),
    )
    def a_merchant_opens(
        self,
        prices: tuple[int, ...],
        bonus: int,
        lists: tuple[int, int],
        terms: tuple[int, int],
        closes_at: int,
    ) -> None:
        self.closes_at = closes_at
        value, plenty, some, few, days = prices
        self.products = [
            plain.Product("stored_value", value, value + bonus, None, None),
            plain.Product("stored_value", plenty, plenty, lists[0], terms[0]),
            plain.Product("count", some, 6, lists[1], terms[0]),
            plain.Product("count", few, 5, None, None),
            plain.Product("period", days, terms[1], None, terms[1]),
        ]
        for product in self.products:
            product.made = self.run(self._made(product))
        for number, who in ((0, "li"), (2, "li"), (4, "li"), (1, "wang")):
            self.sell(self.products[number], who)

    async def _made(self, product: plain.Product) -> object:
        fields: dict[str, Any] = {"price_amount": Fen(product.price), "term_days": product.term}
        if product.list_price is not None:
            fields["list_price_amount"] = Fen(product.list_price)
        if product.kind == "stored_value":
            fields["bonus_amount"] = Fen(product.whole - product.price)
        elif product.kind == "count":
            fields |= {"sessions": product.whole - 1, "gift_sessions": 1}
            fields.setdefault("list_price_amount", None)
        return await self.service.given.product(
            self.service.shop.merchant, CardKind(product.kind), **fields
        )

    @rule(seed=st.integers(0, 2**24 - 1))
    def something_happens(self, seed: int) -> None:
        """Take a step; its number counts too, since hypothesis likes to repeat what it drew."""
        self.steps += 1
        chance = Random(f"{self.steps}/{seed}")
        self.client.chance = Random(f"again/{self.steps}/{seed}")
        if self.client.chance.random() < SENT_LATER:
            self.client.send_later()
        if self.steps == self.closes_at:
            self.closing(chance.choice(["notice", "immediate", "immediate", "absconded"]))
            return
        weights = [one.weigh(self.book) for one in STEPS]
        (chosen,) = chance.choices(STEPS, weights)
        details = {name: chance.choice(some) for name, some in chosen.details.items()}
        note(f"{chosen.take.__name__} {details}")
        chosen.take(self, **details)

    @step(3, number=range(5), who=["li", "wang"])
    def sale(self, number: int, who: str) -> None:
        self.tick()
        self.sell(self.products[number], who)

    def sell(self, product: plain.Product, who: str) -> None:
        given, made = self.service.given, product.made
        refusal = "product_not_on_sale" if self.book.store_closed else None
        if self.book.status != "open":
            refusal = "merchant_frozen"
        doing = partial(given.card, self.service.shop, self.service.people[who], of=made)  # pyright: ignore[reportArgumentType]  # the model knows no products of the service's
        card_id = self.ask(f"sell {product.kind}", refusal, doing)
        if card_id is None:
            return
        row = self.run(given.read(card_id))
        today = self.book.today
        until = None if product.term is None else today + (product.term - 1) * DAY
        ends_on = row.cooling_off_ends_on
        self.book.sold(plain.Card(card_id, product, who, who, today, row.paid_at, ends_on, until))

    # Uses.

    @step(
        charges(lambda one: one.waits is not None, 25, 14),
        which=WHICH,
        part=(*range(1, 10), None, ALL, ALL),
        two_steps=(True, False),
        list_amount=(*(None,) * 20, *range(41)),
        by_code=(True, False),
        matching=OWN,
    )
    def use(
        self,
        which: int,
        part: int | None,
        list_amount: int | None,
        *,
        two_steps: bool,
        by_code: bool,
        matching: bool,
    ) -> None:
        """Charge by a code, or a named card, and mostly let its holder confirm."""
        self.tick()
        card = self.rather(self.book.cards, self.is_whole, which)
        if card is None:
            return
        kind = card.kind if matching else KINDS[which % 3]
        whole = part or 1
        if kind == card.kind and not part:
            whole = card.available if part is None else self.book.available(card)
        charge = self.place(card, kind, max(1, whole), list_amount, by_code=by_code)
        if charge is not None and two_steps and not by_code:
            self.confirm(charge, charge.consumer, same=True)

    def place(
        self,
        card: plain.Card,
        kind: str,
        part: int,
        list_amount: int | None,
        *,
        by_code: bool,
    ) -> plain.Charge | None:
        service, who = self.service, card.holder
        match kind:
            case "stored_value":
                use = Use(amount=Fen(part))
            case "count":
                use = Use(sessions=part)
            case _:
                use, part = Use(visit=True), 1
        said = None if kind != "stored_value" or list_amount is None else Fen(list_amount)
        fields = {} if said is None else {"list_amount": said}
        expected = self.book.draws(who, kind, part, None if by_code else card, None)
        doing = (
            partial(service.given.used_by_code, service.shop, service.people[who], use, **fields)
            if by_code
            else partial(service.given.waiting, service.shop, card.card_id, use, **fields)
        )
        event = f"{'use' if by_code else 'charge'} {kind}"
        refusal = expected if isinstance(expected, str) else None
        done = self.ask(event, refusal, doing)
        if done is None or isinstance(expected, str):
            return None
        parts = [draw.face_amount or draw.sessions or draw.visit_day for draw in done.read_draws()]
        found = [draw.card_id for draw in done.read_draws()]
        assert list(zip(found, parts, strict=True)) == [(one.card_id, n) for one, n in expected]
        if len(expected) > 1:
            self.seen["use of several cards"] += 1
        charge = plain.Charge(
            done.charge_id,
            who,
            kind,
            [plain.Use(one, taken, 0) for one, taken in expected],
            said,
            "pending_confirmation",
            done.expires_at,
        )
        self.book.placed(charge)
        if by_code:
            self.count(charge, done, in_app=False)
        return charge

    def count(self, charge: plain.Charge, done: ServiceCharge, *, in_app: bool) -> None:
        assert done.confirmed_at is not None
        waiting = len(self.book.waiting)
        self.book.confirmed(charge, done.confirmed_at, in_app=in_app)
        assert done.release_amount == charge.moved
        self.seen["reversal served"] += waiting - len(self.book.waiting)

    @step(1, who=["li", "wang"])
    def which_of_two(self, who: str) -> None:
        """Sell two sorts of sessions to somebody who then does not say which to take."""
        self.tick()
        if self.book.status != "open":
            return
        for number in (2, 3):
            self.sell(self.products[number], who)
        self.place(self.book.cards[-1], "count", 1, None, by_code=True)

    @step(1, which=WHICH)
    def what_nobody_has(self, which: int) -> None:
        """Charge a card by its id for what neither it nor any other of its holder's is for."""
        self.tick()
        has = {
            who: {one.kind for one in self.book.cards if one.holder == who}
            for who in self.service.people
        }
        card = self.choose([one for one in self.book.cards if len(has[one.holder]) < 3], which)
        if card is not None:
            kind = min(set(KINDS) - has[card.holder])
            self.place(card, kind, 1, None, by_code=False)

    @step(1, which=WHICH)
    def crowd(self, which: int) -> None:
        """Charge one card again and again, and let nobody answer."""
        self.tick()
        card = self.rather(self.book.cards, self.is_whole, which)
        for _ in range(plain.PENDING_PER_CARD + 1 if card else 0):
            self.place(card, card.kind, 1, None, by_code=False)  # pyright: ignore[reportArgumentType, reportOptionalMemberAccess]  # there is one

    @step(
        charges(lambda one: one.status == "pending_confirmation", 8, 1),
        which=WHICH,
        own=OWN,
        same=(True, True, True, False),
    )
    def confirmation(self, which: int, *, own: bool, same: bool) -> None:
        self.tick()
        charge = self.rather(
            self.book.charges, lambda one: one.status == "pending_confirmation", which
        )
        if charge is not None:
            self.confirm(charge, self.asker(charge.consumer, own=own), same=same)

    def confirm(self, charge: plain.Charge, who: str, *, same: bool) -> None:
        service = self.service
        refusal = self.book.refuses_confirmation(charge, who, same=same)
        was = charge.status
        command = service.given.confirming(service.shop, service.people[who], self.read(charge))
        if not same:
            echo = command.echo._replace(list_amount=Fen(999))
            command = service.given.confirming(
                service.shop, service.people[who], self.read(charge), list_amount=echo.list_amount
            )
        done = self.ask("confirm", refusal, partial(service.given.done, command))
        if done is not None and was == "pending_confirmation":
            self.count(charge, done, in_app=True)

    def read(self, charge: plain.Charge) -> ServiceCharge:
        async def read() -> ServiceCharge | None:
            async with self.service.db.snapshot() as tx:
                return await find_charge(tx, self.service.shop.merchant_no, charge.charge_id)

        found = self.run(read())
        assert found is not None
        return found

    @step(3, which=WHICH, by_consumer=(True, False))
    def end(self, which: int, *, by_consumer: bool) -> None:
        self.tick()
        charge = self.rather(
            self.book.charges, lambda one: one.status == "pending_confirmation", which
        )
        if charge is None:
            return
        no = self.service.shop.merchant_no
        status = "declined" if by_consumer else "cancelled"
        command = (
            DeclineCharge(no, None, charge.charge_id, self.who(charge.consumer))
            if by_consumer
            else CancelCharge(no, None, charge.charge_id, None)
        )
        refusal = self.book.refuses_end(charge, status)
        event = "decline" if by_consumer else "cancel"
        if self.ask(event, refusal, partial(self.service.given.done, command)) is not None:
            self.book.ended(charge, status)

    def who(self, name: str) -> UUID:
        return self.service.people[name].consumer

    @step(5, which=WHICH)
    def reversal(self, which: int) -> None:
        self.tick()
        charge = self.rather(self.book.charges, lambda one: one.status == "confirmed", which)
        if charge is not None:
            self.reverse(charge)

    def reverse(self, charge: plain.Charge) -> None:
        refusal = self.book.refuses_reversal(charge)
        doing = partial(self.service.given.reversed, self.read(charge))
        if self.ask("reverse", refusal, doing) is not None:
            self.book.reverse(charge)
            self.seen["reversal waits"] += charge.waits is not None

    # Disputes.

    @step(4, which=WHICH, own=OWN)
    def dispute(self, which: int, *, own: bool) -> None:
        self.tick()
        charge = self.rather(
            self.book.charges, lambda one: one.status == "confirmed" and one.dispute is None, which
        )
        if charge is not None:
            self.contest(charge, own=own)

    @step(charges(can_be_contested, 12, 0), which=WHICH, how=["agree", "uphold", "open"])
    def dispute_after_a_refund(self, which: int, how: str) -> None:
        """Refund a card, pay out what that leaves the merchant, contest a use, and close.

        Upheld, such a dispute may need more than was set aside for it.
        """
        self.tick()
        charges = [
            one
            for one in self.book.charges
            if can_be_contested(one) and any(self.is_whole(use.card) for use in one.uses)
        ]
        charge = self.choose(charges, which)
        if charge is None or self.steps < LATE or self.book.closure is not None:
            return
        for use in charge.uses:
            if self.is_whole(use.card):
                self.ask_back(use.card, "consumer_choice", own=True, same=True)
        self.pay_all("refund")
        self.contest(charge, own=True)
        self.pay_all("release")
        self.closing("immediate")
        if how != "open":
            self.judge(charge, how)

    def pay_all(self, kind: str) -> None:
        """Cut what is due, and let the bank pay it."""
        file = self.cut(kind)
        for order in () if file is None else file.orders:
            self.bank_says(cast("plain.File", file), order, "paid", None)

    def contest(self, charge: plain.Charge, *, own: bool) -> None:
        who = self.asker(charge.consumer, own=own)
        refusal, was = self.book.refuses_dispute(charge, who), charge.status
        doing = partial(self.service.disputer.disputed, self.service.people[who], self.read(charge))
        done = self.ask("dispute", refusal, doing)
        if done is not None and was == "confirmed":
            self.book.dispute(charge, self.run(self.service.disputer.case(done)).answer_due_on)

    @step(
        charges(lambda one: one.dispute == "open", 10, 3),
        which=WHICH,
        how=["agree", "object", "withdraw", "uphold", "reject", "silence"],
    )
    def judgment(self, which: int, how: str) -> None:
        """Take a step of a dispute's case, rather of one that is open."""
        self.tick()
        charges = [charge for charge in self.book.charges if charge.case is not None]
        charge = self.rather(charges, lambda one: one.dispute == "open", which)
        if charge is not None:
            self.judge(charge, how)

    def judge(self, charge: plain.Charge, how: str) -> None:
        if charge.case is None:
            return
        case, done = charge.case, self.read(charge)
        match how:
            case "agree" | "object":
                refusal = self.book.refuses_answer(case, agree=how == "agree")
                doing = partial(
                    self.service.step_dispute, done, AGREES if how == "agree" else OBJECTS
                )
            case "uphold" | "reject":
                refusal = self.book.refuses_ruling(case)
                doing = partial(self._ruled, done, upheld=how == "uphold")
            case "withdraw":
                refusal = self.book.refuses_ruling(case)
                doing = partial(self.service.step_dispute, done, WITHDRAWAL)
            case _:
                refusal, doing = None, partial(self.service.step_dispute, done, SILENCE)
        if self.ask(f"dispute {how}", refusal, doing, by_worker=how == "silence") is None:
            return
        self.took_step(case, how)
        if case.status == "decided" and charge.dispute == "open":
            upheld = how in ("agree", "uphold", "silence")
            self.book.judged(charge, upheld=upheld)
            self.seen[f"dispute {charge.dispute}"] += 1
            self.seen["reversal waits"] += charge.waits is not None

    async def _ruled(self, charge: ServiceCharge, *, upheld: bool) -> object:
        disputer = self.service.disputer
        approval = await disputer.proposed(charge, UPHELD if upheld else REJECTED)
        return await disputer.approved(approval)

    def took_step(self, case: plain.Case, how: str) -> None:
        """Let the model's case follow a step that was taken."""
        if case.status == "decided":
            return
        match how:
            case "agree":
                case.status, case.agree = "decided", True
            case "object":
                case.status, case.agree = "answered", False
            case "silence":
                if case.is_silent(self.book.today):
                    case.status, case.by_silence = "decided", True
            case _:
                case.status = "decided"

    # The life of a card.

    @step(
        6,
        which=WHICH,
        own=OWN,
        step=["freeze", "freeze", "unfreeze", "lose", "reactivate", "reactivate"],
    )
    def holders(self, which: int, step: str, *, own: bool) -> None:
        self.tick()
        today = self.book.today

        def fits(card: plain.Card) -> bool:
            if step.endswith("freeze"):
                return card.kind == "period"
            return step == "lose" or card.status_on(today) in ("lost", "expired")

        card = self.rather(self.book.cards, fits, which)
        if card is None:
            return
        who = self.asker(card.holder, own=own)
        person, book, life = self.service.people[who], self.book, self.service.life
        match step:
            case "freeze":
                refusal = book.refuses_freeze(card, who)
                doing, then = partial(life.frozen, person, card.card_id), book.freeze
            case "unfreeze":
                refusal = book.refuses_freeze(card, who)
                doing, then = partial(life.unfrozen, person, card.card_id), book.unfreeze
            case "lose":
                refusal = book.refuses_loss(card, who)
                doing, then = partial(life.lost, person, card.card_id), book.lose
            case _:
                refusal = book.refuses_reactivation(card, who)
                doing, then = partial(life.reactivated, person, card.card_id), book.reactivate
        if self.ask(step, refusal, doing) is not None:
            then(card)

    @step(3, which=WHICH, own=OWN)
    def giving(self, which: int, *, own: bool) -> None:
        self.tick()
        card = self.rather(self.book.cards, self.is_whole, which)
        if card is None:
            return
        giver = self.asker(card.holder, own=own)
        receiver = self.other(giver)
        people = self.service.people
        refusal = self.book.refuses_offer(card, giver, receiver)
        doing = partial(self.service.life.offered, people[giver], card.card_id, people[receiver])
        transfer = self.ask("offer card", refusal, doing)
        if transfer is not None and self.book.same_offer(card, receiver) is None:
            self.book.offers.append(plain.Offer(transfer, card, giver, receiver))

    @step(3, which=WHICH, how=["accept", "accept", "accept", "decline", "withdraw"])
    def taking(self, which: int, how: str) -> None:
        self.tick()
        offer = self.rather(self.book.offers, lambda one: one.status == "offered", which)
        if offer is None:
            return
        people, life, transfer = self.service.people, self.service.life, offer.transfer
        if how == "accept":
            refusal = self.book.refuses_taking(offer)
            doing = partial(life.accepted, people[offer.receiver], transfer)  # pyright: ignore[reportArgumentType]  # as it was offered
            if self.ask("accept card", refusal, doing) is not None:
                self.book.take(offer)
            return
        status = "declined" if how == "decline" else "withdrawn"
        refusal = None if offer.status in ("offered", status) else "transfer_not_open"
        doing = (
            partial(life.declined, people[offer.receiver], transfer)  # pyright: ignore[reportArgumentType]
            if how == "decline"
            else partial(life.withdrawn, people[offer.giver], transfer)  # pyright: ignore[reportArgumentType]
        )
        if self.ask(f"{how} card", refusal, doing) is not None and offer.status == "offered":
            offer.status = status

    # Refunds.

    @step(
        # On notice nobody judges what is the merchant's fault.
        on("notice", 40, 5),
        which=WHICH,
        own=OWN,
        same=OWN,
        reason=["consumer_choice", "consumer_choice", "cooling_off", "minor", *plain.CLAIMS],
    )
    def refund(self, which: int, reason: str, *, own: bool, same: bool) -> None:
        self.tick()
        card = self.rather(self.book.cards, self.is_whole, which)
        if card is not None:
            self.ask_back(card, reason, own=own, same=same)

    @step(charges(lambda one: one.dispute == "upheld", 8, 0), which=WHICH)
    def refund_after_a_dispute(self, which: int) -> None:
        self.tick()
        upheld = [one for one in self.book.charges if one.dispute == "upheld"]
        cards = [use.card for one in upheld for use in one.uses if self.is_whole(use.card)]
        card = self.choose(cards, which)
        if card is not None:
            self.ask_back(card, "service_unavailable", own=True, same=True)

    def ask_back(self, card: plain.Card, reason: str, *, own: bool, same: bool) -> None:
        """Ask for a refund with what the model says that it comes to."""
        book, who = self.book, self.asker(card.holder, own=own)
        refusal = book.refuses_refund(card, reason) if own else "not_found"
        judged = book.needs_case(card, reason)
        quote = book.quote(card, reason, book.rule_of(reason))
        amount, residue = quote.figures()
        if not same and not judged:
            amount += 1
            refusal = refusal or "refund_changed"
        echo = None if judged else Echo(Fen(amount), Fen(residue), book.today)
        doing = partial(
            self.service.refunder.asked,
            self.service.people[who],
            card.card_id,
            RefundReason(reason),
            echo,
        )
        event = f"claim {reason}" if judged else f"refund {reason}"
        done = self.ask(event, refusal, doing)
        if done is None:
            return
        quote.refund_id = done.refund_id
        if judged:
            due = self.run(self.service.claimant.case(done)).answer_due_on
            quote.case = plain.Case(due)
            book.claim(quote)
        else:
            book.enact(quote)
            assert (done.amount, str(done.status)) == (quote.amount, quote.status)
            self.seen[f"refunded by {quote.rule}"] += 1

    @step(
        refunds("case_open", 15, 2),
        which=WHICH,
        how=["agree", "object", "uphold", "uphold", "reject", "silence"],
        used=range(61),
    )
    def ruling(self, which: int, how: str, used: int) -> None:
        """Take a step of a claim's case."""
        self.tick()
        refund = self.a_claim(which)
        if refund is None or refund.case is None:
            return
        claimant, case, row = self.service.claimant, refund.case, self.row_of(refund)
        upholds = how in ("agree", "uphold") or (
            how == "silence" and case.is_silent(self.book.today)
        )
        used = used if refund.reason == "minor" and how == "uphold" else 0
        match how:
            case "agree" | "object":
                refusal = self.book.refuses_answer(case, agree=how == "agree")
                changes = refusal is None and case.agree is not (how == "agree")
                doing = partial(claimant.answered, row, agree=how == "agree")
            case "silence":
                refusal, changes = None, case.is_silent(self.book.today)
                doing = partial(claimant.kept_silent, row)
            case _:
                refusal, changes = self.book.refuses_ruling(case), True
                decision = CaseDecision.UPHELD if how == "uphold" else CaseDecision.REJECTED
                stated = used if refund.reason == "minor" and how == "uphold" else None
                doing = partial(claimant.judged, row, decision, stated)
        if refusal is None and changes:
            closing = self.book.status not in ("open", "notice")
            refusal = "closure_in_progress" if closing else None
            if upholds:
                refusal = self.book.refuses_upholding(refund)
        done = self.ask(f"claim {how}", refusal, doing, by_worker=how == "silence")
        if done is None or not changes:
            return
        self.took_step(case, how)
        if upholds:
            self.book.uphold(refund, used)
            self.seen[f"refunded by {refund.rule}"] += 1
        elif how == "reject":
            self.book.unclaim(refund, "rejected")

    def a_claim(self, which: int) -> plain.Refund | None:
        claims = [refund for refund in self.book.refunds if refund.case is not None]
        return self.rather(claims, lambda one: one.status == "case_open", which)

    def row_of(self, refund: plain.Refund) -> Any:
        async def read() -> object:
            return await self.service.claimant.refund(_Named(refund.refund_id))  # pyright: ignore[reportArgumentType]  # its ids are all that is read

        return self.run(read())

    @step(2, which=WHICH, own=OWN)
    def withdrawal(self, which: int, *, own: bool) -> None:
        self.tick()
        refund = self.a_claim(which)
        if refund is None or refund.case is None or refund.consumer is None:
            return
        who = self.asker(refund.consumer, own=own)
        refusal: str | None = None
        if not own:
            refusal = "not_found"
        elif refund.status not in ("case_open", "withdrawn"):
            refusal = "refund_not_allowed"
        elif refund.status == "case_open" and self.book.status not in ("open", "notice"):
            refusal = "closure_in_progress"
        elif refund.status == "case_open":
            refusal = self.book.refuses_ruling(refund.case)
        doing = partial(
            self.service.claimant.withdrawn, self.service.people[who], self.row_of(refund)
        )
        done = self.ask("withdraw claim", refusal, doing)
        if done is not None and refund.status == "case_open":
            self.book.unclaim(refund, "withdrawn")

    @step(3, which=WHICH, amount=range(1, 41))
    def offer(self, which: int, amount: int) -> None:
        self.tick()
        card = self.rather(self.book.cards, self.is_whole, which)
        if card is None:
            return
        offered = any(refund.status == "offered" for refund in card.refunds)
        refusal = "refund_in_progress" if offered else self.book.refuses_refund(card, "offer")
        if refusal is None and amount > card.left:
            refusal = "refund_not_allowed"
        doing = partial(self.service.refunder.offered, self.service.shop, card.card_id, amount)
        done = self.ask("offer refund", refusal, doing)
        if done is not None:
            refund = self.book.quote(card, "offer", "agreed", amount)
            refund.refund_id, refund.status, refund.amount = done.refund_id, "offered", amount
            card.refunds.append(refund)
            self.book.refunds.append(refund)

    @step(refunds("offered", 6, 2), which=WHICH, own=OWN, accept=[True, True, False])
    def answer(self, which: int, *, own: bool, accept: bool) -> None:
        self.tick()
        offers = [refund for refund in self.book.refunds if refund.rule == "agreed"]
        offers = [refund for refund in offers if not refund.supplements]
        refund = self.rather(offers, lambda one: one.status == "offered", which)
        if refund is None or refund.consumer is None or refund.card is None:
            return
        who, card, open_ = self.asker(refund.consumer, own=own), refund.card, refund.status
        refusal: str | None = None
        if not own:
            refusal = "not_found"
        elif open_ != "offered":
            same = open_ == "declined" if not accept else open_ != "declined"
            refusal = None if same else "refund_not_allowed"
        elif accept:
            refusal = self.book.refuses_refund(card, "offer")
            if refusal is None and refund.amount > card.left:
                refusal = "refund_changed"
        doing = partial(
            self.service.refunder.answered,
            self.service.people[who],
            refund.refund_id,
            accept=accept,
        )
        event = "accept refund" if accept else "decline refund"
        if self.ask(event, refusal, doing) is None or open_ != "offered":
            return
        if accept:
            refund.base = refund.amount + card.released
            self.book.enact(refund)
            self.seen["refunded by agreed"] += 1
        else:
            refund.status = "declined"

    @step(refunds("account_needed", 15, 2), which=WHICH)
    def new_account(self, which: int) -> None:
        """Let a holder name an account where money came back, and a person verify it."""
        self.tick()
        refunds = [one for one in self.book.refunds if one.consumer and one.is_decided]
        refund = self.rather(refunds, lambda one: one.status == "account_needed", which)
        if refund is None or refund.consumer is None:
            return
        refusal = None if refund.status == "account_needed" else "refund_not_allowed"
        person = self.service.people[refund.consumer]
        doing = partial(self.service.name_account, person, refund.refund_id)
        self.ask("name account", refusal, doing)
        if refusal is None:
            self.run(self.service.verify_account())
            refund.status, refund.has_payee = "decided", True

    @step(1, amount=range(1, 10))
    def money_for_nothing(self, amount: int) -> None:
        self.tick()
        receipt = self.ask(
            "money for nothing", None, partial(self.service.receipt_for_nothing, amount)
        )
        assert receipt is not None
        self.book.receipts[receipt] = amount
        self.book.custody += amount
        self.book.suspense += amount

    @step(lambda book: 3 if book.receipts else 0, which=WHICH)
    def money_back(self, which: int) -> None:
        self.tick()
        receipt = self.choose(list(self.book.receipts), which)
        if receipt is None:
            return
        refund_id = ids.new_id(self.service.shop.merchant_no)
        doing = partial(self.service.give_back, receipt, refund_id)
        self.ask("money given back", None, doing)
        self.book.give_back(receipt, refund_id)

    @step(1)
    def store(self) -> None:
        """Record that the store was closed, or is open again."""
        self.book.store_closed = not self.book.store_closed
        status = "closed" if self.book.store_closed else "open"
        self.does(f"store {status}", self.service.store_status(status))

    # Holds.

    @step(
        2,
        which=WHICH,
        on=["card", "card", "payable", "custody_account"],
        amount=(*(None,) * 20, *range(1, 41)),
        days=[None, 1, 4],
    )
    def hold(self, which: int, on: str, amount: int | None, days: int | None) -> None:
        self.tick()
        card = self.choose(self.book.cards, which) if on == "card" else None
        if sum(hold.stands(self.book.now) for hold in self.book.holds) > 2:
            return
        until = None if days is None else self.book.now + days * DAY
        bailiff, shop = self.service.bailiff, self.service.shop
        fields = {"amount": None if amount is None else Fen(amount), "expires_at": until}
        match HoldTarget(on):
            case HoldTarget.CARD:
                if card is None:
                    return
                doing = partial(bailiff.held_card, card.card_id, **fields)
            case HoldTarget.PAYABLE:
                doing = partial(bailiff.held_payable, shop, **fields)
            case HoldTarget.CUSTODY_ACCOUNT:
                doing = partial(bailiff.held_custody, shop, **fields)
        shown = self.ask(f"hold {on}", None, doing)
        self.book.holds.append(plain.Hold(on, card, amount, until, shown))

    @step(2, which=WHICH)
    def lift(self, which: int) -> None:
        self.tick()
        hold = self.choose([one for one in self.book.holds if not one.lifted], which // 6)
        if hold is None:
            return
        refusal = None if hold.stands(self.book.now) else "hold_not_active"
        done = self.ask("lift hold", refusal, partial(self.service.bailiff.lifted, hold.shown))  # pyright: ignore[reportArgumentType]  # as it was placed
        hold.lifted = hold.lifted or done is not None

    # Time.

    @step(3, days=[0, 0, 1, 1, 2, 4, 9, 31, 91])
    def time_passes(self, days: int) -> None:
        self.run(self.service.pass_time(days * DAY if days else MINUTES))
        self.seen["time passes"] += 1
        self.tick()

    @step(1)
    def the_worker_comes(self) -> None:
        self.tick()
        self.sweep()

    def sweep(self) -> None:
        """Let the worker write down what the clock has ended."""
        self.works("worker", self.service.sweep)
        for hold in self.book.holds:
            if not (hold.swept or hold.lifted or hold.stands(self.book.now)):
                hold.swept = True
                self.seen["hold expired"] += 1

    # Files.

    @step(3, kind=["release", "refund"])
    def cutting(self, kind: str) -> None:
        self.tick()
        self.cut(kind)

    def cut(self, kind: str) -> plain.File | None:
        """Cut a file; what is in it must be what the model puts into it."""
        made = self.ask(f"cut {kind}", None, partial(self.service.cut, kind))
        return self.take_in(kind, made or [])

    def take_in(
        self, kind: str, made: Sequence[Any], *, all_known: bool = True
    ) -> plain.File | None:
        book = self.book
        wanted: list[tuple[plain.Refund | None, int]]
        if kind == "release":
            amount = book.to_release()
            wanted = [(None, amount)] if amount else []
        else:
            self.adopt(all_known=all_known)
            wanted = [(refund, refund.amount) for refund in book.to_refund()]
        found = (
            {}
            if not made
            else {
                order.refund_id: order
                for order in self.run(self.service.orders())
                if order.file_id == made[0].file_id
            }
        )
        said = {refund_id: order.amount for refund_id, order in found.items()}
        assert said == {one and one.refund_id: amount for one, amount in wanted}
        if not made:
            self.seen[f"nothing to {kind}"] += 1
            return None
        orders = [
            plain.Order(found[one and one.refund_id].order_id, kind, one, amount, book.payee)
            for one, amount in wanted
        ]
        file = plain.File(made[0], kind, orders)
        book.cut(file)
        return file

    @step(
        lambda book: 8 if book.files else 0,
        which=WHICH,
        status=["paid", "paid", "paid", "rejected", "returned"],
        reason=["technical", "other", "account_closed", "account_closed"],
    )
    def the_bank_says(self, which: int, status: str, reason: str) -> None:
        self.tick()
        orders = [(file, order) for file in self.book.files for order in file.orders]
        chosen = self.rather(orders, lambda pair: pair[1].status == "pending", which)
        # What no bank has it did not pay; only what the books say that it has can be known here.
        if chosen is not None and (status != "paid" or self.book.can_be_paid(chosen[1])):
            self.bank_says(*chosen, status, None if status == "paid" else reason)

    def bank_says(
        self, file: plain.File, order: plain.Order, status: str, reason: str | None
    ) -> None:
        book = self.book
        doing = partial(self.service.bank_says, file.made, order.order_id, status, reason)  # pyright: ignore[reportArgumentType]  # the file as it was cut
        outcome = self.ask(f"{order.kind} {status}", None, doing)
        was, waiting = order.status, len(book.waiting)
        assert outcome == book.told(file, order, status, reason)
        self.seen[f"results {outcome}"] += 1
        self.seen["reversal served"] += waiting - len(book.waiting)
        if (was, status) in {("rejected", "paid"), ("cancelled", "paid")}:
            self.seen["paid late"] += 1

    @step(ending, which=WHICH)
    def the_bank_pays_all(self, which: int) -> None:
        """Cut and pay what is due, so that most money comes to its end; at last all there is."""
        self.tick()
        closes = self.book.status in ("closing", "refunding")
        kinds = ("release", "refund", "refund") if closes else ("release", "release", "refund")
        kind = kinds[which % 3]
        cut = self.cut(kind)
        files = list(self.book.files) if closes else [file for file in (cut,) if file]
        for file in files:
            for order in file.orders:
                if order.status == "pending":
                    self.bank_says(file, order, "paid", None)

    @step(2, which=WHICH)
    def cancelling(self, which: int) -> None:
        self.tick()
        file = self.rather(self.book.files, lambda one: not one.seen, which)
        if file is None:
            return
        refusal = "file_already_downloaded" if file.seen else None
        doing = partial(self.service.cancel, file.made)  # pyright: ignore[reportArgumentType]  # the file as it was cut
        self.ask("cancel file", refusal, doing)
        if refusal is None:
            self.book.cancel(file)

    @step(lambda book: 10 if book.payee in book.blocked else 0)
    def new_payee(self) -> None:
        self.tick()
        self.does("payee changed", self.service.world.payee_changed(self.service.shop))
        self.book.payee += 1

    # The end.

    @step(3, amount=range(1, 60))
    def the_court_takes(self, amount: int) -> None:
        """Let money leave custody without our instruction; its bank may make it good."""
        self.tick()
        book, shop = self.book, self.service.shop
        there = book.custody - book.in_transit("release") - book.in_transit("refund")
        claim, custody = AccountType.BANK_CLAIM, AccountType.CUSTODY
        if book.bank_claim:
            amount = -min(amount, book.bank_claim)
            doing = self.service.world.posted(shop, custody, claim, -amount)
        else:
            amount = min(amount, there)
            doing = self.service.world.posted(shop, claim, custody, amount)
        if amount == 0 or self.steps < LATE:
            doing.close()
            return
        self.does("court takes" if amount > 0 else "bank makes good", doing)
        book.bank_claim += amount
        book.custody -= amount

    @step(
        lambda book: 8 if book.closure else 3,
        how=["notice", "immediate", "absconded", "cancel", "cancel", "preview", "execute"],
    )
    def closing(self, how: str) -> None:
        """Order the merchant's closure, late in its life, or do what people do about it."""
        self.tick()
        book, closer, shop = self.book, self.service.closer, self.service.shop
        closure = book.closure
        if how in ("notice", "immediate", "absconded"):
            if self.steps < LATE:
                return
            kind = ClosureKind(how)
            by = REGULATOR if kind is ClosureKind.ABSCONDED else OPERATOR
            made = self.ask(
                f"closure {how}", book.refuses_closure(), partial(closer.ordered, shop, kind, by)
            )
            if made is not None:
                book.close(plain.Closure(made, str(made.status), made.notice_ends_at))
            return
        if closure is None:
            return
        made = cast("Closure", closure.made)
        match how:
            case "cancel":
                on_notice = closure.status == "notice" and not closure.is_due(book.now)
                doing = partial(self.service.cancel_closure, made)
                self.ask("closure cancel", None if on_notice else "closure_state", doing)
                if on_notice:
                    book.closure, book.status = None, "open"
            case "execute":
                due = closure.status == "closing" or closure.is_due(book.now)
                refusal = None if due else "closure_state"
                self.ask("closure execute", refusal, partial(self.executed, made))
                if due:
                    closure.status = book.status = "refunding"
            case _:
                shown = self.ask("closure preview", None, partial(closer.previewed, made))
                assert shown is not None
                left = [card for card in book.cards if card.status in plain.LIVING and card.left]
                assert shown.refund_amount == sum(card.left for card in left)

    @step(on("closing", 20, 0))
    def execution(self) -> None:
        self.closing("execute")

    @step(on("notice", 6, 0))
    def the_notice_ends(self) -> None:
        self.time_passes(31)

    async def executed(self, closure: Closure) -> object:
        closer = self.service.closer
        return await closer.approved(await closer.proposed(closure))

    @step(ending)
    def the_worker_closes(self) -> None:
        """Let the worker carry the closure on, as far as it goes now."""
        self.tick()
        book, closure = self.book, self.book.closure
        if closure is None:
            return
        self.sweep()
        self.works("worker closes", self.service.closer.worked)
        book.end_notice()
        if book.status in ("open", "notice"):
            return
        self.files_cut_again()
        book.prepare_closure()
        if book.status != "closing":
            book.uphold_claims()
            self.seen.update(book.level())
            self.seen["refunded by closure"] += book.close_cards()
            book.finish()
            self.seen["set aside waits"] += book.kept_amount > 0
            self.seen["set aside is kept"] += (
                book.status.startswith("closed") and book.kept_amount > 0
            )

    def files_cut_again(self) -> None:
        """Follow the files that the worker took back and cut again: those that it should have."""
        again = self.book.to_cut_again
        rows = self.run(self.service.orders())
        status = {row.order_id: row.status for row in rows}
        known = {cast("PaymentFile", file.made).file_id for file in self.book.files}
        new = list(dict.fromkeys(row.file_id for row in rows if row.file_id not in known))
        for file in list(self.book.files):
            waits = [order for order in file.orders if order.status == "pending"]
            taken_back = [status[order.order_id] == "cancelled" for order in waits]
            assert all(taken_back) == any(taken_back) == (file in again) or not waits
            if file in again:
                self.seen["file cut again"] += 1
                self.book.cancel(file)
                is_cut = file.kind == "refund" and bool(self.book.to_refund()) and bool(new)
                made = [KnownFile(new.pop(0), BANK)] if is_cut else []
                # The same round went on to refund cards, which the model does after this.
                self.take_in(file.kind, made, all_known=False)
        assert not new, "a file was cut that should not be"

    # What must be, after every step.

    def adopt(self, *, all_known: bool = True) -> None:
        """Learn the ids of refunds that came of themselves, as supplements do."""
        known = {refund.refund_id for refund in self.book.refunds}
        for row in self.run(self.service.refunds()):
            if row.refund_id in known:
                continue
            for refund in self.book.refunds:
                same = row.card_id == (refund.card and refund.card.card_id)
                if refund.refund_id.int >> 64 == 0 and same and refund.amount == row.amount:
                    refund.refund_id = row.refund_id
                    break
            else:
                assert not all_known, f"a refund that should not be: {row}"

    @invariant()
    def nothing_is_broken(self) -> None:
        assert self.run(self.service.broken()) is None

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        service, book = self.service, self.book
        if not self.products:
            return
        assert self.run(service.closing_status()) == book.status
        self.tick()
        balances = self.run(service.balances())
        assert {name: amount for name, amount in balances.items() if amount} == {
            name: amount
            for name, amount in {
                "custody": book.custody,
                "bank_claim": book.bank_claim,
                "card": sum(card.left for card in book.cards),
                "merchant_payable": book.payable,
                "release_disputed": book.disputed_amount,
                "release_in_transit": book.in_transit("release"),
                "refund_payable": book.refund_payable,
                "refund_in_transit": book.in_transit("refund"),
                "suspense": book.suspense,
            }.items()
            if amount
        }
        cards = self.run(service.cards())
        for card in book.cards:
            row = cards[card.card_id]
            assert (row.status, row.consumer_id) == (
                card.status,
                service.people[card.holder].consumer_id,
            )
            assert (row.released_amount, row.refunded_amount, row.adjusted_amount) == (
                card.released,
                card.refunded,
                card.adjusted,
            )
            assert (row.left_amount, row.frozen_days) == (card.left, card.frozen_days)
        charges = self.run(service.charges())
        for charge in book.charges:
            told = charges[charge.charge_id]
            assert (told.status, told.dispute_status, told.waits) == (
                charge.status,
                charge.dispute,
                charge.waits,
            )
        shares = {row.claim_id: row[1:] for row in self.run(service.shares())}
        assert shares == {
            key: (book.claims[key].amount, share) for key, share in book.shares.items()
        }
        self.adopt()
        refunds = {row.refund_id: row for row in self.run(service.refunds())}
        for refund in book.refunds:
            said = refunds[refund.refund_id]
            assert said.status == refund.status
            if refund.is_decided:
                assert (said.amount, said.unpaid_amount, said.supplement) == (
                    refund.amount,
                    refund.unpaid,
                    refund.supplements,
                )


class _Named:
    """What reading a refund needs of it."""

    def __init__(self, refund_id: UUID) -> None:
        self.refund_id = refund_id
        self.merchant_no = ids.merchant_no_of(refund_id)


LIVES: Final = 8
"""With one seed. After the first ten hypothesis would only change a little what it drew before."""
_SETTINGS: Final = settings(
    max_examples=LIVES,
    stateful_step_count=60,
    deadline=None,
    phases=PHASES,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)


def test_whatever_happens_to_a_merchant_is_what_the_rules_say(cluster: Cluster) -> None:
    seen: Counter[str] = Counter()
    base = SEED if SEED is not None else randrange(2**32) if EXAMPLES >= MANY else 0
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as loop:
        machine = type("OneLife", (Life,), {"loop": loop, "cluster": cluster, "seen": seen})
        for number in range(max(1, EXAMPLES // 5 // LIVES)):
            try:
                hypothesis.seed(base + number)(
                    get_state_machine_test(machine, settings=_SETTINGS)
                )()
            except BaseException as error:
                error.add_note(f"seed {base + number}")
                raise
    lives = max(1, EXAMPLES // 5 // LIVES) * LIVES
    assert seen.pop(GIVEN_UP, 0) <= max(1, lives // 50), "the database was not there"
    refusals = Counter(dict.fromkeys(REFUSALS, 0))
    for said, times in seen.items():
        refusals[said.partition(": ")[2]] += times
    del refusals[""]
    happened = {event: seen[event] for event in EVENTS} | refusals
    told = json.dumps({"totals": happened, "each": dict(sorted(seen.items()))}, indent=1)
    print("\nhow often each event and refusal happened:", told)  # noqa: T201  # the run's report
    events = {said for said in seen if ": " not in said}
    assert events <= set(EVENTS), "something happened that is not counted here"
    assert set(refusals) <= set(REFUSALS), "something was refused that is not counted here"
    if EXAMPLES >= MANY:
        never = [one for one, times in happened.items() if not times]
        assert not never, f"never happened: {never}"
