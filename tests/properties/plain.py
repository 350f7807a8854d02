"""A merchant's book in plain Python: what DOMAIN §4 to §6 say must come of each event.

Nothing of `app` is imported: sums, refunds and turns are computed here a second time. A method
named `refuses_…` gives the code of the refusal that is due, or None; its neighbour without the
prefix does to the book what the event must do.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from itertools import count
from typing import Final
from uuid import UUID

from tests.properties.sharing import Claim, shared_out

DAY: Final = timedelta(days=1)
REVERSAL_DAYS: Final = 90
PENDING_PER_CARD: Final = 3
TRANSFER_WAIT: Final = 3 * DAY
BLOCKING: Final = ("account_closed", "account_unknown", "name_mismatch")
CLAIMS: Final = ("store_moved", "obligations_transferred", "service_unavailable", "health", "minor")
IN_REFUND: Final = ("refunding", "refunded")
LIVING: Final = ("active", "frozen", "lost", "expired", "used_up")
_SHANGHAI: Final = timezone(timedelta(hours=8))


def half_up(paid: int, part: int, whole: int) -> int:
    return (2 * paid * part + whole) // (2 * whole)


@dataclass(eq=False, slots=True)
class Product:
    """What is sold; `whole` is the face, the sessions or the days that the price buys."""

    kind: str
    price: int
    whole: int
    list_price: int | None
    term: int | None
    made: object = None


@dataclass(eq=False, slots=True)
class Hold:
    """An order of a court on a card, on what was earned, or on all custody."""

    target: str
    card: "Card | None"
    amount: int | None
    until: datetime | None
    shown: object = None
    lifted: bool = False
    swept: bool = False

    def stands(self, now: datetime) -> bool:
        return not self.lifted and (self.until is None or now < self.until)


@dataclass(eq=False, slots=True)
class Case:
    """What people judge, and until when the merchant may answer."""

    due: date | None
    status: str = "open"
    agree: bool | None = None
    by_silence: bool = False

    def is_silent(self, today: date) -> bool:
        return self.status == "open" and self.due is not None and today > self.due


@dataclass(eq=False, slots=True)
class Offer:
    """A card that its holder gives away."""

    transfer: object
    card: "Card"
    giver: str
    receiver: str
    status: str = "offered"


@dataclass(eq=False, slots=True)
class Refund:
    """Money on its way back: of a card, or of a receipt that funds nothing."""

    refund_id: UUID
    card: "Card | None"
    consumer: str | None
    reason: str
    rule: str
    status: str
    amount: int = 0
    base: int = 0
    """What the rule goes by beside the uses: t, or what was agreed and released."""
    supplements: bool = False
    settled: bool = False
    has_payee: bool = True
    order: int = 0
    case: Case | None = None
    former: str | None = None
    unpaid: int = 0
    """What of it a shortfall leaves where it was; below 0 it pays what was left there."""
    receipt: UUID | None = None
    by_closure: bool = False

    @property
    def is_decided(self) -> bool:
        return self.order > 0

    @property
    def is_uncut(self) -> bool:
        return self.status in ("decided", "account_needed")

    def figures(self) -> tuple[int, int]:
        """Say R and the rest of the custody for the uses that stand now (DOMAIN §4)."""
        card = self.card
        assert card is not None
        left = card.paid - card.released
        match self.rule:
            case "choice" if card.kind == "period":
                term = card.product.whole
                amount = max(0, min(card.paid - half_up(card.paid, self.base, term), left))
            case "choice":
                amount = max(0, min(card.paid - card.listed, left))
            case "agreed" | "minor":
                # It grows by what comes back, whatever was agreed, or stated of a minor's uses.
                amount = min(self.base - card.released, left)
            case _:
                amount = left
        return amount, left - amount


@dataclass(eq=False, slots=True)
class Use:
    """What a charge takes of one card, and what that was worth at list price."""

    card: "Card"
    part: int
    value: int


@dataclass(eq=False, slots=True)
class Charge:
    """One use over one or several cards."""

    charge_id: UUID
    consumer: str
    kind: str
    uses: Sequence[Use]
    list_amount: int | None
    status: str
    expires_at: datetime | None
    confirmed_at: datetime | None = None
    moved: int = 0
    dispute: str | None = None
    set_aside: int = 0
    case: Case | None = None
    waits: int | None = None
    """What its reversal needs, while it waits."""
    turn: int = 0
    failed: bool = False

    def is_on(self, card: "Card") -> bool:
        return any(use.card is card for use in self.uses)


@dataclass(eq=False, slots=True)
class Card:
    """One payment, and what became of it."""

    card_id: UUID
    product: Product
    holder: str
    buyer: str
    activated: date
    paid_at: datetime
    cooling_ends: date | None
    valid_until: date | None
    status: str = "active"
    frozen_on: date | None = None
    frozen_days: int = 0
    refundable_from: date | None = None
    used: dict[Charge, Use] = field(default_factory=dict[Charge, Use])
    held: dict[Charge, Use] = field(default_factory=dict[Charge, Use])
    refunds: list[Refund] = field(default_factory=list[Refund])
    refunded: int = 0
    adjusted: int = 0

    @property
    def kind(self) -> str:
        return self.product.kind

    @property
    def paid(self) -> int:
        return self.product.price

    @property
    def drawn(self) -> int:
        parts = [use.part for use in self.used.values()]
        return max(parts, default=0) if self.kind == "period" else sum(parts)

    @property
    def available(self) -> int:
        return self.product.whole - self.drawn - sum(use.part for use in self.held.values())

    @property
    def released(self) -> int:
        return half_up(self.paid, self.drawn, self.product.whole)

    @property
    def left(self) -> int:
        return self.paid - self.released - self.refunded - self.adjusted

    @property
    def listed(self) -> int:
        if self.kind == "count" and self.product.list_price is None:
            return self.released
        return sum(use.value for use in self.used.values())

    @property
    def decided(self) -> list[Refund]:
        """Its refunds that were decided, the first before its supplements."""
        decided = [refund for refund in self.refunds if refund.is_decided]
        return sorted(decided, key=lambda refund: (refund.supplements, refund.order))

    def status_on(self, today: date) -> str:
        past = self.valid_until is not None and self.valid_until < today
        return "expired" if past and self.status == "active" else self.status

    def term_day(self, today: date) -> int:
        frozen = self.frozen_days
        if self.frozen_on is not None:
            frozen += max(0, (today - self.frozen_on).days + 1)
        number = (today - self.activated).days + 1 - frozen
        return max(0, min(number, self.product.whole))

    def stop(self, today: date) -> None:
        """Let the term stand still, from tomorrow where today was visited."""
        visited = self.drawn == self.term_day(today)
        self.frozen_on = today + DAY if visited else today

    def run_on(self, today: date) -> None:
        if self.frozen_on is not None:
            days = max(0, (today - self.frozen_on).days)
            self.frozen_days += days
            if self.valid_until is not None:
                self.valid_until += days * DAY
        self.frozen_on = None

    def settle_status(self) -> None:
        if self.status in ("active", "used_up"):
            full = self.kind != "period" and self.drawn == self.product.whole
            self.status = "used_up" if full else "active"


@dataclass(eq=False, slots=True)
class Order:
    """An order in a file of the bank's."""

    order_id: UUID
    kind: str
    refund: Refund | None
    amount: int
    payee: int = 0
    status: str = "pending"
    claimed: int = 0


