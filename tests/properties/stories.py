"""Random stories: what several consumers, merchants and a bank ask for, one command after another.

A story is drawn without looking at what its commands will do: most are sound, many are refused.
Cards are small (a few fen, a few sessions, a few days), so that amounts reach the edges often.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

from hypothesis import strategies as st

from app.access.principals import ConsumerPrincipal
from app.card_life.commands import (
    AcceptTransfer,
    DeclineTransfer,
    FreezeCard,
    OfferTransfer,
    ReactivateCard,
    ReportLoss,
    UnfreezeCard,
    WithdrawTransfer,
)
from app.card_products.domain import CardProduct
from app.cards.directory import MerchantRef
from app.cases.domain import WITHDRAWAL, Answer, Opening, Silence, Step, Words
from app.cases.rows import CaseKind
from app.charges.commands import (
    CancelCharge,
    ConfirmCharge,
    DeclineCharge,
    ExpireCharges,
    PlaceCharge,
    ReverseCharge,
    ServeReversals,
    UseLimits,
)
from app.charges.domain import Echo, Use
from app.charges.tables import ConsumerCode
from app.dates import business_date
from app.disputes.commands import OpenDispute, StepDispute
from app.ledger.chart import AccountType, account_id
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.purchases.commands import (
    AcceptPurchase,
    CancelPurchase,
    MatchReceipt,
    OpenPurchase,
    RecordReceipt,
    ReturnReceipt,
)
from app.purchases.domain import CoolingOff, Receipt, ReceiptStatus
from app.writer.book import ACCOUNT_BY_ID, Book
from app.writer.commands import Command, Decision, Plan
from app.writer.requests import RequestKey
from tests.builder import Shop, holder_of

Chosen = TypeVar("Chosen")

LIMITS: Final = UseLimits(
    code_use_amount=Fen(5), code_day_amount=Fen(9), pending_lifetime_seconds=900, pending_per_card=2
)
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class PayOut:
    """The bank pays the merchant all but what waiting reversals and `left_amount` leave behind."""

    merchant_no: int
    left_amount: int
    request: RequestKey | None = None


def _decide_pay_out(command: PayOut, book: Book, at: datetime) -> Decision[int]:
    del at
    payable = book.own(AccountType.MERCHANT_PAYABLE)
    kept = book.head.waiting_reversal_amount + command.left_amount
    amount = Fen(book.balance(payable) - kept)
    if amount <= 0:
        return Decision(0)
    moved = Movement(payable, book.own(AccountType.CUSTODY), amount)
    return Decision(amount, entries=(Entry("release_paid", UUID(int=1), moved),))


PAY_OUT: Final = Plan(
    PayOut,
    lambda command: [
        ACCOUNT_BY_ID(account_id(command.merchant_no, kind))
        for kind in (AccountType.MERCHANT_PAYABLE, AccountType.CUSTODY)
    ],
    _decide_pay_out,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """What there is before a story begins."""

    shops: Sequence[Shop]
    other_stores: Sequence[UUID]
    products: Sequence[Sequence[CardProduct]]
    consumers: Sequence[ConsumerPrincipal]
    cards: Sequence[Sequence[UUID]]
    holders: Sequence[Sequence[int]]
    """Which of the consumers holds each card."""
    begins_at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """Commands that come at one time, and how they are cut into batches."""

    at: datetime
    commands: Sequence[Command]
    cuts: Sequence[int]


@dataclass(frozen=True, slots=True, repr=False)
class Story:
    """Codes that were shown, and the moments in their order."""

    codes: Sequence[ConsumerCode]
    moments: Sequence[Moment]

    def __repr__(self) -> str:
        """Name what is asked for, moment by moment; in full it is too long to be read."""
        return "; ".join(
            f"{moment.at:%d %H:%M:%S} "
            + ", ".join(type(command).__name__ for command in moment.commands)
            for moment in self.moments
        )


@dataclass(slots=True)
class _Told:
    """What a story has named so far."""

    stage: Stage
    at: datetime
    random: Random = field(default_factory=lambda: Random(0))
    ids: int = 0
    codes: list[ConsumerCode] = field(default_factory=list[ConsumerCode])
    purchases: list[OpenPurchase] = field(default_factory=list[OpenPurchase])
    receipts: list[RecordReceipt] = field(default_factory=list[RecordReceipt])
    charges: list[PlaceCharge] = field(default_factory=list[PlaceCharge])
    disputes: list[OpenDispute] = field(default_factory=list[OpenDispute])
    commands: list[Command] = field(default_factory=list[Command])

    def new_id(self, no: int) -> UUID:
        self.ids += 1
        return UUID(int=(0xF000 << 112) | (self.ids << 32) | no)

    def one_of(self, values: Sequence[Chosen]) -> Chosen:
        return self.random.choice(values)

    def rarely(self) -> bool:
        return self.random.random() < 0.1

    def shop(self) -> int:
        # The first has most of what happens, so that its things meet.
        return self.one_of((0, 0, 0, 1))

    def request(self) -> RequestKey | None:
        if self.one_of((True, False)):
            return None
        self.ids += 1
        return RequestKey(UUID(int=self.ids), bytes(32))


def _open(told: _Told) -> OpenPurchase:
    number = told.shop()
    shop = told.stage.shops[number]
    product = told.one_of(told.stage.products[number])
    accepted = told.one_of((product.contract.sha256, product.contract.sha256, None))
    if told.rarely():
        accepted = bytes(32)
    holder = holder_of(told.one_of(told.stage.consumers))
    command = OpenPurchase(
        merchant_no=shop.merchant_no,
        request=told.request(),
        purchase_id=told.new_id(shop.merchant_no),
        product_id=UUID(int=9) if told.rarely() else product.product_id,
        store_id=shop.store.store_id,
        holder=holder if accepted or told.one_of((True, False)) else None,
        accepted_sha256=accepted,
        lifetime_seconds=told.one_of((1800,) * 5 + (1,)),
    )
    told.purchases.append(command)
    return command


def _sale(told: _Told) -> Sequence[Command]:
    """Open a purchase and pay for it, as it mostly goes."""
    return _open(told), _receipt(told, of_last=True)


def _product_of(told: _Told, purchase: OpenPurchase) -> CardProduct:
    every = [product for of_shop in told.stage.products for product in of_shop]
    return next(
        (product for product in every if product.product_id == purchase.product_id), every[0]
    )


def _accept(told: _Told) -> Command:
    purchase = told.one_of((*told.purchases, *told.purchases[-2:]))
    contract = _product_of(told, purchase).contract.sha256
    holder = purchase.holder or holder_of(told.one_of(told.stage.consumers))
    if told.rarely():
        holder = holder_of(told.one_of(told.stage.consumers))
    return AcceptPurchase(
        purchase.merchant_no,
        told.request(),
        purchase.purchase_id,
        holder,
        bytes(32) if told.rarely() else contract,
    )


def _cancel_purchase(told: _Told) -> Command:
    purchase = told.one_of(told.purchases)
    return CancelPurchase(purchase.merchant_no, told.request(), purchase.purchase_id, None)


def _receipt(told: _Told, *, of_last: bool = False) -> RecordReceipt:
    if told.receipts and not of_last and (told.rarely() or told.rarely()):
        again = told.one_of(told.receipts)  # the bank says it again
        amount = again.receipt.amount + told.one_of((0, 1))
        receipt = again.receipt._replace(
            receipt_id=told.new_id(again.merchant_no), amount=Fen(amount)
        )
        return replace(again, request=None, receipt=receipt)
    purchase = told.one_of([*told.purchases[-4:], None]) if told.purchases else None
    if of_last:
        purchase = told.purchases[-1]
    shop = told.stage.shops[told.shop()]
    if purchase is not None:
        shop = next(one for one in told.stage.shops if one.merchant_no == purchase.merchant_no)
    price = 5 if purchase is None else _product_of(told, purchase).price_amount
    no = shop.merchant_no
    receipt_id = told.new_id(no)
    receipt = Receipt(
        merchant_no=no,
        receipt_id=receipt_id,
        status=ReceiptStatus.SUSPENSE,
        suspense_reason=None,
        bank=shop.custody_account.bank,
        bank_reference=receipt_id.hex,
        custody_account=shop.custody_account.account_number,
        amount=Fen(price + told.one_of((0,) * 6 + (1, -1))),
        payment_reference="AX",
        payer_name=b"n",
        payer_account_number=b"a",
        payer_index=b"i",
        purchase_id=None,
        card_id=None,
        refund_id=None,
        paid_at=told.at + timedelta(seconds=told.one_of((0, 0, 0, 0, -_DAY, -_DAY, _DAY))),
        received_at=told.at,
    )
    command = RecordReceipt(
        merchant_no=no,
        request=told.request(),
        receipt=receipt,
        purchase_id=None if purchase is None else purchase.purchase_id,
        card_id=told.new_id(no),
        holder_salt=bytes(16),
        cooling_off=CoolingOff(7, None),
    )
    told.receipts.append(command)
    return command


def _match(told: _Told) -> Command:
    receipt = told.one_of(told.receipts)
    mine = [one for one in told.purchases if one.merchant_no == receipt.merchant_no]
    purchase = told.one_of((mine or told.purchases)[-4:])
    return MatchReceipt(
        merchant_no=receipt.merchant_no,
        request=told.request(),
        receipt_id=receipt.receipt.receipt_id,
        purchase_id=purchase.purchase_id,
        card_id=told.new_id(receipt.merchant_no),
        holder_salt=bytes(16),
        cooling_off=CoolingOff(7, None),
    )


def _return(told: _Told) -> Command:
    receipt = told.one_of(told.receipts)
    return ReturnReceipt(
        receipt.merchant_no,
        told.request(),
        receipt.receipt.receipt_id,
        told.new_id(receipt.merchant_no),
    )


def _use(told: _Told) -> Use:
    match told.one_of(("amount",) * 4 + ("sessions", "sessions", "visit", "visit")):
        case "amount":
            return Use(amount=Fen(told.one_of((1, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 20))))
        case "sessions":
            return Use(sessions=told.one_of((1, 1, 2, 3)))
        case _:
            return Use(visit=True)


def _place(told: _Told) -> PlaceCharge:
    number = told.shop()
    shop = told.stage.shops[number]
    no = shop.merchant_no
    use = _use(told)
    code_hash = card_id = None
    if told.one_of((True, True, False)):
        code_hash = _code(told, number)
    else:
        sold = [one.card_id for one in told.receipts if one.merchant_no == no]
        card_id = told.one_of((*told.stage.cards[number], *sold[-2:]))
        if told.rarely():
            card_id = UUID(int=8)
        elif card_id == told.stage.cards[number][-1] and told.one_of((True, False)):
            use = Use(visit=True)  # of which its holder has no card
    is_count = use.sessions is not None
    command = PlaceCharge(
        merchant_no=no,
        request=told.request(),
        charge_id=told.new_id(no),
        confirmation_id=told.new_id(no),
        store_id=told.one_of((shop.store.store_id,) * 9 + (told.stage.other_stores[number],)),
        use=use,
        code_hash=code_hash,
        card_id=card_id,
        product_id=told.one_of(told.stage.products[number]).product_id
        if is_count and told.one_of((True, False))
        else None,
        list_amount=Fen(told.one_of((0, 3, 50))) if use.amount and told.rarely() else None,
        description=told.one_of((None, None, "剪发")),
        text_salt=b"salt",
        client_reference=told.one_of((None,) * 10 + ("till-1", "till-2", "till-3")),
        limits=LIMITS,
    )
    told.charges.append(command)
    return command


def _code(told: _Told, number: int) -> bytes:
    """Show a new code, one that was shown before, or one that nobody made."""
    match told.one_of(("new",) * 16 + ("shown", "shown", "guessed")):
        case "guessed":
            return bytes(32)
        case "shown" if told.codes:
            return told.one_of(told.codes).code_hash
        case _:
            pass
    who = told.one_of(range(len(told.stage.consumers)))
    held = zip(told.stage.cards[number], told.stage.holders[number], strict=True)
    own = [card for card, holder in held if holder == who]
    shop = told.stage.shops[number]
    limited = told.one_of((True, False, False, False))
    return _new_code(
        told,
        number,
        who,
        card_id=told.one_of((None,) * 3 * len(own) + tuple(own)),
        store_id=shop.store.store_id if told.rarely() else None,
        max_amount=Fen(told.one_of((1, 3))) if limited else None,
        expires_at=told.at + timedelta(seconds=0 if told.rarely() else _DAY),
    )


def _new_code(told: _Told, number: int, who: int, **limits: Any) -> bytes:
    said: dict[str, Any] = {
        "merchant_no": told.stage.shops[number].merchant_no,
        "code_hash": sha256(b"code %d" % len(told.codes)).digest(),
        "consumer": told.stage.consumers[who].consumer,
        "card_id": None,
        "product_id": None,
        "store_id": None,
        "max_amount": None,
        "created_at": told.at,
        "expires_at": told.at + timedelta(days=1),
    }
    told.codes.append(ConsumerCode(**{**said, **limits}))
    return told.codes[-1].code_hash


def _answered(told: _Told) -> PlaceCharge:
    """Choose a charge, rather one of those that were placed last."""
    return told.one_of((*told.charges[-20:], *told.charges[-3:] * 3))


def _consumer(told: _Told, charge: PlaceCharge) -> UUID:
    """Say whose charge it is; rarely, somebody else asks."""
    if not told.rarely():
        for code in told.codes:
            if code.code_hash == charge.code_hash:
                return code.consumer
        for number, cards in enumerate(told.stage.cards):
            if charge.card_id in cards:
                holder = told.stage.holders[number][cards.index(charge.card_id)]
                return told.stage.consumers[holder].consumer
    return told.one_of(told.stage.consumers).consumer


def _used(told: _Told) -> Sequence[Command]:
    """Charge and confirm; sometimes the money is paid out and the use is taken back."""
    placed = _place(told)
    commands: list[Command] = [placed, _confirm(told, placed)]
    if told.one_of((True, False, False)):
        commands.append(PayOut(placed.merchant_no, told.one_of((0, 0, 1))))
    if told.one_of((True, False)):
        commands.append(_reverse(told, placed))
    return commands


def _crowd(told: _Told) -> Sequence[Command]:
    """Charge one card several times, and let nobody answer."""
    first = _place(told)
    while first.card_id is None:
        told.charges.pop()
        first = _place(told)
    others = [
        replace(
            first,
            request=told.request(),
            charge_id=told.new_id(first.merchant_no),
            client_reference=None,
            use=first.use if first.use.amount is None else Use(amount=Fen(1)),
        )
        for _ in range(3)
    ]
    told.charges += others
    return first, *others


def _small(told: _Told, number: int, **fields: Any) -> PlaceCharge:
    """Charge one fen to a named card; `fields` replace what is asked."""
    shop = told.stage.shops[number]
    placed = replace(
        _place(told),
        **{
            "merchant_no": shop.merchant_no,
            "store_id": shop.store.store_id,
            "charge_id": told.new_id(shop.merchant_no),
            "use": Use(amount=Fen(1)),
            "list_amount": None,
            "product_id": None,
            "code_hash": None,
            "card_id": told.one_of(told.stage.cards[number]),
            "client_reference": None,
            **fields,
        },
    )
    told.charges[-1] = placed
    return placed


def _provoked(told: _Told) -> Sequence[Command]:
    """Bring about what luck brings seldom."""
    provoke = told.one_of(_PROVOKED)
    return provoke(told, told.shop())


def _code_twice(told: _Told, number: int) -> Sequence[Command]:
    code = _new_code(told, number, 0)
    return [_small(told, number, code_hash=code, card_id=None) for _ in range(2)]


def _two_products(told: _Told, number: int) -> Sequence[Command]:
    code = _new_code(told, number, 1)  # who has count cards of two products
    return [_small(told, number, code_hash=code, card_id=None, use=Use(sessions=1))]


def _no_card_of_the_kind(told: _Told, number: int) -> Sequence[Command]:
    return [_small(told, number, card_id=told.stage.cards[number][-1], use=Use(visit=True))]


def _reference_twice(told: _Told, number: int) -> Sequence[Command]:
    return [_small(told, number, client_reference="till-1") for _ in range(2)]


def _key_twice(told: _Told, number: int) -> Sequence[Command]:
    told.ids += 1
    key = RequestKey(UUID(int=told.ids), bytes(32))
    placed = _small(told, number, request=key)
    return [placed, replace(placed, request=key._replace(fingerprint=b"other" + bytes(27)))]


def _declined(told: _Told, number: int) -> Sequence[Command]:
    placed = _small(told, number)
    return [placed, _decline(told, placed)]


def _cancelled(told: _Told, number: int) -> Sequence[Command]:
    placed = _small(told, number)
    return [placed, CancelCharge(placed.merchant_no, told.request(), placed.charge_id, None)]


def _wrong_echo(told: _Told, number: int) -> Sequence[Command]:
    placed = _small(told, number)
    wrong = _confirm(told, placed)
    return [placed, replace(wrong, echo=wrong.echo._replace(amount=Fen(2)))]


def _too_late(told: _Told, number: int) -> Sequence[Command]:
    placed = _small(told, number)
    late = replace(_reverse(told, placed), reversal_days=-1)
    return [placed, _confirm(told, placed), late]


def _paid_out(told: _Told, number: int) -> Sequence[Command]:
    placed = _small(told, number, use=Use(amount=Fen(3)))
    gone = PayOut(placed.merchant_no, 0)
    return [placed, _confirm(told, placed), gone, _reverse(told, placed)]


def _contested(told: _Told, number: int) -> Sequence[Command]:
    """Dispute a use, before or after its money was paid out; twice, and judge it."""
    placed = _small(told, number, use=Use(amount=Fen(told.one_of((1, 2, 3)))))
    commands: list[Command] = [placed, _confirm(told, placed)]
    if told.one_of((True, False)):
        commands.append(PayOut(placed.merchant_no, told.one_of((0, 1))))
    dispute = _dispute(told, placed)
    commands += [dispute, _reverse(told, placed)]
    commands += [_judging(told, dispute) for _ in range(2)]
    return [*commands, _dispute(told, placed), _reverse(told, placed)]


def _objected(told: _Told, number: int) -> Sequence[Command]:
    """Let the merchant object to a dispute; its consumer may give it up."""
    placed = _small(told, number, use=Use(amount=Fen(told.one_of((1, 2, 3)))))
    dispute = _dispute(told, placed)
    objects = replace(_judging(told, dispute), step=Answer(agree=False, text=None, by="chen.wei"))
    gives_up = replace(_judging(told, dispute), step=WITHDRAWAL)
    return [placed, _confirm(told, placed), dispute, objects, told.one_of((gives_up, objects))]


def _given_up(told: _Told, _: int) -> Sequence[Command]:
    opened = _open(told)
    return [opened, CancelPurchase(opened.merchant_no, None, opened.purchase_id, None)]


def _accepted(told: _Told, number: int) -> Sequence[Command]:
    sold = told.stage.products[number][0]
    opened = replace(
        _open(told),
        merchant_no=told.stage.shops[number].merchant_no,
        purchase_id=told.new_id(told.stage.shops[number].merchant_no),
        product_id=sold.product_id,
        store_id=told.stage.shops[number].store.store_id,
        holder=None,
        accepted_sha256=None,
    )
    told.purchases[-1] = opened
    holder = holder_of(told.one_of(told.stage.consumers))
    no, sha256 = opened.merchant_no, sold.contract.sha256
    return [opened, AcceptPurchase(no, told.request(), opened.purchase_id, holder, sha256)]


def _visit(told: _Told, number: int) -> Sequence[Command]:
    card_id = told.stage.cards[number][3]  # for five days
    return [_small(told, number, card_id=card_id, use=Use(visit=True))]


def _said_otherwise(told: _Told, _: int) -> Sequence[Command]:
    _open(told)
    said = _receipt(told, of_last=True)
    receipt = said.receipt
    other = receipt._replace(
        receipt_id=told.new_id(said.merchant_no), amount=Fen(receipt.amount + 1)
    )
    return [said, replace(said, request=None, receipt=other)]


def _held_card(told: _Told, number: int, place: int | None = None) -> tuple[UUID, int]:
    """Choose a card of the stage, and say which consumer held it when the story began."""
    cards = told.stage.cards[number]
    place = told.random.randrange(len(cards)) if place is None else place
    return cards[place], told.stage.holders[number][place]


def _frozen(told: _Told, number: int) -> Sequence[Command]:
    """Freeze a period card, mostly, before or after a visit; unfreeze it, mostly."""
    card_id, holder = _held_card(told, number, told.one_of((3, 3, 3, None)))
    no, who = told.stage.shops[number].merchant_no, told.stage.consumers[holder].consumer
    freeze = FreezeCard(no, told.request(), card_id, who)
    unfreeze = UnfreezeCard(no, told.request(), card_id, who)
    steps: list[Command] = [freeze, unfreeze]
    if told.one_of((True, False)):
        steps.insert(told.one_of((0, 1, 2)), _small(told, number, card_id=card_id, use=_VISIT))
    return steps if told.one_of((True, True, False)) else steps[:-1]


def _lost(told: _Told, number: int) -> Sequence[Command]:
    """Report a card lost while something waits on it, and replace it."""
    card_id, holder = _held_card(told, number)
    no, who = told.stage.shops[number].merchant_no, told.stage.consumers[holder].consumer
    loss = ReportLoss(no, told.request(), card_id, who)
    code = _new_code(told, number, holder)
    waits = _small(told, number, card_id=card_id)
    return [
        waits,
        loss,
        _confirm(told, waits),
        _small(told, number, code_hash=code, card_id=None),
        ReactivateCard(no, told.request(), card_id, who),
    ]


def _given(told: _Told, number: int) -> Sequence[Command]:
    """Give a card to somebody who uses it at once and gives it back; or who does not take it."""
    card_id, holder = _held_card(told, number)
    no, consumers = told.stage.shops[number].merchant_no, told.stage.consumers
    giver, receiver = consumers[holder], consumers[(holder + 1) % len(consumers)]
    there, back = (
        OfferTransfer(
            no,
            told.request(),
            told.new_id(no),
            card_id,
            one.consumer,
            one.consumer_id,
            other.consumer,
            other.consumer_id,
            one.issuer,
        )
        for one, other in ((giver, receiver), (receiver, giver))
    )
    waits = _small(told, number, card_id=card_id)
    use = _small(told, number, card_id=card_id)
    match told.one_of(("accepts", "accepts", "declines", "withdraws")):
        case "declines":
            left = DeclineTransfer(
                no, told.request(), there.transfer_id, card_id, receiver.consumer
            )
            return [there, left, _taken(told, there)]
        case "withdraws":
            left = WithdrawTransfer(no, told.request(), there.transfer_id, card_id, giver.consumer)
            return [there, left, _taken(told, there)]
        case _:
            pass
    return [
        waits,
        there,
        _taken(told, there),
        _confirm(told, waits),
        use,
        replace(_confirm(told, use), consumer=receiver.consumer),
        _reverse(told, use),
        back,
        *([_taken(told, back)] if told.one_of((True, True, False)) else []),
    ]


def _taken(told: _Told, offer: OfferTransfer) -> AcceptTransfer:
    return AcceptTransfer(
        offer.merchant_no,
        told.request(),
        offer.transfer_id,
        offer.card_id,
        offer.receiver,
        bytes(16),
        3,
    )


_VISIT: Final = Use(visit=True)

_PROVOKED: Final[Sequence[Callable[[_Told, int], Sequence[Command]]]] = (
    _code_twice,
    _two_products,
    _no_card_of_the_kind,
    _reference_twice,
    _key_twice,
    _declined,
    _cancelled,
    _wrong_echo,
    _too_late,
    _paid_out,
    _contested,
    _objected,
    _given_up,
    _accepted,
    _visit,
    _said_otherwise,
    _frozen,
    _lost,
    _given,
)


def _confirm(told: _Told, charge: PlaceCharge | None = None) -> ConfirmCharge:
    charge = charge or _answered(told)
    shop = next(one for one in told.stage.shops if one.merchant_no == charge.merchant_no)
    use = charge.use
    echo = Echo(
        charge.store_id, use.amount, use.sessions, True if use.visit else None, charge.list_amount
    )
    if told.rarely():
        echo = echo._replace(amount=Fen((use.amount or 0) + 1))
    return ConfirmCharge(
        charge.merchant_no,
        told.request(),
        charge.charge_id,
        told.new_id(charge.merchant_no),
        _consumer(told, charge),
        echo,
        MerchantRef(charge.merchant_no, shop.merchant.merchant_id, "安心"),
    )


def _decline(told: _Told, charge: PlaceCharge | None = None) -> Command:
    charge = charge or _answered(told)
    who = _consumer(told, charge)
    return DeclineCharge(charge.merchant_no, told.request(), charge.charge_id, who)


def _cancel_charge(told: _Told) -> Command:
    charge = _answered(told)
    stores = frozenset({charge.store_id}) if told.rarely() else None
    return CancelCharge(charge.merchant_no, told.request(), charge.charge_id, stores)


def _reverse(told: _Told, charge: PlaceCharge | None = None) -> ReverseCharge:
    charge = charge or _answered(told)
    return ReverseCharge(
        charge.merchant_no,
        told.request(),
        charge.charge_id,
        None,
        None,
        told.one_of((90,) * 3 + (0,)),
    )


def _dispute(told: _Told, charge: PlaceCharge | None = None) -> OpenDispute:
    """Contest a charge; the merchant is to answer today, in some days, or nobody knows when."""
    charge = charge or _answered(told)
    no, who = charge.merchant_no, _consumer(told, charge)
    due = told.one_of((0, 2, 2, None))
    opening = Opening(
        merchant_no=no,
        case_id=told.new_id(no),
        kind=CaseKind.DISPUTE,
        consumer=who,
        stated_reason=Words(b"sealed", bytes(32)),
        salt=b"salt",
        answer_due_on=None if due is None else business_date(told.at) + timedelta(days=due),
    )
    days = told.one_of((90,) * 5 + (0,))
    command = OpenDispute(no, told.request(), told.new_id(no), charge.charge_id, who, opening, days)
    told.disputes.append(command)
    return command


def _judge(told: _Told) -> Command:
    if not told.disputes:
        return _dispute(told)
    return _judging(told, told.one_of((*told.disputes, *told.disputes[-2:])))


def _judging(told: _Told, dispute: OpenDispute) -> StepDispute:
    """Take a step of a dispute's case: the merchant's, the clock's or the consumer's."""
    agrees, objects = (Answer(agree=agree, text=None, by="chen.wei") for agree in (True, False))
    step: Step = told.one_of((agrees, agrees, objects, WITHDRAWAL, Silence()))
    return StepDispute(
        dispute.merchant_no, told.request(), dispute.opening.case_id, dispute.charge_id, step
    )


def _serve(told: _Told) -> Command:
    return ServeReversals(told.stage.shops[told.shop()].merchant_no)


def _expire(told: _Told) -> Command:
    no = told.stage.shops[told.shop()].merchant_no
    return ExpireCharges(no, tuple(one.charge_id for one in told.charges if one.merchant_no == no))


def _pay_out(told: _Told) -> Command:
    return PayOut(told.stage.shops[told.shop()].merchant_no, told.one_of((0, 0, 1, 2)))


def _again(told: _Told) -> Command:
    """Ask for something again: under the same key, or under its key for something else."""
    keyed = [one for one in told.commands if one.request is not None]
    if not keyed:
        return _place(told)
    command: Any = told.one_of(keyed)
    if told.one_of((True, True, False)):
        return command
    return replace(command, request=command.request._replace(fingerprint=b"other" + bytes(27)))


_STEPS: Final[Sequence[Callable[[_Told], Command | Sequence[Command]]]] = (
    *(_sale, _sale, _open, _open, _accept, _accept, _accept, _cancel_purchase),
    *(_receipt, _receipt, _match, _match, _return),
    *(_place,) * 8,
    *(_used,) * 6,
    *(_provoked,) * 12,
    *(_confirm,) * 3,
    *(_crowd, _decline, _decline, _cancel_charge, _cancel_charge, _cancel_charge),
    *(_reverse,) * 3,
    *(_dispute, _dispute, _judge, _judge, _judge),
    *(_serve, _expire, _pay_out, _pay_out, _again, _again),
)


def _step(told: _Told) -> Sequence[Command]:
    """Take a step; the first ones make what others are about."""
    if not told.commands:
        return [*_sale(told), *_used(told)]
    made = told.one_of(_STEPS)(told)
    return made if isinstance(made, Sequence) else (made,)


def overture(stage: Stage) -> Story:
    """Tell a story in which everything happens that can be brought about."""
    told = _Told(stage, stage.begins_at)
    moments: list[Moment] = []
    for number, passed in enumerate((900, 5 * _DAY, 0)):
        commands: list[Command] = [*_sale(told), *_used(told)]
        for provoke in _PROVOKED:
            for seed in range(4):
                told.random = Random(f"{number}/{provoke.__name__}/{seed}")
                commands += provoke(told, seed % len(stage.shops))
        for step in (_expire, _return, _return, _match, _accept, _place, _receipt) * 4:
            commands.append(step(told))
        moments.append(Moment(told.at, commands, [7, 30, 31]))
        told.at += timedelta(seconds=passed)
    return Story(told.codes, moments)


@st.composite
def stories(draw: Callable[..., Any], stage: Stage, *, moments_max: int, steps_max: int) -> Story:
    """Draw a story on this stage.

    Each step is a seed from which all of it follows, so that what is done is spread evenly, and
    hypothesis can leave out the steps that a failure does not need.
    """
    told = _Told(stage, stage.begins_at)
    moments: list[Moment] = []
    for _ in range(draw(st.integers(1, moments_max))):
        commands: list[Command] = []
        for seed in draw(st.lists(st.integers(0, 2**64), min_size=3, max_size=steps_max)):
            told.random = Random(seed)
            made = _step(told)
            commands += made
            told.commands += made
        cuts = draw(st.lists(st.integers(1, len(commands)), max_size=4))
        moments.append(Moment(told.at, commands, sorted(set(cuts))))
        passed = (1, 60, 60, 899, 900, _DAY, 2 * _DAY, 5 * _DAY, 91 * _DAY)
        told.at += timedelta(seconds=draw(st.sampled_from(passed)))
    return Story(told.codes, moments)