@dataclass(eq=False, slots=True)
class File:
    """A file, and whether its bank has seen it."""

    made: object
    kind: str
    orders: Sequence[Order]
    seen: bool = False
    cancelled: bool = False


@dataclass(eq=False, slots=True)
class Closure:
    """A merchant's end."""

    made: object
    status: str
    notice_ends: datetime | None

    def is_due(self, now: datetime) -> bool:
        return self.status == "notice" and self.notice_ends is not None and now >= self.notice_ends


@dataclass(eq=False, slots=True)
class Book:
    """All of one merchant."""

    now: datetime
    status: str = "open"
    store_closed: bool = False
    cards: list[Card] = field(default_factory=list[Card])
    charges: list[Charge] = field(default_factory=list[Charge])
    offers: list[Offer] = field(default_factory=list[Offer])
    refunds: list[Refund] = field(default_factory=list[Refund])
    holds: list[Hold] = field(default_factory=list[Hold])
    files: list[File] = field(default_factory=list[File])
    receipts: dict[UUID, int] = field(default_factory=dict[UUID, int])
    """What funds nothing."""
    closure: Closure | None = None
    """The one that was not cancelled."""
    shortfall: int = 0
    """What claims go short of, as it was last shared out."""
    shares: dict[UUID, int] = field(default_factory=dict[UUID, int])
    """What each card and receipt gets in all, as it was last shared out."""
    claims: dict[UUID, Claim] = field(default_factory=dict[UUID, Claim])
    """Among whom."""
    custody: int = 0
    bank_claim: int = 0
    payable: int = 0
    suspense: int = 0
    payee: int = 1
    blocked: set[int] = field(default_factory=set[int])
    """Of the merchant's own accounts, by number, those to which nothing is sent any more."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    # What there is.

    @property
    def today(self) -> date:
        return self.now.astimezone(_SHANGHAI).date()

    @property
    def waiting(self) -> list[Charge]:
        """Reversals that wait, in their turn: upheld disputes first, then the oldest."""
        waits = [charge for charge in self.charges if charge.waits is not None]
        return sorted(waits, key=lambda charge: (charge.status != "disputed", charge.turn))

    @property
    def waiting_amount(self) -> int:
        return sum(charge.waits or 0 for charge in self.waiting)

    @property
    def disputed_amount(self) -> int:
        return sum(charge.set_aside for charge in self.charges if charge.dispute == "open")

    @property
    def kept_amount(self) -> int:
        """Give what of payable was set aside for disputes that were upheld and wait."""
        kept = sum(
            min(one.set_aside, one.waits or 0) for one in self.waiting if one.dispute == "upheld"
        )
        return min(kept, self.payable)

    @property
    def refund_payable(self) -> int:
        return sum(refund.amount for refund in self.refunds if refund.is_uncut)

    def in_transit(self, kind: str) -> int:
        orders = (order for file in self.files for order in file.orders if order.kind == kind)
        return sum(order.amount for order in orders if order.status == "pending")

    def is_held(self, card: Card) -> bool:
        return any(hold.card is card and hold.stands(self.now) for hold in self.holds)

    def kept(self, target: str, there: int) -> int:
        """Say what holds keep of money that is there: at most all of it."""
        amounts = [
            hold.amount for hold in self.holds if hold.target == target and hold.stands(self.now)
        ]
        whole = max(there, 0)
        return whole if None in amounts else min(sum(one or 0 for one in amounts), whole)

    def tick(self, now: datetime) -> None:
        """Let time be; charges whose time is over wait no more."""
        self.now = now
        for charge in self.charges:
            over = charge.expires_at is not None and now >= charge.expires_at
            if charge.status == "pending_confirmation" and over:
                self._free(charge, "expired")

    # Uses.

    def sold(self, card: Card) -> None:
        self.cards.append(card)
        self.custody += card.paid

    def refuses_use_of(self, card: Card) -> str | None:
        status = card.status_on(self.today)
        if self.is_held(card):
            return "card_on_hold"
        if status in IN_REFUND:
            return "card_in_refund"
        return "card_not_active" if status in ("frozen", "lost", "expired") else None

    def draws(  # noqa: PLR0911  # one for each refusal
        self, who: str, kind: str, part: int, named: Card | None, product: Product | None
    ) -> str | list[tuple[Card, int]]:
        """Say what a charge takes of which cards, oldest first; or for what it is refused."""
        if self.status not in ("open", "notice"):
            return "merchant_frozen"
        if named is not None and (refusal := self.refuses_use_of(named)):
            return refusal
        own = [card for card in self.cards if card.holder == who and card.kind == kind]
        own = [one for one in own if one.status not in ("used_up", "refunded") or one is named]
        if not own:
            return "insufficient_balance" if named is None else "charge_kind_mismatch"
        fit = [
            card
            for card in own
            if not self.is_held(card) and card.status_on(self.today) == "active"
        ]
        if kind != "stored_value":
            if named is not None and named.kind == kind:
                product = named.product
            products = {card.product for card in fit}
            if product is None and len(products) > 1:
                return "product_ambiguous"
        if product is not None:
            fit = [card for card in fit if card.product is product]
        taken = self._taken(kind, part, fit)
        if taken is None:
            return "insufficient_balance"
        if named is not None and any(len(card.held) >= PENDING_PER_CARD for card, _ in taken):
            return "too_many_pending"
        return taken

    def available(self, like: Card) -> int:
        """Say how much the holder of a card has that one use may take of: on all cards like it."""
        alike = [
            card
            for card in self.cards
            if card.holder == like.holder
            and card.kind == like.kind
            and (like.kind == "stored_value" or card.product is like.product)
            and self.refuses_use_of(card) is None
        ]
        return sum(card.available for card in alike)

    def _taken(self, kind: str, part: int, fit: Sequence[Card]) -> list[tuple[Card, int]] | None:
        if kind == "period":
            return [(card, card.term_day(self.today)) for card in fit[:1]] or None
        taken: list[tuple[Card, int]] = []
        for card in fit:
            some = min(part, card.available)
            if some > 0:
                taken.append((card, some))
                part -= some
        return taken if part == 0 else None

    def placed(self, charge: Charge) -> None:
        self.charges.append(charge)
        for use in charge.uses:
            use.card.held[charge] = use

    def refuses_confirmation(self, charge: Charge, who: str, *, same: bool) -> str | None:
        if who != charge.consumer:
            return "not_found"
        if same and charge.status == "confirmed":
            return None
        if charge.status != "pending_confirmation":
            return "charge_not_pending"
        if not same:
            return "charge_changed"
        if self.status not in ("open", "notice"):
            return "merchant_frozen"
        return next(filter(None, (self.refuses_use_of(use.card) for use in charge.uses)), None)

    def confirmed(self, charge: Charge, at: datetime, *, in_app: bool) -> None:
        """Count a use; what it releases is the merchant's, and serves what waits."""
        before = sum(use.card.released for use in charge.uses)
        self._value(charge, in_app=in_app)
        for use in charge.uses:
            use.card.held.pop(charge, None)
            use.card.used[charge] = use
            use.card.settle_status()
        charge.moved = sum(use.card.released for use in charge.uses) - before
        charge.status, charge.confirmed_at = "confirmed", at
        self.payable += charge.moved
        self.serve()

    def _value(self, charge: Charge, *, in_app: bool) -> None:
        """Say what each draw was worth at list price (DOMAIN §4, L_i)."""
        so_far, whole = 0, sum(use.part for use in charge.uses)
        for use in charge.uses:
            price = use.card.product.list_price
            if charge.kind != "stored_value":
                use.value = use.part * (price or 0)
                continue
            before, so_far = so_far, so_far + use.part
            use.value, said = use.part, charge.list_amount
            if said is not None and (price is not None or in_app):
                counts = said if price is None else min(said, price)
                use.value = half_up(counts, so_far, whole) - half_up(counts, before, whole)

    def refuses_end(self, charge: Charge, status: str) -> str | None:
        pending = charge.status == "pending_confirmation"
        return None if pending or charge.status == status else "charge_not_pending"

    def ended(self, charge: Charge, status: str) -> None:
        if charge.status == "pending_confirmation":
            self._free(charge, status)

    def _free(self, charge: Charge, status: str) -> None:
        charge.status = status
        for use in charge.uses:
            use.card.held.pop(charge, None)

    def void(self, cards: Iterable[Card]) -> int:
        """Cancel what waits on cards; say how many."""
        waits = {charge for card in cards for charge in card.held}
        for charge in waits:
            self._free(charge, "cancelled")
        return len(waits)

    # Uses taken back.

    def refuses_reversal(self, charge: Charge) -> str | None:
        if charge.waits is not None or charge.status == "reversed" or charge.failed:
            return None
        if charge.status == "disputed":
            return "charge_disputed"
        if charge.status != "confirmed":
            return "charge_not_confirmed"
        return self._too_late(charge)

    def _too_late(self, charge: Charge) -> str | None:
        assert charge.confirmed_at is not None
        late = self.now > charge.confirmed_at + REVERSAL_DAYS * DAY
        return "deadline_passed" if late else None

    def reverse(self, charge: Charge) -> None:
        if charge.waits is None and charge.status != "reversed" and not charge.failed:
            self._reverse(charge, covered=self.payable - self.waiting_amount)

    def _reverse(self, charge: Charge, *, covered: int) -> None:
        charge.turn = next(self.numbers)
        needs = self._needs(charge)
        if 0 < needs > covered:
            charge.waits = needs
        else:
            self._take_back(charge)

    def _needs(self, charge: Charge) -> int:
        """Say what of payable it takes to take a use back, with what refunds make of it."""
        before = {use.card: (use.card.released, self._rest(use.card)) for use in charge.uses}
        for use in charge.uses:
            del use.card.used[charge]
        needs = sum(
            released - card.released - (self._rest(card) - rest)
            for card, (released, rest) in before.items()
        )
        for use in charge.uses:
            use.card.used[charge] = use
        return needs

    @staticmethod
    def _rest(card: Card) -> int:
        """Say what of the rest the merchant has, or would have: 0 before it is settled."""
        decided = card.decided
        return decided[0].figures()[1] if decided and decided[0].settled else 0

    def _take_back(self, charge: Charge) -> None:
        self.payable -= self._needs(charge)
        charge.status, charge.waits = "reversed", None
        for use in charge.uses:
            card, decided = use.card, use.card.decided
            amount = decided[0].figures()[0] if decided else 0
            rest = self._rest(card)
            del card.used[charge]
            card.adjusted += self._rest(card) - rest
            card.settle_status()
            if decided and (grown := decided[0].figures()[0] - amount):
                self._supplement(card, decided, grown)

    def _supplement(self, card: Card, decided: Sequence[Refund], grown: int) -> None:
        first, last = decided[0], decided[-1]
        payee = last.has_payee and last.status != "account_needed"
        refund = Refund(
            UUID(int=next(self.numbers)),
            card,
            first.consumer,
            first.reason,
            first.rule,
            "decided" if payee else "account_needed",
            grown,
            supplements=True,
            has_payee=last.has_payee,
            order=next(self.numbers),
        )
        card.refunds.append(refund)
        self.refunds.append(refund)
        card.refunded += grown
        card.status = "refunding"

    def serve(self) -> None:
        """After a credit: reversals in their turn, each whole, as far as payable goes."""
        while (waiting := self.waiting) and self._needs(waiting[0]) <= self.payable:
            self._take_back(waiting[0])
        self._resize(waiting)

    def _resize(self, waiting: Sequence[Charge]) -> None:
        """Say what the next one needs by now, and each on a refunded card after those before it."""
        gone: list[Charge] = []
        for charge in waiting:
            refunded = any(use.card.status in IN_REFUND for use in charge.uses)
            if charge is waiting[0] or refunded:
                charge.waits = self._needs(charge)
                gone.append(charge)
                for use in charge.uses:
                    del use.card.used[charge]
        for charge in gone:
            for use in charge.uses:
                use.card.used[charge] = use

    # Disputes.

    def refuses_dispute(self, charge: Charge, who: str) -> str | None:  # noqa: PLR0911  # one for each refusal
        if who != charge.consumer:
            return "not_found"
        if charge.status == "disputed":
            return None
        if charge.status != "confirmed":
            return "charge_not_confirmed"
        if charge.dispute is not None:
            return "charge_disputed"
        if charge.waits is not None or charge.failed:
            return "charge_not_confirmed"
        if (late := self._too_late(charge)) is not None:
            return late
        return "closure_in_progress" if self.status.startswith("closed") else None

    def dispute(self, charge: Charge, due: date | None) -> None:
        free = self.payable - self.waiting_amount
        charge.set_aside = charge.moved if charge.moved <= free else 0
        charge.status, charge.dispute, charge.case = "disputed", "open", Case(due)
        self.payable -= charge.set_aside

    def judged(self, charge: Charge, *, upheld: bool) -> None:
        self.payable += charge.set_aside
        charge.dispute = "upheld" if upheld else "dismissed"
        if upheld:
            self._reverse(charge, covered=self.payable)
        else:
            charge.status = "confirmed"
        if charge.set_aside:
            self.serve()

    # Cases.

    def refuses_answer(self, case: Case, *, agree: bool) -> str | None:
        if case.agree is agree:
            return None
        if case.is_silent(self.today) or case.by_silence:
            return "deadline_passed"
        return None if case.status == "open" else "case_state"

    def refuses_ruling(self, case: Case) -> str | None:
        over = case.status == "decided" or case.is_silent(self.today)
        return "case_state" if over else None

    # The life of a card.

    def refuses_freeze(self, card: Card, who: str) -> str | None:
        if who != card.holder:
            return "not_found"
        if card.kind != "period":
            return "card_kind_mismatch"
        status = card.status_on(self.today)
        if status in IN_REFUND:
            return "card_in_refund"
        return None if status in ("active", "frozen") else "card_not_active"

    def freeze(self, card: Card) -> None:
        if card.status == "active":
            self.void([card])
            card.stop(self.today)
            card.status = "frozen"

    def unfreeze(self, card: Card) -> None:
        if card.status == "frozen":
            card.run_on(self.today)
            card.status = "active"

    def refuses_loss(self, card: Card, who: str) -> str | None:
        if who != card.holder:
            return "not_found"
        status = card.status_on(self.today)
        if status in IN_REFUND:
            return "card_in_refund"
        return "card_not_active" if status == "used_up" else None

    def lose(self, card: Card) -> None:
        if card.status == "lost":
            return
        self.void([card])
        was = card.status_on(self.today)
        if card.kind == "period" and card.frozen_on is None and was != "expired":
            card.stop(self.today)
        card.status = "lost"
        for offer in self.offers:
            if offer.card is card and offer.status == "offered":
                offer.status = "withdrawn"

    def refuses_reactivation(self, card: Card, who: str) -> str | None:
        if who != card.holder:
            return "not_found"
        status = card.status_on(self.today)
        if status in ("lost", "active"):
            return None
        if status in IN_REFUND:
            return "card_in_refund"
        if status != "expired":
            return "card_not_active"
        return "card_kind_mismatch" if card.kind == "period" else None

    def reactivate(self, card: Card) -> None:
        if card.status == "lost":
            card.run_on(self.today)
            card.status = "active"
            card.settle_status()
        elif card.status_on(self.today) == "expired":
            assert card.product.term is not None
            card.valid_until = self.today + (card.product.term - 1) * DAY

    def refuses_giving(self, card: Card) -> str | None:
        if self.status not in ("open", "notice"):
            return "merchant_frozen"
        if self.is_held(card):
            return "card_on_hold"
        status = card.status_on(self.today)
        if status in IN_REFUND:
            return "card_in_refund"
        if status not in ("active", "frozen", "expired"):
            return "card_not_active"
        disputed = any(one.status == "disputed" and one.is_on(card) for one in self.charges)
        return "charge_disputed" if disputed else None

    def refuses_offer(self, card: Card, who: str, to: str) -> str | None:
        if who != card.holder:
            return "not_found"
        if self.same_offer(card, to) is not None:
            return None
        return self.refuses_giving(card)

    def same_offer(self, card: Card, to: str) -> Offer | None:
        return next(
            (
                offer
                for offer in self.offers
                if offer.card is card and offer.status == "offered" and offer.receiver == to
            ),
            None,
        )

    def refuses_taking(self, offer: Offer) -> str | None:
        if offer.status == "accepted":
            return None
        if offer.status != "offered":
            return "transfer_not_open"
        if offer.card.holder != offer.giver:
            return "not_found"
        return self.refuses_giving(offer.card)

    def take(self, offer: Offer) -> None:
        if offer.status == "accepted":
            return
        card = offer.card
        self.void([card])
        offer.status, card.holder = "accepted", offer.receiver
        card.refundable_from = self.today + TRANSFER_WAIT
        self._decline_offers_of(card)

    def _decline_offers_of(self, card: Card, but: Refund | None = None) -> None:
        for refund in card.refunds:
            if refund.status == "offered" and refund is not but:
                refund.status = "declined"

    # Refunds.

    def refuses_refund(self, card: Card, reason: str) -> str | None:  # noqa: PLR0911  # one for each refusal
        """Say for what a refund is refused whatever it comes to."""
        standing = ("offered", "declined", "rejected", "withdrawn")
        if any(refund.status not in standing for refund in card.refunds):
            return "refund_in_progress"
        if card.status in IN_REFUND:
            return "refund_in_progress"
        if (refusal := self._refuses_closing(card)) is not None:
            return refusal
        if card.refundable_from is not None and self.today < card.refundable_from:
            return "refund_not_allowed"
        if card.left == 0 or (reason == "offer" and self.status == "notice"):
            return "refund_not_allowed"
        if reason == "cooling_off" and self.status != "notice":
            over = card.cooling_ends is not None and self.today > card.cooling_ends
            return "refund_not_allowed" if over or self._used_before(card) else None
        return None

    def _refuses_closing(self, card: Card) -> str | None:
        if self.is_held(card):
            return "card_on_hold"
        if self.status not in ("open", "notice"):
            return "closure_in_progress"
        return "charge_disputed" if self.is_disputed(card) else None

    def is_disputed(self, card: Card) -> bool:
        return any(one.dispute == "open" and one.is_on(card) for one in self.charges)

    def _used_before(self, card: Card) -> bool:
        return any(
            charge.status in ("confirmed", "disputed")
            and charge.consumer in (card.holder, card.buyer)
            and charge.confirmed_at is not None
            and charge.confirmed_at < card.paid_at
            and any(use.card.product is card.product for use in charge.uses)
            for charge in self.charges
        )

    def needs_case(self, card: Card, reason: str) -> bool:
        if reason not in CLAIMS or self.status == "notice":
            return False
        upheld = any(one.dispute == "upheld" and one.is_on(card) for one in self.charges)
        on_record = (reason == "store_moved" and self.store_closed) or (
            reason == "service_unavailable" and upheld
        )
        return not on_record

    def rule_of(self, reason: str) -> str:
        if self.status == "open" and reason in ("consumer_choice", "cooling_off"):
            return "choice" if reason == "consumer_choice" else "cooling"
        return "fault"

    def quote(self, card: Card, reason: str, rule: str, base: int = 0) -> Refund:
        if rule == "choice" and card.kind == "period":
            base = card.term_day(self.today)
        return Refund(UUID(int=0), card, card.holder, reason, rule, "quoted", base=base)

    def enact(self, refund: Refund, *, at_most: int | None = None) -> None:
        """Close a card: R is on its way, the rest is the merchant's once it is paid."""
        card = refund.card
        assert card is not None
        self.void([card])
        refund.order = next(self.numbers)
        refund.amount, _ = refund.figures()
        if at_most is not None:
            refund.unpaid = max(0, refund.amount - at_most)
            refund.amount -= refund.unpaid
        refund.has_payee = card.buyer == card.holder
        refund.status = "decided" if refund.has_payee else "account_needed"
        if refund not in card.refunds:
            card.refunds.append(refund)
        if refund not in self.refunds:
            self.refunds.append(refund)
        card.refunded += refund.amount
        card.status = "refunding"
        self._decline_offers_of(card, but=refund)
        if refund.amount == 0:
            refund.status = "paid"
            self.settle(refund)

    def settle(self, only: Refund | None = None) -> None:
        """Finish what was paid: the rest is the merchant's, and serves what waits."""
        due = [one for one in self.refunds if one.card and one.status == "paid" and not one.settled]
        due = due if only is None else [only]
        for refund in due:
            card = refund.card
            assert card is not None
            refund.settled = True
            if not refund.supplements:
                rest = min(refund.figures()[1], card.left)
                card.adjusted += rest
                self.payable += rest
        for card in {refund.card for refund in due if refund.card}:
            open_ = any(not refund.settled for refund in card.decided)
            card.status = "refunding" if open_ else "refunded"
        if due:
            self.serve()

    def claim(self, refund: Refund) -> None:
        """Let people judge: the card waits, and its term with it."""
        card = refund.card
        assert card is not None
        self.void([card])
        refund.former, refund.status = card.status, "case_open"
        if card.kind == "period" and card.status_on(self.today) == "active":
            card.stop(self.today)
        card.status = "refunding"
        card.refunds.append(refund)
        self.refunds.append(refund)

    def refuses_upholding(self, refund: Refund) -> str | None:
        assert refund.card is not None
        if self.status not in ("open", "notice"):
            return "closure_in_progress"
        return self._refuses_closing(refund.card)

    def uphold(self, refund: Refund, used: int = 0) -> None:
        if refund.case is not None:
            refund.case.status = "decided"
        by_agreement = refund.reason == "minor" and self.status == "open"
        refund.rule = "minor" if by_agreement else "fault"
        if by_agreement and refund.card is not None:
            card = refund.card
            agreed = max(0, min(card.paid - used, card.paid - card.released))
            refund.base = agreed + card.released
        self.enact(refund)

    def unclaim(self, refund: Refund, status: str) -> None:
        card = refund.card
        assert card is not None
        assert refund.former is not None
        assert refund.case is not None
        refund.case.status, refund.status = "decided", status
        card.status = refund.former
        card.settle_status()
        if card.status == "active" and card.frozen_on is not None:
            card.run_on(self.today)

    def give_back(self, receipt: UUID, refund_id: UUID) -> None:
        amount = self.receipts.pop(receipt)
        refund = Refund(refund_id, None, None, "receipt", "receipt", "decided", amount)
        refund.order, refund.receipt = next(self.numbers), receipt
        self.refunds.append(refund)
        self.suspense -= amount

    # A closure.

    def refuses_closure(self) -> str | None:
        return None if self.closure is None else "closure_in_progress"

    def close(self, closure: Closure) -> None:
        self.closure, self.status = closure, closure.status

    def end_notice(self) -> None:
        if self.closure is not None and self.closure.is_due(self.now):
            self.closure.status = self.status = "closing"

    @property
    def free_payable(self) -> int:
        return max(0, min(self.payable - self.waiting_amount, self.bank_claim))

    def prepare_closure(self) -> None:
        """Void what waits, decline what is offered, serve what waits, make good what left."""
        self.void(self.cards)
        self.settle()
        self.serve()
        made_good = self.free_payable
        self.payable -= made_good
        self.bank_claim -= made_good
        for card in self.cards:
            self._decline_offers_of(card)

    def uphold_claims(self) -> None:
        """Decide for their holders the claims that people did not judge before the end."""
        for refund in self.refunds:
            if refund.status == "case_open" and refund.card is not None:
                held = self.is_held(refund.card) or self.is_disputed(refund.card)
                if not held:
                    self.uphold(refund)

    def close_cards(self) -> int:
        """Refund what nobody refunds yet, each card once, at its share; say how many."""
        if self.status == "refunding" and not self.shortfall:
            for receipt in list(self.receipts):
                self.give_back(receipt, UUID(int=next(self.numbers)))
        cards = [card for card in self.cards if self._is_to_be_closed(card)]
        cards = [card for card in cards if not self.is_held(card) and not self.is_disputed(card)]
        for card in cards:
            refund = self.quote(card, "closure", "fault")
            refund.refund_id, refund.by_closure = UUID(int=next(self.numbers)), True
            self.enact(refund, at_most=self.shares[card.card_id] if self.shortfall else None)
        return len(cards)

    # What custody does not cover.

    @property
    def lacking(self) -> int:
        return max(0, self.bank_claim - self.free_payable)

    def level(self) -> list[str]:
        """Share out what there is, if what lacks or is owed has changed; say what that did."""
        if self.lacking == self.shortfall and not (self.shortfall and self._is_outdated()):
            return []
        did = ["shared out anew" if self.shortfall else "custody is short"]
        there = self.custody - self.in_transit("release") - self.in_transit("refund")
        self.claims = {**self._claims_of_cards(), **self._claims_of_receipts()}
        kept = self.disputed_amount + self.kept_amount
        self.shares = dict(shared_out(self.claims, there - kept))
        self.shortfall = self.lacking
        for receipt in sorted(self.claims.keys() - {card.card_id for card in self.cards}):
            did += self._level_receipt(receipt, self.shares[receipt])
        for card in sorted(self.cards, key=lambda card: card.card_id):
            if card.card_id in self.shares and card.status in IN_REFUND and card.decided:
                did += self._level_card(card, self.shares[card.card_id])
        return did

    def _is_outdated(self) -> bool:
        paid = {card.card_id: card.refunded for card in self.cards}
        return any(
            claim.amount != self.claims.get(key, Claim(0, 0)).amount or paid[key] > self.shares[key]
            for key, claim in self._claims_of_cards().items()
        )

    def _claims_of_cards(self) -> dict[UUID, Claim]:
        """Say what is owed on cards: all that is left or was refunded, but the merchant's rest."""
        claims: dict[UUID, Claim] = {}
        for card in self.cards:
            decided = card.decided
            rest = 0
            if decided and not decided[0].settled:
                rest = min(card.left, decided[0].figures()[1])
            uncut = sum(refund.amount for refund in decided if refund.is_uncut)
            if uncut or card.left > rest:
                owed = card.refunded + card.left - rest
                claims[card.card_id] = Claim(owed, card.refunded - uncut)
        return claims

    def _claims_of_receipts(self) -> dict[UUID, Claim]:
        claims = {receipt: Claim(amount, 0) for receipt, amount in self.receipts.items()}
        for refund in self.refunds:
            if refund.receipt is not None and (refund.is_uncut or refund.unpaid):
                paid = 0 if refund.is_uncut else refund.amount
                claims[refund.receipt] = Claim(refund.amount + refund.unpaid, paid)
        return claims

    def _level_receipt(self, receipt: UUID, share: int) -> list[str]:
        """Give a payer its share; what a bank has got, or 0, is the end of it."""
        if receipt in self.receipts:
            if share == 0:
                return []
            whole = self.receipts[receipt]
            self.give_back(receipt, UUID(int=next(self.numbers)))
            refund = self.refunds[-1]
            refund.amount, refund.unpaid = share, whole - share
            self.suspense += refund.unpaid
            return ["share of a receipt"]
        refund = next(one for one in self.refunds if one.receipt == receipt)
        if not refund.is_uncut or refund.amount == share:
            return []
        change = share - refund.amount
        refund.amount += change
        refund.unpaid -= change
        self.suspense -= change
        refund.status = refund.status if share else "paid"
        return ["share of a receipt"]

    def _level_card(self, card: Card, share: int) -> list[str]:
        """Leave on a card what its refunds are above its share, or let another pay what lacks."""
        missing = share - card.refunded
        if missing > 0:
            amount = min(missing, card.left)
            self._supplement(card, card.decided, amount)
            self.refunds[-1].unpaid, self.refunds[-1].by_closure = -amount, True
            return ["paid more"]
        did: list[str] = []
        for refund in reversed(card.decided):
            back = min(-missing, refund.amount) if refund.is_uncut else 0
            if back:
                missing += back
                refund.amount -= back
                refund.unpaid += back
                card.refunded -= back
                refund.status = refund.status if refund.amount else "paid"
                did = ["paid less"]
        return did

    @staticmethod
    def _is_to_be_closed(card: Card) -> bool:
        return card.status in LIVING and card.left > 0

    def finish(self) -> None:
        """End the closure if nothing is left to be refunded, paid, judged or answered."""
        waits = (
            any(self._is_to_be_closed(card) and not self.is_held(card) for card in self.cards)
            or any(
                refund.status in ("in_transit", "case_open")
                or (
                    refund.status == "decided"
                    and not (refund.card is not None and self.is_held(refund.card))
                )
                for refund in self.refunds
            )
            or any(charge.dispute == "open" for charge in self.charges)
            or any(
                refund.card is not None and refund.status == "paid" and not refund.settled
                for refund in self.refunds
            )
        )
        if waits or self.closure is None:
            return
        for charge in self.waiting:
            if self.payable and charge.set_aside and charge.dispute == "upheld":
                # What was set aside for it is kept, until what comes later covers the whole.
                continue
            charge.waits, charge.failed = None, True
        made_good = max(0, min(self.payable - self.kept_amount, self.bank_claim))
        self.payable -= made_good
        self.bank_claim -= made_good
        if self.lacking != self.shortfall or (self.shortfall and self._is_outdated()):
            # It is shared out anew first.
            return
        uncovered = self.waiting or any(charge.failed for charge in self.charges)
        uncovered = uncovered or self.shortfall
        ended = "closed_with_shortfall" if uncovered else "closed"
        self.closure.status = self.status = ended

    # Files.

    def to_release(self) -> int:
        transit = self.in_transit("release") + self.in_transit("refund")
        if self.payee in self.blocked or self.status in ("closing", "refunding"):
            return 0
        free = self.payable - self.waiting_amount - self.kept("payable", self.payable)
        there = self.custody - transit
        amount = min(free - self.bank_claim, there - self.kept("custody_account", there))
        return max(0, amount)

    @property
    def keeps_refunds(self) -> bool:
        """Whether two persons decide first, or what does not cover all is shared out first."""
        lacking = self.bank_claim - max(0, self.payable - self.waiting_amount)
        unshared = self.status not in ("open", "notice") and lacking > self.shortfall
        return self.status == "closing" or unshared

    @property
    def _has_grown(self) -> bool:
        """Whether a refund is more than its share since people judged."""
        return self.shortfall > 0 and any(
            refund.status == "decided"
            and not refund.by_closure
            and refund.card is not None
            and refund.card.refunded > self.shares.get(refund.card.card_id, -1)
            for refund in self.refunds
        )

    @property
    def to_cut_again(self) -> list[File]:
        """Say which files a closure takes back: no bank has got them, and none would be cut now."""
        kinds = ["refund"] if self.keeps_refunds else []
        if self.status in ("closing", "refunding"):
            kinds.append("release")
        return [
            file
            for file in self.files
            if file.kind in kinds
            and not (file.seen or file.cancelled)
            and any(order.status == "pending" for order in file.orders)
        ]

    def to_refund(self) -> list[Refund]:
        """Say which refunds a cut takes: oldest first and whole; a held one keeps its place."""
        if self.keeps_refunds or self._has_grown:
            return []
        there = self.custody - self.in_transit("release") - self.in_transit("refund")
        left = there - self.kept("custody_account", there)
        taken: list[Refund] = []
        decided = (refund for refund in self.refunds if refund.status == "decided")
        for refund in sorted(decided, key=lambda refund: refund.order):
            left -= refund.amount
            if left < 0:
                break
            if refund.card is None or not self.is_held(refund.card):
                taken.append(refund)
        return taken

    def cut(self, file: File) -> None:
        self.files.append(file)
        for order in file.orders:
            if order.refund is None:
                self.payable -= order.amount
            else:
                order.refund.status = "in_transit"

    def cancel(self, file: File) -> None:
        file.cancelled = True
        for order in file.orders:
            if order.status == "pending":
                self._undone(order, "cancelled", None)
        self._after_bank()

    def can_be_paid(self, order: Order) -> bool:
        """Say whether a bank that was told not to pay still may have done so."""
        there = self.custody - self.in_transit("release") - self.in_transit("refund")
        return order.status not in ("rejected", "cancelled") or order.amount <= there

    def told(self, file: File, order: Order, status: str, reason: str | None) -> str:
        """Book what a bank says of an order (DOMAIN §5); say what it is called."""
        file.seen = file.seen or not file.cancelled
        outcome = "unchanged"
        match order.status, status:
            case "pending", "paid":
                outcome = self._paid(order)
            case "pending", "rejected":
                outcome = self._undone(order, "rejected", reason)
            case "pending", "returned":
                self._paid(order)
                outcome = self._returned(order, reason)
            case "paid", "returned":
                outcome = self._returned(order, reason)
            case (("rejected" | "cancelled"), "paid"):
                self._paid_late(order)
                outcome = "conflict"
            case (
                ("paid", "rejected")
                | ("rejected", "returned")
                | ("cancelled", "returned")
                | ("returned", "rejected")
            ):
                outcome = "conflict"
            case _:
                pass
        self._after_bank()
        return outcome

    def _after_bank(self) -> None:
        self.settle()
        self.serve()

    def _paid(self, order: Order) -> str:
        order.status = "paid"
        self.custody -= order.amount
        if order.refund is not None:
            order.refund.status = "paid"
        return "applied"

    def _undone(self, order: Order, status: str, reason: str | None) -> str:
        order.status = status
        self._give_back(order, order.amount, reason)
        return "applied"

    def _returned(self, order: Order, reason: str | None) -> str:
        order.status = "returned"
        self.custody += order.amount
        made_good = min(order.claimed, self.bank_claim)
        nobodys = order.claimed - made_good
        self.bank_claim -= made_good
        self._give_back(order, order.amount - order.claimed, reason, came_back=True)
        if order.refund is None:
            self.payable += nobodys
        else:
            self.suspense += nobodys
        order.claimed = 0
        return "applied"

    def _give_back(
        self, order: Order, amount: int, reason: str | None, *, came_back: bool = False
    ) -> None:
        refund = order.refund
        if refund is None:
            self.payable += amount
            if reason in BLOCKING:
                self.blocked.add(order.payee)
        elif not order.claimed:
            needed = reason in BLOCKING or (came_back and refund.card is not None)
            refund.status = "account_needed" if needed else "decided"

    def _paid_late(self, order: Order) -> None:
        order.status = "paid"
        self.custody -= order.amount
        refund = order.refund
        if refund is None:
            covered = min(self.payable, order.amount)
            self.payable -= covered
            order.claimed = order.amount - covered
        elif refund.is_uncut and refund.amount == order.amount:
            refund.status = "paid"
        else:
            order.claimed = order.amount
        self.bank_claim += order.claimed
